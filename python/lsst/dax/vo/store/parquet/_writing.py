"""Writing a table, and making one of the rows that stay and new ones."""

from __future__ import annotations

__all__ = ["ParquetUpdater", "ParquetWriter"]

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import override

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...dali import Column
from .._known import Course
from .._layout import FORMAT_PREFIX
from .._location import ParquetLocation
from .._table_writer import KnowingUpdater, TableWriter, id_bytes, plain_ids
from ._places import place_of
from ._reading import UNBOUNDED, ParquetStore, open_store
from ._table import iter_rows, write_table


class ParquetWriter(TableWriter):
    """Writes a table and puts it in the place of the one before.

    A context manager; see `~lsst.dax.vo.store.Writer`.  For a bucket, the
    table is made in a temporary folder.

    Parameters
    ----------
    location
        Where the store is, or will be.
    columns, properties, formatted
        See `~lsst.dax.vo.store.open_writer`.

    Raises
    ------
    UsageError
        Raised if a column has a type or name that the store cannot hold, or
        nothing can be written there.
    """

    def __init__(
        self,
        location: ParquetLocation,
        columns: Sequence[Column],
        properties: Mapping[str, str],
        *,
        formatted: Collection[str] = (),
    ) -> None:
        self._location = location
        home = place_of(location).home()
        super().__init__(home, str(location), columns, properties, formatted=formatted)
        self._unbounded: set[str] = set()

    @override
    def write(self, batch: pa.RecordBatch) -> None:
        # Docstring inherited.
        super().write(batch)
        for column in self._columns:
            if column.name not in self._unbounded and _has_nan(batch[column.name]):
                self._unbounded.add(column.name)

    @override
    def _fill(self, ordered: Iterable[pa.RecordBatch]) -> None:
        # Docstring inherited.
        self._put(map(self._storable, ordered), unsorted=0)

    def _put(self, rows: Iterable[pa.RecordBatch], *, unsorted: int) -> None:
        schema = self._storable(pa.RecordBatch.from_pylist([], self._spool.schema)).schema
        told = self._told(0, unsorted=unsorted) | {UNBOUNDED: ",".join(sorted(self._unbounded))}
        write_table(self._table, rows, schema, told, unbounded=self._unbounded)


class ParquetUpdater(KnowingUpdater, ParquetWriter):
    """Makes a table of the rows that stay and new ones.

    A context manager; see `~lsst.dax.vo.store.Updater`.  If nothing has
    changed, the table stays.
    """

    @override
    def _read_base(self) -> tuple[ParquetStore, bytes, np.ndarray]:
        self._base = open_store(self._location)
        self._unbounded |= set(filter(None, self._base.told.get(UNBOUNDED, "").split(",")))
        rows = pa.Table.from_batches(
            iter_rows(self._base.path, ["_id", "_print"]),
            pa.schema([pa.field("_id", pa.uuid()), pa.field("_print", pa.int64())]),
        )
        return self._base, id_bytes(rows["_id"]), rows["_print"].to_numpy()

    @override
    def _commit(self) -> None:
        match self._known.course:
            case Course.LEAVE:
                return
            case Course.PATCH:
                self._put(self._patched(), unsorted=self._known.unsorted)
                self._home.publish(self._table)
            case Course.MERGE:
                for batch in self._kept():
                    self._spool.write(self._as_written(batch))
                super()._commit()
            case Course.WRITE:
                super()._commit()

    def _patched(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows that stay, then the new ones."""
        ordered = map(self._storable, self._spool.read_sorted())
        schema = self._storable(pa.RecordBatch.from_pylist([], self._spool.schema)).schema
        for batch in self._kept():
            yield batch.select(schema.names).cast(schema)
        yield from ordered

    def _kept(self) -> Iterator[pa.RecordBatch]:
        for batch in iter_rows(self._base.path):
            yield batch.filter(pa.array(self._known.find_kept(id_bytes(pa.chunked_array([batch["_id"]])))))

    def _as_written(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Name columns as those who write them do."""
        ids = plain_ids(batch["_id"])
        batch = batch.set_column(batch.schema.get_field_index("_id"), "_id", ids)
        return batch.rename_columns([name.removeprefix(FORMAT_PREFIX) for name in batch.schema.names])


def _has_nan(values: pa.Array) -> bool:
    return pa.types.is_floating(values.type) and bool(pc.any(pc.is_nan(values)).as_py())
