"""The contract of backends on files that the real afw wrote, and the choice of backends."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.soda import cut
from lsst.dax.vo.soda.backends import Backend, open_image
from lsst.dax.vo.testing import CutImageTests, CutoutSample, write_afw_file

GOLDEN = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[4] / "shared/data")) / "afw-golden"
# Those whose header holds the exact WCS.
EXPOSURES = ("exposure_tan", "exposure_tan_gzip2", "exposure_sip", "exposure_ra0", "exposure_pole")


def golden_sample(name: str) -> CutoutSample:
    path = GOLDEN / f"{name}.fits"
    with fits.open(path) as hdus:
        planes = {plane: np.array(hdus[plane.upper()].data) for plane in ("image", "mask", "variance")}
        header = hdus["IMAGE"].header
        wcs = WCS(header)
        x0, y0 = int(header["CRVAL1A"]), int(header["CRVAL2A"])
    return CutoutSample(path, planes, x0, y0, wcs)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden files of afw in {GOLDEN}; set DAX_VO_TEST_DATA")
class TestGolden(CutImageTests):
    """Files that afw wrote, cut without it."""

    @pytest.fixture(params=EXPOSURES)
    def sample(self, request: pytest.FixtureRequest) -> CutoutSample:
        return golden_sample(request.param)


@pytest.mark.skipif(find_spec("lsst.afw") is not None, reason="lsst.afw is installed")
def test_without_afw_it_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "afw.fits"
    write_afw_file(path)
    with (
        pytest.raises(UnsupportedError, match=r"needs lsst\.afw, which is not installed.*backend 'auto'"),
        open_image(ResourcePath(str(path)), backend=Backend.AFW),
    ):
        pass
    with pytest.raises(UnsupportedError, match=r"needs lsst\.afw"):
        cut(str(path), backend=Backend.AFW)


def test_images_backend_takes_its_own_files_only(tmp_path: Path) -> None:
    path = tmp_path / "afw.fits"
    write_afw_file(path)
    with (
        pytest.raises(UnsupportedError, match=r"is no file of lsst\.images; use the backend 'auto'"),
        open_image(ResourcePath(str(path)), backend=Backend.IMAGES),
    ):
        pass
