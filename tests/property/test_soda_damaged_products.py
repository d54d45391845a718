"""Files with wrong bytes: a picture, a PSF, a legend, metadata, or one sentence; never anything else."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsst.images.serialization import write_archive

from lsst.dax.vo.dali import Hangup
from lsst.dax.vo.errors import VoError
from lsst.dax.vo.soda import CutoutCache, CutoutWork, Derived, ImageFile, PooledRunner, Product, WorkerPool
from lsst.dax.vo.testing.lsst_images import make_cell_coadd, make_visit_image

DATA = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
# With models of three classes of afw.
_REAL = {
    "gaussian": "afw-golden/exposure_tan_rice.fits",
    "kernels": "fits/afw/meas_modelfit_calexp.fits",
    "psfex": "fits/dp02_soda_cutouts/cutout_1.fits",
}
_MADE: dict[str, Any] = {"visit": make_visit_image, "coadd": make_cell_coadd}
_WORDS = [
    b"99999999999999999999",
    b"-1                  ",
    b"'                   ",
    b"NaN                 ",
    b"1e400               ",
    b'"fits:MASK"          ',
    b"\xff\xff\xff\xff\x7f\xff\xff\xff",
    b"\0\0\0\0\0\0\0\0",
]

wounds = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.one_of(st.binary(min_size=1, max_size=40), st.sampled_from(_WORDS)),
)


@pytest.fixture(scope="module", params=[*_REAL, *_MADE])
def healthy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that is as it should be."""
    path = tmp_path_factory.mktemp("healthy") / "healthy.fits"
    if request.param in _MADE:
        write_archive(_MADE[request.param](), path)
    elif (DATA / _REAL[request.param]).is_file():
        shutil.copyfile(DATA / _REAL[request.param], path)
    else:
        pytest.skip(f"no files of others in {DATA}; set DAX_VO_TEST_DATA")
    return path


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PooledRunner]:
    """Return what makes products in the service: AST, a library in C, does not survive all wrong bytes."""
    pool = WorkerPool(1, seconds=60, memory_bytes=1 << 30)
    yield PooledRunner(pool, CutoutCache(tmp_path_factory.mktemp("cache"), 0), "1")
    pool.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wound=wounds, is_late=st.booleans(), derived=st.sampled_from(Derived))
def test_one_sentence_or_a_whole_product(
    healthy: Path,
    runner: PooledRunner,
    tmp_path: Path,
    wound: tuple[float, bytes],
    is_late: bool,
    derived: Derived,
) -> None:
    content = bytearray(healthy.read_bytes())
    place, word = wound
    # Tables, trees and indexes are behind the pixels; headers before them.
    span = min(len(content), 60_000)
    start = len(content) - span if is_late else 0
    at = start + int(place * span)
    content[at : at + len(word)] = word[: len(content) - at]
    path = tmp_path / "x.fits"
    path.write_bytes(content)
    work = CutoutWork((ImageFile(str(path)),), (Product("", None),), derived=derived)
    (found,) = runner.run(work, Hangup())
    assert found is not None
    if isinstance(found, VoError):
        assert re.fullmatch(".{20,1000}", str(found))
        assert "did not foresee" not in str(found)
        return
    made = b"".join(found.chunks())
    if derived.media_type == "application/json":
        json.loads(made, parse_constant=lambda text: pytest.fail(text))
    else:
        assert made.startswith((b"\x89PNG", b"SIMPLE  ="))
