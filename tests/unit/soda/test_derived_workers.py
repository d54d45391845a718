"""Pictures and the like are made where cutouts are: by other processes, within their limits, and kept."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lsst.dax.vo.dali import Hangup
from lsst.dax.vo.errors import NotFoundError, UnsupportedError, UsageError, VoError
from lsst.dax.vo.soda import (
    CutoutCache,
    CutoutWork,
    Derived,
    Facts,
    ImageFile,
    LocalRunner,
    Outcome,
    PooledRunner,
    Product,
    SpooledCutout,
    WorkerPool,
    parse_facts,
)
from lsst.dax.vo.soda._cache import fingerprint
from lsst.dax.vo.testing import write_afw_file


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "image.fits"
    write_afw_file(path, "RICE_1")
    return path


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1, seconds=60, memory_bytes=512 << 20)
    pool.start()
    yield pool
    pool.close()


def work_on(path: object, derived: Derived | None) -> CutoutWork:
    return CutoutWork((ImageFile(str(path), str(path)),), (Product("", None),), derived=derived)


def run(runner: LocalRunner | PooledRunner, work: CutoutWork) -> Outcome:
    (outcome,) = runner.run(work, Hangup())
    return outcome


def content_of(outcome: Outcome) -> bytes:
    assert outcome is not None
    assert not isinstance(outcome, VoError)
    return b"".join(outcome.chunks())


@pytest.mark.parametrize("derived", [one for one in Derived if one is not Derived.PSF])
def test_worker_makes_what_this_process_makes(
    pool: WorkerPool, image: Path, tmp_path: Path, derived: Derived
) -> None:
    runner = PooledRunner(pool, CutoutCache(tmp_path, 1 << 20), "1")
    made = run(runner, work_on(image, derived))
    assert isinstance(made, SpooledCutout)
    assert made.media_type == derived.media_type
    assert content_of(made) == content_of(run(LocalRunner(), work_on(image, derived)))


def test_each_is_kept_apart_from_the_others_and_from_cutouts(image: Path) -> None:
    product = Product("", None)
    names = {fingerprint(work_on(image, one), product, "1") for one in (None, *Derived)}
    assert len(names) == len(Derived) + 1
    assert fingerprint(work_on(image, Derived.PREVIEW), product, "2") not in names


def test_second_time_it_is_there(image: Path, tmp_path: Path) -> None:
    cache = CutoutCache(tmp_path, 1 << 20)
    pool = WorkerPool(1, seconds=60, memory_bytes=512 << 20)
    first = content_of(run(PooledRunner(pool, cache, "1"), work_on(image, Derived.PREVIEW)))
    pool.close()
    # Nobody is left who could make it.
    assert content_of(run(PooledRunner(pool, cache, "1"), work_on(image, Derived.PREVIEW))) == first


def test_what_is_kept_is_bounded(pool: WorkerPool, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    limit = 60_000
    runner = PooledRunner(pool, CutoutCache(tmp_path / "cache", limit), "1")
    sizes = []
    for number in range(8):
        path = tmp_path / f"{number}.fits"
        fits.PrimaryHDU(rng.normal(size=(100, 100)).astype("f4")).writeto(path)
        sizes.append(len(content_of(run(runner, work_on(path, Derived.PREVIEW)))))
        kept = sum(one.stat().st_size for one in (tmp_path / "cache").glob("*.data"))
        assert 0 < kept <= limit
    assert sum(sizes) > limit


def test_one_of_many_who_ask_at_once_makes_it(pool: WorkerPool, image: Path, tmp_path: Path) -> None:
    runner = PooledRunner(pool, CutoutCache(tmp_path, 1 << 20), "1")
    found: list[bytes] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(content_of(run(runner, work_on(image, Derived.THUMBNAIL))))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 6
    assert len(set(found)) == 1
    assert len(list(tmp_path.glob("*.data"))) == 1


def test_image_that_does_not_fit_into_memory(tmp_path: Path) -> None:
    """A row alone is larger: strips of rows do not help."""
    path = tmp_path / "wide.fits"
    header = fits.Header({"SIMPLE": True, "BITPIX": -64, "NAXIS": 2, "NAXIS1": 10_000_000, "NAXIS2": 20})
    with path.open("wb") as stream:
        stream.write(header.tostring().encode())
        # A hole: it takes no room on the disk.
        stream.truncate(2880 + 8 * 10_000_000 * 20)
    pool = WorkerPool(1, seconds=60, memory_bytes=512 << 20)
    runner = PooledRunner(pool, CutoutCache(tmp_path / "cache", 0), "1")
    outcome = run(runner, work_on(path, Derived.PREVIEW))
    assert isinstance(outcome, UnsupportedError)
    assert str(outcome) == (
        "The preview.png needs more memory than may be used here (512 MB); "
        "read the file of the dataset itself"
    )
    # The same worker goes on.
    assert parse_facts(content_of(run(runner, work_on(path, Derived.FACTS)))) == Facts()
    pool.close()


def test_time_limit(tmp_path: Path) -> None:
    pool = WorkerPool(1, seconds=1.0, memory_bytes=512 << 20)
    runner = PooledRunner(pool, CutoutCache(tmp_path, 0), "1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        # From there nothing ever comes.
        url = f"http://127.0.0.1:{server.getsockname()[1]}/image.fits"
        outcome = run(runner, work_on(url, Derived.PREVIEW))
    pool.close()
    assert isinstance(outcome, UsageError)
    assert str(outcome) == "The preview.png took more than 1 s; read the file of the dataset itself"


def test_file_that_is_gone(pool: WorkerPool, tmp_path: Path) -> None:
    runner = PooledRunner(pool, CutoutCache(tmp_path, 0), "1")
    assert isinstance(run(runner, work_on(tmp_path / "none.fits", Derived.PREVIEW)), NotFoundError)
