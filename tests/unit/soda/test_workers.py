"""Processes that cut: the same bytes, and an end of whatever does not end by itself."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from astropy.io import fits

from lsst.dax.vo.dali import Hangup
from lsst.dax.vo.errors import (
    NotFoundError,
    TransientError,
    UnsupportedError,
    UsageError,
    VoError,
)
from lsst.dax.vo.soda import Detail, PixelBox, Product, WorkerPool, cut
from lsst.dax.vo.soda._work import CutoutWork, ImageFile
from lsst.dax.vo.soda.workers import Made, Reply
from lsst.dax.vo.soda.workers._messages import parse_reply, reply_line
from lsst.dax.vo.testing import IMAGE_XY0, write_afw_file

X0, Y0 = IMAGE_XY0
BOX = PixelBox(X0 + 10, X0 + 19, Y0 + 5, Y0 + 14)
WHOLE, BESIDE = PixelBox(X0, X0 + 99, Y0, Y0 + 99), PixelBox(X0 - 9, X0 - 5, Y0, Y0 + 4)
MEMORY = 1 << 30


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "image.fits"
    write_afw_file(path, "GZIP_2")
    return path


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(2, seconds=60, memory_bytes=MEMORY)
    pool.start()
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def single() -> Iterator[WorkerPool]:
    """Return a pool with one worker, for all tests one after the other."""
    pool = WorkerPool(1, seconds=60, memory_bytes=512 << 20)
    yield pool
    pool.close()


@pytest.fixture
def lone(single: WorkerPool, image: Path, tmp_path: Path) -> WorkerPool:
    """Return that pool, its worker ready."""
    assert isinstance(run(single, work_on(image, BOX), tmp_path)[0], Made)
    return single


@pytest.fixture
def stuck() -> Iterator[str]:
    """Return a URL from which nothing ever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/image.fits"


def work_on(path: object, *regions: PixelBox) -> CutoutWork:
    products = tuple(Product("", region) for region in regions)
    return CutoutWork((ImageFile(str(path), str(path)),), products, Detail.MASKED_IMAGE)


def run(pool: WorkerPool, work: CutoutWork, folder: Path, hangup: Hangup | None = None) -> list[Reply]:
    return list(pool.run(work, folder, hangup or Hangup()))


def workers(pool: WorkerPool) -> set[int]:
    """Return the processes that wait for work."""
    return {worker.number for worker in pool._idle.values() if worker is not None}


def is_running(number: int) -> bool:
    """Tell whether a process is there, and more than the memory of one."""
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False


def test_files_are_those_of_this_process(pool: WorkerPool, image: Path, tmp_path: Path) -> None:
    wanted = cut(image, BOX, detail=Detail.MASKED_IMAGE)
    assert wanted is not None
    (made,) = run(pool, work_on(image, BOX), tmp_path)
    assert isinstance(made, Made)
    assert made.path.read_bytes() == wanted.content
    assert (made.box, made.size, made.filename) == (BOX, wanted.size, wanted.filename)
    assert (made.media_type, made.detail) == ("application/fits", Detail.MASKED_IMAGE)
    assert list(tmp_path.iterdir()) == [made.path]


def test_each_product_has_its_own_answer(pool: WorkerPool, image: Path, tmp_path: Path) -> None:
    work = replace(work_on(image, BOX, BESIDE, WHOLE, BOX), max_pixels=1000)
    first, none, large, last = run(pool, work, tmp_path)
    assert isinstance(first, Made)
    assert isinstance(last, Made)
    assert first.path.read_bytes() == last.path.read_bytes()
    assert none is None
    assert isinstance(large, UsageError)
    assert "at most 1000" in str(large)


def test_file_that_is_not_there(pool: WorkerPool, tmp_path: Path) -> None:
    errors = run(pool, work_on(tmp_path / "none.fits", BOX, BOX), tmp_path)
    assert [type(error) for error in errors] == [NotFoundError, NotFoundError]


def test_same_file_goes_to_the_same_worker(pool: WorkerPool, image: Path, tmp_path: Path) -> None:
    run(pool, work_on(image, BOX), tmp_path)
    before = dict(pool._idle)
    run(pool, work_on(image, BOX), tmp_path)
    assert pool._idle == before


@pytest.mark.parametrize(
    "reply",
    [
        Made(Path("/a/b.part"), "image/png", "ü.png", BOX, Detail.EXPOSURE, 5),
        UsageError("no"),
        NotFoundError("gone"),
        UnsupportedError("not here"),
        TransientError("busy", retry_after=7),
        VoError("defect"),
        None,
    ],
)
def test_answers_come_as_they_were_sent(reply: Reply) -> None:
    found = parse_reply(reply_line(reply))
    if not isinstance(reply, VoError):
        assert found == reply
    else:
        assert (type(found), str(found)) == (type(reply), str(reply))
        assert getattr(found, "retry_after", None) == getattr(reply, "retry_after", None)


