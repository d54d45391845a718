"""Parquet, with a VOTable inside that describes the columns."""

from __future__ import annotations

__all__ = ["parquet_metadata", "text_lengths", "write_parquet"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from .._descriptors import ServiceDescriptor
from .._layout import TEXTS
from .._table import Column, ResultTable, RowLimit, arrow_type
from ..votable import Info, describe_votable
from ._sink import Sink

# What DuckDB reads at once.
_ROWS_PER_GROUP = 122_880
_BYTES_PER_GROUP = 32 * 2**20
# Name of a table that has no other.
_RESULT = "result"


def write_parquet(
    table: ResultTable,
    *,
    infos: Sequence[Info] = (),
    descriptors: Sequence[ServiceDescriptor] = (),
    description: str = "",
    name: str = _RESULT,
    compression: str = "zstd",
    bytes_per_group: int = _BYTES_PER_GROUP,
) -> Iterator[bytes]:
    """Write a result as Parquet.

    Parameters
    ----------
    table
        Columns, rows and their limit.
    infos, descriptors, description, name
        For the VOTable inside.
    compression
        Compression of the columns.
    bytes_per_group
        Size in memory at which rows become a row group, of which there are
        two in memory.

    Yields
    ------
    chunk : `bytes`
        Parts of the file.  If the rows end with an error, so does this: what
        was sent lacks the footer, and no reader takes it for a file.

    Notes
    -----
    The file's metadata have a VOTable without rows, as `parquet_metadata`
    makes it; that rows were left out is told there, by ``QUERY_STATUS``.
    """
    schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in table.columns])
    lengths = text_lengths(schema.empty_table())
    rows = RowLimit(table)
    sink = Sink()
    # What is told at the end does not get into a schema of Arrow, which
    # readers of Arrow would then take for all; our types need none.
    with pyarrow.parquet.ParquetWriter(sink, schema, compression=compression, store_schema=False) as writer:
        for group in _iter_groups(rows, schema, bytes_per_group):
            for column, length in text_lengths(group).items():
                lengths[column] = max(length, lengths[column])
            writer.write_table(group)
            yield sink.take()
        told = parquet_metadata(
            table.columns,
            infos,
            lengths,
            descriptors=descriptors,
            description=description,
            name=name,
            overflow=rows.overflow,
        )
        writer.add_key_value_metadata(told)
    yield sink.take()


def parquet_metadata(
    columns: Sequence[Column],
    infos: Sequence[Info],
    lengths: Mapping[str, int],
    *,
    descriptors: Sequence[ServiceDescriptor] = (),
    description: str = "",
    name: str = _RESULT,
    overflow: bool = False,
) -> dict[str, str]:
    """Return the metadata of a Parquet file, which describe its columns.

    Parameters
    ----------
    columns
        The public columns.
    infos
        INFO elements about the table.
    lengths
        Most bytes of a text, by the name of the column.
    descriptors, description
        As for `~lsst.dax.vo.dali.write_votable`.
    name
        Name of the table, which TOPCAT shows; of one without a name it says
        "votable".
    overflow
        Whether there were more rows than could be sent.

    Returns
    -------
    metadata : `dict` [`str`, `str`]
        A VOTable without rows, under the keys of the IVOA note "VOParquet",
        and lengths of texts, under those of astropy.

    Notes
    -----
    VOParquet 1.0 (2.2) wants a legal document, whose first TABLE has no DATA;
    the PARQUET element that astropy writes in its place is in no version of
    VOTable.  Texts have a largest length in both, because astropy (8.0) joins
    a column of texts with that of the VOTable only if that one has, and looks
    for the longest one itself, which no missing one survives, if it is not
    told.
    """
    bounded = tuple(
        replace(column, arraysize=f"{lengths[column.name]}*")
        if column.datatype in TEXTS and column.arraysize == "*"
        else column
        for column in columns
    )
    content = describe_votable(
        bounded,
        infos=infos,
        descriptors=descriptors,
        description=description,
        name=name,
        overflow=overflow,
    )
    return {
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": content.decode(),
        **{f"table::len::{name}": str(length) for name, length in lengths.items()},
    }


def text_lengths(rows: pa.Table | pa.RecordBatch) -> dict[str, int]:
    """Return how many bytes the longest text of each column has.

    Parameters
    ----------
    rows
        Some rows.

    Returns
    -------
    lengths : `dict` [`str`, `int`]
        By the names of the columns of texts; at least 1.
    """
    return {
        field.name: pc.max(pc.binary_length(rows[field.name])).as_py() or 1
        for field in rows.schema
        if pa.types.is_string(field.type)
    }


def _iter_groups(rows: RowLimit, schema: pa.Schema, bytes_per_group: int) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    for batch in rows:
        waiting.append(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
        if (
            sum(item.num_rows for item in waiting) >= _ROWS_PER_GROUP
            or sum(item.nbytes for item in waiting) >= bytes_per_group
        ):
            yield pa.Table.from_batches(waiting, schema)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting, schema)
