"""FITS binary tables, after the conventions of STILTS.

A header says how many rows there are and how wide texts are, so all rows are
kept in a temporary file until the last one is known.  It has no name: the
kernel takes it back, however this process ends.
"""

from __future__ import annotations

__all__ = ["write_fits"]

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._bytes import Numbers, pad_texts, to_lines, to_numbers
from .._cells import iter_pieces, list_offsets
from .._descriptors import ServiceDescriptor
from .._layout import SCALARS, TEXTS, Layout, parse_arraysize
from .._table import Column, ResultTable, RowLimit, arrow_type
from ..votable import Info, describe_votable
from ._fits_header import Card, end_header, fill_block

_LETTERS = {
    "boolean": "L",
    "bit": "X",
    "unsignedByte": "B",
    "short": "I",
    "int": "J",
    "long": "K",
    "float": "E",
    "double": "D",
    "floatComplex": "C",
    "doubleComplex": "M",
}
# FITS 4.0 (7.3.3.1): a logical value that is neither.
_UNKNOWN = "\0"
_MOST_HEAP = 2**31 - 1
# FITS 4.0 (7.3.3.1): a cell of a text has the characters 32 to 126 of ASCII
# alone.  What parts words or lines goes on parting them, as in TSV.
_WHITE = r"[\t\r\n]"
_NOT_ASCII = r"[^\x20-\x7e]"


def write_fits(
    table: ResultTable,
    *,
    infos: Sequence[Info] = (),
    descriptors: Sequence[ServiceDescriptor] = (),
    description: str = "",
) -> Iterator[bytes]:
    """Write a result as a FITS file with one binary table.

    Parameters
    ----------
    table
        Columns, rows and their limit.
    infos, descriptors, description
        For the VOTable inside.

    Yields
    ------
    chunk : `bytes`
        Parts of the file, the first one when all rows are there.

    Notes
    -----
    The primary HDU holds a VOTable without rows, by which STILTS and TOPCAT
    get the metadata that FITS has no words for ("fits-plus"); it says, too,
    whether rows were left out.  Texts are of the width of the longest one; a
    tab or the end of a line in them becomes a blank, and what else cannot be
    printed in ASCII ``?``.  Arrays of one length are
    cells, others are in the heap.  Missing integers are those that ``TNULL``
    names, missing numbers NaN, missing texts blank.

    References
    ----------
    FITS 4.0, 7.3.
    """
    rows = RowLimit(table)
    schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in table.columns])
    shapes = [_Shape(column) for column in table.columns]
    with tempfile.TemporaryFile(prefix="dax-vo-fits-") as spool:
        count = 0
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(spool, schema, options=options) as writer:
            for batch in rows:
                count += batch.num_rows
                for shape, values in zip(shapes, batch.columns, strict=True):
                    shape.see(values)
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
        told = describe_votable(
            table.columns,
            infos=infos,
            descriptors=descriptors,
            description=description,
            overflow=rows.overflow,
        )
        yield _primary(told)
        heap = sum(shape.heap_bytes for shape in shapes)
        start = 0
        for shape in shapes:
            shape.settle(start, heap)
            start += shape.heap_bytes
        width = sum(shape.width for shape in shapes)
        yield _table_header(shapes, count, width, heap)
        yield from _iter_main(spool, shapes)
        yield from _iter_heap(spool, shapes)
        yield fill_block(count * width + heap, b"\0")


