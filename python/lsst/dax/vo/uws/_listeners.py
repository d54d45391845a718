"""Who is told when a job changes."""

from __future__ import annotations

__all__ = ["JobListeners"]

import itertools
from collections.abc import Callable


class JobListeners:
    """Those that wait for changes of jobs; used from any thread."""

    def __init__(self) -> None:
        self._listeners: dict[int, tuple[str, Callable[[], None]]] = {}
        self._numbers = itertools.count()

    def add(self, job_id: str, tell: Callable[[], None]) -> Callable[[], None]:
        """Be told of changes of a job.

        Parameters
        ----------
        job_id
            Its name.
        tell
            Called from any thread, perhaps for no change; it must not block.

        Returns
        -------
        end : `~collections.abc.Callable`
            Ends that.
        """
        number = next(self._numbers)
        self._listeners[number] = (job_id, tell)

        def end() -> None:
            self._listeners.pop(number, None)

        return end

    def tell(self, job_id: str | None) -> None:
        """Tell that something may have changed.

        Parameters
        ----------
        job_id
            The job; `None` for all.
        """
        for listened, tell in list(self._listeners.values()):
            if job_id is None or listened == job_id:
                tell()
