"""The right to write a store in a bucket; it ends soon after its process."""

from __future__ import annotations

__all__ = ["LEASE", "Lease"]

import contextlib
import os
import threading
import uuid
from pathlib import Path

from ...errors import TransientError, UsageError
from .._location import ParquetLocation
from ._objects import Bucket, ChangedError

LEASE = "writer.lease"
"""Name of the object."""

# By the clock of the server alone, which counts in seconds.
_SECONDS = 8.0
_RENEWED_SECONDS = 2.0


class Lease:
    """The right to write, renewed by a thread until it is released.

    Parameters
    ----------
    bucket
        The folder of the store.
    location
        Its name.

    Raises
    ------
    TransientError
        Raised if another writer has the right.
    """

    def __init__(self, bucket: Bucket, location: ParquetLocation) -> None:
        self._bucket = bucket
        self._location = location
        self._tag: str | None = self._take()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="store-lease", daemon=True)
        self._thread.start()

    def is_held(self) -> bool:
        """Return whether nobody has taken it away.

        Returns
        -------
        held : `bool`
        """
        try:
            self._prolong()
        except ChangedError:
            self._tag = None
        return self._tag is not None

    def require(self) -> None:
        """Raise if somebody has taken it away.

        Raises
        ------
        TransientError
            Raised if so.
        """
        if not self.is_held():
            raise self._busy()

    def release(self) -> None:
        """Give it back."""
        self._closing.set()
        self._thread.join()
        with contextlib.suppress(TransientError, UsageError):
            if self.is_held():
                self._bucket.remove(LEASE)

    def _take(self) -> str:
        replaces = None
        try:
            content, replaces = self._bucket.read(LEASE)
            if self._bucket.age_s(LEASE) < _SECONDS and not _is_dead(content):
                raise self._busy()
        except FileNotFoundError:
            pass
        try:
            return self._bucket.put(LEASE, _content(), replaces=replaces)
        except ChangedError as err:
            raise self._busy() from err

    def _renew(self) -> None:
        while not self._closing.wait(_RENEWED_SECONDS):
            # Another time, or never: the table itself does not depend on it.
            with contextlib.suppress(TransientError, UsageError):
                if not self.is_held():
                    return

    def _prolong(self) -> None:
        with self._lock:
            if self._tag is not None:
                self._tag = self._bucket.put(LEASE, _content(), replaces=self._tag)

    def _busy(self) -> TransientError:
        return TransientError(
            f"The store {self._location} is being written by another process; try again when it is done"
        )


def _machine() -> str:
    """Name this machine since it was started, and the processes that are seen here."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return "unknown"


def _content() -> bytes:
    # Different each time, so that each has a tag of its own.
    return f"{_machine()} {os.getpid()} {uuid.uuid4().hex}".encode()


def _is_dead(content: bytes) -> bool:
    """Return whether a lease is of a process of this machine that has ended."""
    machine, _, rest = content.decode(errors="replace").partition(" ")
    process = rest.partition(" ")[0]
    if machine == "unknown" or machine != _machine() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False
