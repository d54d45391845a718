"""The pixels of one box, while its tiles are decoded."""

from __future__ import annotations

__all__ = ["Decoding"]

from collections.abc import Iterable, Iterator, Sequence
from itertools import batched, repeat
from math import nan, prod
from typing import Any

import numpy as np
from astropy.io.fits.hdu.compressed import _compression

from ...errors import UnsupportedError
from ._codecs import DECODING_ERRORS, TileDecoder, stored_type
from ._layout import Layout, Tiles
from ._quantize import dither_row, unquantized
from ._source import Source

type Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

# Of a tile, cfitsio makes all floats in less time than numpy makes this part.
_MOST = 0.3

# Pixels of small tiles that are put into the box together: with more, they
# leave the processor's cache before.
_TOGETHER = 2**16


class Decoding:
    """Decodes the tiles of one box, some at a time, in any thread.

    Parameters
    ----------
    source
        The file.
    layout
        What the header says of the tiles.
    box
        First column and row, width and height.
    tiles
        The tiles of the box.

    Raises
    ------
    UnsupportedError
        Raised if the box does not fit into memory, or the compression is
        not known.
    """

    def __init__(self, source: Source, layout: Layout, box: tuple[int, int, int, int], tiles: Tiles) -> None:
        self.tiles = tiles
        """The tiles."""
        self.data: list[memoryview] | None = None
        """Their bytes, if they were read together; else each part reads its own."""
        self.pixels = len(tiles.index) * prod(layout.tile)
        """How many they have, wanted or not."""
        self._source = source
        self._layout = layout
        self._box = box
        self._decoder = TileDecoder(layout)
        _, _, width, height = box
        try:
            self.result = np.empty((layout.planes * height, width), dtype=stored_type(layout.bitpix))
            """The pixels of the box, as an uncompressed image would store them."""
        except (MemoryError, ValueError) as err:
            raise UnsupportedError(
                f"{width} x {height} pixels of {source.name!r} do not fit into memory; cut a smaller region"
            ) from err

    def shares(self, pixels: int) -> Iterator[tuple[int, int]]:
        """Divide the tiles among threads.

        Parameters
        ----------
        pixels
            About how many a share has.

        Yields
        ------
        share : `tuple` [`int`, `int`]
            The first tile, and the one after the last, for `do`.
        """
        step = max(1, pixels // prod(self._layout.tile))
        for start in range(0, len(self.tiles.index), step):
            yield start, min(start + step, len(self.tiles.index))

    def do(self, start: int, stop: int) -> None:
        """Decode some of the tiles, which fill parts of `result` of their own.

        Parameters
        ----------
        start, stop
            The first of them, and the one after the last.

        Raises
        ------
        UnsupportedError
            Raised if one is damaged.
        """
        ranges = self.tiles.ranges
        data = self._source.read_ranges(ranges[start:stop]) if self.data is None else self.data[start:stop]
        layout = self._layout
        try:
            if layout.tile[1] == 1 and (layout.is_quantized or layout.algorithm == "RICE_1"):
                self._do_rows(start, stop, data)
            else:
                for number, packed in zip(range(start, stop), data, strict=True):
                    self._do_tile(number, packed)
        except DECODING_ERRORS as err:
            raise self._source.truncated() from err

    def _do_rows(self, start: int, stop: int, data: Sequence[memoryview]) -> None:
        # Tiles of one row, which are many and small: whatever Python does
        # for each of them, all threads wait for.
        groups: dict[int, list[int]] = {}
        for number in range(start, stop):
            if self.tiles.column[number]:
                self._do_tile(number, data[number - start])
            else:
                groups.setdefault(self.tiles.x[number], []).append(number)
        for x, numbers in groups.items():
            left, right, width = self._columns(x)
            at = x + left - self._box[0]
            for some in map(list, batched(numbers, max(1, _TOGETHER // width))):
                whole = self._decoder.numbers([bytes(data[number - start]) for number in some], width, 1)
                values = self._values_of_rows(some, whole, left, right, width)
                rows = [self.tiles.row[number] for number in some]
                self.result[rows, at : at + right - left] = values

    def _values_of_rows(
        self, numbers: list[int], whole: Iterable[bytes], left: int, right: int, width: int
    ) -> Array:
        layout, kind = self._layout, self._decoder.number_type
        if layout.is_quantized and layout.dither is not None and right - left > _MOST * width:
            kind = np.dtype(f"f{-layout.bitpix // 8}")
            whole = self._unquantized_in_c(numbers, whole, width)
        if (left, right) != (0, width):
            first, last = left * kind.itemsize, right * kind.itemsize
            whole = [one[first:last] for one in whole]
        values: Array = np.frombuffer(b"".join(whole), dtype=kind).reshape(-1, right - left)
        if layout.is_quantized and kind.kind != "f":
            values = self._unquantized(values, numbers, np.arange(left, right))
        return values

    def _do_tile(self, number: int, packed: memoryview) -> None:
        layout, tiles = self._layout, self.tiles
        left, right, width = self._columns(tiles.x[number])
        y, (_, box_y, _, box_height) = tiles.y[number], self._box
        height = min(layout.tile[1], layout.shape[1] - y)
        low, high = max(box_y - y, 0), min(box_y + box_height - y, height)
        pixels: Array
        if layout.is_quantized and not tiles.column[number]:
            (whole,) = self._decoder.numbers([bytes(packed)], width, height)
            if layout.dither is not None and (right - left) * (high - low) > _MOST * high * width:
                # Floats from the first pixel on, since the random numbers of
                # all pixels are gone through.
                size = high * width
                (plain,) = self._unquantized_in_c([number], [whole[: 4 * size]], size)
                pixels = np.frombuffer(plain, dtype=f"f{-layout.bitpix // 8}").reshape(-1, width)
                pixels = pixels[low:, left:right]
            else:
                part = np.frombuffer(whole, dtype="i4").reshape(-1, width)[low:high, left:right]
                at = (np.arange(low, high)[:, None] * width + np.arange(left, right)).reshape(-1)
                pixels = self._unquantized(part.reshape(1, -1), [number], at)
        else:
            span = (low * width, high * width)
            pixels = self._decoder.decode(tiles.column[number], packed, width, height, span)
            pixels = pixels.reshape(-1, width)[:, left:right]
        row, column = tiles.row[number], tiles.x[number] - self._box[0]
        self.result[row + low : row + high, column + left : column + right] = pixels.reshape(
            high - low, right - left
        )

    def _columns(self, x: int) -> tuple[int, int, int]:
        # Those of a tile that the box has, and how many the tile has.
        width = min(self._layout.tile[0], self._layout.shape[0] - x)
        return max(self._box[0] - x, 0), min(self._box[0] + self._box[2] - x, width), width

    def _blanks(self, numbers: list[int]) -> Array | None:
        if self.tiles.blank is not None:
            blanks: Array = self.tiles.blank[numbers]
            return blanks
        return None if self._layout.blank is None else np.full(len(numbers), self._layout.blank)

    def _unquantized(self, whole: Array, numbers: list[int], at: Array) -> Array:
        tiles = self.tiles
        index = np.array([tiles.index[number] for number in numbers])
        scale, zero = tiles.scale[numbers], tiles.zero[numbers]
        return unquantized(whole, self._layout, index, at, scale, zero, self._blanks(numbers))

    def _unquantized_in_c(self, numbers: list[int], whole: Iterable[bytes], size: int) -> Iterator[bytes]:
        layout, tiles = self._layout, self.tiles
        convert = (
            _compression.unquantize_float_c if layout.bitpix == -32 else _compression.unquantize_double_c
        )
        is_one: Iterable[int] = repeat(0)
        blank: Iterable[int] = repeat(0)
        if (blanks := self._blanks(numbers)) is not None:
            # A number that no pixel can be is no blank of any.
            known = (blanks >= -(2**31)) & (blanks < 2**31)
            is_one, blank = known.astype("i4").tolist(), np.where(known, blanks, 0).astype("i4").tolist()
        return map(
            convert,
            whole,
            [dither_row(layout, tiles.index[number]) for number in numbers],
            repeat(size),
            tiles.scale[numbers].tolist(),
            tiles.zero[numbers].tolist(),
            repeat(layout.dither),
            is_one,
            blank,
            repeat(nan),
            repeat(4),
        )
