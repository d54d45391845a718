"""Boxes of pixels out of tile-compressed images, decoding only their tiles.

The table is read for the touched rows, the heap in one piece for each run of
neighbouring tiles, and of a tile nothing is made into pixels but what the
box wants.
"""

from __future__ import annotations

__all__ = ["TiledBox", "decoding_pool", "read_tiles"]

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache

import numpy as np

from .._image import Buffer
from ._cache import FileEntry
from ._decoding import Decoding
from ._header import Header
from ._layout import Layout, locate_tiles, read_layout, tile_numbers
from ._source import Source

type Box = tuple[int, int, int, int]

# Decoding fewer pixels than these is done before threads have started.
_PARALLEL = 2**17
_MOST_WORKERS = 8
# Tiles of a thread at a time, by their pixels: few enough that all threads
# are busy to the end, and many enough for one read of the file.
_SHARE = 2**20

# A larger table is read, and not kept, in part.
_MAX_TABLE = 2**20


@cache
def decoding_pool() -> ThreadPoolExecutor:
    """Return the threads for work in C, one a CPU; made when first needed."""
    return ThreadPoolExecutor(_workers(), thread_name_prefix="dax-vo-decode")


# A process that was forked has none of the threads.
os.register_at_fork(after_in_child=decoding_pool.cache_clear)


@dataclass(frozen=True, slots=True)
class TiledBox:
    """A box of pixels in one tile-compressed image."""

    header: Header
    """Header of the table that holds the tiles."""

    data_offset: int
    """Where the table begins."""

    data_size: int
    """Bytes of table and heap."""

    box: Box
    """First column and row, counted from 0, width and height."""


def read_tiles(source: Source, entry: FileEntry, boxes: Sequence[TiledBox]) -> list[Buffer]:
    """Return the pixels of boxes, as uncompressed images would store them.

    Parameters
    ----------
    source
        The file.
    entry
        What is known of it.
    boxes
        What to read.

    Returns
    -------
    data : `list` [`Buffer`]
        Big-endian, unscaled, all planes of a cube one after the other.

    Raises
    ------
    UnsupportedError
        Raised if the file is damaged or compressed in an unknown way.

    References
    ----------
    FITS 4.0, 10.
    """
    layouts = [_layout(source, entry, box) for box in boxes]
    tables = _read_tables(source, entry, layouts, boxes)
    works = [
        Decoding(source, layout, box.box, locate_tiles(source, layout, table, first, box.box))
        for layout, box, (first, table) in zip(layouts, boxes, tables, strict=True)
    ]
    if source.is_remote:
        # One round of requests for all.
        data = iter(source.read_ranges([span for work in works for span in work.tiles.ranges]))
        for work in works:
            work.data = [next(data) for _ in work.tiles.ranges]
    _decode(works)
    return [memoryview(work.result.reshape(-1).view(np.uint8)) for work in works]


def _decode(works: Sequence[Decoding]) -> None:
    pixels, threads = sum(work.pixels for work in works), _workers()
    share = min(_SHARE, pixels // (4 * threads)) if pixels >= _PARALLEL and threads > 1 else pixels
    # Tiles fill parts of the arrays that do not overlap.
    parts = deque((work, *part) for work in works for part in work.shares(max(share, 1)))

    def do() -> None:
        while parts:
            try:
                work, start, stop = parts.popleft()
            except IndexError:
                # Another thread was faster.
                return
            work.do(start, stop)

    # This thread does not wait for the others to begin, which they may not
    # where processors have other work.
    others = [decoding_pool().submit(do) for _ in range(threads - 1)] if share < pixels else []
    try:
        do()
    finally:
        # None of them reads the file when it is closed.
        parts.clear()
        wait([other for other in others if not other.cancel()])
    for other in others:
        if not other.cancelled():
            other.result()


def _layout(source: Source, entry: FileEntry, box: TiledBox) -> Layout:
    return entry.note(
        ("layout", box.data_offset),
        lambda: read_layout(source, box.header, box.data_offset, box.data_size),
    )


def _read_tables(
    source: Source, entry: FileEntry, layouts: Sequence[Layout], boxes: Sequence[TiledBox]
) -> list[tuple[int, memoryview]]:
    # The first row of each that is read, and the rows.
    parts = []
    for layout, box in zip(layouts, boxes, strict=True):
        numbers = tile_numbers(layout, box.box)
        first, rows = int(numbers[0]), int(numbers[-1] - numbers[0]) + 1
        # Of a remote table, all of it costs as much as some.
        count = layout.tiles * layout.planes
        if source.is_remote and count * layout.row_size <= _MAX_TABLE:
            first, rows = 0, count
        parts.append((first, (layout.table + first * layout.row_size, rows * layout.row_size)))
    missing = [part for _, part in parts if part not in entry.kept]
    found = dict(zip(missing, source.read_ranges(missing), strict=True))
    if source.is_remote:
        for (offset, _), data in found.items():
            entry.keep(offset, bytes(data))
    return [(first, found[part] if part in found else memoryview(entry.kept[part])) for first, part in parts]


def _workers() -> int:
    return min(os.cpu_count() or 1, _MOST_WORKERS)
