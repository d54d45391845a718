"""The time of a query, and its end before its time."""

from __future__ import annotations

__all__ = ["WATCHER", "Clock", "StoppedError", "read_ahead"]

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator

WATCHER = "query clock"
"""Name of the threads that watch."""

_AGAIN_SECONDS = 0.05


class StoppedError(Exception):
    """A query is not to go on."""


class Clock:
    """Ends a query that has taken too long, or that nobody waits for any more.

    The time that a client takes to read what it was sent does not count.  Its
    methods may be called from several threads at once.

    Parameters
    ----------
    seconds
        How long all work on the query may take together.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = float(seconds)
        """How long it lets the work take."""
        self._left_s = self.seconds
        self._since_s = 0.0
        self._stop: Callable[[], None] | None = None
        self._changed = threading.Condition(threading.Lock())
        self._watcher: threading.Thread | None = None
        self._is_over = False
        self.has_rung = False
        """Whether the time is over."""
        self.is_cancelled = False
        """Whether `cancel` was called."""
        self.has_stopped = False
        """Whether work was stopped: what it was done with may still be told so."""

    @contextlib.contextmanager
    def watching(self, stop: Callable[[], None]) -> Iterator[None]:
        """Let the time run while work is done.

        Parameters
        ----------
        stop
            Stops the work; called from another thread, again and again until
            the block is left, and never after it.

        Raises
        ------
        StoppedError
            Raised if it is too late to begin.
        """
        with self._changed:
            if self.is_cancelled or self.has_rung:
                raise StoppedError
            self._stop = stop
            self._since_s = time.monotonic()
            if self._watcher is None:
                # One for all the work: a thread is dear beside a quick query.
                self._watcher = threading.Thread(target=self._watch, name=WATCHER, daemon=True)
                self._watcher.start()
        try:
            yield
        finally:
            with self._changed:
                self._left_s -= time.monotonic() - self._since_s
                self._stop = None

    def cancel(self) -> None:
        """End the query: what works on it is stopped, and nothing is begun any more."""
        with self._changed:
            self.is_cancelled = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop watching; the query has ended."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _watch(self) -> None:
        with self._changed:
            while not self._is_over:
                left_s = self._left_s
                if self._stop is not None:
                    left_s -= time.monotonic() - self._since_s
                    self.has_rung = self.has_rung or left_s <= 0
                    if self.has_rung or self.is_cancelled:
                        # Under the lock: whoever works cannot leave meanwhile,
                        # and what it does next is not hit.  Again and again:
                        # a database forgets it between two statements.
                        self.has_stopped = True
                        self._stop()
                        left_s = _AGAIN_SECONDS
                # Between two pieces of work the time stands still, so that
                # this is never too late.
                self._changed.wait(max(left_s, 0.001))


def read_ahead[Item](items: Generator[Item]) -> Generator[Item]:
    """Have the next item before one is given away.

    Parameters
    ----------
    items
        Batches of rows, for example; closed in the end.

    Yields
    ------
    item
        The same.  Before the last one, what they are made of has been given
        back already: an answer that is one batch holds no connection while
        its client takes it.
    """
    with contextlib.closing(items):
        latest: Item | None = None
        for item in items:
            if latest is not None:
                yield latest
            latest = item
        if latest is not None:
            yield latest
