"""CSV and TSV: Arrow batches in, bytes out, a column at a time."""

__all__ = ["write_csv", "write_tsv"]

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from .._cells import folded, iter_pieces, join_rows
from .._layout import TEXTS
from .._table import Column, ResultTable, RowLimit
from ..votable import format_numbers


@dataclass(frozen=True, slots=True)
class _Style:
    """What the two formats do differently."""

    separator: str
    end: str
    text_of: Callable[[pa.Array], pa.Array]
    alone: str
    """Stands for a missing cell that is alone in its row."""


def write_csv(table: ResultTable, *, header: bool = True) -> Iterator[bytes]:
    """Write a result as CSV.

    Parameters
    ----------
    table
        Columns, rows and their limit.  CSV has no mark for rows that were
        left out (DALI 1.1, 4.4).
    header
        Whether the first line holds the names of the columns.

    Returns
    -------
    chunks : `~collections.abc.Iterator` [`bytes`]
        Parts of the document, UTF-8.

    Notes
    -----
    Lines end in CR LF, and a cell is quoted when it holds a comma, a quote
    or the end of a line (RFC 4180).  A missing value is an empty cell; it
    differs from an empty text, which is ``""``, but for tables of one
    column, where readers would skip the empty line.  Numbers are written as
    in VOTable (DALI 1.1, 3.3): ``NaN``, ``+Inf``, ``-Inf``.
    """
    return _write(table, header, _CSV)


def write_tsv(table: ResultTable, *, header: bool = True) -> Iterator[bytes]:
    """Write a result as tab-separated values.

    Parameters
    ----------
    table
        Columns, rows and their limit.
    header
        Whether the first line holds the names of the columns.

    Returns
    -------
    chunks : `~collections.abc.Iterator` [`bytes`]
        Parts of the document, UTF-8.

    Notes
    -----
    The format has no way to write a tab or the end of a line inside a cell:
    each becomes a blank.
    """
    return _write(table, header, _TSV)


def _write(table: ResultTable, header: bool, style: _Style) -> Iterator[bytes]:
    if header:
        names = style.text_of(pa.array([column.name for column in table.columns], pa.string()))
        yield (style.separator.join(names.to_pylist()) + style.end).encode()
    for batch in RowLimit(table):
        for piece in iter_pieces(batch):
            yield _render_rows(piece, table.columns, style)


def _render_rows(batch: pa.RecordBatch, columns: Sequence[Column], style: _Style) -> bytes:
    cells = [
        folded(values, style.text_of if column.datatype in TEXTS else partial(format_numbers, column=column))
        for column, values in zip(columns, batch.columns, strict=True)
    ]
    if len(cells) == 1:
        (cell,) = cells
        cells = [
            (cell or style.alone)
            if isinstance(cell, str)
            else pc.if_else(pc.equal(cell, ""), style.alone, cell)
        ]
    return join_rows(cells, batch.num_rows, "", style.separator, style.end)


def _quote(text: pa.Array) -> pa.Array:
    special = pc.fill_null(pc.match_substring_regex(text, '[",\r\n]|^$'), False)
    if pc.any(special, min_count=0).as_py():
        doubled = pc.replace_substring(text, '"', '""')
        text = pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), text)
    return text.fill_null("")


def _flatten(text: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(text, "[\t\r\n]"), min_count=0).as_py():
        text = pc.replace_substring_regex(text, "[\t\r\n]", " ")
    return text.fill_null("")


_CSV = _Style(",", "\r\n", _quote, '""')
_TSV = _Style("\t", "\n", _flatten, "")
