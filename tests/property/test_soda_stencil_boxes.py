"""Boxes of stencils against brute force: every tenth of a pixel is asked."""

import math

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle, Polygon, Range, Stencil, to_region
from lsst.dax.vo.soda import PixelBox, Projection, stencil_box
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing import make_image_header

WIDTH, HEIGHT = 41, 33
IMAGE = PixelBox(0, WIDTH - 1, 0, HEIGHT - 1)
STEP = 0.2


def make_projection(ra: float, dec: float, angle: float, flip: int, sip: bool, kind: str) -> Projection:
    header = make_image_header(ra_deg=ra, dec_deg=dec, sip=sip and kind == "TAN")
    scale = 0.2 / 3600
    header["CD1_1"], header["CD1_2"] = -scale * flip * math.cos(angle), scale * math.sin(angle)
    header["CD2_1"], header["CD2_2"] = scale * flip * math.sin(angle), scale * math.cos(angle)
    if kind != "TAN":
        header["CTYPE1"], header["CTYPE2"] = f"RA---{kind}", f"DEC--{kind}"
    if "A_2_0" in header:
        for key in ("A_2_0", "A_1_1", "B_0_2"):
            # As strong as the distortion at the edge of a large camera.
            header[key] = 300 * header[key]
    # Through a file, so that the WCS is read as any other.
    path = ResourcePath.temporary_uri(suffix=".fits")
    with path as uri:
        fits.PrimaryHDU(np.zeros((HEIGHT, WIDTH), "i2"), header).writeto(uri.ospath)
        with open_image(uri) as image:
            projection = image.projection()
    assert projection is not None
    return projection


projections = st.builds(
    make_projection,
    ra=st.sampled_from([0.0, 359.9999, 123.4]),
    dec=st.sampled_from([0.0, -32.3, 89.999, -90.0, 60.0]),
    angle=st.floats(0, 2 * math.pi),
    flip=st.sampled_from([1, -1]),
    sip=st.booleans(),
    kind=st.sampled_from(["TAN", "TAN", "STG", "ZEA"]),
)
xs = st.floats(-15, WIDTH + 15)
ys = st.floats(-15, HEIGHT + 15)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Projection, Stencil]:
    projection = draw(projections)

    def sky(x: float, y: float) -> tuple[float, float]:
        lon, lat = projection.to_sky(np.array([x]), np.array([y]))
        return float(np.degrees(lon[0])) % 360, float(np.degrees(lat[0]))

    match draw(st.sampled_from(["circle", "polygon", "range"])):
        case "circle":
            return projection, Circle(*sky(draw(xs), draw(ys)), draw(st.floats(1, 30)) * 0.2 / 3600)
        case "polygon":
            x, y = draw(xs), draw(ys)
            # Around a center, by angle, no polygon crosses itself.
            count = draw(st.integers(3, 7))
            radii = draw(st.lists(st.floats(2, 25), min_size=count, max_size=count))
            points = [
                sky(x + r * math.cos(2 * math.pi * i / count), y + r * math.sin(2 * math.pi * i / count))
                for i, r in enumerate(radii)
            ]
            ra, dec = zip(*points, strict=True)
            return projection, Polygon(ra, dec)
        case _:
            (ra1, dec1), (ra2, dec2) = sky(draw(xs), draw(ys)), sky(draw(xs), draw(ys))
            if (ra2 - ra1) % 360 > 180:
                ra1, ra2 = ra2, ra1
            return projection, Range(ra1, ra2, min(dec1, dec2), max(dec1, dec2))


def sample(projection: Projection, stencil: Stencil) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.arange(-60, WIDTH + 60, STEP) + 0.03, np.arange(-60, HEIGHT + 60, STEP) + 0.03)
    lon, lat = projection.to_sky(x.ravel(), y.ravel())
    inside = to_region(stencil).contains(lon, lat).reshape(x.shape)
    return x[inside], y[inside]


