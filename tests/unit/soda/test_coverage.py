"""True shapes among pixels."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle, Polygon, Range, Stencil, to_region
from lsst.dax.vo.soda import PixelBox, Projection, SkyBox, coverage, stencil_box
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing import make_image_header

RA, DEC = 123.4, -32.3
SCALE_DEG = 0.2 / 3600
IMAGE = PixelBox(0, 999, 0, 899)


@pytest.fixture(scope="module")
def projection(tmp_path_factory: pytest.TempPathFactory) -> Projection:
    header = make_image_header(ra_deg=RA, dec_deg=DEC, sip=True)
    header["CRPIX1"], header["CRPIX2"] = 500.0, 450.0
    return open_projection(tmp_path_factory.mktemp("image") / "sip.fits", header, IMAGE)


def open_projection(path: Path, header: fits.Header, box: PixelBox) -> Projection:
    fits.PrimaryHDU(np.zeros((box.height, box.width), "u1"), header).writeto(path)
    with open_image(ResourcePath(str(path))) as image:
        assert image.box == box
        projection = image.projection()
    assert projection is not None
    return projection


def inside_of(stencil: Stencil, projection: Projection, box: PixelBox) -> np.ndarray:
    x, y = np.meshgrid(np.arange(box.x0, box.x1 + 1.0), np.arange(box.y0, box.y1 + 1.0))
    return to_region(stencil).contains(*projection.to_sky(x.ravel(), y.ravel())).reshape(x.shape)


@pytest.mark.parametrize(
    "stencil",
    [
        Circle(RA, DEC, 440 * SCALE_DEG),
        Circle(RA, DEC - 20, 20),
        Circle(RA, DEC, 0.1 * SCALE_DEG),
        # Concave, its corners far outside.
        Polygon((RA - 1, RA + 1, RA + 1, RA, RA - 1), (DEC - 1, DEC - 1, DEC + 1, DEC, DEC + 1)),
        Range(RA - 0.03, RA + 0.01, DEC - 0.02, DEC + 40),
    ],
    ids=["large", "huge", "tiny", "concave", "range"],
)
def test_every_pixel_is_right(projection: Projection, stencil: Stencil) -> None:
    """Of thousands that the edge passes, some dozen within what the trace is off."""
    inside = coverage(stencil, projection, IMAGE)
    assert np.array_equal(inside, inside_of(stencil, projection, IMAGE))
    box = stencil_box(stencil, projection, IMAGE)
    assert box is not None
    inside[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1] = False
    assert not inside.any()


@pytest.mark.parametrize("box", [PixelBox(5, 5, 7, 7), PixelBox(0, 0, 0, 899), PixelBox(0, 999, 3, 3)])
def test_boxes_of_any_shape(projection: Projection, box: PixelBox) -> None:
    stencil = Circle(RA, DEC, 440 * SCALE_DEG)
    assert np.array_equal(coverage(stencil, projection, box), inside_of(stencil, projection, box))


def test_boxes_of_pixels_are_covered_whole(projection: Projection) -> None:
    box = PixelBox(3, 8, 5, 6)
    for region in (box, SkyBox(RA, DEC, 3, 3, "arcsec")):
        inside = coverage(region, projection, box)
        assert inside.shape == (2, 6)
        assert inside.all()
    assert coverage(box, None, box).all()


def test_stencils_need_a_projection() -> None:
    with pytest.raises(ValueError, match="need a projection"):
        coverage(Circle(RA, DEC, 1), None, IMAGE)


@pytest.mark.parametrize("kind", ["AIT", "CAR", "TSC", "QSC"])
def test_maps_of_the_whole_sky(kind: str, tmp_path: Path) -> None:
    """Blank corners, seams, and faces that are repeated."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = f"RA---{kind}", f"DEC--{kind}"
    header["CRPIX1"], header["CRPIX2"] = 100.5, 50.5
    header["CDELT1"], header["CDELT2"] = -2.0, 2.0
    header["CRVAL1"], header["CRVAL2"] = 30.0, 0.0
    full = PixelBox(0, 199, 0, 99)
    projection = open_projection(tmp_path / "map.fits", header, full)
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(200.0), np.arange(100.0)))
    lon, lat = projection.to_sky(x, y)
    known = np.isfinite(lon)
    for stencil in (Circle(210, 10, 30), Circle(30, 89, 120), Range(100, 300, -90, 45), Circle(30, 0, 5)):
        wanted = np.zeros(len(x), dtype=bool)
        wanted[known] = to_region(stencil).contains(lon[known], lat[known])
        assert np.array_equal(coverage(stencil, projection, full), wanted.reshape(100, 200))


def test_damaged_mappings_end_at_the_poles(projection: Projection) -> None:
    """A latitude beyond a pole is no place, and no error of a library."""

    def broken(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lon, lat = projection.to_sky(x, y)
        return lon, np.where(x > 500, 5.0, np.where(x < 400, np.nan, lat))

    damaged = Projection(broken, projection.to_pixel)
    box = PixelBox(300, 599, 400, 450)
    for stencil in (Circle(RA, DEC, 440 * SCALE_DEG), Range(0, 360, -90, 90)):
        inside = coverage(stencil, damaged, box)
        assert inside[:, 100:201].all()
        assert not inside[:, :100].any()
        assert not inside[:, 201:].any()
        assert stencil_box(stencil, damaged, box) == PixelBox(400, 500, 400, 450)
