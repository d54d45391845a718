"""Cutouts that are kept: found again, by others too, and within their limit."""

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lsst.dax.vo.dali import Circle, Hangup, Interval
from lsst.dax.vo.errors import TransientError, UnsupportedError, UsageError
from lsst.dax.vo.soda import (
    Backend,
    CutoutCache,
    Detail,
    Extent,
    Outside,
    PictureOptions,
    PixelBox,
    PooledRunner,
    Product,
    SpooledCutout,
    WorkerPool,
)
from lsst.dax.vo.soda._cache import fingerprint
from lsst.dax.vo.soda._work import CutoutWork, ImageFile
from lsst.dax.vo.soda.workers import Made
from lsst.dax.vo.testing import IMAGE_XY0, write_afw_file

X0, Y0 = IMAGE_XY0
BOX = PixelBox(X0 + 10, X0 + 19, Y0 + 5, Y0 + 14)
PRODUCT = Product("", BOX)
WORK = CutoutWork((ImageFile("/a.fits", "id"),), (PRODUCT,))


def write(cache: CutoutCache, content: bytes = b"0123456789") -> Made:
    path = cache.folder / f"{os.urandom(4).hex()}.part"
    path.write_bytes(content)
    return Made(path, "application/fits", "a.fits", BOX, Detail.IMAGE, len(content))


def read(cutout: SpooledCutout | None) -> bytes:
    assert cutout is not None
    return b"".join(cutout.chunks())


def test_cutout_is_found_again_also_by_another_process(tmp_path: Path) -> None:
    cache = CutoutCache(tmp_path / "kept", 1000)
    assert cache.find("a") is None
    kept = cache.keep("a", write(cache))
    assert (read(kept), kept.path) == (b"0123456789", cache.folder / "a.data")
    for other in (cache, CutoutCache(tmp_path / "kept", 1000)):
        assert other.has("a")
        found = other.find("a")
        assert found is not None
        assert replace(found, stream=kept.stream) == kept
        assert read(found) == b"0123456789"
    assert {path.name for path in cache.folder.iterdir()} == {"a.data", "a.json"}
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_those_not_asked_for_longest_make_room(tmp_path: Path) -> None:
    cache = CutoutCache(tmp_path, 45)
    for number, name in enumerate("abcd"):
        cache.keep(name, write(cache)).close()
        os.utime(cache.folder / f"{name}.data", (number, number))
    read(cache.find("a"))
    cache.keep("e", write(cache)).close()
    assert [name for name in "abcde" if cache.has(name)] == ["a", "c", "d", "e"]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".data"] * 4 + [".json"] * 4


def test_limit_counts_what_was_there_before(tmp_path: Path) -> None:
    CutoutCache(tmp_path, 100).keep("a", write(CutoutCache(tmp_path, 100), b"0" * 90)).close()
    cache = CutoutCache(tmp_path, 100)
    cache.keep("b", write(cache, b"1" * 20)).close()
    assert not cache.has("a")
    assert cache.has("b")


@pytest.mark.parametrize(("name", "most"), [("a", 0), ("a", 9), (None, 1000)])
def test_what_is_not_kept_can_be_read_all_the_same(tmp_path: Path, name: str | None, most: int) -> None:
    cache = CutoutCache(tmp_path, most)
    kept = cache.keep(name, write(cache))
    assert kept.path is None
    assert list(tmp_path.iterdir()) == []
    assert read(kept) == b"0123456789"


def test_cutout_that_is_removed_meanwhile_is_read_to_its_end(tmp_path: Path) -> None:
    cache = CutoutCache(tmp_path, 1000)
    kept = cache.keep("a", write(cache))
    (tmp_path / "a.data").unlink()
    assert read(kept) == b"0123456789"
    assert cache.find("a") is None


@pytest.mark.parametrize(
    ("suffix", "content"), [(".data", b"short"), (".json", b"{"), (".json", b"{}"), (".json", b"[]")]
)
def test_damaged_entries_are_none(tmp_path: Path, suffix: str, content: bytes) -> None:
    cache = CutoutCache(tmp_path, 1000)
    cache.keep("a", write(cache)).close()
    (tmp_path / f"a{suffix}").write_bytes(content)
    assert cache.find("a") is None


def test_what_killed_processes_left_goes(tmp_path: Path) -> None:
    for name, age_s in (("old.part", 1e6), ("new.part", 0.0)):
        (tmp_path / name).write_bytes(b"x")
        time_s = (tmp_path / name).stat().st_mtime - age_s
        os.utime(tmp_path / name, (time_s, time_s))
    CutoutCache(tmp_path, 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["new.part"]


def test_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="jobs_folder"):
        CutoutCache(tmp_path / "file", 1000)


