"""The table of tiles of a compressed image (FITS 4.0, 10)."""

from __future__ import annotations

__all__ = ["DATA_COLUMNS", "Layout", "Tiles", "locate_tiles", "read_layout", "tile_numbers"]

import re
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ._header import Header
from ._source import Source

type Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

# Pixels of one tile; more is a damaged header, not a tile.
_MAX_TILE = 2**28

# Planes of a cube; more is a table of spectra, not a set of images.
_MAX_PLANES = 4096

DATA_COLUMNS = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")
"""Where a tile may be, in the order of preference (FITS 4.0, 10.1.3)."""

_WIDTHS = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "P": 8, "Q": 16}
_TFORM = re.compile(r"(\d{0,18})([LXBIJKAEDCMPQ])(.*)")
_KINDS = {"P": ">i4", "Q": ">i8", "D": ">f8", "E": ">f4", "J": ">i4", "I": ">i2", "K": ">i8"}
_DITHERS = {"SUBTRACTIVE_DITHER_1": 1, "SUBTRACTIVE_DITHER_2": 2}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table."""

    offset: int
    """Where it begins in a row."""

    code: str
    """Type, as TFORM gives it."""

    element: str
    """Type of the elements that a descriptor points at."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the header says of the tiles."""

    shape: tuple[int, int]
    """Columns and rows of the image."""

    planes: int
    """Images of this shape, one after the other."""

    tile: tuple[int, int]
    """Columns and rows of a tile."""

    bitpix: int
    """Type of the pixels."""

    algorithm: str
    """ZCMPTYPE."""

    settings: dict[str, float]
    """ZVALn by ZNAMEn."""

    columns: dict[str, Column]
    """Columns of the table by name."""

    row_size: int
    """Bytes of a row."""

    table: int
    """Where the table begins in the file."""

    heap: int
    """Where the heap begins in the file."""

    end: int
    """Where it ends."""

    blank: int | None
    """Value that stands for no value, of all tiles."""

    scale: float
    """Step of quantized values, of all tiles."""

    zero: float
    """Quantized values are from here, of all tiles."""

    dither: int | None
    """Method of dithering; `None` for none."""

    seed: int
    """Its seed."""

    @property
    def is_quantized(self) -> bool:
        """Whether whole numbers stand for floats."""
        return self.bitpix < 0 and ("ZSCALE" in self.columns or self.scale != 0)

    @property
    def across(self) -> int:
        """Tiles beside one another."""
        return -(-self.shape[0] // self.tile[0])

    @property
    def tiles(self) -> int:
        """Tiles of one plane."""
        return self.across * -(-self.shape[1] // self.tile[1])


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of a box, column by column of what the table says of each."""

    index: list[int]
    """Their numbers, from 0."""

    x: list[int]
    """First column of each in the image."""

    y: list[int]
    """First row."""

    row: list[int]
    """First row of the tile in the result, which begins with the box."""

    column: list[int]
    """Which of `DATA_COLUMNS` holds it."""

    ranges: list[tuple[int, int]]
    """Place in the file and number of bytes."""

    scale: Array
    """Step of quantized values."""

    zero: Array
    """Zero point of quantized values."""

    blank: Array | None
    """Value that stands for no value."""


def read_layout(source: Source, header: Header, data_offset: int, data_size: int) -> Layout:
    """Read what a header says of the tiles.

    Parameters
    ----------
    source
        The file, for its name and size.
    header
        Header of the table.
    data_offset
        Where the table begins.
    data_size
        Bytes of table and heap.

    Returns
    -------
    layout : `Layout`

    Raises
    ------
    UnsupportedError
        Raised if the header is damaged, or the image is a cube in tiles of
        several planes.
    """
    axes = [header.integer(f"ZNAXIS{i}") or 0 for i in range(1, min(header.integer("ZNAXIS") or 0, 999) + 1)]
    tile = [header.integer(f"ZTILE{i}", 1 if i > 1 else None) or 0 for i in range(1, len(axes) + 1)]
    if "ZTILE1" not in header and axes:
        tile[0] = axes[0]
    if len(axes) < 2 or min(axes) < 1 or min(tile) < 1:
        raise source.truncated()
    planes = prod(axes[2:])
    further = zip(tile[2:], axes[2:], strict=True)
    if planes > _MAX_PLANES or any(thick > 1 and axis > 1 for thick, axis in further):
        raise UnsupportedError(
            f"The file {source.name!r} holds a cube that is compressed across its planes, or has more than "
            f"{_MAX_PLANES} of them; cutouts are made from images, so extract the planes first"
        )
    columns, row_size = _read_columns(header)
    row_count = header.integer("NAXIS2") or 0
    algorithm = header.text("ZCMPTYPE")
    settings = {
        header.text(f"ZNAME{i}").upper(): header.number(f"ZVAL{i}") or 0
        for i in range(1, 100)
        if f"ZNAME{i}" in header
    }
    heap = header.integer("THEAP", row_size * row_count) or 0
    layout = Layout(
        shape=(axes[0], axes[1]),
        planes=planes,
        tile=(min(tile[0], axes[0]), min(tile[1], axes[1])),
        bitpix=header.integer("ZBITPIX") or 0,
        algorithm="RICE_1" if algorithm == "RICE_ONE" else algorithm,
        settings=settings,
        columns=columns,
        row_size=row_size,
        table=data_offset,
        heap=data_offset + heap,
        end=min(data_offset + data_size, source.size),
        blank=header.integer("ZBLANK", header.integer("BLANK")),
        scale=header.number("ZSCALE") or 0.0,
        zero=header.number("ZZERO") or 0.0,
        dither=_DITHERS.get(header.text("ZQUANTIZ")),
        seed=header.integer("ZDITHER0", 1) or 0,
    )
    if (
        prod(layout.tile) > _MAX_TILE
        or row_size != header.integer("NAXIS1")
        or row_count < layout.tiles * planes
        or not row_size * row_count <= heap <= data_size
        or layout.heap > layout.end
        or "COMPRESSED_DATA" not in columns
    ):
        raise source.truncated()
    return layout


def locate_tiles(
    source: Source, layout: Layout, table: memoryview, first: int, box: tuple[int, int, int, int]
) -> Tiles:
    """Find the tiles of a box.

    Parameters
    ----------
    source
        The file, for its name and size.
    layout
        What the header says of the tiles.
    table
        Rows of the table that hold all those of the box.
    first
        Number of the first of these rows.
    box
        First column and row, width and height.

    Returns
    -------
    tiles : `Tiles`
        Row by row of all planes.

    Raises
    ------
    UnsupportedError
        Raised if the table points where no tile can be.
    """
    number = tile_numbers(layout, box)
    rows = np.frombuffer(table, dtype=np.uint8).reshape(-1, layout.row_size)[number - first]
    # Each tile is in the first of the columns that has it.
    filled = np.full(len(rows), -1)
    count, offset = np.zeros(len(rows), dtype="i8"), np.zeros(len(rows), dtype="i8")
    for i, name in reversed(list(enumerate(DATA_COLUMNS))):
        column = layout.columns.get(name)
        if column is None:
            continue
        if column.code not in "PQ":
            raise source.truncated()
        pairs = _values(rows, column).astype(np.int64)
        has = pairs[:, 0] > 0
        filled[has], offset[has] = i, pairs[has, 1]
        count[has] = pairs[has, 0] * _WIDTHS.get(column.element, 1)
    space = layout.end - layout.heap
    if np.any((filled < 0) | (offset < 0) | (count > space) | (offset > space - count)):
        raise source.truncated()
    named = {
        name: _values(rows, layout.columns[name]) if name in layout.columns else None
        for name in ("ZSCALE", "ZZERO", "ZBLANK")
    }
    scale, zero, blank = (None if values is None else values.reshape(-1) for values in named.values())
    plane, within = number // layout.tiles, number % layout.tiles
    y = within // layout.across * layout.tile[1]
    return Tiles(
        index=number.tolist(),
        x=(within % layout.across * layout.tile[0]).tolist(),
        y=y.tolist(),
        row=(plane * box[3] + y - box[1]).tolist(),
        column=filled.tolist(),
        ranges=list(zip((offset + layout.heap).tolist(), count.tolist(), strict=True)),
        scale=np.full(len(rows), layout.scale) if scale is None else scale.astype("f8"),
        zero=np.full(len(rows), layout.zero) if zero is None else zero.astype("f8"),
        blank=blank,
    )


def tile_numbers(layout: Layout, box: tuple[int, int, int, int]) -> Array:
    """Return the numbers of the tiles that a box touches.

    Parameters
    ----------
    layout
        What the header says of the tiles.
    box
        First column and row, width and height.

    Returns
    -------
    numbers : `numpy.ndarray`
        In order.
    """
    x, y, width, height = box
    columns = np.arange(x // layout.tile[0], (x + width - 1) // layout.tile[0] + 1)
    rows = np.arange(y // layout.tile[1], (y + height - 1) // layout.tile[1] + 1)
    planes = np.arange(layout.planes) * layout.tiles
    return (planes[:, None, None] + rows[:, None] * layout.across + columns).ravel()


def _read_columns(header: Header) -> tuple[dict[str, Column], int]:
    columns = {}
    at = 0
    for number in range(1, min(header.integer("TFIELDS") or 0, 999) + 1):
        match = _TFORM.fullmatch(header.text(f"TFORM{number}"))
        if match is None:
            continue
        repeat = int(match[1] or 1)
        columns[header.text(f"TTYPE{number}").upper()] = Column(at, match[2], match[3][:1])
        at += repeat * _WIDTHS.get(match[2], 0)
    return columns, at


def _values(rows: Array, column: Column) -> Array:
    kind = _KINDS.get(column.code, "u1")
    width = np.dtype(kind).itemsize * (2 if column.code in "PQ" else 1)
    values: Array = np.ascontiguousarray(rows[:, column.offset : column.offset + width]).view(kind)
    return values
