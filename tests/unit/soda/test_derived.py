"""What is made of whole images: pictures, legends, metadata, in every format."""

import io
import json
import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.images.serialization import DevelopmentSchemaWarning, write_archive
from lsst.resources import ResourcePath
from PIL import Image

from lsst.dax.vo.errors import NotFoundError, UnsupportedError, VoError
from lsst.dax.vo.soda import Derived, Facts, PixelBox, Projection, parse_facts
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.soda.backends._header import Header
from lsst.dax.vo.soda.derived import make_derived
from lsst.dax.vo.soda.derived._binning import bin_image
from lsst.dax.vo.soda.derived._cards import parse_cards
from lsst.dax.vo.soda.derived._preview import draw_preview
from lsst.dax.vo.testing import IMAGE_SHAPE, IMAGE_XY0, make_image_header, make_image_planes, write_afw_file
from lsst.dax.vo.testing.lsst_images import (
    make_cell_coadd,
    make_color_image,
    make_difference_image,
    make_lsst_image,
    make_masked_image,
    make_visit_image,
)

FORMATS: dict[str, Callable[[Path], None]] = {
    "afw": write_afw_file,
    "afw-gzip": lambda path: write_afw_file(path, "GZIP_2"),
    "afw-rice": lambda path: write_afw_file(path, "RICE_1"),
    "fits": lambda path: fits.PrimaryHDU(make_image_planes()["image"], make_image_header()).writeto(path),
    "image": lambda path: write_archive(make_lsst_image(), path),
    "masked": lambda path: write_archive(make_masked_image(), path),
    "visit": lambda path: write_archive(make_visit_image(), path),
    "difference": lambda path: write_archive(make_difference_image(), path),
    "coadd": lambda path: write_archive(make_cell_coadd(), path),
    "color": lambda path: write_archive(make_color_image(), path),
}
FACTS = {
    "afw": Facts(has_mask=True),
    "afw-gzip": Facts(has_mask=True),
    "afw-rice": Facts(has_mask=True),
    "masked": Facts(has_mask=True),
    "visit": Facts(has_mask=True, psf="gaussian_psf"),
    "difference": Facts(has_mask=True, psf="gaussian_psf"),
    "coadd": Facts(has_mask=True, psf="cell_psf"),
}


@pytest.fixture(params=FORMATS)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.fits"
    with warnings.catch_warnings():
        # The schema of colour images is still in development.
        warnings.simplefilter("ignore", DevelopmentSchemaWarning)
        FORMATS[request.param](path)
    return path


def make(path: Path, derived: Derived) -> bytes:
    return make_derived(ResourcePath(str(path)), derived).content


def read_picture(content: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(content)))


class FakeImage:
    """Pixels in memory that note what was read of them."""

    def __init__(self, pixels: np.ndarray, x0: int = 5, y0: int = -7) -> None:
        self.data = pixels
        self.box = PixelBox(x0, x0 + pixels.shape[1] - 1, y0, y0 + pixels.shape[0] - 1)
        self.read = np.zeros(pixels.shape, int)

    def projection(self) -> Projection | None:
        return None

    def pixels(self, box: PixelBox) -> np.ndarray:
        part = np.s_[
            box.y0 - self.box.y0 : box.y1 - self.box.y0 + 1, box.x0 - self.box.x0 : box.x1 - self.box.x0 + 1
        ]
        self.read[part] += 1
        return self.data[part]


