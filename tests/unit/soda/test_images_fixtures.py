"""Objects with the trees of real files of DP1 and DP2.

The fixtures of lsst.images are such files with a few pixels, as JSON; here
they are FITS again.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from lsst.images.psfs import GaussianPointSpreadFunction
from lsst.images.serialization import ArchiveReadError, open_archive, read_archive, write_archive
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.soda import Detail, PixelBox
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.soda.backends._extent import read_extent
from lsst.dax.vo.soda.backends.images import _cut

from .test_images_objects import bbox_of, cut_to, edited, everything_in, library_cutout

FOLDER = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[4] / "shared/data"))
FOLDER /= "fits/lsst_images/schemas"
NAMES = ("visit_image", "difference_image", "cell_coadd", "masked_image", "image", "color_image")
FIXTURES = [path for name in NAMES for path in sorted((FOLDER / name).glob("*.json"))]

if not FIXTURES:
    pytest.skip(f"no fixtures of lsst.images in {FOLDER}; set DAX_VO_TEST_DATA", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore:Writing a file with development schema")


@pytest.fixture(params=FIXTURES, ids=lambda path: path.stem)
def fixture(request: pytest.FixtureRequest) -> Path:
    return request.param


def without_pixels(tree: dict[str, Any]) -> dict[str, Any]:
    planes = ("image", "mask", "variance", "mask_fractions", "noise_realizations", "bounds")
    return {key: value for key, value in tree.items() if key not in planes}


def tree_of(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    begin = content.index(b'{"schema_version"')
    found: dict[str, Any] = json.JSONDecoder().raw_decode(content[begin:].decode("latin-1"))[0]
    return found


def test_band_and_times_are_those_of_the_object(fixture: Path, tmp_path: Path) -> None:
    whole = read_archive(fixture)
    if isinstance(getattr(whole, "_psf", None), ArchiveReadError):
        whole.psf = GaussianPointSpreadFunction(2.0, bounds=whole.bbox, stamp_size=21)
    path = tmp_path / "written.fits"
    write_archive(whole, path)
    extent = read_extent(ResourcePath(str(path)))
    edges = {"r": (551.0e-9, 689.1e-9), "i": (693.6e-9, 818.8e-9)}
    assert (extent.em_min, extent.em_max) == edges.get(getattr(whole, "band", ""), (None, None))
    about = getattr(whole, "obs_info", None)
    if about is None or about.datetime_begin is None:
        assert (extent.t_min, extent.t_max) == (None, None)
    else:
        assert extent.t_min == pytest.approx(about.datetime_begin.utc.mjd, abs=1e-9)
        assert extent.t_max == pytest.approx(about.datetime_end.utc.mjd, abs=1e-9)
        assert 20 < (extent.t_max - extent.t_min) * 86400 < 40


@pytest.mark.parametrize("detail", Detail)
def test_real_trees(fixture: Path, detail: Detail, tmp_path: Path) -> None:
    whole = read_archive(fixture)
    shipped = json.loads(fixture.read_text())
    psf_is_unreadable = isinstance(getattr(whole, "_psf", None), ArchiveReadError)
    if psf_is_unreadable:
        whole.psf = GaussianPointSpreadFunction(2.0, bounds=whole.bbox, stamp_size=21)
    path = tmp_path / "written.fits"
    write_archive(whole, path)

    def edit(tree: dict[str, Any], _: Any) -> None:
        # As it was shipped: versions, models of Piff, older forms of pairs.
        if psf_is_unreadable:
            tree["psf"] = shipped["psf"]
        elif "psf" in tree:
            tree["psf"]["bounds"] = shipped["psf"]["bounds"]
        if "patch" in tree:
            tree["patch"] = shipped["patch"]

    path = edited(path, edit, tmp_path / "shipped.fits")
    with open_image(ResourcePath(str(path))) as image:
        assert isinstance(image, _cut.ImagesImage)
        full = image.box
        assert (image.projection() is None) == ("sky_projection" not in shipped)
    # Some have four pixels by four.
    box = PixelBox(full.x0 + 1, full.x1 - 1, full.y0 + full.height // 3, full.y1 - 1)
    if detail is Detail.MASKED_IMAGE and "mask" not in shipped:
        with pytest.raises(UnsupportedError, match="has no mask and variance"):
            cut_to(tmp_path / "cut.fits", path, box, detail)
        return
    cut = cut_to(tmp_path / "cut.fits", path, box, detail)
    if not (psf_is_unreadable and detail is Detail.EXPOSURE):
        found, wanted = read_archive(cut), library_cutout(path, box, detail)
        ours, theirs = everything_in(found, tmp_path), everything_in(wanted, tmp_path)
        if "provenance" in theirs:
            ours.pop("provenance")
            theirs.pop("provenance")
        assert ours == theirs
        return
    # What needs Piff cannot be compared as objects.
    with open_archive(cut) as reader, open_archive(path) as parent:
        assert reader.get_tree().bbox == bbox_of(box)
        assert reader.get_component("bounds") == parent.get_component("bounds").intersection(bbox_of(box))
        for name in ("detector", "aperture_corrections", "sky_projection", "summary_stats", "obs_info"):
            assert reader.get_component(name) == parent.get_component(name)
    assert without_pixels(tree_of(cut)) == without_pixels(tree_of(path))
    masked = cut_to(tmp_path / "masked.fits", cut, box, Detail.MASKED_IMAGE)
    ours = everything_in(read_archive(masked), tmp_path)
    assert ours == everything_in(library_cutout(path, box, Detail.MASKED_IMAGE), tmp_path)