@pytest.mark.parametrize(
    "change",
    [
        {"files": (ImageFile("/a.fits", "other"),)},
        {"files": (ImageFile("/b.fits", "id"),)},
        {"files": (ImageFile("/a.fits", "id", hdu=1),)},
        {"files": (ImageFile("/a.fits", "id", backend=Backend.FITS),)},
        {"detail": Detail.EXPOSURE},
        {"outside": Outside.NAN},
        {"media_type": "image/png"},
        {"picture": PictureOptions(color_map="viridis")},
    ],
)
def test_fingerprint_knows_what_makes_a_difference(change: dict[str, Any]) -> None:
    assert fingerprint(replace(WORK, **change), PRODUCT, "1") != fingerprint(WORK, PRODUCT, "1")


def test_fingerprint_of_regions_versions_filters_and_files() -> None:
    known = fingerprint(WORK, PRODUCT, "1")
    assert fingerprint(WORK, Product("x", Circle(1, 2, 3)), "1") != known
    assert fingerprint(WORK, Product("x", None), "1") != known
    assert fingerprint(WORK, PRODUCT, "2") != known
    assert fingerprint(WORK, replace(PRODUCT, band=Interval(1, 2)), "1") != known
    # Identifiers have many forms, and limits refuse: the cutout is the same.
    assert fingerprint(WORK, replace(PRODUCT, id="y"), "1") == known
    assert fingerprint(replace(WORK, max_pixels=5), PRODUCT, "1") == known
    assert fingerprint(replace(WORK, files=(ImageFile("/a.fits"),)), PRODUCT, "1") is None


class Counting(WorkerPool):
    """Counts what it is asked to make."""

    made = 0

    def run(self, work: CutoutWork, *args: Any, **options: Any) -> Any:
        self.made += len(work.products)
        return super().run(work, *args, **options)


@pytest.fixture
def image(tmp_path: Path) -> ImageFile:
    write_afw_file(tmp_path / "image.fits")
    return ImageFile(str(tmp_path / "image.fits"), "id", extent=Extent(5e-7, 6e-7))


def test_identical_requests_share_one_result(image: ImageFile, tmp_path: Path) -> None:
    pool = Counting(2, seconds=60, memory_bytes=1 << 30)
    runner = PooledRunner(pool, CutoutCache(tmp_path / "kept", 10**7), "1")
    work = CutoutWork((image,), (PRODUCT,))
    answers: list[bytes] = []

    def ask() -> None:
        (outcome,) = runner.run(work, Hangup())
        assert isinstance(outcome, SpooledCutout)
        answers.append(read(outcome))

    try:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(answers) == 8
        assert len(set(answers)) == 1
        assert pool.made == 1

        # Of several, those that are there are not made again.
        other = Product("", PixelBox(X0, X0 + 3, Y0, Y0 + 3))
        none = Product("", PixelBox(X0 - 5, X0 - 1, Y0, Y0))
        filtered = replace(PRODUCT, band=Interval(1e-7, 2e-7))
        kept = replace(PRODUCT, id="by another name")
        unknown = replace(PRODUCT, time=Interval(1, 2))
        outcomes = list(
            runner.run(replace(work, products=(other, PRODUCT, none, filtered, kept, unknown)), Hangup())
        )
        assert pool.made == 3
        assert read(outcomes[0]) != answers[0]  # type: ignore[arg-type]
        assert read(outcomes[1]) == read(outcomes[4]) == answers[0]  # type: ignore[arg-type]
        assert outcomes[2:4] == [None, None]
        assert isinstance(outcomes[5], UnsupportedError)

        # Another process has them too; limits hold for those that are kept.
        second = PooledRunner(pool, CutoutCache(tmp_path / "kept", 10**7), "1")
        assert read(next(second.run(work, Hangup()))) == answers[0]  # type: ignore[arg-type]
        assert pool.made == 3
    finally:
        pool.close()


def test_failed_one_is_made_again(image: ImageFile, tmp_path: Path) -> None:
    pool = Counting(1, seconds=60, memory_bytes=1 << 30)
    runner = PooledRunner(pool, CutoutCache(tmp_path / "kept", 10**7), "1")
    gone = Hangup()
    gone.happen()
    work = CutoutWork((image,), (PRODUCT,))
    try:
        with pytest.raises(TransientError, match="Nobody waits"):
            list(runner.run(work, gone))
        made = [read(outcome) for _ in range(2) for outcome in runner.run(work, Hangup())]  # type: ignore[arg-type]
        assert made[0] == made[1]
    finally:
        pool.close()


def test_reader_that_stops_leaves_nothing(image: ImageFile, tmp_path: Path) -> None:
    pool = Counting(1, seconds=60, memory_bytes=1 << 30)
    runner = PooledRunner(pool, CutoutCache(tmp_path / "kept", 0), "1")
    boxes = tuple(Product("", PixelBox(X0 + i, X0 + i, Y0, Y0)) for i in range(5))
    try:
        outcomes = runner.run(CutoutWork((image,), boxes), Hangup())
        next(outcomes).close()  # type: ignore[union-attr]
        outcomes.close()  # type: ignore[attr-defined]
        assert list((tmp_path / "kept").iterdir()) == []
        assert len([worker for worker in pool._idle.values() if worker is not None]) == 1
    finally:
        pool.close()
