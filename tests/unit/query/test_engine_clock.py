"""Time of a query."""

import threading
import time
from collections.abc import Generator

import pytest

from lsst.dax.vo.query.engines._clock import WATCHER, Clock, StoppedError, read_ahead


class _Work:
    """Goes on until it has been stopped some times."""

    def __init__(self, times: int = 1) -> None:
        self._left = times
        self._ended = threading.Event()

    def stop(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self._ended.set()

    def run(self) -> None:
        assert self._ended.wait(20)


def test_work_that_takes_too_long_is_stopped() -> None:
    clock = Clock(0.05)
    work = _Work()
    with clock.watching(work.stop):
        work.run()
    assert clock.has_rung
    assert clock.has_stopped
    assert not clock.is_cancelled
    with pytest.raises(StoppedError), clock.watching(work.stop):
        raise AssertionError("it does not begin")
    clock.close()


def test_pieces_of_work_are_counted_together() -> None:
    clock = Clock(0.3)
    for _ in range(2):
        with clock.watching(lambda: None):
            time.sleep(0.1)
    assert not clock.has_rung
    work = _Work()
    with clock.watching(work.stop):
        work.run()
    assert clock.has_rung
    clock.close()


def test_time_between_pieces_of_work_does_not_count() -> None:
    clock = Clock(0.2)
    with clock.watching(lambda: None):
        pass
    time.sleep(0.3)
    with clock.watching(lambda: None):
        pass
    assert not clock.has_rung
    clock.close()


def test_work_that_forgets_it_is_stopped_again() -> None:
    # A database clears the mark when it begins a statement.
    clock = Clock(60)
    work = _Work(times=3)
    with clock.watching(work.stop):
        clock.cancel()
        work.run()
    assert clock.is_cancelled
    clock.close()


def test_nothing_is_stopped_afterwards() -> None:
    clock = Clock(60)
    stopped: list[int] = []
    with clock.watching(lambda: stopped.append(1)):
        pass
    clock.cancel()
    clock.cancel()
    time.sleep(0.1)
    assert stopped == []
    assert not clock.has_stopped
    clock.close()


def test_watching_ends_with_the_query() -> None:
    before = _watchers()
    clock = Clock(60)
    with clock.watching(lambda: None):
        (own,) = _watchers() - before
    clock.close()
    own.join(10)
    assert not own.is_alive()


def test_what_makes_items_has_ended_before_the_last_one() -> None:
    ended: list[str] = []

    def make(count: int) -> Generator[int]:
        try:
            yield from range(count)
        finally:
            ended.append("made")

    items = read_ahead(make(3))
    assert [next(items), next(items)] == [0, 1]
    assert ended == []
    assert next(items) == 2
    assert ended == ["made"]
    assert list(items) == []
    assert list(read_ahead(make(0))) == []
    # Who goes away ends it.
    items = read_ahead(make(5))
    next(items)
    items.close()
    assert len(ended) == 3


def _watchers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == WATCHER}
