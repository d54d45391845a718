"""Rows in the binary form of PostgreSQL's COPY, a column at a time.

A row is a count of fields, then for each field its length and its bytes in
network order; the length of NULL is -1.  Each column becomes an Arrow array
of such pieces, and Arrow joins the pieces of each row.

References
----------
PostgreSQL, COPY, "Binary Format"; the arrays as ``array_send`` writes them.
"""

from __future__ import annotations

__all__ = ["send_rows"]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from ._connection import Connection, format_sql

type Packed = np.ndarray[tuple[int], np.dtype[np.void]]

# What stands before the first row, and behind the last one.
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_NUMBERS = {
    pa.bool_(): "u1",
    # PostgreSQL has no bytes without a sign.
    pa.uint8(): ">i2",
    pa.int16(): ">i2",
    pa.int32(): ">i4",
    pa.int64(): ">i8",
    pa.float32(): ">f4",
    pa.float64(): ">f8",
}
_OIDS = {
    pa.bool_(): 16,
    pa.uint8(): 21,
    pa.int16(): 21,
    pa.int32(): 23,
    pa.int64(): 20,
    pa.float32(): 700,
    pa.float64(): 701,
}
# Rows that are joined in one go: their bytes are counted in 32 bits.
_ROWS = 20_000


def send_rows(
    connection: Connection,
    table: sql.Identifier,
    names: Sequence[str],
    batches: Iterable[Sequence[pa.Array]],
    *,
    freeze: bool = False,
) -> int:
    """Send rows to a table.

    Parameters
    ----------
    connection
        To its database.
    table
        The table.
    names
        Its columns that are sent.
    batches
        These columns, some rows at a time.
    freeze
        Whether the same transaction made the table.

    Returns
    -------
    count : `int`
        Number of rows.
    """
    statement = format_sql(
        "COPY {} ({}) FROM STDIN WITH (FORMAT BINARY, FREEZE {})",
        table,
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL("ON" if freeze else "OFF"),
    )
    count = 0
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_HEADER)
        for columns in batches:
            batch = pa.RecordBatch.from_arrays(columns, names=names)
            for piece in _encode_rows(batch):
                copy.write(piece)
            count += batch.num_rows
        copy.write(_TRAILER)
    return count


def _encode_rows(batch: pa.RecordBatch) -> Iterator[memoryview]:
    for start in range(0, batch.num_rows, _ROWS):
        yield _encode(batch.slice(start, _ROWS))


def _encode(batch: pa.RecordBatch) -> memoryview:
    pieces: list[pa.Array] = []
    # Fields of known size that stand side by side are one piece.
    packed: list[Packed] = [_pack({"fields": (">i2", np.full(batch.num_rows, batch.num_columns))})]
    for column in batch.columns:
        found = _encode_column(column)
        if isinstance(found, np.ndarray):
            packed.append(found)
            continue
        if packed:
            pieces.append(_to_binary(_side_by_side(packed)))
            packed = []
        pieces += found
    if packed:
        pieces.append(_to_binary(_side_by_side(packed)))
    rows = pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.binary()))
    _, offset_buffer, data_buffer = rows.buffers()
    first, last = np.frombuffer(offset_buffer, np.int32)[[rows.offset, rows.offset + len(rows)]]
    return memoryview(data_buffer)[int(first) : int(last)]


def _encode_column(column: pa.Array) -> list[pa.Array] | Packed:
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = pc.binary_join_element_wise(
            *_encode_bytes(column.dictionary), pa.scalar(b"", pa.binary())
        ).take(column.indices)
        return [values.fill_null(_NULL)]
    if kind in _NUMBERS:
        numbers = _pack_numbers(column)
        if column.null_count == 0:
            return numbers
        return [pc.if_else(column.is_valid(), _to_binary(numbers), pa.scalar(_NULL, pa.binary()))]
    if pa.types.is_list(kind):
        return _encode_lists(column)
    if pa.types.is_fixed_size_binary(kind):
        column = column.cast(pa.binary())
    return _encode_bytes(column)


def _pack_numbers(column: pa.Array) -> Packed:
    kind = _NUMBERS[column.type]
    filled = column.fill_null(False) if column.type == pa.bool_() else column.fill_null(0)
    values = filled.to_numpy(zero_copy_only=False)
    size = np.dtype(kind).itemsize
    return _pack({"length": (">i4", np.full(len(column), size)), "value": (kind, values)})


def _encode_bytes(column: pa.Array) -> list[pa.Array]:
    lengths = pc.binary_length(column).fill_null(-1).to_numpy(zero_copy_only=False)
    return [_to_binary(_pack({"length": (">i4", lengths)})), column.cast(pa.binary()).fill_null(b"")]


def _encode_lists(column: pa.Array) -> list[pa.Array]:
    values = column.flatten()
    fields = _to_binary(_pack_numbers(values))
    if values.null_count:
        fields = pc.if_else(values.is_valid(), fields, pa.scalar(_NULL, pa.binary()))
    counts = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    content = pc.binary_join(pa.ListArray.from_arrays(offsets, fields), b"")
    sizes = pc.binary_length(content).to_numpy(zero_copy_only=False)
    oid = np.full(len(column), _OIDS[values.type])
    nulls = np.full(len(column), int(values.null_count > 0))
    filled = {
        "length": (">i4", 20 + sizes),
        "dimensions": (">i4", np.ones_like(oid)),
        "nulls": (">i4", nulls),
        "oid": (">i4", oid),
        "count": (">i4", counts),
        "first": (">i4", np.ones_like(oid)),
    }
    empty = {
        "length": (">i4", np.full(len(column), 12)),
        "dimensions": (">i4", np.zeros_like(oid)),
        "nulls": (">i4", np.zeros_like(oid)),
        "oid": (">i4", oid),
    }
    header = pc.if_else(pa.array(counts > 0), _to_binary(_pack(filled)), _to_binary(_pack(empty)))
    return [pc.if_else(column.is_valid(), header, pa.scalar(_NULL, pa.binary())), content]


def _pack(fields: Mapping[str, tuple[Any, np.ndarray]]) -> Packed:
    # Structures of numpy have no gaps between their fields.
    count = len(next(iter(fields.values()))[1])
    packed = np.empty(count, [(name, kind) for name, (kind, _) in fields.items()])
    for name, (_, values) in fields.items():
        packed[name] = values
    return packed


def _side_by_side(parts: list[Packed]) -> Packed:
    if len(parts) == 1:
        return parts[0]
    return _pack({str(place): (part.dtype, part) for place, part in enumerate(parts)})


def _to_binary(packed: Packed) -> pa.Array:
    kind = pa.binary(packed.dtype.itemsize)
    return pa.Array.from_buffers(kind, len(packed), [None, pa.py_buffer(packed)]).cast(pa.binary())
