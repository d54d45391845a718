"""Which processes are alive.

Each holds the lock of a file, and the kernel takes it back when the process
ends, however that happens.
"""

__all__ = ["Presence"]

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

_SUFFIX = ".lock"


class Presence:
    """The sign that this process is alive, and a look at those of others.

    Parameters
    ----------
    folder
        Where the processes that share it leave their signs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        while True:
            self.name = secrets.token_hex(8)
            """Name of this process, which no other ever had."""
            self._path = folder / f"{self.name}{_SUFFIX}"
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            if self._path.exists():
                return
            # Another process was faster than our lock, and took it for left.
            os.close(self._handle)

    def is_alive(self, name: str) -> bool:
        """Tell whether a process is alive.

        Parameters
        ----------
        name
            Name of its sign.

        Returns
        -------
        alive : `bool`
            `False` too for a name that there never was.
        """
        if name == self.name:
            return True
        try:
            with (self._folder / f"{name}{_SUFFIX}").open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def remove_dead(self) -> None:
        """Remove the signs of processes that have ended."""
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if not self.is_alive(path.stem):
                path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Take the sign away; this process runs no jobs any more."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.close(self._handle)
