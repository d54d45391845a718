"""ObsCore tables of pipelines: of some datasets, then all of them together."""

from __future__ import annotations

__all__ = ["consolidate_tables", "table_of_rows"]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import chain

import numpy as np
import pyarrow as pa

from ..dali import arrow_type, parquet_metadata, text_lengths
from ..errors import UsageError
from ..obscore import (
    TABLE_DESCRIPTION,
    TABLE_NAME,
    ObscoreConfig,
    columns_of,
    formats_of,
    id_texts,
    parse_obscore_config,
    restore_formats,
)
from ..store import HIDDEN_SCHEMA, Writer, open_writer, parse_store, sorted_along_sky
from ._export import origin_infos, store_properties

# What a part of the table says about itself.
_CONFIG_KEY = b"lsst.dax.vo.obscore_config"
_LABEL_KEY = b"lsst.dax.vo.label"
# The parts may be many and small; at least so many rows are looked at together.
_GROUP_ROWS = 50_000


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
        What `table_of_rows` made; a dataset counts once, where it is first.
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
    told = parquet_metadata(
        columns,
        origin_infos(config),
        text_lengths(table),
        description=TABLE_DESCRIPTION,
        name=TABLE_NAME,
    )
    return table.replace_schema_metadata(told)


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
        ids = id_texts(_id_bytes(batch["_id"]))
        stored = batch
        for name in formatted:
            place = batch.schema.get_field_index(name)
            stored = stored.set_column(place, name, restore_formats(batch[name], ids))
        writer.write(stored)
        yield batch


def _without_duplicates(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    seen = _SeenIds()
    for table in _grouped(tables):
        fresh = seen.add(_id_bytes(table["_id"].combine_chunks()))
        yield table if len(fresh) == table.num_rows else table.take(pa.array(fresh))


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    first: dict[bytes, bytes] = {}
    group: list[pa.Table] = []
    count = 0
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
        group.append(table)
        count += table.num_rows
        if count >= _GROUP_ROWS:
            yield pa.concat_tables(group).combine_chunks()
            group, count = [], 0
    if group:
        yield pa.concat_tables(group).combine_chunks()


class _SeenIds:
    """The ids so far, in sorted runs, each more than twice as long as the next one.

    Whatever the number of parts, an id is sorted again a few times only.
    """

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def add(self, ids: bytes) -> np.ndarray:
        """Add ids; return the places of those that are new, in order."""
        # As texts, they are compared by their bytes.
        keys, first = np.unique(np.frombuffer(ids, "S16"), return_index=True)
        fresh = np.ones(len(keys), bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            fresh &= run[places] != keys
        if fresh.any():
            self._runs.append(keys[fresh])
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            last, before = self._runs.pop(), self._runs.pop()
            self._runs.append(np.sort(np.concatenate([before, last]), kind="stable"))
        return np.sort(first[fresh])


def _id_bytes(ids: pa.FixedSizeBinaryArray) -> bytes:
    content = memoryview(ids.buffers()[1]) if len(ids) else memoryview(b"")
    return bytes(content[16 * ids.offset : 16 * (ids.offset + len(ids))])
