"""How near a traced edge is to the true one."""

import math

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle, Polygon, Range, Stencil
from lsst.dax.vo.soda import PixelBox, Projection
from lsst.dax.vo.soda._boundary import arcs_of
from lsst.dax.vo.soda._trace import trace
from lsst.dax.vo.soda._view import View
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing import make_image_header

RA, DEC = 123.4, -32.3
SCALE_DEG = 0.2 / 3600
IMAGE = PixelBox(0, 399, 0, 299)


def open_projection(kind: str, dec: float = DEC) -> Projection:
    header = make_image_header(ra_deg=RA, dec_deg=dec, sip=kind == "SIP")
    if kind == "SIP":
        for key in ("A_2_0", "A_1_1", "B_0_2"):
            header[key] = 100 * header[key]
    elif kind != "TAN":
        header["CTYPE1"], header["CTYPE2"] = f"RA---{kind}", f"DEC--{kind}"
    header["CRPIX1"], header["CRPIX2"] = 200.0, 150.0
    with ResourcePath.temporary_uri(suffix=".fits") as uri:
        fits.PrimaryHDU(np.zeros((300, 400), "i2"), header).writeto(uri.ospath)
        with open_image(uri) as image:
            assert image.box == IMAGE
            projection = image.projection()
    assert projection is not None
    return projection


def distances(points: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Measure from each point to the nearest segment."""
    nearest = np.full(len(points), np.inf)
    for a, b in zip(begin, end, strict=True):
        way = b - a
        t = np.clip((points - a) @ way / max(way @ way, 1e-300), 0, 1)
        nearest = np.minimum(nearest, np.hypot(*(points - a - t[:, np.newaxis] * way).T))
    return nearest


@pytest.mark.parametrize("kind", ["TAN", "SIP", "ZEA"])
@pytest.mark.parametrize(
    "stencil",
    [
        Circle(RA, DEC, 3 * SCALE_DEG),
        Circle(RA, DEC, 100 * SCALE_DEG),
        Circle(RA, DEC - 3000 * SCALE_DEG, 3000 * SCALE_DEG),
        Circle(RA, DEC - 40, 40),
        Polygon((RA - 0.01, RA + 60, RA + 0.01), (DEC - 0.01, DEC - 20, DEC + 0.01)),
        Range(RA - 20, RA + 20, DEC - 50 * SCALE_DEG, DEC + 20),
    ],
    ids=["tiny", "small", "large", "huge", "polygon", "range"],
)
def test_edge_near_the_image_is_right_to_a_hundredth_of_a_pixel(kind: str, stencil: Stencil) -> None:
    projection = open_projection(kind)
    arcs = arcs_of(stencil)
    edge = trace(arcs, View.of(projection, IMAGE))
    assert edge.is_whole_near
    true = []
    for number in range(len(arcs)):
        t = np.linspace(0, 1, 200_000)
        lon, lat = arcs.lonlat(np.full(len(t), number), t)
        close = (
            np.hypot((np.degrees(lon) % 360 - RA) * math.cos(math.radians(DEC)), np.degrees(lat) - DEC) < 0.02
        )
        if np.any(close):
            true.append(np.column_stack(projection.to_pixel(lon[close], lat[close])))
    points = np.concatenate(true)
    points = points[np.all((points > -0.5) & (points < [399.5, 299.5]), axis=1)]
    assert len(points) > 4
    near = np.all((edge.begin > -500) & (edge.begin < 900), axis=1)
    assert distances(points[:: max(1, len(points) // 500)], edge.begin[near], edge.end[near]).max() < 0.01


@pytest.mark.parametrize("radius_deg", [1e-6, 1e-3, 10.0, 89.0])
@pytest.mark.parametrize("dec", [0.0, 89.99, -90.0])
def test_work_is_bounded(radius_deg: float, dec: float) -> None:
    """However large the stencil, a few thousand points tell where it is."""
    for kind in ("TAN", "SIP", "ZEA"):
        edge = trace(arcs_of(Circle(RA, dec, radius_deg)), View.of(open_projection(kind, dec), IMAGE))
        assert edge.is_whole_near
        assert len(edge.begin) < 5000


def test_beyond_the_tangent_plane_the_edge_is_not_whole() -> None:
    view = View.of(open_projection("TAN"), IMAGE)
    edge = trace(arcs_of(Circle(RA, DEC, 120)), view)
    assert not edge.is_whole
    assert edge.is_whole_near
    assert not trace(arcs_of(Circle(RA, DEC, 0.01)), view, is_far_needed=False).is_whole
    assert trace(arcs_of(Circle(RA, DEC, 0.01)), view).is_whole
    nothing = trace(arcs_of(Circle(RA, DEC + 5, 0.01)), view, is_far_needed=False)
    assert (len(nothing.begin), nothing.is_whole_near) == (0, True)
