"""Files in object stores and on web servers, by ranged reads.

A request costs a round trip of tens of milliseconds, however little it asks
for; and one connection delivers some tens of megabytes a second.  So ranges
near to one another are read as one, long ones in pieces, and all pieces at
the same time.
"""

from __future__ import annotations

__all__ = ["RemoteSource", "open_remote"]

import os
import re
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from queue import Empty, SimpleQueue
from threading import Semaphore
from typing import Any

from lsst.resources import ResourcePath

from ...errors import NotFoundError, TransientError, UnsupportedError, VoError
from ._cache import FileEntry
from ._source import MemorySource, Source, runs

type _Fetch = Callable[[int, int], bytes]

# About the optimum of lsst.images for cutouts from object stores.
_PIECE = 2880 * 728

# The first bytes of an HDU: its header and, of 4096 rows, its tile table.
_HEAD = 2880 * 100

# What is left of a file is read at once, if it is not more than this: the
# archive of an afw Exposure, whose HDUs are many and small.
_TAIL = 2 * _PIECE

# Bytes between two ranges that cost less than another request, which goes
# out at the same time.
_GAP = 2**17

# Most bytes of a file that a server without ranges may send as a whole.
_MAX_WHOLE = 2**30

_CONNECTIONS = 16

# To web servers: as many as the session of lsst.resources keeps open.
_HTTP_CONNECTIONS = 4

# Seconds to connect, and between two packets.
_TIMEOUT = (10.0, 60.0)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="dax-vo-fetch")


# A process that was forked has none of the threads.
os.register_at_fork(after_in_child=_pool.cache_clear)


