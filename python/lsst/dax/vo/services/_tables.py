"""ObsCore tables of pipelines: of some datasets, then all of them together."""

from __future__ import annotations

__all__ = ["consolidate_tables", "table_of_rows"]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..dali import arrow_type
from ..errors import UsageError
from ..obscore import ObscoreConfig, columns_of, formats_of, parquet_metadata, parse_obscore_config
from ..store import HIDDEN_SCHEMA, Writer, open_writer, parse_store, sorted_along_sky
from ._export import origin_infos, store_properties

# What a part of the table says about itself.
_CONFIG_KEY = b"lsst.dax.vo.obscore_config"
_LABEL_KEY = b"lsst.dax.vo.label"


def table_of_rows(rows: Iterable[pa.RecordBatch], config: ObscoreConfig, *, label: str) -> pa.Table:
    """Make a table of some rows, a part of the whole.

    Parameters
    ----------
    rows
        What `~lsst.dax.vo.obscore.rows_of_refs` makes.
    config
        The configuration they are made with.
    label
        The label in them; may be empty if no store is made of them.

    Returns
    -------
    table : `pyarrow.Table`
        The public columns and the hidden ones, for `consolidate_tables`,
        which reads configuration and label from the metadata.
    """
    fields = [pa.field(column.name, arrow_type(column)) for column in columns_of(config)]
    schema = pa.schema([*fields, *HIDDEN_SCHEMA])
    table = pa.Table.from_batches([batch.cast(schema) for batch in rows], schema)
    return table.replace_schema_metadata({_CONFIG_KEY: config.to_yaml().encode(), _LABEL_KEY: label.encode()})


def consolidate_tables(tables: Iterable[pa.Table], *, store: str | None = None) -> pa.Table:
    """Put the tables of all parts together.

    Parameters
    ----------
    tables
        What `table_of_rows` made; a dataset that is in several counts once.
    store
        A store that the rows go to as well; replaced at once in the end.

    Returns
    -------
    table : `pyarrow.Table`
        What an export to a Parquet file holds: the public columns, and a
        VOTable in the metadata that describes them.  Rows lie along the
        sky, those without a region last.

    Raises
    ------
    UsageError
        Raised if there is no table, one is something else, two were made
        with different configurations, or a store is to be made of rows
        without a label.
    """
    parts = _without_duplicates(tables)
    first = next(parts, None)
    if first is None:
        raise UsageError("There are no tables to put together; run the exporting tasks first")
    told = first.schema.metadata
    config = parse_obscore_config(told[_CONFIG_KEY].decode(), "the configuration of the tables")
    columns = columns_of(config)
    rows: Iterator[pa.RecordBatch] = (batch for part in chain([first], parts) for batch in part.to_batches())
    with ExitStack() as stack:
        if store is not None:
            properties = store_properties(_label_of(told), config)
            formatted = formats_of(config, config.dataset_types)
            writer = open_writer(
                parse_store(store), columns=columns, properties=properties, formatted=formatted
            )
            rows = _written(rows, stack.enter_context(writer), formatted)
        ordered = stack.enter_context(closing(sorted_along_sky(rows, first.schema.remove_metadata())))
        public = pa.schema([field for field in first.schema if not field.name.startswith("_")])
        table = pa.Table.from_batches([batch.select(public.names) for batch in ordered], public)
    return table.replace_schema_metadata(parquet_metadata(columns, origin_infos(config)))


def _label_of(told: Mapping[bytes, bytes]) -> str:
    if not told[_LABEL_KEY]:
        raise UsageError(
            "The tables were exported without a label, and a store tells the label of its repository; "
            "export them again with the one under which it is to be served"
        )
    return told[_LABEL_KEY].decode()


def _written(
    batches: Iterable[pa.RecordBatch], writer: Writer, formatted: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Write rows that go by, with ``{id}`` for the id, as the store has it."""
    for batch in batches:
        ids = [str(UUID(bytes=content)) for content in batch["_id"].to_pylist()]
        stored = batch
        for name in formatted:
            texts = zip(batch[name].to_pylist(), ids, strict=True)
            formats = pa.array([text and text.replace(own, "{id}") for text, own in texts], pa.string())
            stored = stored.set_column(batch.schema.get_field_index(name), name, formats)
        writer.write(stored)
        yield batch


def _without_duplicates(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    first: dict[bytes, bytes] = {}
    seen = pa.array([], pa.binary(16))
    for table in tables:
        told = table.schema.metadata or {}
        for key, name in ((_CONFIG_KEY, "configurations"), (_LABEL_KEY, "labels")):
            if key not in told:
                raise UsageError("A table is no part of an ObsCore table: it does not tell its configuration")
            if told[key] != first.setdefault(key, told[key]):
                raise UsageError(
                    f"The tables were exported with different {name}; export all of them with one, into a "
                    "new run"
                )
        ids = table["_id"].combine_chunks()
        fresh = pa.array(np.flatnonzero(~pc.is_in(ids, seen).to_numpy(zero_copy_only=False)))
        seen = pa.concat_arrays([seen, ids.take(fresh)])
        yield table.take(fresh)
