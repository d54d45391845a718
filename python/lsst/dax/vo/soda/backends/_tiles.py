"""Boxes of pixels out of tile-compressed images, decoding only their tiles.

The tile table is read for the touched rows only and the heap in one piece
for each run of neighbouring tiles.  Decoding is C code that runs without the
GIL: zlib (or ISA-L, which is up to four times faster where it is installed)
and the codecs of `astropy.io.fits`.
"""

from __future__ import annotations

__all__ = ["read_tiles"]

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from .._image import Buffer
from ._header import Header
from ._source import Source

_zlib: Any = import_module("isal.isal_zlib" if find_spec("isal") else "zlib")

type Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

# Decoding fewer pixels than these is done before threads have started.
_PARALLEL = 2**18
_MOST_WORKERS = 4

# Pixels of one tile; more is a damaged header, not a tile.
_MAX_TILE = 2**28

# Heap bytes that are read although no tile needs them, to save a request.
_GAP = 2**16

_WIDTHS = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "P": 8, "Q": 16}
_TFORM = re.compile(r"(\d*)([LXBIJKAEDCMPQ])(.*)")
_KINDS = {"P": ">i4", "Q": ">i8", "D": ">f8", "E": ">f4", "J": ">i4", "I": ">i2", "K": ">i8"}
_DITHERS = {"SUBTRACTIVE_DITHER_1": 1, "SUBTRACTIVE_DITHER_2": 2}