@dataclass(slots=True)
class _Shape:
    """How a column lies in the table; what is known of its values so far."""

    column: Column
    longest: int = 0
    shortest: int | None = None
    has_nulls: bool = False
    least: int = 0
    greatest: int = 0
    elements: int = 0
    null: int | None = None
    format: str = ""
    width: int = 0
    _heap_place: int = 0
    _descriptor: str = ""

    @property
    def layout(self) -> Layout:
        return SCALARS[self.column.datatype]

    @property
    def is_text(self) -> bool:
        return self.column.datatype in TEXTS

    def see(self, values: pa.Array) -> None:
        """Take note of some values."""
        if not len(values):
            return
        if self.is_text:
            # A character that is not ASCII has more bytes than its "?".
            self.longest = max(self.longest, pc.max(pc.binary_length(values)).as_py() or 0)
            return
        if pa.types.is_nested(values.type):
            lengths = pc.fill_null(pc.list_value_length(values), 0)
            found = pc.min_max(lengths).as_py()
            self.longest = max(self.longest, found["max"])
            self.shortest = min(found["min"], found["min"] if self.shortest is None else self.shortest)
            self.has_nulls |= bool(values.null_count)
            values = values.flatten()
            self.elements += len(values)
        if self.layout.kind == "integer":
            self.has_nulls |= bool(values.null_count)
            found = pc.min_max(values).as_py()
            self.least = min(self.least, found["min"] or 0)
            self.greatest = max(self.greatest, found["max"] or 0)

    def settle(self, heap_place: int, heap_bytes: int) -> None:
        """Choose the column's form, now that all values were seen."""
        if self.is_text:
            fixed = parse_arraysize(self.column.arraysize)
            self.width = max(1, self.longest if fixed is None else min(fixed, self.longest))
            self.format = f"{self.width}A"
            return
        letter = _LETTERS[self.column.datatype]
        if self.layout.kind == "integer":
            self.null = self._free_number()
        size = np.dtype(self.layout.code).itemsize
        count = self.count
        if count is None:
            is_large = heap_bytes > _MOST_HEAP
            self._descriptor = ">i8" if is_large else ">i4"
            letter = "L" if letter == "X" else letter
            self.format = f"1{'Q' if is_large else 'P'}{letter}({self.longest // self.layout.parts})"
            self.width = 16 if is_large else 8
            self._heap_place = heap_place
        elif self.layout.kind == "bits":
            self.format, self.width = f"{count}X", (count + 7) // 8
        else:
            self.format, self.width = f"{count // self.layout.parts}{letter}", count * size

    @property
    def count(self) -> int | None:
        """Numbers of a cell; `None` if they are in the heap."""
        if not pa.types.is_nested(arrow_type(self.column)):
            return 1
        fixed = parse_arraysize(self.column.arraysize)
        if fixed is not None:
            return fixed * self.layout.parts
        return self.longest if self.longest == self.shortest and self.longest else None

    @property
    def heap_bytes(self) -> int:
        if self.is_text or self.count is not None:
            return 0
        return self.elements * np.dtype(self.layout.code).itemsize

    def _free_number(self) -> int | None:
        if not self.has_nulls:
            return None
        bits = self.layout.arrow.bit_width
        low, high = (0, 255) if bits == 8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        # The usual one is the least; of bytes, which have no sign, the greatest.
        usual, other = (high, low) if bits == 8 else (low, high)
        used = (self.least, self.greatest)
        return other if usual in used and other not in used else usual

    def cells(self, values: pa.Array) -> Numbers:
        """Return what some rows have in the main table."""
        if self.is_text:
            return pad_texts(_ascii(values).cast(pa.binary()), self.width)
        if not pa.types.is_nested(values.type):
            numbers = to_numbers(values, self.layout, null=self.null, unknown=_UNKNOWN)
            return np.packbits(numbers[:, None], axis=1) if self.layout.kind == "bits" else numbers
        count = self.count
        if count is not None:
            lines = to_lines(values, count, self.layout, null=self.null, unknown=_UNKNOWN)
            return np.packbits(lines, axis=1) if self.layout.kind == "bits" else lines
        lengths = np.diff(list_offsets(values).to_numpy()).astype(np.int64)
        sizes = lengths * np.dtype(self.layout.code).itemsize
        places = self._heap_place + np.cumsum(sizes) - sizes
        self._heap_place += int(sizes.sum())
        return np.stack([lengths // self.layout.parts, places], axis=1).astype(self._descriptor)

    def heap(self, values: pa.Array) -> bytes:
        """Return what some rows have in the heap."""
        numbers = to_numbers(values.flatten(), self.layout, null=self.null, unknown=_UNKNOWN)
        if self.layout.kind == "bits":
            numbers = np.where(numbers, ord("T"), ord("F")).astype(np.uint8)
        return numbers.tobytes()


def _ascii(values: pa.Array) -> pa.Array:
    parted = pc.replace_substring_regex(values.fill_null(""), _WHITE, " ")
    return pc.replace_substring_regex(parted, _NOT_ASCII, "?")


def _iter_batches(spool: IO[bytes]) -> Iterator[pa.RecordBatch]:
    spool.seek(0)
    reader = pa.ipc.open_file(spool)
    for place in range(reader.num_record_batches):
        yield reader.get_batch(place)


def _iter_main(spool: IO[bytes], shapes: Sequence[_Shape]) -> Iterator[bytes]:
    for batch in _iter_batches(spool):
        for piece in iter_pieces(batch):
            cells = [shape.cells(values) for shape, values in zip(shapes, piece.columns, strict=True)]
            fields = [(f"f{place}", cell.dtype, cell.shape[1:]) for place, cell in enumerate(cells)]
            lines = np.empty(piece.num_rows, np.dtype(fields))
            for place, cell in enumerate(cells):
                lines[f"f{place}"] = cell
            yield lines.tobytes()


def _iter_heap(spool: IO[bytes], shapes: Sequence[_Shape]) -> Iterator[bytes]:
    for column, shape in enumerate(shapes):
        if not shape.is_text and shape.count is None:
            for batch in _iter_batches(spool):
                yield shape.heap(batch.column(column))


def _primary(content: bytes) -> bytes:
    # STILTS knows its "fits-plus" by these cards in this order.
    cards = [
        Card("SIMPLE", True, "FITS"),
        Card("BITPIX", 8, "characters"),
        Card("NAXIS", 1),
        Card("NAXIS1", len(content), "bytes of the VOTable"),
        Card("VOTMETA", True, "table metadata in VOTable format"),
        Card("EXTEND", True),
        Card("NTABLE", 1, "tables that follow"),
    ]
    return end_header(cards) + content + fill_block(len(content), b"\0")


def _table_header(shapes: Sequence[_Shape], count: int, width: int, heap: int) -> bytes:
    cards = [
        Card("XTENSION", "BINTABLE", "binary table"),
        Card("BITPIX", 8, "bytes"),
        Card("NAXIS", 2),
        Card("NAXIS1", width, "bytes of a row"),
        Card("NAXIS2", count, "rows"),
        Card("PCOUNT", heap, "bytes of the heap"),
        Card("GCOUNT", 1),
        Card("TFIELDS", len(shapes), "columns"),
    ]
    for number, shape in enumerate(shapes, start=1):
        column = shape.column
        size = column.arraysize or ""
        cards += [Card(f"TTYPE{number}", column.name), Card(f"TFORM{number}", shape.format)]
        if shape.null is not None:
            cards.append(Card(f"TNULL{number}", shape.null))
        if "x" in size and not size.endswith("*"):
            cards.append(Card(f"TDIM{number}", f"({size.replace('x', ',')})"))
        told = (
            ("TUNIT", column.unit),
            ("TUCD", column.ucd),
            ("TUTYP", column.utype),
            ("TCOMM", column.description),
        )
        cards += [Card(f"{word}{number}", text) for word, text in told if text]
    return end_header(cards)
