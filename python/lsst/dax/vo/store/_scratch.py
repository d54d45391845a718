"""Folders for rows on their way, which no killed process leaves for good."""

from __future__ import annotations

__all__ = ["Scratch"]

import contextlib
import fcntl
import shutil
import tempfile
from pathlib import Path

_PREFIX = "dax-vo-rows-"
_LOCK = "lock"


class Scratch:
    """A folder among the temporary ones; those of killed processes are removed first.

    The environment's ``TMPDIR`` tells where; it needs room for all rows.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        """The folder."""
        self._lock = (self.path / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        for folder in self.path.parent.glob(f"{_PREFIX}*"):
            if folder != self.path:
                _remove_if_left(folder)

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _remove_if_left(folder: Path) -> None:
    # The kernel takes the lock back when a process dies.  A folder without
    # one is being made, or is somebody else's.
    with contextlib.suppress(OSError), (folder / _LOCK).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
