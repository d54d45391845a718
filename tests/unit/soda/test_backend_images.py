"""The contract of backends, for files of lsst.images."""

import io
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.images import Box, ColorImage, Image, MaskedImage
from lsst.images.serialization import read_archive, write_archive

from lsst.dax.vo.dali import Circle
from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.soda import Backend, Detail, PixelBox, cut
from lsst.dax.vo.testing import (
    IMAGE_XY0,
    CutImageTests,
    CutoutBackendTests,
    CutoutSample,
    make_image_header,
    make_image_planes,
)
from lsst.dax.vo.testing.lsst_images import make_masked_image


class TestImages(CutoutBackendTests, CutImageTests):
    """A MaskedImage of lsst.images, compressed as it is by default."""

    @pytest.fixture
    def sample(self, tmp_path: Path) -> CutoutSample:
        path = tmp_path / "masked.fits"
        write_archive(make_masked_image(), path)
        return CutoutSample(path, make_image_planes(), *IMAGE_XY0, WCS(make_image_header()))


@pytest.mark.parametrize("detail", Detail)
def test_cutout_reads_back_as_an_object(tmp_path: Path, detail: Detail) -> None:
    whole = make_masked_image()
    write_archive(whole, tmp_path / "masked.fits")
    box = PixelBox(1010, 1030, -20, 5)
    path = tmp_path / "cut.fits"
    path.write_bytes(cut(str(tmp_path / "masked.fits"), box, detail=detail).content)
    found = read_archive(path)
    wanted = whole[Box.factory[-20:6, 1010:1031]]
    assert type(found) is (Image if detail is Detail.IMAGE else MaskedImage)
    assert found.bbox == wanted.bbox
    assert found.sky_projection == whole.sky_projection
    assert found.unit == u.nJy
    if detail is not Detail.IMAGE:
        assert np.array_equal(found.mask.get("DETECTED"), wanted.mask.get("DETECTED"))
        assert found.mask.schema == whole.mask.schema


def test_primary_cards_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "masked.fits"

    def add(header: fits.Header) -> None:
        header["TELESCOP"] = "Simonyi"
        header["HIERARCH LSST BUTLER ID"] = "x"
        header["LONGSTR"] = "long " * 30

    write_archive(make_masked_image(), path, update_header=add)
    for detail in Detail:
        with fits.open(io.BytesIO(cut(str(path), PixelBox(1000, 1003, 0, 3), detail=detail).content)) as hdus:
            assert hdus[0].header["TELESCOP"] == "Simonyi"
            assert hdus[0].header["LSST BUTLER ID"] == "x"
            assert hdus[0].header["LONGSTR"] == ("long " * 30).rstrip()


POINTERS = {"DATAMODL", "FMTVER", "INDXADDR", "INDXSIZE", "JSONADDR", "JSONSIZE"}


@pytest.mark.parametrize("detail", [Detail.IMAGE, Detail.MASKED_IMAGE])
def test_planes_cut_as_fits_are_a_file_of_their_own(tmp_path: Path, detail: Detail) -> None:
    """Nothing in it leads to the tree that is not there, and it can be cut again."""
    path, again = tmp_path / "masked.fits", tmp_path / "cut.fits"
    write_archive(make_masked_image(), path)
    box = PixelBox(1010, 1030, -20, 5)
    again.write_bytes(cut(str(path), box, detail=detail, backend=Backend.FITS).content)
    with fits.open(again) as hdus:
        assert not POINTERS & set(hdus[0].header)
        assert len(hdus) == (2 if detail is Detail.IMAGE else 4)
        assert np.array_equal(hdus["IMAGE"].data, make_image_planes()["image"][20:46, 10:31], equal_nan=True)
    assert cut(str(again), box).box == box


def test_whole_objects_are_not_cut_as_fits(tmp_path: Path) -> None:
    write_archive(make_masked_image(), tmp_path / "masked.fits")
    with pytest.raises(UnsupportedError, match=r"object of lsst\.images.*backend 'auto', or CUTOUTDETAIL"):
        cut(str(tmp_path / "masked.fits"), detail=Detail.EXPOSURE, backend=Backend.FITS)


@pytest.mark.filterwarnings("ignore:Writing a file with development schema")
def test_color_image(tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / "color.fits"
    write_archive(ColorImage(rgb, bbox=Box.factory[5:25, 7:37]), path)
    cutout = cut(str(path), PixelBox(10, 19, 8, 12))
    (tmp_path / "cut.fits").write_bytes(cutout.content)
    found = read_archive(tmp_path / "cut.fits")
    assert isinstance(found, ColorImage)
    assert np.array_equal(found.array, rgb[3:8, 3:13])
    with pytest.raises(UnsupportedError, match="has no mask and variance"):
        cut(str(path), PixelBox(10, 19, 8, 12), detail=Detail.MASKED_IMAGE)


def test_cutouts_made_at_once_are_those_made_alone(tmp_path: Path) -> None:
    # AST is one to a process: unguarded, threads mix up the texts of their
    # projections, and end the process.
    write_archive(make_masked_image(), tmp_path / "masked.fits")

    def make(_number: int) -> bytes:
        found = cut(str(tmp_path / "masked.fits"), Circle(359.9995, -32.3, 0.001), detail=Detail.MASKED_IMAGE)
        return _without_times(found.content)

    alone = make(0)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(make, range(40))) == {alone}
    finally:
        sys.setswitchinterval(interval)


def _without_times(content: bytes) -> bytes:
    return re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", b"", content)


def test_file_with_a_card_that_cannot_be_read_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "masked.fits"
    write_archive(make_masked_image(), path)
    content = path.read_bytes()
    at = content.index(b"TFORM1  = ")
    path.write_bytes(content[: at + 10] + b"?" * 70 + content[at + 80 :])
    with pytest.raises(UnsupportedError, match="cut short or damaged"):
        cut(str(path), PixelBox(1010, 1030, -20, 5))
