"""What was found out is remembered for a while."""

from __future__ import annotations

__all__ = ["Memory"]

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from cachetools import TTLCache

_MOST = 10_000


class Memory[Key, Value]:
    """Remembers the latest answers for some seconds; for any thread.

    Parameters
    ----------
    keep_s
        How long an answer counts, in seconds; with 0, none is kept.
    most
        How many are kept.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, keep_s: float, *, most: int = _MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_on = keep_s > 0
        self._lock = threading.Lock()
        self._known: TTLCache[Key, Value] = TTLCache(most, keep_s, timer=clock)

    def recall(self, keys: Iterable[Key]) -> dict[Key, Value]:
        """Return what is remembered.

        Parameters
        ----------
        keys
            What is asked about.

        Returns
        -------
        known : `dict`
            Of those keys that have an answer.
        """
        if not self._is_on:
            return {}
        with self._lock:
            return {key: self._known[key] for key in keys if key in self._known}

    def keep(self, found: Mapping[Key, Value]) -> None:
        """Remember answers.

        Parameters
        ----------
        found
            The answers.
        """
        if self._is_on and found:
            with self._lock:
                self._known.update(found)
