"""The rows of BINARY and BINARY2: from bytes to Arrow."""

from __future__ import annotations

__all__ = ["parse_rows"]

import itertools
import struct
from array import array
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import UsageError, quoted
from .._bytes import Numbers
from .._layout import SCALARS, TEXTS, parse_arraysize
from .._table import Column, arrow_type
from ._parse_cells import without_nan

_LENGTH = struct.Struct(">i")
_ROWS_PER_PART = 8192


def parse_rows(
    columns: Sequence[Column],
    nulls: Sequence[str | None],
    data: bytes | bytearray,
    has_flags: bool,
    max_rows: int | None,
) -> list[pa.ChunkedArray]:
    """Convert the bytes of a table.

    Parameters
    ----------
    columns
        Metadata of its columns.
    nulls
        For each, the number that is a missing value, as text.
    data
        The rows.
    has_flags
        Whether each row begins with a flag for each column (BINARY2).
    max_rows
        Rows that there may be.

    Returns
    -------
    arrays : `list` [`pyarrow.ChunkedArray`]

    Raises
    ------
    UsageError
        Raised if the bytes end in the middle of a row, or there are too many
        rows.
    """
    flag_bytes = (len(columns) + 7) // 8 if has_flags else 0
    content = np.frombuffer(data, np.uint8)
    row_starts, starts, counts = _find_cells(columns, data, flag_bytes, max_rows)
    is_null = np.zeros(starts.shape, bool)
    if has_flags:
        flags = content[row_starts[:, None] + np.arange(flag_bytes)]
        is_null = np.unpackbits(flags, axis=1)[:, : len(columns)].astype(bool)
    # In parts: the places of bytes take more room than the bytes.
    parts = [slice(first, first + _ROWS_PER_PART) for first in range(0, max(1, len(starts)), _ROWS_PER_PART)]
    return [
        pa.chunked_array(
            [
                _parse_column(
                    column, null, content, starts[part, i], counts[part, i], is_null[part, i], has_flags
                )
                for part in parts
            ]
        )
        for i, (column, null) in enumerate(zip(columns, nulls, strict=True))
    ]


def _find_cells(
    columns: Sequence[Column], data: bytes | bytearray, flag_bytes: int, max_rows: int | None
) -> tuple[Numbers, Numbers, Numbers]:
    """Return where rows begin, where cells begin, and how many elements these have.

    The latter two are of shape ``(rows, columns)``; a cell begins behind its
    length.
    """
    fixed = [parse_arraysize(column.arraysize) for column in columns]
    known = [count for count in fixed if count is not None]
    if len(known) == len(fixed):
        sizes = np.array([_bytes_of(column, count) for column, count in zip(columns, known, strict=True)])
        width = flag_bytes + int(sizes.sum())
        rows, rest = divmod(len(data), width) if width else (0, 0)
        _check_rows(rows, max_rows)
        if rest:
            raise _cut_short(rows)
        row_starts = np.arange(rows, dtype=np.int64) * width
        starts = row_starts[:, None] + flag_bytes + np.cumsum(sizes) - sizes
        return row_starts, starts, np.broadcast_to(np.array(known, np.int64), starts.shape)
    rows_found, starts_found, counts_found = array("q"), array("q"), array("q")
    place, end = 0, len(data)
    while place < end:
        rows_found.append(place)
        _check_rows(len(rows_found), max_rows)
        place += flag_bytes
        for column, size in zip(columns, fixed, strict=True):
            count = size
            if count is None:
                if place + 4 > end:
                    raise _cut_short(len(rows_found) - 1)
                (count,) = _LENGTH.unpack_from(data, place)
                if count < 0:
                    raise UsageError(
                        f"Row {len(rows_found)} of the VOTable has an array of {count} elements; "
                        "check how it was written"
                    )
                place += 4
            starts_found.append(place)
            counts_found.append(count)
            place += _bytes_of(column, count)
        if place > end:
            raise _cut_short(len(rows_found) - 1)
    shape = (len(rows_found), len(columns))
    starts, counts = (np.array(found, np.int64).reshape(shape) for found in (starts_found, counts_found))
    return np.array(rows_found, np.int64), starts, counts


