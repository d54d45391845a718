"""Wavelengths and times, as the headers of files and the trees of objects tell them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from lsst.images.serialization import write_archive
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Interval
from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.soda import PixelBox, cut
from lsst.dax.vo.soda.backends._extent import read_extent
from lsst.dax.vo.testing.lsst_images import make_masked_image

from .test_images_objects import edited

DAY_S = 86400.0
TAI_S = 37.0
BOX = PixelBox(0, 1, 0, 1)


def write(path: Path, *, hdu: int = 0, **cards: Any) -> ResourcePath:
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.ones((4, 4), "f4"))]
    hdus[hdu].header.update({key.replace("_", "-"): value for key, value in cards.items()})
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return ResourcePath(str(path))


@pytest.mark.parametrize("hdu", [0, 1])
@pytest.mark.parametrize(
    ("cards", "begin", "end"),
    [
        ({"MJD_BEG": 60000.0, "MJD_END": 60000.5}, 60000.0, 60000.5),
        ({"DATE_BEG": "2023-02-25T00:00:00", "DATE_END": "2023-02-25T12:00:00"}, 60000.0, 60000.5),
        # LSST's own: TAI, the middle or the end, and the length.
        (
            {"DATE_AVG": "2023-02-25T00:00:52", "EXPTIME": 30.0, "TIMESYS": "TAI"},
            60000.0 + (52 - 15 - TAI_S) / DAY_S,
            60000.0 + (52 + 15 - TAI_S) / DAY_S,
        ),
        ({"MJD_END": 60000.0, "EXPTIME": 864.0}, 60000.0 - 0.01, 60000.0),
        ({"MJD_OBS": 60000.0, "EXPTIME": 864.0}, 60000.0, 60000.01),
        ({"MJD_OBS": 60000.0}, None, None),
        ({"DATE_AVG": "2023-02-25T00:00:00", "EXPTIME": 0.0}, None, None),
        ({"DATE_OBS": "yesterday", "EXPTIME": 1.0}, None, None),
        ({"MJD_BEG": 60000.0, "MJD_END": 60000.5, "TIMESYS": "GPS"}, None, None),
    ],
)
def test_times(
    tmp_path: Path, hdu: int, cards: dict[str, Any], begin: float | None, end: float | None
) -> None:
    extent = read_extent(write(tmp_path / "a.fits", hdu=hdu, **cards))
    if begin is None:
        assert (extent.t_min, extent.t_max) == (None, None)
    else:
        assert extent.t_min == pytest.approx(begin, abs=1e-8)
        assert extent.t_max == pytest.approx(end, abs=1e-8)
    assert (extent.em_min, extent.em_max, extent.pol_states) == (None, None, None)


@pytest.mark.parametrize(
    ("cards", "is_known"),
    [
        ({"FILTER": "r"}, True),
        ({"BAND": "R "}, True),
        ({"FILTER": "r DECam SDSS c0002 6415.0 1480.0", "BAND": "r"}, True),
        ({"FILTER": "HSC-R"}, False),
        ({"FILTER": "_unknown_"}, False),
    ],
)
def test_bands_of_one_letter(tmp_path: Path, cards: dict[str, Any], is_known: bool) -> None:
    extent = read_extent(write(tmp_path / "a.fits", **cards))
    assert (extent.em_min is not None and 5e-7 < extent.em_min < 6e-7) is is_known


@pytest.mark.parametrize(
    ("about", "times"),
    [
        ({"datetime_begin": [2460000.5, 37 / DAY_S], "datetime_end": [2460000.5, 67 / DAY_S]}, (0.0, 30.0)),
        ({"datetime_begin": [2460000.5, 0.0], "datetime_end": None}, None),
        ({"datetime_begin": "yesterday", "datetime_end": "today"}, None),
        ({"datetime_begin": [1e300, 0.0], "datetime_end": [2460000.5, 0.0]}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_tree_of_an_object(tmp_path: Path, about: Any, times: tuple[float, float] | None) -> None:
    write_archive(make_masked_image(), tmp_path / "a.fits")
    path = edited(
        tmp_path / "a.fits", lambda tree, _: tree.update(band="g", obs_info=about), tmp_path / "b.fits"
    )
    extent = read_extent(ResourcePath(str(path)))
    assert extent.em_min is not None
    assert 4e-7 < extent.em_min < 4.1e-7
    if times is None:
        assert (extent.t_min, extent.t_max) == (None, None)
    else:
        assert extent.t_min == pytest.approx(60000.0 + times[0] / DAY_S, abs=1e-9)
        assert extent.t_max == pytest.approx(60000.0 + times[1] / DAY_S, abs=1e-9)


def test_files_are_filtered_by_their_header(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.fits", FILTER="g", MJD_BEG=60000.0, MJD_END=60000.5).ospath)
    assert cut(path, BOX, band=Interval(4.5e-7, 4.6e-7), time=Interval(60000.1, 60000.2)) is not None
    assert cut(path, BOX, band=Interval(8e-7, 9e-7)) is None
    assert cut(path, band=Interval(4.5e-7, 4.6e-7)).box == PixelBox(0, 3, 0, 3)  # type: ignore[union-attr]
    with pytest.raises(UnsupportedError, match="leave POL out"):
        cut(path, BOX, pols=("I",))
