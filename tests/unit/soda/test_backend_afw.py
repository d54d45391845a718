"""The contract of backends, by the real lsst.afw.

It is part of the Rubin science pipelines and on no package index; without it
these tests are skipped.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.soda import Coverage, Detail, Outside, PixelBox
from lsst.dax.vo.soda.backends import Backend, open_image
from lsst.dax.vo.testing import (
    IMAGE_XY0,
    CutImageTests,
    CutoutSample,
    make_image_header,
    make_image_planes,
    write_afw_file,
)

from .test_backend_golden import EXPOSURES, GOLDEN, golden_sample

needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason=f"no golden files of afw in {GOLDEN}; set DAX_VO_TEST_DATA"
)
if find_spec("lsst.afw") is None:
    pytest.skip("lsst.afw is not installed; set up the Rubin science pipelines", allow_module_level=True)


@needs_golden
class TestGoldenByAfw(CutImageTests):
    """The same, cut by afw."""

    backend: ClassVar[Backend] = Backend.AFW

    @pytest.fixture(params=EXPOSURES)
    def sample(self, request: pytest.FixtureRequest) -> CutoutSample:
        sample = golden_sample(request.param)
        if request.param == "exposure_tan_gzip2":
            return sample
        # cfitsio takes infinities for NaN, but where tiles hold them without
        # loss.
        finite = {name: without_infinities(data) for name, data in sample.planes.items()}
        return CutoutSample(sample.path, finite, sample.x0, sample.y0, sample.wcs)


def without_infinities(data: np.ndarray) -> np.ndarray:
    return np.where(np.isinf(data), np.float32(np.nan), data) if data.dtype.kind == "f" else data


class TestMaskedImageByAfw(CutImageTests):
    """A file without an archive."""

    backend: ClassVar[Backend] = Backend.AFW

    @pytest.fixture
    def sample(self, tmp_path: Path) -> CutoutSample:
        path = tmp_path / "afw.fits"
        write_afw_file(path)
        return CutoutSample(path, make_image_planes(), *IMAGE_XY0, WCS(make_image_header(sip=True)))


@pytest.fixture(params=["exposure_tan", "exposure_skywcs_nonfits", "exposure_tan_rice"])
def exposure(request: pytest.FixtureRequest) -> Path:
    return GOLDEN / f"{request.param}.fits"


def cut_by(backend: Backend, path: Path, target: Path, box: PixelBox, detail: Detail, *more: Any) -> Path:
    with open_image(ResourcePath(str(path)), backend=backend) as image:
        target.write_bytes(b"".join(image.cut(box, detail, (), *more)))
    return target


@pytest.fixture
def box(exposure: Path) -> PixelBox:
    with open_image(ResourcePath(str(exposure))) as image:
        full = image.box
    return PixelBox(full.x0 + 20, full.x0 + 70, full.y0 + 11, full.y0 + 60)


@needs_golden
class TestBothAgree:
    """A cutout by afw, and one without it, are the same Exposure to afw."""

    def test_exposures_are_equal(self, exposure: Path, box: PixelBox, tmp_path: Path) -> None:
        from lsst.afw.image import ExposureF
        from lsst.geom import Point2D

        ours, theirs = (
            ExposureF(
                str(cut_by(backend, exposure, tmp_path / f"{backend.value}.fits", box, Detail.EXPOSURE))
            )
            for backend in (Backend.FITS, Backend.AFW)
        )
        assert ours.getBBox() == theirs.getBBox()
        assert np.array_equal(ours.image.array, theirs.image.array, equal_nan=True)
        assert np.array_equal(ours.variance.array, theirs.variance.array, equal_nan=True)
        planes = ours.mask.getMaskPlaneDict()
        for name, bit in theirs.mask.getMaskPlaneDict().items():
            set_in_theirs = (theirs.mask.array >> bit) & 1
            assert np.array_equal((ours.mask.array >> planes[name]) & 1, set_in_theirs)
        center = Point2D(0.5 * (box.x0 + box.x1), 0.5 * (box.y0 + box.y1))
        assert ours.wcs == theirs.wcs
        assert np.array_equal(ours.psf.computeImage(center).array, theirs.psf.computeImage(center).array)
        assert ours.photoCalib == theirs.photoCalib
        assert ours.info.id == theirs.info.id

    @pytest.mark.parametrize("detail", Detail)
    def test_headers_of_parts_are_equal(
        self, exposure: Path, box: PixelBox, detail: Detail, tmp_path: Path
    ) -> None:
        """WCS and origin, for readers of FITS alone."""
        both = [
            cut_by(backend, exposure, tmp_path / f"{backend.value}.fits", box, detail)
            for backend in (Backend.FITS, Backend.AFW)
        ]
        sky = []
        for path in both:
            with fits.open(path) as hdus:
                assert hdus["IMAGE"].header["CRVAL1A"] == box.x0
                sky.append(WCS(hdus["IMAGE"].header).all_pix2world([[0, 0], [50, 49], [25, 7]], 0))
        assert np.abs(sky[0] - sky[1]).max() < 1e-8

    def test_outside_is_a_plane_of_afw(self, exposure: Path, box: PixelBox, tmp_path: Path) -> None:
        from lsst.afw.image import ExposureF

        inside = np.random.default_rng(1).random((box.height, box.width)) < 0.5
        for backend in (Backend.FITS, Backend.AFW):
            path = tmp_path / f"{backend.value}.fits"
            more = Coverage(inside, Outside.MASK)
            mask = ExposureF(str(cut_by(backend, exposure, path, box, Detail.EXPOSURE, more))).mask
            found = (mask.array & mask.getPlaneBitMask("OUTSIDE_STENCIL")) != 0
            assert np.array_equal(found, ~inside)


@needs_golden
@pytest.mark.parametrize("name", ["image_f", "raw_decorated_uint16"])
def test_plain_images_by_afw(name: str, tmp_path: Path) -> None:
    """Images without planes: pixels, origin and WCS."""
    path = GOLDEN / f"{name}.fits"
    with fits.open(path) as hdus:
        data, wcs, header = hdus[0].data.copy(), WCS(hdus[0].header), hdus[0].header
        x0, y0 = int(header["CRVAL1A"]), int(header["CRVAL2A"])
    box = PixelBox(x0 + 20, x0 + 52, y0 + 30, y0 + 50)
    cut = cut_by(Backend.AFW, path, tmp_path / "cut.fits", box, Detail.IMAGE)
    with fits.open(cut) as hdus:
        assert np.array_equal(hdus[0].data, data[30:51, 20:53], equal_nan=data.dtype.kind == "f")
        found = WCS(hdus[0].header).all_pix2world([[3, 4]], 0)
        assert (hdus[0].header["CRVAL1A"], hdus[0].header["CRVAL2A"]) == (box.x0, box.y0)
    assert np.abs(found - wcs.all_pix2world([[23, 34]], 0)).max() < 1e-8


def test_names_that_cfitsio_would_take_apart(tmp_path: Path) -> None:
    path = tmp_path / "afw[1](x).fits"
    write_afw_file(path)
    box = PixelBox(IMAGE_XY0[0], IMAGE_XY0[0] + 9, IMAGE_XY0[1], IMAGE_XY0[1] + 9)
    cut = cut_by(Backend.AFW, path, tmp_path / "cut.fits", box, Detail.EXPOSURE)
    with fits.open(cut) as hdus:
        assert np.array_equal(hdus["IMAGE"].data, make_image_planes()["image"][:10, :10], equal_nan=True)


def test_file_that_afw_does_not_read(tmp_path: Path) -> None:
    path = tmp_path / "cube.fits"
    fits.PrimaryHDU(np.zeros((4, 5, 6), "f4")).writeto(path)
    with (
        pytest.raises(UnsupportedError, match=r"does not read the file 'cube\.fits' .*backend 'auto'"),
        open_image(ResourcePath(str(path)), backend=Backend.AFW),
    ):
        pass
