"""Boxes of pixels out of tile-compressed images, decoding only their tiles.

The table is read for the touched rows, the heap in one piece for each run of
neighbouring tiles, and of a tile nothing is made into pixels but what the
box wants.
"""

from __future__ import annotations

__all__ = ["TiledBox", "decoding_pool", "read_tiles"]

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np
from astropy.io.fits.hdu.compressed import _compression

from ...errors import UnsupportedError
from .._image import Buffer
from ._cache import FileEntry
from ._codecs import DECODING_ERRORS, TileDecoder, stored_type
from ._header import Header
from ._layout import Layout, Tiles, locate_tiles, read_layout, tile_numbers
from ._quantize import dither_row, unquantized
from ._source import Source

type Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
type Box = tuple[int, int, int, int]

# Decoding fewer pixels than these is done before threads have started.
_PARALLEL = 2**17
_MOST_WORKERS = 8
# Tiles of a thread at a time, by their pixels: few enough that all threads
# are busy to the end, and many enough for one read of the file.
_SHARE = 2**20

# A larger table is read, and not kept, in part.
_MAX_TABLE = 2**20

# Of a tile, cfitsio makes all floats in less time than numpy makes this part.
_MOST = 0.3


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
        _Work(source, layout, box.box, locate_tiles(source, layout, table, first, box.box))
        for layout, box, (first, table) in zip(layouts, boxes, tables, strict=True)
    ]
    if source.is_remote:
        # One round of requests for all.
        data = iter(source.read_ranges([span for work in works for span in work.tiles.ranges]))
        for work in works:
            work.data = [next(data) for _ in work.tiles.ranges]
    pixels = sum(work.pixels for work in works)
    if pixels < _PARALLEL or _workers() == 1:
        for work in works:
            work.do(0, len(work.tiles.index))
    else:
        share = min(_SHARE, pixels // (4 * _workers()))
        # Tiles fill parts of the arrays that do not overlap.
        shares = [(work, *part) for work in works for part in work.shares(share)]
        list(decoding_pool().map(lambda part: part[0].do(part[1], part[2]), shares))
    return [memoryview(work.result.reshape(-1).view(np.uint8)) for work in works]


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


class _Work:
    """The pixels of one box, while they are decoded."""

    def __init__(self, source: Source, layout: Layout, box: Box, tiles: Tiles) -> None:
        self.source = source
        self.layout = layout
        self.box = box
        self.tiles = tiles
        self.data: list[memoryview] | None = None
        self.pixels = len(tiles.index) * prod(layout.tile)
        self.decoder = TileDecoder(layout)
        _, _, width, height = box
        try:
            self.result = np.empty((layout.planes * height, width), dtype=stored_type(layout.bitpix))
        except (MemoryError, ValueError) as err:
            raise UnsupportedError(
                f"{width} x {height} pixels of {source.name!r} do not fit into memory; cut a smaller region"
            ) from err

    def shares(self, pixels: int) -> Iterator[tuple[int, int]]:
        """Yield numbers of tiles, first and after the last, of about so many pixels."""
        step = max(1, pixels // prod(self.layout.tile))
        for start in range(0, len(self.tiles.index), step):
            yield start, min(start + step, len(self.tiles.index))

    def do(self, start: int, stop: int) -> None:
        """Decode some of the tiles."""
        data = self.data
        part = (
            data[start:stop] if data is not None else self.source.read_ranges(self.tiles.ranges[start:stop])
        )
        try:
            if self.layout.tile[1] == 1 and self.layout.is_quantized:
                self._do_rows(start, stop, part)
            else:
                for number, packed in zip(range(start, stop), part, strict=True):
                    self._do_tile(number, packed)
        except DECODING_ERRORS as err:
            raise self.source.truncated() from err

    def _do_rows(self, start: int, stop: int, data: Sequence[memoryview]) -> None:
        # Tiles of one row, which are many and small: their floats are made
        # together.
        groups: dict[int, list[int]] = {}
        for number in range(start, stop):
            groups.setdefault(self.tiles.x[number], []).append(number)
        for x, numbers in groups.items():
            left, right, width = self._columns(x)
            if right - left > _MOST * width:
                for number in numbers:
                    self._do_tile(number, data[number - start])
                continue
            stack = np.empty((len(numbers), right - left), dtype="i4")
            stacked: list[int] = []
            for number in numbers:
                pixels, is_plain = self.decoder.decode(
                    self.tiles.column[number], data[number - start], width, 1, (left, right)
                )
                if is_plain:
                    self._place(number, pixels, left, right, 0, 1)
                else:
                    stack[len(stacked)] = pixels
                    stacked.append(number)
            if stacked:
                values = self._unquantized(stack[: len(stacked)], stacked, np.arange(left, right))
                rows = [self.tiles.row[number] for number in stacked]
                at = x + left - self.box[0]
                self.result[rows, at : at + right - left] = values

    def _do_tile(self, number: int, packed: memoryview) -> None:
        layout, tiles = self.layout, self.tiles
        left, right, width = self._columns(tiles.x[number])
        y, (_, box_y, _, box_height) = tiles.y[number], self.box
        height = min(layout.tile[1], layout.shape[1] - y)
        low, high = max(box_y - y, 0), min(box_y + box_height - y, height)
        # Whole rows; floats come from the first pixel on where the random
        # numbers of all pixels are gone through.
        wanted = (right - left) * (high - low)
        is_whole = layout.dither is not None and wanted > _MOST * high * width
        start, stop = (0 if is_whole else low * width), high * width
        pixels, is_plain = self.decoder.decode(tiles.column[number], packed, width, height, (start, stop))
        if layout.is_quantized and not is_plain:
            if is_whole:
                pixels = self._unquantized_in_c(number, pixels)
            else:
                part = pixels.reshape(-1, width)[:, left:right].reshape(1, -1)
                at = (np.arange(low, high)[:, None] * width + np.arange(left, right)).reshape(-1)
                values = self._unquantized(part, [number], at)
                self._place(number, values, left, right, low, high)
                return
        self._place(
            number, pixels.reshape(-1, width)[low - start // width :, left:right], left, right, low, high
        )

    def _columns(self, x: int) -> tuple[int, int, int]:
        width = min(self.layout.tile[0], self.layout.shape[0] - x)
        return max(self.box[0] - x, 0), min(self.box[0] + self.box[2] - x, width), width

    def _place(self, number: int, pixels: Array, left: int, right: int, low: int, high: int) -> None:
        row, column = self.tiles.row[number], self.tiles.x[number] - self.box[0]
        self.result[row + low : row + high, column + left : column + right] = pixels.reshape(
            high - low, right - left
        )

    def _unquantized(self, whole: Array, numbers: list[int], at: Array) -> Array:
        tiles = self.tiles
        blank = tiles.blank[numbers] if tiles.blank is not None else None
        if blank is None and self.layout.blank is not None:
            blank = np.full(len(numbers), self.layout.blank)
        return unquantized(
            whole,
            self.layout,
            np.array([tiles.index[number] for number in numbers]),
            at,
            tiles.scale[numbers],
            tiles.zero[numbers],
            blank,
        )

    def _unquantized_in_c(self, number: int, pixels: Array) -> Array:
        layout, tiles = self.layout, self.tiles
        whole = np.ascontiguousarray(pixels, dtype="i4")
        convert = (
            _compression.unquantize_float_c if layout.bitpix == -32 else _compression.unquantize_double_c
        )
        plain = convert(
            whole.tobytes(),
            dither_row(layout, tiles.index[number]),
            whole.size,
            float(tiles.scale[number]),
            float(tiles.zero[number]),
            layout.dither,
            0,
            0,
            0.0,
            4,
        )
        values: Array = np.frombuffer(plain, dtype=f"f{-layout.bitpix // 8}")
        blank = layout.blank if tiles.blank is None else int(tiles.blank[number])
        if blank is not None:
            missing = whole == blank
            if np.any(missing):
                values = values.copy()
                values[missing] = np.nan
        return values


def _workers() -> int:
    return min(os.cpu_count() or 1, _MOST_WORKERS)
