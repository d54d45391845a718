"""Bytes of a file on a disk, which are read when somebody needs them."""

from __future__ import annotations

__all__ = ["FileRange", "read_into", "truncated"]

import os
from collections.abc import Iterator

import numpy as np

from ..errors import UnsupportedError

# What stays in the second cache of a processor between reading and writing.
_PIECE = 2**18


class FileRange:
    """Bytes of a file, as they are, on their way into another.

    Whoever copies them by `pieces` never has them all in memory; of whole
    planes of 200 MB, making room for them is a third of the work.  For
    everyone else it is a buffer like any other, which cannot be written:
    ``memoryview``, ``numpy.frombuffer`` and ``bytes.join`` read the bytes.

    Parameters
    ----------
    descriptor
        The file; a copy of it is kept open.
    offset
        Where the bytes begin.
    count
        How many.
    name
        How messages call the file.
    """

    __slots__ = ("_count", "_descriptor", "_name", "_offset", "_view")

    def __init__(self, descriptor: int, offset: int, count: int, name: str) -> None:
        self._descriptor = os.dup(descriptor)
        self._offset = offset
        self._count = count
        self._name = name
        self._view: memoryview | None = None

    def __del__(self) -> None:
        # Not there if it could not be copied.
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def __len__(self) -> int:
        return self._count

    def __buffer__(self, flags: int) -> memoryview:
        # Kept, since arrays of numpy.frombuffer hold on to this object alone,
        # and not written to, since all of them share it.
        if self._view is None:
            # Memory of numpy has large pages: half the time of the same read
            # into bytes.
            view = memoryview(np.empty(self._count, dtype=np.uint8))
            read_into(self._descriptor, view, self._offset, self._name)
            self._view = view.toreadonly()
        return self._view

    def pieces(self) -> Iterator[memoryview]:
        """Read the bytes, a few at a time.

        Yields
        ------
        piece : `memoryview`
            The next of them, until the one after is asked for.

        Raises
        ------
        UnsupportedError
            Raised if the file ends before.
        """
        # Not mapped into memory: a file that shrinks meanwhile, or a disk
        # that fails, would end the process.
        buffer = memoryview(bytearray(min(_PIECE, self._count)))
        for at in range(0, self._count, _PIECE):
            piece = buffer[: self._count - at]
            read_into(self._descriptor, piece, self._offset + at, self._name)
            yield piece


def read_into(descriptor: int, view: memoryview, offset: int, name: str) -> None:
    """Read a part of a file.

    Parameters
    ----------
    descriptor
        The file.
    view
        Where the bytes go, as many as it has.
    offset
        Where they begin.
    name
        How the message calls the file.

    Raises
    ------
    UnsupportedError
        Raised if the file ends before.
    """
    at = 0
    # Linux stops a single read at 2 GiB.
    while at < len(view):
        got = os.preadv(descriptor, [view[at:]], offset + at)
        if not got:
            raise truncated(name)
        at += got


def truncated(name: str) -> UnsupportedError:
    """Return the error of a file that ends too soon.

    Parameters
    ----------
    name
        How the message calls the file.

    Returns
    -------
    error : `UnsupportedError`
    """
    return UnsupportedError(f"The file {name!r} is cut short or damaged; fetch it again or ask its publisher")
