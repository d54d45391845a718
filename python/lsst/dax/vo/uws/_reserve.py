"""Room on the disk for the moment when there is no other."""

from __future__ import annotations

__all__ = ["Reserve"]

import os
from contextlib import suppress
from pathlib import Path

# A row that goes is at most a dozen pages of 4 KiB in the log of the
# database; this is for some jobs, which then give back what they have.
_SIZE = 256 * 1024


class Reserve:
    """A file that holds nothing but its place, to be given up in need.

    On a full disk a list in a database cannot even be made shorter: the
    change itself is written first.

    Parameters
    ----------
    path
        The file; several processes may share it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self) -> None:
        """Make it, unless it is there, or there is no room for it."""
        if self._path.exists():
            return
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            # Not zeros: a file system that compresses would keep no room.
            new.write_bytes(os.urandom(_SIZE))
            new.replace(self._path)
        except OSError:
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Give its room to whoever needs it; there may be none any more."""
        with suppress(OSError):
            self._path.unlink()
