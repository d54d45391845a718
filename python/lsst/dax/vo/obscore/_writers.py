"""Files of ObsCore rows: Parquet, CSV, VOTable, Arrow.  All or nothing."""

from __future__ import annotations

__all__ = ["FILE_FORMATS", "TABLE_DESCRIPTION", "TABLE_NAME", "write_file"]

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from ..dali import Column, Info, ResultTable, arrow_type, write_parquet, write_votable
from ..errors import UsageError, VoError
from ..files import replacing

FILE_FORMATS = ("parquet", "csv", "votable", "arrow")
"""Formats that `write_file` knows."""

TABLE_DESCRIPTION = "ObsCore table"
"""What files say about themselves."""

TABLE_NAME = "ObsCore"
"""Name of the table in Parquet."""

# A row group is full when it has all its rows, not before.
_BYTES_PER_GROUP = 2**30


def write_file(
    path: Path,
    columns: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
    file_format: str,
    *,
    compression: str = "zstd",
    csv_null: str = r"\N",
    infos: Sequence[Info] = (),
) -> None:
    """Write rows into a file, which appears when it is complete.

    Parameters
    ----------
    path
        The file; replaced if it exists.
    columns
        The public columns; others, such as the hidden ones, are left out.
    batches
        The rows.
    file_format
        ``parquet``, ``csv``, ``votable`` or ``arrow`` (IPC file).
    compression
        Compression of Parquet.
    csv_null
        What stands for a missing value in CSV.
    infos
        INFO elements about the table, for VOTable and Parquet.

    Raises
    ------
    UsageError
        Raised if the format is not known, or the file cannot be written.

    Notes
    -----
    Parquet files hold a VOTable without rows that describes their columns,
    under the keys ``IVOA.VOTable-Parquet.version`` and ``…content``, which
    astropy (format ``parquet.votable``) and TOPCAT read.  CSV files quote all
    texts, as the exporter of ``lsst-dax-obscore`` does.
    """
    if file_format not in FILE_FORMATS:
        raise UsageError(f"The format {file_format!r} is not known; give one of {', '.join(FILE_FORMATS)}")
    schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in columns])
    public = (batch.select(schema.names).cast(schema) for batch in batches)
    write: Callable[[IO[bytes]], None]
    match file_format:
        case "parquet":
            write = lambda stream: _write_parquet(stream, columns, public, infos, compression)  # noqa: E731
        case "csv":
            write = lambda stream: _write_csv(stream, schema, public, csv_null)  # noqa: E731
        case "votable":
            write = lambda stream: _write_votable(stream, columns, public, infos)  # noqa: E731
        case _:
            write = lambda stream: _write_arrow(stream, schema, public)  # noqa: E731
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file")
    with replacing(path) as stream:
        write(stream)


def _write_parquet(
    stream: IO[bytes],
    columns: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
    infos: Sequence[Info],
    compression: str,
) -> None:
    for part in write_parquet(
        ResultTable(tuple(columns), iter(batches)),
        infos=infos,
        description=TABLE_DESCRIPTION,
        name=TABLE_NAME,
        compression=compression,
        bytes_per_group=_BYTES_PER_GROUP,
    ):
        stream.write(part)


def _write_arrow(stream: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with pa.ipc.new_file(stream, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_votable(
    stream: IO[bytes], columns: Sequence[Column], batches: Iterable[pa.RecordBatch], infos: Sequence[Info]
) -> None:
    failure: list[VoError] = []

    def watch() -> Iterator[pa.RecordBatch]:
        # An answer tells an error after its rows; a file must not exist then.
        try:
            yield from batches
        except VoError as err:
            failure.append(err)
            raise

    table = ResultTable(tuple(columns), watch())
    for part in write_votable(table, infos=infos, description=TABLE_DESCRIPTION):
        stream.write(part)
    if failure:
        raise failure[0]


def _write_csv(stream: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch], null: str) -> None:
    stream.write(",".join(f'"{name}"' for name in schema.names).encode() + b"\n")
    for batch in batches:
        pieces = [piece for column in batch.columns for piece in (_csv_cell(column, null), ",")]
        lines = pc.binary_join_element_wise(*pieces[:-1], "\n", "")
        stream.write("".join(lines.to_pylist()).encode())


def _csv_cell(column: pa.Array, null: str) -> pa.Array:
    if pa.types.is_string(column.type):
        text = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    else:
        text = column.cast(pa.string())
    return text.fill_null(null)