class RemoteSource(Source):
    """A file whose reads are requests.

    Parameters
    ----------
    name
        How messages call it.
    size
        Its length in bytes.
    fetch
        Returns the bytes from a place on, as many as are there.
    start
        The first bytes, if they came along.
    """

    is_remote = True

    def __init__(self, name: str, size: int, fetch: _Fetch, start: bytes = b"") -> None:
        super().__init__(name, size)
        self._fetch = fetch
        self._chunks = [(0, start)] if start else []

    def _read(self, offset: int, count: int) -> bytes:
        # Reads of single ranges are those of headers and tables: what
        # follows will be asked for next.
        if any(True for _ in self._gaps(offset, offset + count)):
            rest = self.size - offset
            end = offset + (rest if rest <= _TAIL else min(max(count, _HEAD), rest))
            self._keep(list(self._gaps(offset, end)))
        return b"".join(
            chunk[max(offset - start, 0) : offset + count - start]
            for start, chunk in self._chunks
            if start < offset + count and offset < start + len(chunk)
        )

    def prefetch(self, offsets: Sequence[int]) -> None:
        # Docstring inherited.
        # A header that is there at its beginning is there, as a rule.
        ranges = [
            (offset, min(_HEAD, self.size - offset))
            for offset in offsets
            if 0 <= offset < self.size and any(True for _ in self._gaps(offset, offset + 1))
        ]
        self._keep([gap for start, end, _ in runs(ranges, 0) for gap in self._gaps(start, end)])

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        # Docstring inherited.
        result = [memoryview(b"")] * len(ranges)
        missing: list[int] = []
        for number, (offset, count) in enumerate(ranges):
            self._check(offset, count)
            if any(True for _ in self._gaps(offset, offset + count)):
                missing.append(number)
            else:
                result[number] = memoryview(self._read(offset, count))
        wanted = list(runs([ranges[number] for number in missing], _GAP))
        for (start, _, numbers), data in zip(
            wanted, self._fetch_runs([(start, end) for start, end, _ in wanted]), strict=True
        ):
            for number in numbers:
                offset, count = ranges[missing[number]]
                result[missing[number]] = memoryview(data)[offset - start : offset - start + count]
        return result

    def _keep(self, gaps: list[tuple[int, int]]) -> None:
        for (start, _), chunk in zip(gaps, self._fetch_runs(gaps), strict=True):
            insort(self._chunks, (start, chunk))

    def _gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        # What is not in the chunks, which are in order and do not overlap.
        for first, chunk in self._chunks:
            if first >= end:
                break
            if start < first:
                yield start, first
            start = max(start, first + len(chunk))
        if start < end:
            yield start, end

    def _fetch_runs(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        pieces = [
            (start, min(end, start + _PIECE), number)
            for number, (first, end) in enumerate(wanted)
            for start in range(first, end, _PIECE)
        ]
        found = _pool().map(self._fetch_piece, pieces) if len(pieces) > 1 else map(self._fetch_piece, pieces)
        parts: list[list[bytes]] = [[] for _ in wanted]
        for (_, _, number), data in zip(pieces, found, strict=True):
            parts[number].append(data)
        return [part[0] if len(part) == 1 else b"".join(part) for part in parts]

    def _fetch_piece(self, piece: tuple[int, int, int]) -> bytes:
        start, end, _ = piece
        with _translated(self.name):
            data = self._fetch(start, end - start)
        if len(data) != end - start:
            raise self.truncated()
        return data


@contextmanager
def open_remote(uri: ResourcePath, name: str, entry: FileEntry) -> Iterator[Source]:
    """Open a remote file for reading parts of it.

    Parameters
    ----------
    uri
        The file.
    name
        How messages call it.
    entry
        What is known of it; with its size, nothing is asked yet.

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
        Raised if it refuses, or sends too much.
    """
    with ExitStack() as stack:
        with _translated(name):
            source = _open(uri, name, entry, stack)
        yield source


def _open(uri: ResourcePath, name: str, entry: FileEntry, stack: ExitStack) -> Source:
    if uri.scheme in ("http", "https"):
        return _open_http(uri, name, entry)
    fetch = _blob_fetch(uri) if uri.scheme == "gs" else _handle_fetch(uri, stack)
    if entry.stamp is not None:
        return RemoteSource(name, entry.stamp[0], fetch)
    start = _pool().submit(fetch, 0, _HEAD)
    size = uri.size()
    return RemoteSource(name, size, fetch, start.result() if size else b"")


def _handle_fetch(uri: ResourcePath, stack: ExitStack) -> _Fetch:
    # A handle has a place in the file, so that each serves one thread at a
    # time.  Of S3, opening one and moving it asks nothing of the store.
    handles: SimpleQueue[Any] = SimpleQueue()

    def fetch(offset: int, count: int) -> bytes:
        try:
            handle = handles.get_nowait()
        except Empty:
            handle = stack.enter_context(uri.open("rb"))
        handle.seek(offset)
        data: bytes = handle.read(count)
        handles.put(handle)
        return data

    return fetch


def _blob_fetch(uri: Any) -> _Fetch:
    # Handles of Google's library read 40 MB at a time.
    def fetch(offset: int, count: int) -> bytes:
        data: bytes = uri.blob.download_as_bytes(start=offset, end=offset + count - 1, raw_download=True)
        return data

    return fetch


def _open_http(uri: Any, name: str, entry: FileEntry) -> Source:
    def get(offset: int, count: int) -> Any:
        # The offsets are those of the file, not of a compressed copy.
        headers = {"Range": f"bytes={offset}-{offset + count - 1}", "Accept-Encoding": "identity"}
        # The session and its time-outs are those of lsst.resources, whose own
        # handles ask for the header first, each time.
        answer = uri.data_session.get(uri.geturl(), stream=True, timeout=_TIMEOUT, headers=headers)
        if answer.status_code in (200, 206, 416):
            return answer
        answer.close()
        if answer.status_code in (404, 410):
            raise FileNotFoundError(name)
        if answer.status_code in (401, 403):
            raise PermissionError(name)
        raise _unavailable(name)

    slots = Semaphore(_HTTP_CONNECTIONS)

    def fetch(offset: int, count: int) -> bytes:
        with slots, get(offset, count) as answer:
            if answer.status_code != 206:
                raise Source(name, 0).truncated()
            data: bytes = answer.content
            return data

    if entry.stamp is not None:
        return RemoteSource(name, entry.stamp[0], fetch)
    with get(0, _HEAD) as answer:
        if answer.status_code == 416:
            return MemorySource(name, b"")
        if answer.status_code == 206:
            total = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
            size = int(total[1]) if total else uri.size()
            return RemoteSource(name, size, fetch, answer.content)
        # A server that knows no ranges sends all there is.
        whole = answer.raw.read(_MAX_WHOLE + 1, decode_content=True)
    if len(whole) > _MAX_WHOLE:
        raise UnsupportedError(
            f"The server of {name!r} sends whole files only, and this one has more than "
            f"{_MAX_WHOLE >> 30} GiB; put it on one that answers ranged requests"
        )
    return MemorySource(name, whole)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    # The libraries of the stores have no error in common.
    try:
        yield
    except VoError:
        raise
    except FileNotFoundError as err:
        raise _missing(name) from err
    except PermissionError as err:
        raise _refused(name) from err
    except Exception as err:
        # Google's errors have the status of the answer.
        match getattr(err, "code", None):
            case 404 | 410:
                raise _missing(name) from err
            case 401 | 403:
                raise _refused(name) from err
        raise _unavailable(name) from err


def _missing(name: str) -> NotFoundError:
    return NotFoundError(f"There is no file {name!r}; check its name and whether the store has it")


def _refused(name: str) -> UnsupportedError:
    return UnsupportedError(f"The store refuses to give {name!r}; check the credentials of whoever reads it")


def _unavailable(name: str) -> TransientError:
    return TransientError(f"The store of {name!r} does not answer; try again later")
