"""From regions of every kind to boxes of pixels."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle, Polygon, Range
from lsst.dax.vo.soda import PixelBox, Projection, SkyBox, region_box
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing import make_image_header

RA, DEC = 123.4, -32.3
SCALE_DEG = 0.2 / 3600
IMAGE = PixelBox(0, 99, 0, 79)


def open_projection(path: Path, header: fits.Header, box: PixelBox = IMAGE) -> Projection:
    fits.PrimaryHDU(np.zeros((box.height, box.width), "u1"), header).writeto(path)
    with open_image(ResourcePath(str(path))) as image:
        projection = image.projection()
    assert projection is not None
    return projection


def make_header(turn_deg: float) -> fits.Header:
    header = make_image_header(ra_deg=RA, dec_deg=DEC)
    header["CRPIX1"], header["CRPIX2"] = 51.0, 41.0
    cos, sin = SCALE_DEG * np.cos(np.radians(turn_deg)), SCALE_DEG * np.sin(np.radians(turn_deg))
    header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = -cos, sin, sin, cos
    return header


@pytest.fixture
def projection(tmp_path: Path) -> Projection:
    return open_projection(tmp_path / "image.fits", make_header(0))


def test_boxes_of_pixels_need_no_sky() -> None:
    assert region_box(None, None, IMAGE) == IMAGE
    assert region_box(PixelBox(-5, 10, 70, 10**18), None, IMAGE) == PixelBox(0, 10, 70, 79)
    assert region_box(PixelBox(100, 101, 0, 1), None, IMAGE) is None
    with pytest.raises(ValueError, match="need a projection"):
        region_box(Circle(RA, DEC, 1), None, IMAGE)


@pytest.mark.parametrize(
    ("size", "box"),
    [
        (SkyBox(RA, DEC, 1, 1, "pixel"), PixelBox(50, 50, 40, 40)),
        (SkyBox(RA, DEC, 3, 5, "pixel"), PixelBox(49, 51, 38, 42)),
        (SkyBox(RA, DEC, 500, 5, "pixel"), PixelBox(0, 99, 38, 42)),
        (SkyBox(RA, DEC, 0.2, 0.2, "arcsec"), PixelBox(50, 50, 40, 40)),
        (SkyBox(RA, DEC, 0.001, 0.9, "arcsec"), PixelBox(50, 50, 38, 42)),
        (SkyBox(RA, DEC, 2.2, 1.4, "arcsec"), PixelBox(45, 55, 37, 43)),
        (SkyBox(RA, DEC, 1e6, 1e6, "arcsec"), IMAGE),
        # Beside the image, and behind the tangent plane.
        (SkyBox(RA, DEC + 200 * SCALE_DEG, 3, 3, "pixel"), None),
        (SkyBox(RA, DEC + 100 * SCALE_DEG, 3, 200, "pixel"), PixelBox(49, 51, 40, 79)),
        (SkyBox(RA - 180, -DEC, 3, 3, "pixel"), None),
    ],
)
def test_sizes_around_a_point(projection: Projection, size: SkyBox, box: PixelBox | None) -> None:
    assert region_box(size, projection, IMAGE) == box


@pytest.mark.parametrize("turn", [0, 30, 90, 200])
def test_sizes_follow_the_sides_of_the_image(turn: int, tmp_path: Path) -> None:
    projection = open_projection(tmp_path / "turned.fits", make_header(turn))
    assert region_box(SkyBox(RA, DEC, 4.2, 2.2, "arcsec"), projection, IMAGE) == PixelBox(40, 60, 35, 45)


def test_sizes_at_the_rim_of_the_sky(tmp_path: Path) -> None:
    """Where a pixel has no neighbour to be measured by, the middle's scale holds."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---AIT", "DEC--AIT"
    header["CRPIX1"], header["CRPIX2"] = 90.5, 45.5
    header["CDELT1"], header["CDELT2"] = -2.0, 2.0
    header["CRVAL1"], header["CRVAL2"] = 180.0, 0.0
    projection = open_projection(tmp_path / "sky.fits", header, PixelBox(0, 179, 0, 89))
    full = PixelBox(0, 179, 0, 89)
    box = region_box(SkyBox(0.0001, 0, 6 * 3600, 10 * 3600, "arcsec"), projection, full)
    assert box is not None
    assert box.x0 > 165
    assert (box.y0, box.y1) == (42, 46)


def test_regions_that_touch_no_pixel(projection: Projection) -> None:
    """Beside a corner the boxes overlap, the shapes do not."""
    corner = projection.to_sky(np.array([99.5, 103.0]), np.array([79.5, 83.0]))
    ra, dec = np.degrees(corner[0][1]), np.degrees(corner[1][1])
    reach = float(np.hypot(*(np.diff(corner[0]) * np.cos(corner[1][0]), np.diff(corner[1]))).item())
    assert region_box(Circle(ra, dec, 0.99 * np.degrees(reach)), projection, IMAGE) is None
    assert region_box(Circle(ra, dec, 1.01 * np.degrees(reach)), projection, IMAGE) is not None
    assert region_box(Circle((RA + 180) % 360, -DEC, 170), projection, IMAGE) is None
    assert region_box(Range(RA + 0.1, RA - 0.1, -90, 90), projection, IMAGE) is None
    # Around the image, which is in the bay of the shape.
    bay = Polygon(
        (RA - 1, RA + 1, RA + 1, RA + 0.1, RA + 0.1, RA - 0.1, RA - 0.1, RA - 1),
        (DEC - 1, DEC - 1, DEC + 1, DEC + 1, DEC - 0.1, DEC - 0.1, DEC + 1, DEC + 1),
    )
    assert region_box(bay, projection, IMAGE) is None


@pytest.mark.parametrize("radius_deg", [1e-320, 1e-12, 1e-7])
def test_regions_smaller_than_a_pixel(projection: Projection, radius_deg: float) -> None:
    assert region_box(Circle(RA, DEC, radius_deg), projection, IMAGE) == PixelBox(50, 50, 40, 40)
    assert region_box(Range(RA, RA, DEC, DEC), projection, IMAGE) == PixelBox(50, 50, 40, 40)
