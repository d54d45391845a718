"""Files with wrong bytes: a cutout or one sentence, never anything else."""

import gzip
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import VoError
from lsst.dax.vo.soda import Coverage, Detail, Outside, PixelBox
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing import make_image_header, write_afw_file

DATA = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[3] / "shared/data"))

# Header words and numbers that send a trusting reader astray.
_WORDS = [
    b"99999999999999999999",
    b"-1                  ",
    b"'                   ",
    b"NaN                 ",
    b"1e400               ",
    b"2147483648          ",
    b"4611686018427387904 ",
    b"0                   ",
    b"[1:0,5:99999999]'   ",
]
_LAYOUTS: dict[str, dict[str, Any]] = {
    "GZIP_1": {"quantize_level": 0, "tile_shape": (1, 80)},
    "GZIP_2": {"quantize_level": 0, "tile_shape": (18, 20)},
    "RICE_1": {"quantize_level": 16, "quantize_method": 2, "dither_seed": 5, "tile_shape": (1, 80)},
    "HCOMPRESS_1": {"quantize_level": 16, "tile_shape": (18, 20)},
}
# Of real lsst.afw; one has an archive of nineteen tables.
_GOLDEN = ("afw-golden/exposure_int.fits", "afw-golden/exposure_tan_rice.fits")


def write_raw(path: Path) -> None:
    """Write two amplifiers of one detector, one of masks in PLIO."""
    hdus = [fits.PrimaryHDU()]
    for number, section in enumerate(("[1:30,1:20]", "[60:31,1:20]")):
        data = np.arange(20 * 34, dtype="i2").reshape(20, 34) % 50
        header = make_image_header()
        header["DATASEC"], header["DETSEC"] = "[3:32,1:20]", section
        hdus.append(
            fits.CompImageHDU(data, header, name=f"S{number}", compression_type="PLIO_1", tile_shape=(4, 17))
        )
    fits.HDUList(hdus).writeto(path)


@pytest.fixture(scope="module", params=[None, *_LAYOUTS, "raw", "gz", *_GOLDEN])
def healthy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that is as it should be."""
    if request.param in _GOLDEN:
        if not (DATA / request.param).is_file():
            pytest.skip(f"no golden files of afw in {DATA}; set DAX_VO_TEST_DATA")
        return DATA / request.param
    path = tmp_path_factory.mktemp("healthy") / "healthy.fits"
    if request.param == "raw":
        write_raw(path)
    elif request.param in _LAYOUTS:
        write_afw_file(path, request.param, **_LAYOUTS[request.param])
    else:
        write_afw_file(path)
    if request.param == "gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


wounds = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.one_of(
        st.binary(min_size=1, max_size=40),
        st.sampled_from([b"END".ljust(80), b" " * 80, b"\0" * 3000, *_WORDS, *_WORDS]),
        st.none(),
    ),
)


def damaged(healthy: bytes, where: float, wound: bytes | None) -> bytes:
    """Cut a file off, or write into it."""
    at = int(where * len(healthy))
    if wound is None:
        return healthy[:at]
    if len(wound) == 80:
        at -= at % 80
    elif wound in _WORDS:
        # The value field of the header card before this place.
        at = max(healthy.rfind(b"= ", 0, at), 0) + 2
    return healthy[:at] + wound + healthy[at + len(wound) :]


@pytest.fixture(scope="module", autouse=True)
def little_memory() -> Any:
    """Let a file that asks for more than 4 GB fail."""
    if not Path("/proc/self/statm").is_file():
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def exercise(path: Path, detail: Detail, outside: Outside) -> None:
    """Do all that can be done with an image."""
    with open_image(ResourcePath(str(path))) as image:
        full = image.box
        projection = image.projection()
        if projection is not None:
            projection.to_sky(np.array([full.x0 + 1.0]), np.array([full.y0 + 1.0]))
        for box in (
            PixelBox(full.x0 + 5, full.x0 + 24, full.y0 + 3, full.y0 + 12).clipped_to(full),
            PixelBox(full.x1, full.x1, full.y1, full.y1),
        ):
            if box is None:
                continue
            inside = np.eye(box.height, box.width, dtype=np.bool_)
            coverage = None if outside is Outside.KEEP else Coverage(inside, outside)
            parts = image.cut(box, detail, (("ST_TYPE", "PIXELS", ""),), coverage)
            assert sum(len(part) for part in parts) % 2880 == 0
            assert image.pixels(box).shape == (box.height, box.width)


def test_healthy_files_are_cut(healthy: Path) -> None:
    exercise(healthy, Detail.EXPOSURE, Outside.KEEP)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wounds=st.lists(wounds, min_size=1, max_size=4),
    detail=st.sampled_from(list(Detail)),
    outside=st.sampled_from(list(Outside)),
)
def test_damage_is_an_error_or_nothing(
    healthy: Path,
    tmp_path: Path,
    wounds: list[tuple[float, bytes | None]],
    detail: Detail,
    outside: Outside,
) -> None:
    content = healthy.read_bytes()
    for where, wound in wounds:
        content = damaged(content, where, wound)
    path = tmp_path / "damaged.fits"
    path.write_bytes(content)
    try:
        exercise(path, detail, outside)
    except VoError as err:
        message = str(err)
        assert len(message) > 20
        assert "\n" not in message
        assert str(tmp_path) not in message


@pytest.mark.parametrize("detail", Detail)
def test_cut_short_anywhere_is_an_error_or_the_same(healthy: Path, tmp_path: Path, detail: Detail) -> None:
    """Never fewer planes, another WCS, or pixels that are not there."""
    content = healthy.read_bytes()
    path = tmp_path / healthy.name
    outcomes: list[bytes | None] = []
    # At the end of an HDU, a file may be one that never had more.
    lengths = [n for n in range(0, len(content), max(len(content) // 60, 97)) if n % 2880]
    lengths += [len(content) - 1, len(content)]
    for length in lengths:
        path.write_bytes(content[:length])
        try:
            with open_image(ResourcePath(str(path))) as image:
                x0, y0 = image.box.x0, image.box.y0
                image.projection()
                parts = image.cut(PixelBox(x0 + 3, x0 + 9, y0 + 4, y0 + 19), detail, ())
        except VoError:
            outcomes.append(None)
        else:
            outcomes.append(b"".join(parts))
    whole = outcomes[-1]
    assert whole is not None or detail is Detail.MASKED_IMAGE
    assert set(outcomes) <= {None, whole}
