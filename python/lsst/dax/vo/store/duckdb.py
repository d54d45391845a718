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
from typing import Self, override

import duckdb
import numpy as np
import pyarrow as pa

from ..dali import Column
from ..errors import NotFoundError, TransientError, UsageError
from ._folder import WriterLock, new_table, point_to, read_pointer, sweep
from ._known import Changes, Course, KnownTable
from ._layout import HIDDEN_COLUMNS, batch_schema, columns_from_text, columns_to_text, sql_type
from ._location import StoreLocation
from ._spool import Spool
from ._store import Updater, Writer

_MEMORY = "512MiB"
_COLUMNS, _FORMATTED, _UNSORTED = "columns", "formatted", "unsorted"
# Before the name of a column: the column of its formats.
_FORMAT = "_format_"
# Between reading the pointer and opening its table, the table may be replaced.
_ATTEMPTS = 5
# DuckDB tries all its compressions of text and bytes before it takes one.  For
# columns whose values all differ the choice is known (half a million rows:
# 2.9 s instead of 5.0 s).
_COMPRESSIONS = {
    "_id": "uncompressed",
    # A search by place reads the bounds of some row groups whole: as they are,
    # in half the time, for a tenth of the file.
    **dict.fromkeys(("_x0", "_y0", "_z0", "_x1", "_y1", "_z1"), "uncompressed"),
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


class StoreWriter(Writer):
    """Writes a table and puts it in the place of the one before.

    A context manager; see `~lsst.dax.vo.store.Writer`.  Rows are collected
    and sorted in a file beside the table.  A killed process leaves files
    that the next writer removes.

    Parameters
    ----------
    location
        Where the store is, or will be.
    columns, properties, formatted
        See `~lsst.dax.vo.store.open_writer`.

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

    @override
    def write(self, batch: pa.RecordBatch) -> None:
        # Docstring inherited.
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


class StoreUpdater(StoreWriter, Updater):
    """Changes single rows of a table, in a copy that takes its place.

    A context manager; see `~lsst.dax.vo.store.Updater`.  If nothing has
    changed, the table stays.
    """

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            with _explained(self._folder):
                self._base = open_store(StoreLocation(self._folder))
                self._known = KnownTable(
                    self._base,
                    *self._read_known(),
                    columns=self._columns,
                    properties=self._properties,
                    formatted=self._formatted,
                )
        except BaseException:
            self.__exit__(UsageError, None, None)
            raise
        return self

    @property
    @override
    def changes(self) -> Changes:
        # Docstring inherited.
        return self._known.changes

    @override
    def find_fresh(self, ids: bytes, prints: pa.Array) -> np.ndarray:
        # Docstring inherited.
        return self._known.find_fresh(ids, prints)

    def _read_known(self) -> tuple[bytes, np.ndarray]:
        with self._connect() as connection:
            connection.execute(f"ATTACH {_text(self._base.path)} AS base (READ_ONLY)")
            rows: pa.Table = connection.sql("SELECT _id, _print FROM base.obscore").to_arrow_table()
        ids = pa.chunked_array([_plain_ids(chunk) for chunk in rows["_id"].chunks], pa.binary(16))
        content = ids.combine_chunks()
        start = 16 * content.offset
        data = memoryview(content.buffers()[1]) if len(content) else memoryview(b"")
        return bytes(data[start : start + 16 * len(content)]), rows["_print"].to_numpy()

    @override
    def _commit(self) -> None:
        match self._known.course:
            case Course.LEAVE:
                return
            case Course.PATCH:
                self._patch()
            case Course.MERGE:
                self._spool_kept()
                super()._commit()
            case Course.WRITE:
                super()._commit()

    def _patch(self) -> None:
        """Copy the file and change the copy: seconds for millions of rows."""
        shutil.copyfile(self._base.path, self._table)
        with self._connect() as connection:
            connection.execute(f"ATTACH {_text(self._table)} AS made")
            connection.register("outdated", self._outdated())
            connection.execute("DELETE FROM made.obscore WHERE _id IN (SELECT _id FROM outdated)")
            self._insert(connection, self._spool.read_sorted())
            self._tell(connection, unsorted=self._known.unsorted)
            connection.execute("DETACH made")
        point_to(self._table)

    def _spool_kept(self) -> None:
        """Put the rows that stay beside the new ones, to be sorted with them."""
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

    def _outdated(self) -> pa.Table:
        return pa.table({"_id": pa.ExtensionArray.from_storage(pa.uuid(), self._known.outdated())})


def open_store(location: StoreLocation) -> Store:
    """Read what a store tells about its table; see `~lsst.dax.vo.store.open_store`.

    Parameters
    ----------
    location
        Where the store is.

    Returns
    -------
    store : `Store`
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