def _bytes_of[T: (int, Numbers)](column: Column, count: T) -> T:
    if column.datatype in TEXTS:
        return count * TEXTS[column.datatype]
    layout = SCALARS[column.datatype]
    return (
        (count + 7) // 8 if layout.kind == "bits" else count * (layout.parts * np.dtype(layout.code).itemsize)
    )


def _parse_column(
    column: Column,
    null: str | None,
    content: Numbers,
    starts: Numbers,
    counts: Numbers,
    is_null: Numbers,
    has_flags: bool,
) -> pa.Array:
    lengths = _bytes_of(column, counts)
    cells = content[_places(starts, lengths)]
    if column.datatype in TEXTS:
        return _parse_texts(column, cells, _offsets(lengths), is_null, has_flags)
    layout = SCALARS[column.datatype]
    if layout.kind == "bits" and column.arraysize is None:
        # The first bit of its byte; astropy (8.0) writes the fifth.
        numbers = pa.array(cells != 0)
    elif layout.kind == "bits":
        # Each cell begins with a byte of its own.
        bits = np.unpackbits(cells)[_places(8 * _offsets(lengths)[:-1], counts)]
        numbers = pa.array(bits.astype(bool))
    else:
        numbers = _parse_numbers(column, null, cells)
    if not pa.types.is_list(arrow_type(column)):
        return without_nan(pc.if_else(pa.array(is_null), None, numbers))
    offsets = pa.array(_offsets(counts * layout.parts).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, numbers, mask=pa.array(is_null))


def _offsets(lengths: Numbers) -> Numbers:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _places(starts: Numbers, lengths: Numbers) -> Numbers:
    """Return the places of all bytes of all cells, one after the other."""
    offsets = _offsets(lengths)
    places: Numbers = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return places


def _parse_numbers(column: Column, null: str | None, cells: Numbers) -> pa.Array:
    layout = SCALARS[column.datatype]
    if layout.kind == "logical":
        return pa.array(np.isin(cells, list(b"Tt1")), mask=~np.isin(cells, list(b"TtFf10")))
    code = np.dtype(layout.code)
    numbers = pa.array(cells.view(code).astype(code.newbyteorder("=")))
    if layout.kind == "integer" and null is not None and null.strip():
        try:
            numbers = pc.if_else(pc.equal(numbers, pa.scalar(int(null, 0), layout.arrow)), None, numbers)
        except (ValueError, OverflowError, pa.ArrowInvalid):
            raise UsageError(
                f"The column {quoted(column.name)} of the VOTable has {quoted(null)} as its null; "
                f"give a number of type {column.datatype}"
            ) from None
    return numbers


def _parse_texts(
    column: Column, cells: Numbers, offsets: Numbers, is_null: Numbers, has_flags: bool
) -> pa.Array:
    data = cells.tobytes()
    try:
        if column.datatype == "char":
            buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
            values = pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)
            values.validate(full=True)
        else:
            texts = [data[start:end].decode("utf-16-be") for start, end in itertools.pairwise(offsets)]
            values = pa.array(texts, pa.large_string())
    except (pa.ArrowInvalid, UnicodeDecodeError):
        wanted = "UTF-8" if column.datatype == "char" else "UTF-16"
        raise UsageError(
            f"The column {quoted(column.name)} of the VOTable has bytes that are no {wanted}"
        ) from None
    if b"\0" in data:
        # Fixed lengths are filled up with NUL (VOTable 1.4, 6).
        values = pc.replace_substring_regex(values, "\0[^\1]*", "")
    missing = pa.array(is_null) if has_flags else pc.equal(values, "")
    return pc.if_else(missing, None, values).cast(pa.string())


def _check_rows(rows: int, max_rows: int | None) -> None:
    if max_rows is not None and rows > max_rows:
        raise UsageError(f"The VOTable has more than {max_rows} rows; send fewer")


def _cut_short(rows: int) -> UsageError:
    return UsageError(
        f"The bytes of the VOTable end in the middle of row {rows + 1}; check how it was written"
    )
