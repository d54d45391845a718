"""Arrow's stream format."""

from __future__ import annotations

__all__ = ["write_arrow"]

from collections.abc import Iterator, Sequence

import pyarrow as pa

from .._descriptors import ServiceDescriptor
from .._table import Column, ResultTable, RowLimit, arrow_type
from ..votable import Info, describe_votable
from ._sink import Sink

_TOLD = ("datatype", "arraysize", "xtype", "unit", "ucd", "utype", "description")


def write_arrow(
    table: ResultTable,
    *,
    infos: Sequence[Info] = (),
    descriptors: Sequence[ServiceDescriptor] = (),
    description: str = "",
) -> Iterator[bytes]:
    """Write a result as a stream of Arrow batches.

    Parameters
    ----------
    table
        Columns, rows and their limit.  The stream has no mark for rows that
        were left out.
    infos, descriptors, description
        For the VOTable inside.

    Yields
    ------
    chunk : `bytes`
        Parts of the stream.  If the rows end with an error, so does this,
        before the mark of the stream's end.

    Notes
    -----
    Each field has metadata with VOTable's words: ``unit``, ``ucd``, ``utype``,
    ``xtype``, ``datatype``, ``arraysize``, ``description``.  Those of the
    schema have a VOTable without rows, under the key that Parquet files have.
    """
    content = describe_votable(table.columns, infos=infos, descriptors=descriptors, description=description)
    schema = pa.schema(
        [pa.field(column.name, arrow_type(column), metadata=_describe(column)) for column in table.columns],
        metadata={"IVOA.VOTable-Parquet.version": "1.0", "IVOA.VOTable-Parquet.content": content},
    )
    sink = Sink()
    # It writes the schema along with the first batch, or when it is closed.
    writer = pa.ipc.new_stream(sink, schema)
    for batch in RowLimit(table):
        writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
        yield sink.take()
    writer.close()
    yield sink.take()


def _describe(column: Column) -> dict[str, str]:
    return {name: value for name in _TOLD if (value := getattr(column, name))}
