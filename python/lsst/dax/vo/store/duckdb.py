"""The store in DuckDB: one file for each table.

The rows of a table are sorted along the sky: a search by place then reads a
few stretches of the file, because DuckDB keeps the least and greatest value
of each column for each of them.
"""

from __future__ import annotations

__all__ = ["Store", "StoreUpdater", "StoreWriter", "open_store"]

import contextlib
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa

from ..dali import Column
from ..errors import NotFoundError, TransientError, UsageError
from ._folder import WriterLock, new_table, point_to, read_pointer, sweep
from ._known import Changes, KnownRows
from ._layout import HIDDEN_COLUMNS, batch_schema, columns_from_text, columns_to_text, sql_type
from ._location import StoreLocation
from ._spool import Spool

_MEMORY = "512MiB"
_COLUMNS, _FORMATTED, _UNSORTED = "columns", "formatted", "unsorted"
# Share of rows that may lie behind those along the sky; each update adds some.
_MOST_UNSORTED = 0.1
# Before the name of a column: the column of its formats.
_FORMAT = "_format_"
# Between reading the pointer and opening its table, the table may be replaced.
_ATTEMPTS = 5
# DuckDB tries all its compressions of text and bytes before it takes one.  For
# columns whose values all differ the choice is known (half a million rows:
# 2.9 s instead of 5.0 s).
_COMPRESSIONS = {
    "_id": "uncompressed",
    "_region": "uncompressed",
    "access_url": "zstd",
    "obs_publisher_did": "zstd",
    "s_region": "zstd",
}


@dataclass(frozen=True, slots=True)
class Store:
    """One table of a store, as it was when it was opened."""

    location: StoreLocation
    """Where the store is."""

    columns: tuple[Column, ...]
    """The public columns, in order."""

    path: Path
    """The file of the table.  A writer that replaces the table removes it."""

    properties: Mapping[str, str] = field(default_factory=dict)
    """What the writer told about the table, and ``rows``, their count."""

    formatted: tuple[str, ...] = ()
    """Columns of which the table holds formats."""

    unsorted: int = 0
    """Rows that updates have put behind those along the sky."""

    @property
    def is_current(self) -> bool:
        """Whether no other table has taken its place."""
        return read_pointer(self.location.path) == self.path


