"""A table as a Parquet file: written row group by row group, read as a stream."""

from __future__ import annotations

__all__ = ["iter_rows", "read_told", "write_table"]

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# Fewer are slower to plan with (each query looks at the bounds of all of
# them), more are slower to read: of 8.5 million rows, a search by a point took
# 28 ms with 32,768, 24 with 65,536 and 30 with 122,880; one by identifier 18.
GROUP_ROWS = 65_536
"""Rows of a row group."""

# Their values all differ: dictionaries would be made in vain.
_PLAIN = ("_id", "_region", "_x0", "_y0", "_z0", "_x1", "_y1", "_z1", "_print", "s_region", "s_ra", "s_dec")
# Of these nobody asks for an interval, and the bounds would be long.
_WITHOUT_BOUNDS = ("_region", "s_region")
# Of a row group that holds no such identifier, one of a hundred is read.
_FALSE_SHARE = 0.01
_BLOOM: dict[str, Any] = {"bloom_filter_options": {"_id": {"ndv": GROUP_ROWS, "fpp": _FALSE_SHARE}}}
if "bloom_filter_options" not in inspect.signature(pq.ParquetWriter.__init__).parameters:
    # By an older pyarrow: the same answers, a search by identifier takes 0.15 s.
    _BLOOM = {}
_TOLD = b"lsst.dax.vo."


def write_table(
    path: Path,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    told: Mapping[str, str],
    *,
    unbounded: Collection[str] = (),
) -> int:
    """Write a table.

    Parameters
    ----------
    path
        The file.
    batches
        Rows in their order.
    schema
        Their schema.
    told
        What the table tells about itself, without the count of its rows.
    unbounded
        Columns with values that are no numbers: bounds leave these out, and
        a search that trusted them would miss rows.

    Returns
    -------
    count : `int`
        Rows.
    """
    count = 0
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in _PLAIN],
        write_statistics=[
            name for name in schema.names if name not in _WITHOUT_BOUNDS and name not in unbounded
        ],
        **_BLOOM,
        # Types are those of Parquet: who reads it, need not know Arrow's.
        store_schema=False,
    ) as writer:
        for rows in _grouped(batches, schema):
            writer.write_table(rows, row_group_size=GROUP_ROWS)
            count += rows.num_rows
        writer.add_key_value_metadata(
            {_TOLD + name.encode(): value for name, value in (dict(told) | {"rows": str(count)}).items()}
        )
    return count


def read_told(path: Path) -> dict[str, str]:
    """Read what a table tells about itself.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    told : `dict` [`str`, `str`]
        Names and values.
    """
    with path.open("rb") as file:
        metadata = pq.read_metadata(file).metadata or {}
    return {
        name.removeprefix(_TOLD).decode(): value.decode()
        for name, value in metadata.items()
        if name.startswith(_TOLD)
    }


def iter_rows(path: Path, names: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Read the rows of a table.

    Parameters
    ----------
    path
        The file.
    names
        The columns; `None` for all.

    Yields
    ------
    rows : `pyarrow.RecordBatch`
        In their order.
    """
    # Read ahead, all row groups would be in memory together.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(GROUP_ROWS, columns=None if names is None else list(names))


def _grouped(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield full row groups, and what is left."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        if count >= GROUP_ROWS:
            rows = pa.Table.from_batches(waiting, schema)
            full = count - count % GROUP_ROWS
            yield rows.slice(0, full)
            waiting = rows.slice(full).to_batches()
            count -= full
    yield pa.Table.from_batches(waiting, schema)