@settings(deadline=None)
@given(cases())
def test_box_is_that_of_brute_force(case: tuple[Projection, Stencil]) -> None:
    """A point is missed by less than a step, where edges are pointed by more."""
    projection, stencil = case
    x, y = sample(projection, stencil)
    # What leaves the sampled area, or slips through its grid, decides nothing.
    assume(len(x) > 30)
    assume(x.min() > -59 and x.max() < WIDTH + 59 and y.min() > -59 and y.max() < HEIGHT + 59)
    found = stencil_box(stencil, projection, IMAGE)
    in_image = (x >= -0.5) & (x < WIDTH - 0.5) & (y >= -0.5) & (y < HEIGHT - 0.5)
    if found is None:
        assert not np.any(in_image)
        return
    hull = PixelBox(*(math.floor(limit + 0.5) for limit in (x.min(), x.max(), y.min(), y.max())))
    clipped = hull.clipped_to(IMAGE)
    if clipped is None:
        # Touched between two samples.
        assert min(found.width, found.height) == 1
        return
    assert clipped.clipped_to(found) == clipped
    if not isinstance(stencil, Circle):
        # Sharp corners reach out between samples.
        assert found.width - clipped.width <= 4
        assert found.height - clipped.height <= 4
        return
    for first, last, values, size in ((found.x0, found.x1, x, WIDTH), (found.y0, found.y1, y, HEIGHT)):
        # The extreme of a circle of a pixel or more lies within 0.3 of a sample.
        for got, limit, slack in ((first, values.min(), -0.3), (last, values.max(), 0.3)):
            allowed = {math.floor(limit + 0.5), math.floor(limit + slack + 0.5)}
            assert got in {min(max(pixel, 0), size - 1) for pixel in allowed}


@pytest.mark.parametrize("dec", [0.0, 45.0, 89.0])
@pytest.mark.parametrize("radius", [0.01, 1.0, 20.0, 75.0, 89.9, 90.1, 140.0, 179.9])
def test_circles_of_every_size_hold_their_center(dec: float, radius: float) -> None:
    projection = make_projection(10.0, dec, 0.3, 1, False, "TAN")
    assert stencil_box(Circle(10.0, dec, radius), projection, IMAGE) == IMAGE
    assert stencil_box(Circle(190.0, -dec, 180 - radius - 0.005), projection, IMAGE) is None


@pytest.mark.parametrize("kind", ["CAR", "AIT", "MOL", "TSC", "HPX"])
def test_maps_of_the_whole_sky(kind: str) -> None:
    """Seams, poles that are lines, and corners that are no sky."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = f"RA---{kind}", f"DEC--{kind}"
    header["CRPIX1"], header["CRPIX2"] = 90.5, 45.5
    header["CDELT1"], header["CDELT2"] = -2.0, 2.0
    header["CRVAL1"], header["CRVAL2"] = 180.0, 0.0
    full = PixelBox(0, 179, 0, 89)
    with ResourcePath.temporary_uri(suffix=".fits") as uri:
        fits.PrimaryHDU(np.zeros((90, 180), "i2"), header).writeto(uri.ospath)
        with open_image(uri) as image:
            projection = image.projection()
    steps = np.arange(0, 1, 0.2) - 0.4
    columns, rows = ((np.arange(n)[:, None] + steps).ravel() for n in (180, 90))
    x, y = (grid.ravel() for grid in np.meshgrid(columns, rows))
    lon, lat = projection.to_sky(x, y)
    known = np.isfinite(lon)
    for stencil in (
        Circle(180.0, 0.0, 10.0),
        Circle(0.0, 0.0, 10.0),
        Circle(77.0, 85.0, 12.0),
        Circle(77.0, -80.0, 30.0),
        Circle(30.0, 20.0, 100.0),
        Range(350.0, 10.0, -20.0, 40.0),
        Range(0.0, 360.0, 60.0, 90.0),
        Polygon((170.0, 190.0, 180.0), (-5.0, -5.0, 10.0)),
    ):
        inside = np.zeros(len(x), dtype=bool)
        inside[known] = to_region(stencil).contains(lon[known], lat[known])
        limits = (x[inside].min(), x[inside].max(), y[inside].min(), y[inside].max())
        touched = PixelBox(*(math.floor(limit + 0.5) for limit in limits))
        found = stencil_box(stencil, projection, full)
        assert touched.clipped_to(found) == touched
        assert found.width - touched.width <= 3, stencil
        assert found.height - touched.height <= 3, stencil