def test_worker_that_is_killed_costs_one_product(
    lone: WorkerPool, image: Path, stuck: str, tmp_path: Path
) -> None:
    (number,) = workers(lone)
    threading.Timer(0.3, os.kill, (number, signal.SIGKILL)).start()
    (error,) = run(lone, work_on(stuck, BOX), tmp_path)
    assert type(error) is VoError
    assert "has ended" in str(error)
    assert isinstance(run(lone, work_on(image, BOX), tmp_path)[0], Made)
    assert workers(lone).isdisjoint({number})


def test_template_that_is_killed_is_made_again(lone: WorkerPool, image: Path, tmp_path: Path) -> None:
    template = lone._nursery._template
    assert template is not None
    template.kill()
    template.wait()
    (worker,) = workers(lone)
    os.kill(worker, signal.SIGKILL)
    while is_running(worker):
        time.sleep(0.01)
    assert isinstance(run(lone, work_on(image, BOX), tmp_path)[0], Made)
    assert lone._nursery._template is not template


def test_time_limit_ends_a_worker_and_not_the_pool(
    lone: WorkerPool, image: Path, stuck: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (number,) = workers(lone)
    with monkeypatch.context() as patch:
        patch.setattr(lone, "_seconds", 1)
        (error,) = run(lone, work_on(stuck, BOX), tmp_path)
    assert isinstance(error, UsageError)
    assert "more than 1 s" in str(error)
    assert not is_running(number)
    assert isinstance(run(lone, work_on(image, BOX), tmp_path)[0], Made)


def test_memory_limit_is_one_failed_product(lone: WorkerPool, tmp_path: Path) -> None:
    side, path = 12_000, tmp_path / "large.fits"
    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 2, "NAXIS1": side, "NAXIS2": side})
    path.write_bytes(header.tostring().encode())
    # Zeros that take no room on the disk.
    os.truncate(path, 2880 + -(-side * side * 4 // 2880) * 2880)
    whole, part = PixelBox(0, side - 1, 0, side - 1), PixelBox(0, 9, 0, 9)
    work = replace(work_on(path, part, whole, part), detail=Detail.IMAGE, media_type="image/png")
    first, large, last = run(lone, work, tmp_path)
    assert isinstance(large, UnsupportedError)
    assert "512 MB" in str(large)
    assert isinstance(first, Made)
    assert isinstance(last, Made)


def test_work_of_a_client_that_leaves_is_ended(
    lone: WorkerPool, image: Path, stuck: str, tmp_path: Path
) -> None:
    (number,) = workers(lone)
    hangup = Hangup()
    threading.Timer(0.2, hangup.happen).start()
    with pytest.raises(TransientError, match="Nobody waits"):
        run(lone, work_on(stuck, BOX), tmp_path, hangup)
    assert not is_running(number)
    assert isinstance(run(lone, work_on(image, BOX), tmp_path)[0], Made)


def test_waiting_for_a_worker_ends_with_patience_or_client(
    lone: WorkerPool, image: Path, stuck: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Exception] = []
    blocking = Hangup()

    def block() -> None:
        try:
            run(lone, work_on(stuck, BOX), tmp_path, blocking)
        except TransientError as err:
            errors.append(err)

    thread = threading.Thread(target=block)
    thread.start()
    while lone._idle:
        time.sleep(0.01)
    gone = Hangup()
    gone.happen()
    with pytest.raises(TransientError, match="Nobody waits"):
        run(lone, work_on(image, BOX), tmp_path, gone)
    monkeypatch.setattr(lone, "_patience_s", 0.1)
    with pytest.raises(TransientError, match="busy"):
        run(lone, work_on(image, BOX), tmp_path)
    blocking.happen()
    thread.join(30)
    assert len(errors) == 1


def test_jobs_leave_a_worker_to_those_who_wait(image: Path, stuck: str, tmp_path: Path) -> None:
    pool = WorkerPool(2, seconds=60, memory_bytes=MEMORY)
    hangup = Hangup()

    def block() -> None:
        with pytest.raises(TransientError):
            list(pool.run(work_on(stuck, BOX), tmp_path, hangup, background=True))

    threads = [threading.Thread(target=block) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        while len(pool._idle) == 2:
            time.sleep(0.01)
        assert isinstance(run(pool, work_on(image, BOX), tmp_path)[0], Made)
        assert pool._in_background == 1
    finally:
        hangup.happen()
        for thread in threads:
            thread.join(30)
        pool.close()


def test_template_has_one_thread(lone: WorkerPool) -> None:
    """Others would be missing in the processes that it forks, with the locks that they hold."""
    template = lone._nursery._template
    assert template is not None
    assert len(list(Path(f"/proc/{template.pid}/task").iterdir())) == 1


def test_nothing_is_left_when_the_pool_is_closed(image: Path, tmp_path: Path) -> None:
    pool = WorkerPool(2, seconds=60, memory_bytes=MEMORY)
    run(pool, work_on(image, BOX), tmp_path)
    numbers = workers(pool)
    template = pool._nursery._template
    assert template is not None
    assert numbers
    pool.close()
    assert not any(is_running(number) for number in (*numbers, template.pid))
    with pytest.raises(TransientError, match="shuts down"):
        run(pool, work_on(image, BOX), tmp_path)