@dataclass(frozen=True, slots=True)
class _Column:
    offset: int
    code: str
    element: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the header says of the tiles."""

    shape: tuple[int, int]
    tile: tuple[int, int]
    bitpix: int
    algorithm: str
    settings: dict[str, float]
    columns: dict[str, _Column]
    row_size: int
    row_count: int
    heap: int
    blank: int | None
    scale: float
    zero: float
    dither: int | None
    seed: int

    @property
    def is_quantized(self) -> bool:
        return self.bitpix < 0 and ("ZSCALE" in self.columns or self.scale != 0)


@dataclass(frozen=True, slots=True)
class _Tile:
    """One tile: where it is in the image, and what the table says of it."""

    index: int
    x: int
    y: int
    width: int
    height: int
    column: str
    count: int
    offset: int
    scale: float
    zero: float
    blank: int | None

    @property
    def size(self) -> int:
        return self.width * self.height


def read_tiles(source: Source, header: Header, data_offset: int, box: tuple[int, int, int, int]) -> Buffer:
    """Return the pixels of a box, as an uncompressed image would store them.

    Parameters
    ----------
    source
        The file.
    header
        Header of the table that holds the tiles.
    data_offset
        Where the table begins.
    box
        First column and row, counted from 0, width and height.

    Returns
    -------
    data : `Buffer`
        Big-endian, unscaled.

    Raises
    ------
    UnsupportedError
        Raised if the file is damaged or compressed in an unknown way.

    References
    ----------
    FITS 4.0, 10.
    """
    layout = _read_layout(source, header)
    x, y, width, height = box
    result = np.empty((height, width), dtype=f">{'f' if layout.bitpix < 0 else 'i'}{abs(layout.bitpix) // 8}")
    if layout.bitpix == 8:
        result = result.view(np.uint8)
    tiles = _touched(source, layout, data_offset, box)
    decode = _decoder(layout)

    def place(pieces: Sequence[tuple[_Tile, memoryview]]) -> None:
        for tile, data in pieces:
            try:
                pixels = decode(tile, data)
            except (ValueError, _zlib.error, ArithmeticError, OSError) as err:
                raise source.truncated() from err
            left, right = max(x, tile.x), min(x + width, tile.x + tile.width)
            low, high = max(y, tile.y), min(y + height, tile.y + tile.height)
            result[low - y : high - y, left - x : right - x] = pixels[
                low - tile.y : high - tile.y, left - tile.x : right - tile.x
            ]

    pieces = list(_heap_data(source, layout, data_offset, tiles))
    workers = min(os.cpu_count() or 1, _MOST_WORKERS)
    if workers > 1 and sum(tile.size for tile in tiles) >= _PARALLEL:
        # Tiles fill parts of the array that do not overlap.
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(place, [pieces[i::workers] for i in range(workers)]))
    else:
        place(pieces)
    return memoryview(np.ascontiguousarray(result).reshape(-1).view(np.uint8))


def _read_layout(source: Source, header: Header) -> _Layout:
    algorithm = header.text("ZCMPTYPE")
    axes = [header.integer(f"ZNAXIS{i}") or 0 for i in range(1, (header.integer("ZNAXIS") or 0) + 1)]
    if len(axes) < 2 or any(axis != 1 for axis in axes[2:]):
        raise UnsupportedError(
            f"The file {source.name!r} holds a compressed cube; cutouts need a plane image"
        )
    tile = (header.integer("ZTILE1", axes[0]) or 0, header.integer("ZTILE2", 1) or 0)
    columns, row_size = _read_columns(header)
    row_count = header.integer("NAXIS2") or 0
    tiles = -(-axes[0] // max(tile[0], 1)) * -(-axes[1] // max(tile[1], 1))
    if (
        min(tile) < 1
        or min(axes) < 1
        or min(tile[0], axes[0]) * min(tile[1], axes[1]) > _MAX_TILE
        or row_size != header.integer("NAXIS1")
        or row_count < tiles
        or "COMPRESSED_DATA" not in columns
    ):
        raise source.truncated()
    settings = {
        header.text(f"ZNAME{i}").upper(): header.number(f"ZVAL{i}") or 0
        for i in range(1, 100)
        if f"ZNAME{i}" in header
    }
    quantize = header.text("ZQUANTIZ")
    return _Layout(
        shape=(axes[0], axes[1]),
        tile=tile,
        bitpix=header.integer("ZBITPIX") or 0,
        algorithm="RICE_1" if algorithm == "RICE_ONE" else algorithm,
        settings=settings,
        columns=columns,
        row_size=row_size,
        row_count=row_count,
        heap=header.integer("THEAP", row_size * row_count) or 0,
        blank=header.integer("ZBLANK", header.integer("BLANK")),
        scale=header.number("ZSCALE") or 0.0,
        zero=header.number("ZZERO") or 0.0,
        dither=_DITHERS.get(quantize),
        seed=header.integer("ZDITHER0", 0) or 0,
    )


def _read_columns(header: Header) -> tuple[dict[str, _Column], int]:
    columns = {}
    at = 0
    for number in range(1, (header.integer("TFIELDS") or 0) + 1):
        match = _TFORM.fullmatch(header.text(f"TFORM{number}"))
        if match is None:
            continue
        repeat = int(match[1] or 1)
        columns[header.text(f"TTYPE{number}").upper()] = _Column(at, match[2], match[3][:1])
        at += repeat * _WIDTHS.get(match[2], 0)
    return columns, at


def _touched(
    source: Source, layout: _Layout, data_offset: int, box: tuple[int, int, int, int]
) -> list[_Tile]:
    x, y, width, height = box
    across = -(-layout.shape[0] // layout.tile[0])
    tile_columns = range(x // layout.tile[0], (x + width - 1) // layout.tile[0] + 1)
    tile_rows = range(y // layout.tile[1], (y + height - 1) // layout.tile[1] + 1)
    first = tile_rows[0] * across + tile_columns[0]
    last = tile_rows[-1] * across + tile_columns[-1]
    table = np.frombuffer(
        source.read(data_offset + first * layout.row_size, (last - first + 1) * layout.row_size),
        dtype=np.uint8,
    ).reshape(-1, layout.row_size)
    number = (np.array(tile_rows)[:, None] * across + np.array(tile_columns)).ravel()
    table = table[number - first]
    # Each tile is in the first of the columns that has it.
    filled = np.full(len(table), -1)
    count, offset = np.zeros(len(table), dtype="i8"), np.zeros(len(table), dtype="i8")
    names = [name for name in _DATA_COLUMNS if name in layout.columns]
    for i, name in reversed(list(enumerate(names))):
        pairs = _values(table, layout.columns, name)
        if pairs is None or pairs.ndim != 2:
            raise source.truncated()
        places = pairs.astype(np.int64)
        has = places[:, 0] > 0
        filled[has], count[has], offset[has] = i, places[has, 0], places[has, 1]
    if np.any(filled < 0):
        raise source.truncated()
    scale, zero, blank = (_values(table, layout.columns, name) for name in ("ZSCALE", "ZZERO", "ZBLANK"))
    tiles = []
    for i, index in enumerate(number.tolist()):
        tile_x, tile_y = index % across * layout.tile[0], index // across * layout.tile[1]
        tiles.append(
            _Tile(
                index=index,
                x=tile_x,
                y=tile_y,
                width=min(layout.tile[0], layout.shape[0] - tile_x),
                height=min(layout.tile[1], layout.shape[1] - tile_y),
                column=names[filled[i]],
                count=int(count[i]),
                offset=int(offset[i]),
                scale=layout.scale if scale is None else float(scale[i]),
                zero=layout.zero if zero is None else float(zero[i]),
                blank=layout.blank if blank is None else int(blank[i]),
            )
        )
    return tiles


# Where a tile may be, in the order of preference (FITS 4.0, 10.1.3).
_DATA_COLUMNS = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")


def _values(table: Array, columns: dict[str, _Column], name: str) -> Array | None:
    column = columns.get(name)
    if column is None:
        return None
    kind = _KINDS.get(column.code, "u1")
    number = 2 if column.code in "PQ" else 1
    width = np.dtype(kind).itemsize * number
    values = np.ascontiguousarray(table[:, column.offset : column.offset + width]).view(kind)
    return values if number == 2 else values[:, 0]


def _heap_data(
    source: Source, layout: _Layout, data_offset: int, tiles: Sequence[_Tile]
) -> Iterator[tuple[_Tile, memoryview]]:
    spans = [
        (tile.offset, tile.count * _WIDTHS.get(layout.columns[tile.column].element, 1), tile)
        for tile in tiles
    ]
    spans.sort(key=lambda span: span[0])
    at = 0
    while at < len(spans):
        start, size, _ = spans[at]
        end, upto = start + size, at + 1
        while upto < len(spans) and spans[upto][0] <= end + _GAP:
            end = max(end, spans[upto][0] + spans[upto][1])
            upto += 1
        data = memoryview(source.read(data_offset + layout.heap + start, end - start))
        for offset, count, tile in spans[at:upto]:
            yield tile, data[offset - start : offset - start + count]
        at = upto


def _decoder(layout: _Layout) -> Callable[[_Tile, memoryview], Array]:
    unpack = _unpacker(layout)
    native = np.dtype(f"{'f' if layout.bitpix < 0 else 'i'}{abs(layout.bitpix) // 8}")

    def decode(tile: _Tile, data: memoryview) -> Array:
        if tile.column == "UNCOMPRESSED_DATA":
            return np.frombuffer(data, dtype=native.newbyteorder(">")).reshape(tile.height, tile.width)
        if tile.column == "GZIP_COMPRESSED_DATA":
            # Pixels that would not quantize: floats as they were.
            plain = _inflated(data, tile.size * native.itemsize)
            return np.frombuffer(plain, dtype=native.newbyteorder(">")).reshape(tile.height, tile.width)
        pixels = unpack(tile, data)
        if layout.is_quantized:
            return _unquantized(pixels, tile, layout)
        return pixels

    return decode


def _unpacker(layout: _Layout) -> Callable[[_Tile, memoryview], Array]:
    is_float = layout.bitpix < 0 and not layout.is_quantized
    match layout.algorithm:
        case "GZIP_1" | "GZIP_2" | "NOCOMPRESS":

            def unpack(tile: _Tile, data: memoryview) -> Array:
                is_plain = layout.algorithm == "NOCOMPRESS"
                plain = bytes(data) if is_plain else _inflated(data, tile.size * 8)
                width = len(plain) // tile.size
                kind = "u1" if width == 1 else f">{'f' if is_float else 'i'}{width}"
                if layout.algorithm == "GZIP_2" and width > 1:
                    # All first bytes, then all second bytes, and so on.
                    shuffled = np.frombuffer(plain, dtype=np.uint8).reshape(width, tile.size)
                    plain = shuffled.T.tobytes()
                return np.frombuffer(plain, dtype=kind).reshape(tile.height, tile.width)

            return unpack
        case "RICE_1" | "PLIO_1" | "HCOMPRESS_1":
            return _astropy_unpacker(layout)
    raise UnsupportedError(
        f"The compression {layout.algorithm!r} is not known; the FITS standard has GZIP_1, GZIP_2, RICE_1, "
        "PLIO_1, HCOMPRESS_1 and NOCOMPRESS"
    )


def _astropy_unpacker(layout: _Layout) -> Callable[[_Tile, memoryview], Array]:
    # Private to astropy, and the same since 6.0; the tests of this module
    # read every codec through it.
    from astropy.io.fits.hdu.compressed import _compression

    block = int(layout.settings.get("BLOCKSIZE", 32))
    width = int(layout.settings.get("BYTEPIX", 4))
    smooth, scale = int(layout.settings.get("SMOOTH", 0)), int(layout.settings.get("SCALE", 0))
    if layout.algorithm == "RICE_1" and (width not in (1, 2, 4) or not 0 < block <= 4096):
        raise UnsupportedError("The Rice parameters of the file are not those of the FITS standard")

    def unpack(tile: _Tile, data: memoryview) -> Array:
        packed = bytes(data)
        try:
            match layout.algorithm:
                case "RICE_1":
                    plain = _compression.decompress_rice_1_c(packed, block, width, tile.size)
                    kind = "u1" if width == 1 else f"i{width}"
                case "PLIO_1":
                    words = np.frombuffer(packed, dtype=">i2").astype("i2").tobytes()
                    plain, kind = _compression.decompress_plio_1_c(words, tile.size), "i4"
                case _:
                    plain = _compression.decompress_hcompress_1_c(
                        packed, tile.height, tile.width, scale, smooth, 8
                    )
                    kind = "i4"
        except _compression.CfitsioException as err:
            raise ValueError(str(err)) from err
        return np.frombuffer(plain, dtype=kind)[: tile.size].reshape(tile.height, tile.width)

    return unpack


def _inflated(data: memoryview, most: int) -> bytes:
    plain = _zlib.decompress(data, 31)
    if len(plain) > most:
        raise ValueError("a tile unpacks to more than its pixels")
    return bytes(plain)


def _unquantized(pixels: Array, tile: _Tile, layout: _Layout) -> Array:
    kind = f"f{-layout.bitpix // 8}"
    whole = np.ascontiguousarray(pixels, dtype="i4")
    if layout.dither is None:
        values: Array = (whole * tile.scale + tile.zero).astype(kind)
    else:
        from astropy.io.fits.hdu.compressed import _compression

        unquantize = (
            _compression.unquantize_float_c if layout.bitpix == -32 else _compression.unquantize_double_c
        )
        row = tile.index + layout.seed
        plain = unquantize(
            whole.tobytes(), row, whole.size, tile.scale, tile.zero, layout.dither, 0, 0, 0.0, 4
        )
        values = np.frombuffer(plain, dtype=kind).reshape(whole.shape)
    if tile.blank is not None:
        blank = whole == tile.blank
        if np.any(blank):
            values = values.copy()
            values[blank] = np.nan
    return values
