"""JSON: an object of columns and rows."""

from __future__ import annotations

__all__ = ["write_json"]

import json
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._cells import NumberStyle, bytes_of, folded, iter_pieces, join_rows
from .._layout import TEXTS
from .._table import Column, ResultTable, RowLimit
from ..votable import Info, format_numbers

_TOLD = ("name", "datatype", "arraysize", "xtype", "unit", "ucd", "utype", "description")
_NUMBERS = NumberStyle('"NaN"', '"+Inf"', '"-Inf"', missing="null", list_form=("[", ",", "]"))


def write_json(table: ResultTable, *, infos: Sequence[Info] = ()) -> Iterator[bytes]:
    """Write a result as JSON.

    Parameters
    ----------
    table
        Columns, rows and their limit.
    infos
        What is told about the answer.

    Yields
    ------
    chunk : `bytes`
        Parts of the document, UTF-8.  If the rows end with an error, so does
        this, and what was sent is not JSON.

    Notes
    -----
    The object has ``columns`` (VOTable's words for each), ``infos``, ``data``
    (an array for each row) and at its end ``query_status``: ``OK``, or
    ``OVERFLOW`` where rows were left out.  A missing value is ``null``.  JSON
    has no numbers for them: ``"NaN"``, ``"+Inf"`` and ``"-Inf"`` are texts.
    """
    head = {
        "columns": [_describe(column) for column in table.columns],
        "infos": [{"name": info.name, "value": info.value} for info in infos],
    }
    yield (json.dumps(head, ensure_ascii=False)[:-1] + ',\n"data": [').encode()
    rows = RowLimit(table)
    between = b"\n"
    for batch in rows:
        for piece in iter_pieces(batch):
            # The comma that is missing before a row is one too many after it.
            yield between + _render_rows(piece, table.columns)[:-2]
            between = b",\n"
    status = "OVERFLOW" if rows.overflow else "OK"
    yield f'\n],\n"query_status": "{status}"}}\n'.encode()


def _describe(column: Column) -> dict[str, str]:
    return {name: value for name in _TOLD if (value := getattr(column, name))}


def _render_rows(batch: pa.RecordBatch, columns: Sequence[Column]) -> bytes:
    cells = [
        folded(values, _quote if column.datatype in TEXTS else partial(_number_text, column=column))
        for values, column in zip(batch.columns, columns, strict=True)
    ]
    return join_rows(cells, batch.num_rows, "[", ",", "],\n")


def _number_text(values: pa.Array, column: Column) -> pa.Array:
    return format_numbers(values, column, _NUMBERS, hole="null")


def _quote(texts: pa.Array) -> pa.Array:
    data = bytes_of(texts)
    for raw, escaped in ((b"\\", r"\\"), (b'"', r"\"")):
        if raw in data:
            texts = pc.replace_substring(texts, raw.decode(), escaped)
    if data and np.frombuffer(data, np.uint8).min() < 0x20:
        for code in sorted({byte for byte in data if byte < 0x20}):
            texts = pc.replace_substring(texts, chr(code), json.dumps(chr(code))[1:-1])
    return pc.binary_join_element_wise('"', texts, '"', "").fill_null("null")
