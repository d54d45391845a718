"""Cutouts that Rubin's own service delivered of DP0.2, made again.

The files are what the service of the Rubin Science Platform answered to one
circle on several calexps; a cut of one of them, larger, must be what the
service would have cut of the calexp.
"""

import datetime as dt
import io
import json
import os
import uuid
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle
from lsst.dax.vo.soda import Detail, PixelBox, Projection, Provenance, cut, stencil_box
from lsst.dax.vo.soda.backends import open_image

FOLDER = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[4] / "shared/data"))
FOLDER /= "fits/dp02_soda_cutouts"
FILES = sorted(FOLDER.glob("cutout_*.fits"))

if not FILES:
    pytest.skip(f"no cutouts of Rubin's service in {FOLDER}; set DAX_VO_TEST_DATA", allow_module_level=True)

DETECTOR = PixelBox(0, 4071, 0, 3999)
WIDE = PixelBox(-9999, 9999, -9999, 9999)


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def asked_for(path: Path) -> Circle:
    header = fits.getheader(path, 0)
    return Circle(header["ST_RA"], header["ST_DEC"], header["ST_RAD"])


def edge(circle: Circle, projection: Projection) -> tuple[np.ndarray, np.ndarray]:
    """Follow a circle in 200 000 steps, by spherical trigonometry."""
    angle = np.linspace(0, 2 * np.pi, 200_000)
    radius, dec = np.radians(circle.radius_deg), np.radians(circle.dec_deg)
    lat = np.arcsin(np.sin(dec) * np.cos(radius) + np.cos(dec) * np.sin(radius) * np.cos(angle))
    lon = np.radians(circle.ra_deg) + np.arctan2(
        np.sin(angle) * np.sin(radius) * np.cos(dec), np.cos(radius) - np.sin(dec) * np.sin(lat)
    )
    return projection.to_pixel(lon, lat)


def test_box_is_that_of_the_service(path: Path) -> None:
    """To the pixel, unless the circle only grazes one.

    The service follows circles by polygons inside of them: of a pixel that
    the circle enters by 0.03 pixels, it knows nothing.
    """
    circle = asked_for(path)
    with open_image(ResourcePath(str(path))) as image:
        projection, theirs = image.projection(), image.box
    ours = stencil_box(circle, projection, WIDE)
    x, y = edge(circle, projection)
    limits = np.array([x.min(), x.max(), y.min(), y.max()])
    assert [ours.x0, ours.x1, ours.y0, ours.y1] == np.floor(limits + 0.5).tolist()
    ours = stencil_box(circle, projection, DETECTOR)
    for limit, our, their in zip(
        limits,
        (ours.x0, ours.x1, ours.y0, ours.y1),
        (theirs.x0, theirs.x1, theirs.y0, theirs.y1),
        strict=True,
    ):
        into = abs(limit - np.floor(limit) - 0.5)
        assert our == their or (abs(our - their) == 1 and into < 0.05)


