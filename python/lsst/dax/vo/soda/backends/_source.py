"""Bytes of a file, a few at a time."""

from __future__ import annotations

__all__ = ["LocalSource", "MemorySource", "Source", "is_lfs_pointer", "runs", "unpacked"]

import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from operator import add

import numpy as np

from ...errors import UnsupportedError
from .._file_range import FileRange, read_into, truncated
from .._image import Buffer

# Compressed as a whole, a file can only be read from its beginning; it is
# then held in memory, up to this many bytes.
_MAX_UNPACKED = 2**30
_UNPACK_BLOCK = 2**22

# Bytes between two ranges that are read along with them: one call of the
# system for two costs less than 64 kB from the page cache.
_GAP = 2**16

# Rows are read one by one when less than this part of them is wanted, or
# this much is between them; otherwise some at a time, with what is between
# them, as many as stay in the second cache of a processor.
_NARROW = 0.04
_BLOCK = 2**20

# Whole rows of so many bytes stay in the file until somebody needs them.
_LARGE = 2**22

_LFS_POINTER = b"version https://git-lfs.github.com/spec"


class Source:
    """Random access to the bytes of one file.

    Parameters
    ----------
    name
        How messages call the file: its last path component, since the rest
        is no concern of a client.
    size
        Length in bytes.
    version
        What else tells one version of the file from another.
    """

    is_remote = False
    """Whether each read costs a round trip."""

    def __init__(self, name: str, size: int, *version: int) -> None:
        self.name = name
        self.size = size
        self.stamp = (size, *version)

    def read(self, offset: int, count: int) -> bytes:
        """Return bytes of the file.

        Parameters
        ----------
        offset
            Where they begin.
        count
            How many.

        Returns
        -------
        data : `bytes`
            Exactly ``count`` bytes.

        Raises
        ------
        UnsupportedError
            Raised if the file ends before.
        """
        self._check(offset, count)
        data = self._read(offset, count)
        if len(data) != count:
            raise self.truncated()
        return data

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Return several ranges of bytes, with as few reads as pay.

        Parameters
        ----------
        ranges
            Where each begins, and how many bytes it has.

        Returns
        -------
        data : `list` [`memoryview`]
            In the same order.

        Raises
        ------
        UnsupportedError
            Raised if the file ends before.
        """
        if not ranges:
            return []
        starts, counts = zip(*ranges, strict=True)
        ends = list(map(add, starts, counts))
        first, last = min(starts), max(ends)
        self._check(first, last - first)
        if min(counts) < 0:
            raise self.truncated()
        if last - first <= sum(counts) + _GAP:
            # As a rule: the tiles of some rows.
            data = memoryview(self.read(first, last - first))
            return [data[start - first : end - first] for start, end in zip(starts, ends, strict=True)]
        result = [memoryview(b"")] * len(ranges)
        for start, end, numbers in runs(ranges, _GAP):
            data = memoryview(self.read(start, end - start))
            for number in numbers:
                offset, count = ranges[number]
                result[number] = data[offset - start : offset - start + count]
        return result

    def prefetch(self, offsets: Sequence[int]) -> None:
        """Prepare to read headers, where reading takes a round trip.

        Parameters
        ----------
        offsets
            Where they begin.
        """

    def read_rows(self, offset: int, count: int, stride: int, rows: int) -> Buffer:
        """Return the same part of several rows.

        Parameters
        ----------
        offset
            Where that of the first begins.
        count
            Bytes wanted of each.
        stride
            Bytes from one row to the next.
        rows
            Number of rows.

        Returns
        -------
        data : `Buffer`
            One after the other.

        Raises
        ------
        UnsupportedError
            Raised if the file ends before.
        """
        starts = range(offset, offset + rows * stride, stride)
        self._check(offset, (rows - 1) * stride + count)
        return b"".join(self.read_ranges([(start, count) for start in starts]))

    def truncated(self) -> UnsupportedError:
        """Return the error of a file that ends too soon."""
        return truncated(self.name)

    def _check(self, offset: int, count: int) -> None:
        if offset < 0 or count < 0 or offset + count > self.size:
            raise self.truncated()

    def _read(self, offset: int, count: int) -> bytes:
        raise NotImplementedError


class LocalSource(Source):
    """A file on a disk.

    Parameters
    ----------
    name
        How messages call it.
    descriptor
        Its open descriptor, which stays the caller's.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        status = os.fstat(descriptor)
        super().__init__(name, status.st_size, status.st_mtime_ns)
        self._descriptor = descriptor

    def _read(self, offset: int, count: int) -> bytes:
        # Not mapped into memory: a file that shrinks meanwhile, or a disk
        # that fails, would end the process.
        data = os.pread(self._descriptor, count, offset)
        # Linux stops a single read at 2 GiB.
        while len(data) < count:
            more = os.pread(self._descriptor, count - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def read_rows(self, offset: int, count: int, stride: int, rows: int) -> Buffer:
        # Docstring inherited.
        self._check(offset, (rows - 1) * stride + count)
        if count == stride and rows * stride >= _LARGE:
            return FileRange(self._descriptor, offset, rows * stride, self.name)
        if count < _NARROW * stride or stride - count > _GAP:
            read, descriptor = os.pread, self._descriptor
            data = b"".join(
                [read(descriptor, count, start) for start in range(offset, offset + rows * stride, stride)]
            )
            if len(data) != rows * count:
                raise self.truncated()
            return data
        result = np.empty((rows, count), dtype=np.uint8)
        step = max(1, _BLOCK // stride)
        block = np.empty(min(step, rows) * stride, dtype=np.uint8)
        view = memoryview(block)
        for row in range(0, rows, step):
            some = min(step, rows - row)
            # The last row of the file may end where the box does.
            read_into(self._descriptor, view[: (some - 1) * stride + count], offset + row * stride, self.name)
            result[row : row + some] = block[: some * stride].reshape(some, stride)[:, :count]
        return memoryview(result.reshape(-1))


class MemorySource(Source):
    """A file in memory.

    Parameters
    ----------
    name
        How messages call it.
    data
        Its bytes.
    """

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(name, len(data))
        self._data = data

    def _read(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]


def runs(ranges: Sequence[tuple[int, int]], gap: int) -> Iterator[tuple[int, int, list[int]]]:
    """Put ranges together that lie near to one another.

    Parameters
    ----------
    ranges
        Where each begins, and how many bytes it has.
    gap
        Most bytes between two that go together.

    Yields
    ------
    run : `tuple` [`int`, `int`, `list` [`int`]]
        Where it begins, where it ends, and the numbers of its ranges.
    """
    order = sorted(range(len(ranges)), key=ranges.__getitem__)
    at = 0
    while at < len(order):
        start, count = ranges[order[at]]
        end, upto = start + count, at + 1
        while upto < len(order) and ranges[order[upto]][0] <= end + gap:
            offset, count = ranges[order[upto]]
            end, upto = max(end, offset + count), upto + 1
        yield start, end, order[at:upto]
        at = upto


def is_lfs_pointer(source: Source) -> bool:
    """Tell whether a file only stands for one in Git's large file store.

    Parameters
    ----------
    source
        The file.

    Returns
    -------
    is_lfs_pointer : `bool`
    """
    return source.read(0, min(source.size, len(_LFS_POINTER))) == _LFS_POINTER


def unpacked(source: Source) -> Source:
    """Unpack a file that gzip compressed as a whole.

    Parameters
    ----------
    source
        Any file.

    Returns
    -------
    source : `Source`
        Its content in memory, or the same source if it is not compressed.

    Raises
    ------
    UnsupportedError
        Raised if the archive is damaged, or its content too large.
    """
    if source.size < 2 or source.read(0, 2) != b"\x1f\x8b":
        return source
    try:
        with gzip.GzipFile(fileobj=io.BufferedReader(_Stream(source), _UNPACK_BLOCK)) as stream:
            data = stream.read(_MAX_UNPACKED + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as err:
        raise source.truncated() from err
    if len(data) > _MAX_UNPACKED:
        raise UnsupportedError(
            f"The file {source.name!r} unpacks to more than {_MAX_UNPACKED >> 30} GiB; compress it by tiles"
        )
    return MemorySource(source.name, data)


class _Stream(io.RawIOBase):
    """A source from its beginning to its end."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self._source.size - self._at)
        buffer[:count] = self._source.read(self._at, count)
        self._at += count
        return count