@pytest.mark.parametrize("shape", [(12, 20), (13, 22), (1, 50), (50, 1), (3000, 7)])
@pytest.mark.parametrize("step", [1, 2, 5, 7])
def test_squares_are_means_of_what_has_a_value(shape: tuple[int, int], step: int) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.normal(100, 10, shape).astype("f4")
    for value in (np.nan, np.inf, -np.inf, 3e33):
        pixels[rng.random(shape) < 0.05] = value
    found = bin_image(lambda first, rows: pixels[first : first + rows], shape[0], step)
    assert found.shape == tuple(-(-length // step) for length in shape)
    for y, x in np.ndindex(found.shape):
        square = pixels[y * step : (y + 1) * step, x * step : (x + 1) * step]
        good = square[np.isfinite(square) & (square < 1e30)].astype(float)
        assert found[y, x] == pytest.approx(good.mean() if len(good) else np.nan, rel=1e-6, nan_ok=True)


def test_each_pixel_is_read_once_and_few_at_a_time() -> None:
    image = FakeImage(np.ones((5003, 40), "f4"))
    assert read_picture(draw_preview(image, 1024)).shape == (1001, 8)
    assert np.all(image.read == 1)


@pytest.mark.parametrize(
    ("shape", "wanted"), [((50, 80), (50, 80)), ((80, 1025), (40, 513)), ((9000, 10), (1000, 2))]
)
def test_longest_side(shape: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert read_picture(draw_preview(FakeImage(np.zeros(shape, "f4")), 1024)).shape[:2] == wanted


def test_first_row_is_lowest_and_holes_are_transparent() -> None:
    pixels = np.random.default_rng(1).normal(0, 1, (400, 300)).astype("f4")
    pixels[:20, 280:] = 1000
    pixels[380:, :20] = np.nan
    found = read_picture(draw_preview(FakeImage(pixels), 100))
    assert found.shape == (100, 75, 2)
    assert np.all(found[95:, 70:, 0] == 255)
    assert np.all(found[:5, :5, 1] == 0)
    assert np.all(found[5:, :, 1] == 255)


@pytest.mark.parametrize("value", [np.nan, 0.0, 7.0, 1e38])
def test_image_of_one_value(value: float) -> None:
    assert read_picture(draw_preview(FakeImage(np.full((30, 40), value, "f8")), 1024)).shape[:2] == (30, 40)


def test_preview_of_every_format(sample: Path) -> None:
    """The same as the mean of what a cutout of all would have."""
    found = read_picture(make(sample, Derived.PREVIEW))
    assert found.shape[:2] == IMAGE_SHAPE
    assert found[..., 0].std() > 10 if found.ndim == 3 else found.std() > 10
    if sample.stem != "color":
        # The pixel without a value, counted from the top in a picture.
        assert found[IMAGE_SHAPE[0] - 1 - 3, 5, 1] == 0


def test_picture_has_its_place_on_the_sky(sample: Path) -> None:
    with open_image(ResourcePath(str(sample))) as image:
        content = draw_preview(image, 32)
        projection, box = image.projection(), image.box
    found = Image.open(io.BytesIO(content))
    step = 3
    assert found.size == (-(-IMAGE_SHAPE[1] // step), -(-IMAGE_SHAPE[0] // step))
    if projection is None:
        assert "Comment" not in found.text
        return
    wcs = WCS(fits.Header.fromstring(found.text["Comment"], sep="\n"))
    # The lower left corner of the picture is that of the image.
    corner = box.x0 - 0.5, box.y0 - 0.5
    lon, lat = (np.degrees(one[0]) for one in projection.to_sky(*(np.array([one]) for one in corner)))
    ra, dec = wcs.all_pix2world([[-0.5, -0.5]], 0)[0]
    assert math.hypot((ra - lon + 180) % 360 - 180, dec - lat) * 3600 < 0.02


def test_facts_of_every_format(sample: Path) -> None:
    assert parse_facts(make(sample, Derived.FACTS)) == FACTS.get(sample.stem, Facts())


def test_what_facts_promise_can_be_made(sample: Path) -> None:
    facts = parse_facts(make(sample, Derived.FACTS))
    for derived, is_promised in ((Derived.MASK_PLANES, facts.has_mask), (Derived.PSF, facts.psf is not None)):
        if is_promised:
            assert make(sample, derived)
        else:
            with pytest.raises(UnsupportedError):
                make(sample, derived)


def test_bytes_are_the_same_each_time(sample: Path) -> None:
    for derived in (Derived.PREVIEW, Derived.THUMBNAIL, Derived.METADATA):
        assert make(sample, derived) == make(sample, derived)


def test_legend_of_afw(tmp_path: Path) -> None:
    write_afw_file(tmp_path / "x.fits")
    planes = json.loads(make(tmp_path / "x.fits", Derived.MASK_PLANES))["planes"]
    assert [(plane["name"], plane["bit"], plane["value"], plane["hdu"]) for plane in planes] == [
        ("BAD", 0, 1, "MASK"),
        ("DETECTED", 2, 4, "MASK"),
    ]
    assert planes[0]["description"] == "Bad pixel of the instrument"
    assert planes[0]["color"] == "#ff0000"


def test_legend_of_lsst_images(tmp_path: Path) -> None:
    """Descriptions are those of the file, at full length."""
    visit = make_visit_image()
    write_archive(visit, tmp_path / "x.fits")
    planes = json.loads(make(tmp_path / "x.fits", Derived.MASK_PLANES))["planes"]
    wanted = [plane for plane in visit.mask.schema if plane is not None]
    assert [plane["name"] for plane in planes] == [plane.name for plane in wanted]
    assert [plane["description"] for plane in planes] == [plane.description for plane in wanted]
    assert [plane["bit"] for plane in planes] == list(range(len(wanted)))
    with fits.open(tmp_path / "x.fits") as hdus:
        bits = hdus["MASK"].data
    for plane in planes:
        assert np.array_equal(bits & plane["value"] != 0, visit.mask.get(plane["name"]))
    assert all(re.fullmatch("#[0-9a-f]{6}", plane["color"]) for plane in planes)


def test_legend_of_a_mask_by_itself(tmp_path: Path) -> None:
    header = fits.Header({"MP_EDGE": 4, "MP_STRANGE": 9})
    fits.PrimaryHDU(np.zeros((5, 5), "i4"), header).writeto(tmp_path / "x.fits")
    planes = json.loads(make(tmp_path / "x.fits", Derived.MASK_PLANES))["planes"]
    assert [(plane["name"], plane["value"], plane["description"]) for plane in planes] == [
        ("EDGE", 16, "Too near to the edge to be processed"),
        ("STRANGE", 512, ""),
    ]


def test_metadata_of_every_format(sample: Path) -> None:
    found = json.loads(make(sample, Derived.METADATA))
    assert list(found) == [
        "file",
        "image",
        "wcs",
        "psf",
        "mask_planes",
        "provenance",
        "object",
        "hdus",
    ]
    assert found["file"]["name"] == sample.name
    assert found["file"]["size_bytes"] == sample.stat().st_size
    assert (found["image"]["height"], found["image"]["width"]) == IMAGE_SHAPE
    assert [found["image"]["x0"], found["image"]["y0"]] == list(
        IMAGE_XY0 if sample.stem != "fits" else (0, 0)
    )
    assert (found["psf"] or {}).get("model") == FACTS.get(sample.stem, Facts()).psf
    assert bool(found["mask_planes"]) == FACTS.get(sample.stem, Facts()).has_mask
    assert (found["object"] is None) == sample.stem.startswith(("afw", "fits"))
    with fits.open(sample) as hdus:
        assert len(found["hdus"]) == len(hdus)


def test_wcs_in_words(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((50, 40), "f4"), make_image_header()).writeto(tmp_path / "x.fits")
    found = json.loads(make(tmp_path / "x.fits", Derived.METADATA))["wcs"]
    wcs = WCS(make_image_header())
    assert found["center_deg"] == pytest.approx(wcs.all_pix2world([[19.5, 24.5]], 0)[0].tolist(), abs=1e-9)
    corners = wcs.all_pix2world([[-0.5, -0.5], [39.5, -0.5], [39.5, 49.5], [-0.5, 49.5]], 0)
    assert np.abs((np.array(found["corners_deg"]) - corners + 180) % 360 - 180).max() < 1e-9
    assert found["pixel_scale_arcsec"] == pytest.approx(0.2, rel=1e-6)
    # Where a place a little further north is.
    ra, dec = found["center_deg"]
    x, y = wcs.all_world2pix([[ra, dec + 1e-4]], 0)[0] - (19.5, 24.5)
    assert found["north_angle_deg"] == pytest.approx(math.degrees(math.atan2(y, x)) % 360, abs=0.01)
    # East is to the left of north, or to the right.
    x_east, y_east = wcs.all_world2pix([[ra + 1e-4, dec]], 0)[0] - (19.5, 24.5)
    assert found["is_mirrored"] == (x * y_east - y * x_east < 0)


def test_provenance_of_the_butler(tmp_path: Path) -> None:
    header = fits.Header()
    header["HIERARCH LSST BUTLER ID"] = "abc"
    header["HIERARCH LSST BUTLER INPUT 0 RUN"] = "raw/all"
    fits.PrimaryHDU(np.zeros((5, 5), "f4"), header).writeto(tmp_path / "x.fits")
    found = json.loads(make(tmp_path / "x.fits", Derived.METADATA))["provenance"]
    assert found == {"id": "abc", "input_0_run": "raw/all"}


def test_cards_as_values() -> None:
    text = "".join(
        line.ljust(80)
        for line in (
            "NAME    = 'it''s   '           / who",
            "COUNT   =                    7 / [pix] how many",
            "RATE    =               1.5D+3",
            "FLAG    =                    T",
            "NOTHING =                      / undefined",
            "HUGE    =             1.0E+999",
            "LONG    = 'first &'",
            "CONTINUE  'and & '",
            "CONTINUE  'last  ' / at length",
            "HIERARCH ESO DET ID = 'x'",
            "HISTORY made by hand",
            "COMMENT",
            "CONTINUE  'of nothing'",
            "STRANGE",
        )
    )
    assert parse_cards(Header.from_bytes(text.encode())) == [
        ("NAME", "it's", "who"),
        ("COUNT", 7, "[pix] how many"),
        ("RATE", 1500.0, ""),
        ("FLAG", True, ""),
        ("NOTHING", None, "undefined"),
        ("HUGE", math.inf, ""),
        ("LONG", "first and last", "at length"),
        ("ESO DET ID", "x", ""),
        ("HISTORY", "made by hand", ""),
        ("STRANGE", None, ""),
    ]


def test_json_has_no_numbers_that_are_none(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((5, 5), "f4"), fits.Header({"RATE": 1.0})).writeto(tmp_path / "x.fits")
    content = bytearray((tmp_path / "x.fits").read_bytes())
    at = content.index(b"RATE    =")
    content[at : at + 80] = b"RATE    =             1.0E+999 / \xe9\xff".ljust(80)
    (tmp_path / "x.fits").write_bytes(content)
    text = make(tmp_path / "x.fits", Derived.METADATA)
    found = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert ["RATE", None, "éÿ"] in found["hdus"][0]["cards"]


@pytest.mark.parametrize("derived", Derived)
@pytest.mark.parametrize("end", [0, 100, 2880, 9000, -3000])
def test_file_that_is_cut_short(tmp_path: Path, derived: Derived, end: int) -> None:
    write_archive(make_visit_image(), tmp_path / "whole.fits")
    content = (tmp_path / "whole.fits").read_bytes()
    (tmp_path / "x.fits").write_bytes(content[:end])
    with pytest.raises(UnsupportedError):
        make(tmp_path / "x.fits", derived)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        make(tmp_path / "x.fits", Derived.PREVIEW)


def test_table_is_no_image(tmp_path: Path) -> None:
    column = fits.Column("x", "E", array=np.zeros(3))
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto(tmp_path / "x.fits")
    for derived in Derived:
        with pytest.raises(VoError, match="holds no image"):
            make(tmp_path / "x.fits", derived)