def test_same_circle_again_is_the_same_file(path: Path) -> None:
    """Every byte of data, and every card but for the way numbers are written."""
    content = cut(str(path), asked_for(path), detail=Detail.EXPOSURE).content
    parent = path.read_bytes()
    assert len(content) == len(parent)
    with (
        fits.open(io.BytesIO(content), disable_image_compression=True) as ours,
        fits.open(path, disable_image_compression=True) as theirs,
    ):
        assert len(ours) == len(theirs) == 17
        for our, their in zip(ours, theirs, strict=True):
            begin, size = (our.fileinfo()[key] for key in ("datLoc", "datSpan"))
            assert begin == their.fileinfo()["datLoc"]
            assert content[begin : begin + size] == parent[begin : begin + size]
            assert list(our.header.items()) == list(their.header.items())


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("radius_deg", [0.005, 0.0004, 1e-6])
def test_smaller_circle(path: Path, radius_deg: float, detail: Detail, tmp_path: Path) -> None:
    """Planes are slices; the sky stays in place; all else is kept."""
    asked = asked_for(path)
    circle = Circle(asked.ra_deg, asked.dec_deg, radius_deg)
    cutout = cut(str(path), circle, detail=detail)
    copy = tmp_path / "cut.fits"
    copy.write_bytes(cutout.content)
    with open_image(ResourcePath(str(path))) as image, open_image(ResourcePath(str(copy))) as inner:
        parent, projection, found = image.box, image.projection(), inner.projection()
        assert inner.box == cutout.box
        assert cutout.box == stencil_box(circle, projection, parent)
        x, y = np.meshgrid(
            np.linspace(cutout.box.x0, cutout.box.x1, 5), np.linspace(cutout.box.y0, cutout.box.y1, 5)
        )
        wanted = np.array(projection.to_sky(x.ravel(), y.ravel()))
        moved = np.array(found.to_sky(x.ravel(), y.ravel())) - wanted
        assert np.degrees(np.abs(moved)).max() < 1e-8
    part = np.s_[
        cutout.box.y0 - parent.y0 : cutout.box.y1 - parent.y0 + 1,
        cutout.box.x0 - parent.x0 : cutout.box.x1 - parent.x0 + 1,
    ]
    with (
        fits.open(path, disable_image_compression=True) as theirs,
        fits.open(io.BytesIO(cutout.content), disable_image_compression=True) as ours,
    ):
        assert len(ours) == {Detail.IMAGE: 2, Detail.MASKED_IMAGE: 4, Detail.EXPOSURE: len(theirs)}[detail]
        for number in range(1, min(len(ours), 4)):
            assert ours[number].name == theirs[number].name
            assert np.array_equal(ours[number].data, theirs[number].data[part], equal_nan=number != 2)
        if detail is not Detail.IMAGE:
            planes = [
                {k: v for k, v in hdus[2].header.items() if k.startswith("MP_")} for hdus in (ours, theirs)
            ]
            assert planes[0] == planes[1] != {}
        if detail is Detail.EXPOSURE:
            archive = theirs[4]._header_offset
            assert cutout.content[ours[4]._header_offset :] == path.read_bytes()[archive:]
        for key in ("IMSIMVER", "BTLRUUID", "ST_TYPE", "ASTRO METADATA FIX DATE"):
            assert ours[0].header[key] == theirs[0].header[key]


def test_provenance_is_what_the_service_wrote(path: Path) -> None:
    """The same cards with the same values, and none of the circle before."""
    header = fits.getheader(path, 0)
    data_id = {header[f"BTLRK{n:03d}"]: header[f"BTLRV{n:03d}"] for n in range(3)}
    provenance = Provenance(
        time=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        version="1",
        dataset_id=uuid.UUID(header["BTLRUUID"]),
        dataset_type=header["BTLRNAME"],
        data_id=data_id,
    )
    asked = asked_for(path)
    smaller = Circle(asked.ra_deg, asked.dec_deg, 0.0004)
    for circle in (asked, smaller):
        cutout = cut(str(path), circle, detail=Detail.EXPOSURE, provenance=provenance)
        with fits.open(io.BytesIO(cutout.content)) as hdus:
            ours = hdus[0].header
        written = [key for key in header if key.startswith(("BTLR", "ST_"))]
        assert len(written) == 12
        assert {key: ours[key] for key in written} == {key: header[key] for key in written} | {
            "ST_RAD": circle.radius_deg
        }
        assert all(ours.count(key) == 1 for key in written)


def test_request_is_the_one_on_record() -> None:
    """What the header says of the circle is what the notebook sent."""
    recorded = json.loads((FOLDER / "dp02_obscore_row_and_soda_requests.json").read_text())
    sent = [float(number) for number in recorded["soda_requests"][0]["CIRCLE"].split()]
    for path in FILES:
        circle = asked_for(path)
        assert [circle.ra_deg, circle.dec_deg, circle.radius_deg] == pytest.approx(sent, rel=1e-14)