class StoreWriter:
    """Writes a table and puts it in the place of the one before.

    A context manager: when its block ends, the rows are sorted along the sky
    and the new table counts.  When the block, or this, raises, nothing has
    changed and nothing is left behind.  A killed process leaves files that
    the next writer removes.

    Parameters
    ----------
    location
        Where the store is, or will be.
    columns
        The public columns, in order.
    properties
        What to tell about the table, names and values.
    formatted
        Columns whose texts keep ``{id}`` in the place of the dataset's UUID.
        The table holds only the few formats, and writes the texts when they
        are asked for: half of an ObsCore table would be such texts.

    Raises
    ------
    UsageError
        Raised if a column has a type or name that the store cannot hold.
    """

    def __init__(
        self,
        location: StoreLocation,
        columns: Sequence[Column],
        properties: Mapping[str, str],
        *,
        formatted: Collection[str] = (),
    ) -> None:
        self.schema = batch_schema(columns, formatted=formatted)
        """What `write` takes."""
        self._columns = tuple(columns)
        self._formatted = frozenset(formatted)
        self._properties = dict(properties)
        self._folder = location.path.absolute()

    def __enter__(self) -> Self:
        self._lock = WriterLock(self._folder)
        try:
            sweep(self._folder)
            self._table = new_table(self._folder)
            self._spool = Spool(
                self._table.with_suffix(".staged"), self.schema, lambda: _explained(self._folder)
            )
        except BaseException:
            self._lock.release(discard=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        done = False
        try:
            if kind is None:
                with _explained(self._folder):
                    self._commit()
                done = True
        finally:
            try:
                self._spool.close()
                # Also what was counting until now, or what was not finished.
                sweep(self._folder)
            finally:
                self._lock.release(discard=not done)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows.

        Parameters
        ----------
        batch
            Rows with the columns of `schema`, in any order.

        Raises
        ------
        UsageError
            Raised if a column is missing or of another type, or the disk is
            full.
        """
        self._spool.write(batch)

    def _commit(self) -> None:
        self._fill(self._spool.read_sorted())
        point_to(self._table)

    def _fill(self, ordered: Iterable[pa.RecordBatch]) -> None:
        """Make the table, of rows along the sky."""
        with self._connect() as connection:
            connection.execute(f"ATTACH {_text(self._table)} AS made")
            connection.execute(f"CREATE TABLE made.obscore ({', '.join(self._declarations())})")
            self._insert(connection, ordered)
            connection.execute("CREATE INDEX obscore_id ON made.obscore (_id)")
            connection.execute("CREATE TABLE made.properties (name VARCHAR, value VARCHAR)")
            self._tell(connection)
            connection.execute("DETACH made")

    def _connect(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(
            ":memory:",
            config={
                "memory_limit": _MEMORY,
                "temp_directory": f"{self._table}.tmp",
                "python_enable_replacements": "false",
                # UUIDs as 16 bytes.
                "arrow_lossless_conversion": "true",
            },
        )

    def _tell(self, connection: duckdb.DuckDBPyConnection, *, unsorted: int = 0) -> None:
        ((count,),) = connection.execute("SELECT COUNT(*) FROM made.obscore").fetchall()
        told = self._properties | {
            "rows": str(count),
            _COLUMNS: columns_to_text(self._columns),
            _FORMATTED: ",".join(sorted(self._formatted)),
            _UNSORTED: str(unsorted),
        }
        connection.execute("DELETE FROM made.properties")
        connection.executemany("INSERT INTO made.properties VALUES (?, ?)", list(told.items()))

    def _insert(self, connection: duckdb.DuckDBPyConnection, ordered: Iterable[pa.RecordBatch]) -> None:
        schema = self._storable(pa.RecordBatch.from_pylist([], self._spool.schema)).schema
        rows = pa.RecordBatchReader.from_batches(schema, map(self._storable, ordered))
        connection.register("rows", rows)
        connection.execute("INSERT INTO made.obscore BY NAME SELECT * FROM rows")
        connection.unregister("rows")

    def _declarations(self) -> Iterator[str]:
        for column in self._columns:
            name = _name(column.name)
            if column.name in self._formatted:
                # The text is made of the format when it is read.
                form = _name(_FORMAT + column.name)
                yield f"{form} VARCHAR"
                yield f"{name} VARCHAR GENERATED ALWAYS AS (replace({form}, '{{id}}', _id::VARCHAR)) VIRTUAL"
            else:
                yield _declare(name, sql_type(column))
        for name, kind in HIDDEN_COLUMNS.items():
            yield _declare(name, kind)

    def _storable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Name columns and types as the table has them."""
        names = [_FORMAT + name if name in self._formatted else name for name in batch.schema.names]
        arrays = list(batch.columns)
        place = names.index("_id")
        arrays[place] = pa.ExtensionArray.from_storage(pa.uuid(), arrays[place])
        return pa.RecordBatch.from_arrays(arrays, names)


class StoreUpdater(StoreWriter):
    """Changes single rows of a table, in a copy that takes its place.

    A context manager, as `StoreWriter`.  The caller asks for all datasets
    that the table is to have whether they are fresh, and writes the rows of
    those that are.  When the block ends, what was not asked for is removed.
    If nothing has changed, the table stays.
    """

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            with _explained(self._folder):
                self._base = open_store(StoreLocation(self._folder))
                self._known = KnownRows(*self._read_known(), same_form=self._same_form)
        except BaseException:
            self.__exit__(UsageError, None, None)
            raise
        return self

    @property
    def changes(self) -> Changes:
        """What has changed."""
        return self._known.changes

    def find_fresh(self, ids: bytes, prints: pa.Array) -> np.ndarray:
        """Tell which datasets have no row, or another one than they should.

        Parameters
        ----------
        ids
            UUIDs of datasets, 16 bytes each.
        prints
            Their fingerprints.

        Returns
        -------
        fresh : `numpy.ndarray` [`bool`]
            Whether the row of each is to be written.
        """
        return self._known.find_fresh(ids, prints)

    @property
    def _same_form(self) -> bool:
        return self._base.columns == self._columns and set(self._base.formatted) == self._formatted

    def _read_known(self) -> tuple[bytes, np.ndarray]:
        with self._connect() as connection:
            connection.execute(f"ATTACH {_text(self._base.path)} AS base (READ_ONLY)")
            rows: pa.Table = connection.sql("SELECT _id, _print FROM base.obscore").to_arrow_table()
        ids = pa.chunked_array([_plain_ids(chunk) for chunk in rows["_id"].chunks], pa.binary(16))
        content = ids.combine_chunks()
        start = 16 * content.offset
        data = memoryview(content.buffers()[1]) if len(content) else memoryview(b"")
        return bytes(data[start : start + 16 * len(content)]), rows["_print"].to_numpy()

    def _commit(self) -> None:
        told = {name: value for name, value in self._base.properties.items() if name != "rows"}
        if self._same_form and not self.changes and told == self._properties:
            return
        changes = self.changes
        behind = self._base.unsorted + changes.added + changes.changed
        if not self._same_form or behind > _MOST_UNSORTED * (changes.kept + changes.added + changes.changed):
            self._rebuild()
        else:
            self._patch(unsorted=behind)
        point_to(self._table)

    def _patch(self, *, unsorted: int) -> None:
        """Copy the file and change the copy: seconds for millions of rows."""
        shutil.copyfile(self._base.path, self._table)
        with self._connect() as connection:
            connection.execute(f"ATTACH {_text(self._table)} AS made")
            connection.register("outdated", self._outdated())
            connection.execute("DELETE FROM made.obscore WHERE _id IN (SELECT _id FROM outdated)")
            self._insert(connection, self._spool.read_sorted())
            self._tell(connection, unsorted=unsorted)
            connection.execute("DETACH made")

    def _rebuild(self) -> None:
        """Sort the rows that stay and the new ones."""
        if self._same_form:
            names = [
                f"{_name(_FORMAT + name)} AS {_name(name)}" if name in self._formatted else _name(name)
                for name in self.schema.names
            ]
            with self._connect() as connection:
                connection.execute(f"ATTACH {_text(self._base.path)} AS base (READ_ONLY)")
                connection.register("outdated", self._outdated())
                found = connection.sql(
                    f"SELECT {', '.join(names)} FROM base.obscore WHERE _id NOT IN (SELECT _id FROM outdated)"
                )
                for batch in found.to_arrow_reader(100_000):
                    place = batch.schema.get_field_index("_id")
                    self._spool.write(batch.set_column(place, "_id", _plain_ids(batch.column(place))))
        self._fill(self._spool.read_sorted())

    def _outdated(self) -> pa.Table:
        content = self._known.outdated()
        ids = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), len(content) // 16, [None, pa.py_buffer(content)]
        )
        return pa.table({"_id": pa.ExtensionArray.from_storage(pa.uuid(), ids)})


