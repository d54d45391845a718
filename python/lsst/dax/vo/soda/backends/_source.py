"""Bytes of a file, a few at a time."""

from __future__ import annotations

__all__ = ["Source", "open_source"]

import gzip
import io
import os
import stat
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from lsst.resources import ResourcePath

from ...errors import NotFoundError, TransientError, UnsupportedError

# Compressed as a whole, a file can only be read from its beginning; it is
# then held in memory, up to this many bytes.
_MAX_UNPACKED = 4 * 2**30

# The optimum of lsst.images for cutouts from object stores: each miss costs
# a round trip, so blocks are large.
_REMOTE_BLOCK = 2880 * 800
_REMOTE_BLOCKS = 28

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
    """

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size

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
        if offset < 0 or count < 0 or offset + count > self.size:
            raise self.truncated()
        data = self._read(offset, count)
        if len(data) != count:
            raise self.truncated()
        return data

    def truncated(self) -> UnsupportedError:
        """Return the error of a file that ends too soon."""
        return UnsupportedError(
            f"The file {self.name!r} is cut short or damaged; fetch it again or ask its publisher"
        )

    def _read(self, offset: int, count: int) -> bytes:
        raise NotImplementedError


class _LocalSource(Source):
    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(name, os.fstat(descriptor).st_size)
        self._descriptor = descriptor

    def _read(self, offset: int, count: int) -> bytes:
        data = os.pread(self._descriptor, count, offset)
        # Linux stops a single read at 2 GiB.
        while len(data) < count:
            more = os.pread(self._descriptor, count - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data


class _StreamSource(Source):
    def __init__(self, name: str, size: int, stream: IO[bytes]) -> None:
        super().__init__(name, size)
        self._stream = stream
        self._lock = threading.Lock()

    def _read(self, offset: int, count: int) -> bytes:
        with self._lock:
            try:
                self._stream.seek(offset)
                return self._stream.read(count)
            except OSError as err:
                raise _unavailable(self.name) from err


class _MemorySource(Source):
    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(name, len(data))
        self._data = data

    def _read(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]


@contextmanager
def open_source(uri: ResourcePath) -> Iterator[Source]:
    """Open a file for reading parts of it.

    Parameters
    ----------
    uri
        The file, local or remote; ``.gz`` is unpacked into memory.

    Yields
    ------
    source : `Source`
        Closed on leaving the context.

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    TransientError
        Raised if the store does not answer.
    UnsupportedError
        Raised if the file is empty, a Git LFS pointer or a damaged archive.
    """
    name = uri.basename()
    with _open_raw(uri, name) as source:
        start = source.read(0, min(source.size, len(_LFS_POINTER)))
        if not source.size:
            raise UnsupportedError(f"The file {name!r} is empty; fetch it again or ask its publisher")
        if start == _LFS_POINTER:
            raise UnsupportedError(
                f"The file {name!r} is a Git LFS pointer, not the image; run 'git lfs pull' where it is"
            )
        yield _MemorySource(name, _unpack(source)) if start[:2] == b"\x1f\x8b" else source


@contextmanager
def _open_raw(uri: ResourcePath, name: str) -> Iterator[Source]:
    missing = NotFoundError(f"There is no file {name!r}; check its name and whether the store has it")
    if uri.isLocal:
        try:
            descriptor = os.open(uri.ospath, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError) as err:
            raise missing from err
        except OSError as err:
            raise UnsupportedError(f"The file {name!r} cannot be read; check its permissions") from err
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnsupportedError(f"{name!r} is no file; give a FITS file")
            yield _LocalSource(name, descriptor)
        finally:
            os.close(descriptor)
        return
    try:
        filesystem, path = uri.to_fsspec()
        size = uri.size()
        stream = filesystem.open(
            path,
            block_size=_REMOTE_BLOCK,
            cache_type="blockcache",
            cache_options={"maxblocks": _REMOTE_BLOCKS},
        )
    except FileNotFoundError as err:
        raise missing from err
    except (OSError, ValueError, ImportError, NotImplementedError) as err:
        raise _unavailable(name) from err
    with stream:
        yield _StreamSource(name, size, stream)


def _unavailable(name: str) -> TransientError:
    return TransientError(f"The store of {name!r} does not answer; try again later")


def _unpack(source: Source) -> bytes:
    packed = io.BytesIO(source.read(0, source.size))
    try:
        with gzip.GzipFile(fileobj=packed) as stream:
            data = stream.read(_MAX_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as err:
        raise source.truncated() from err
    if len(data) > _MAX_UNPACKED:
        raise UnsupportedError(
            f"The file {source.name!r} unpacks to more than {_MAX_UNPACKED >> 30} GiB; compress it by tiles"
        )
    return data
