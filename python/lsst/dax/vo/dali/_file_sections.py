"""A body that lies in a file: whoever sends it may let the kernel copy it."""

from __future__ import annotations

__all__ = ["ByteRange", "FileSections", "shortened"]

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import TransientError

_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes of a file, half-open."""

    start: int
    """First byte, counted from 0."""

    stop: int
    """The byte after the last."""


class FileSections(Iterator[bytes]):
    """Bytes, and parts of an open file, one after the other.

    An iterator over chunks for whoever knows no better; with ``fileno`` and
    ``sections``, a server can have the file copied to its socket without
    bringing it into this process.

    Parameters
    ----------
    descriptor
        The open file.
    sections
        The body, in order: bytes as they are, or bytes of the file.
    close
        Closes the file; called once.
    """

    def __init__(
        self, descriptor: int, sections: Sequence[bytes | ByteRange], close: Callable[[], None]
    ) -> None:
        self.sections = tuple(sections)
        """The body, in order."""
        self._descriptor = descriptor
        self._close: Callable[[], None] | None = close
        self._chunks = _read(descriptor, self.sections)

    def fileno(self) -> int:
        """Return the descriptor of the file.

        Returns
        -------
        descriptor : `int`
            Open until this object is closed.
        """
        return self._descriptor

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; also called when a client has gone away."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def __del__(self) -> None:
        self.close()


def _read(descriptor: int, sections: Sequence[bytes | ByteRange]) -> Iterator[bytes]:
    for section in sections:
        if isinstance(section, bytes):
            yield section
            continue
        at = section.start
        while at < section.stop:
            chunk = os.pread(descriptor, min(section.stop - at, _CHUNK_BYTES), at)
            if not chunk:
                raise shortened()
            at += len(chunk)
            yield chunk


def shortened() -> TransientError:
    """Return the error of a file that ended before its section did.

    Returns
    -------
    error : `~lsst.dax.vo.errors.TransientError`
    """
    return TransientError("The file became shorter while it was sent")