def open_store(location: StoreLocation) -> Store:
    """Read what a store tells about its table.

    Parameters
    ----------
    location
        Where the store is.

    Returns
    -------
    store : `Store`

    Raises
    ------
    NotFoundError
        Raised if there is no store.
    UsageError
        Raised if the folder is something else, damaged, or of another layout.
    TransientError
        Raised if it cannot be read now.
    """
    for _ in range(_ATTEMPTS):
        path = read_pointer(location.path)
        try:
            told = _read_properties(path)
        except duckdb.IOException as err:
            if read_pointer(location.path) == path:
                raise _unreadable(location, path) from err
        except duckdb.Error as err:
            raise _unreadable(location, path) from err
        else:
            columns = columns_from_text(told.pop(_COLUMNS))
            formatted = tuple(filter(None, told.pop(_FORMATTED, "").split(",")))
            return Store(location, columns, path, told, formatted, int(told.pop(_UNSORTED, 0)))
    raise TransientError(f"The store {location} is being replaced again and again; try again later")


def _read_properties(path: Path) -> dict[str, str]:
    with duckdb.connect(":memory:", config={"python_enable_replacements": "false"}) as connection:
        connection.execute(f"ATTACH {_text(path)} AS made (READ_ONLY)")
        return dict(connection.execute("SELECT name, value FROM made.properties").fetchall())


def _unreadable(location: StoreLocation, path: Path) -> UsageError | TransientError | NotFoundError:
    again = f"make the store again with 'butler vo export REPO {location}'"
    try:
        with path.open("rb"):
            return UsageError(f"The table {path} is damaged; {again}")
    except FileNotFoundError:
        return UsageError(f"The table {path} is gone; {again}")
    except OSError as err:
        return TransientError(f"The store {location} cannot be read now: {err.strerror}")


def _declare(name: str, kind: str) -> str:
    compression = _COMPRESSIONS.get(name.strip('"'))
    return f"{name} {kind}" + (f" USING COMPRESSION {compression}" if compression else "")


def _plain_ids(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as err:
        raise UsageError(f"The store {folder} cannot be written: {str(err).splitlines()[0]}") from err
