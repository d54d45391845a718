"""The store in DuckDB: one file for each table.

The rows of a table are sorted along the sky: a search by place then reads a
few stretches of the file, because DuckDB keeps the least and greatest value
of each column for each of them.
"""

from __future__ import annotations

__all__ = ["Store", "StoreUpdater", "StoreWriter", "open_store"]

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import override

import duckdb
import numpy as np
import pyarrow as pa

from ..dali import Column
from ..errors import NotFoundError, TransientError, UsageError
from ._folder import FolderHome, read_pointer
from ._known import Course
from ._layout import FORMAT_PREFIX, HIDDEN_COLUMNS, columns_from_text, sql_type
from ._location import StoreLocation
from ._pointer import DUCKDB
from ._table_writer import (
    COLUMNS,
    FORMATTED,
    UNSORTED,
    KnowingUpdater,
    TableWriter,
    explaining,
    id_bytes,
    plain_ids,
)

_MEMORY = "512MiB"
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
        return read_pointer(self.location.path, DUCKDB) == self.path


class StoreWriter(TableWriter):
    """Writes a table and puts it in the place of the one before.

    A context manager; see `~lsst.dax.vo.store.Writer`.  A killed process
    leaves files that the next writer removes.

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
        self._location = StoreLocation(location.path.absolute())
        home = FolderHome(self._location.path, DUCKDB)
        super().__init__(home, str(self._location), columns, properties, formatted=formatted)

    @override
    def _fill(self, ordered: Iterable[pa.RecordBatch]) -> None:
        # Docstring inherited.
        with self._connect() as connection:
            connection.execute(f"ATTACH {_text(self._table)} AS made")
            connection.execute(f"CREATE TABLE made.obscore ({', '.join(self._declarations())})")
            self._insert(connection, ordered)
            connection.execute("CREATE INDEX obscore_id ON made.obscore (_id)")
            connection.execute("CREATE TABLE made.properties (name VARCHAR, value VARCHAR)")
            self._tell(connection)
            connection.execute("DETACH made")

    @override
    def _explained(self) -> AbstractContextManager[None]:
        return explaining(self._store, duckdb.Error, pa.ArrowException, OSError)

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
        told = self._told(count, unsorted=unsorted)
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
                form = _name(FORMAT_PREFIX + column.name)
                yield f"{form} VARCHAR"
                yield f"{name} VARCHAR GENERATED ALWAYS AS (replace({form}, '{{id}}', _id::VARCHAR)) VIRTUAL"
            else:
                yield _declare(name, sql_type(column))
        for name, kind in HIDDEN_COLUMNS.items():
            yield _declare(name, kind)


class StoreUpdater(KnowingUpdater, StoreWriter):
    """Changes single rows of a table, in a copy that takes its place.

    A context manager; see `~lsst.dax.vo.store.Updater`.  If nothing has
    changed, the table stays.
    """

    @override
    def _read_base(self) -> tuple[Store, bytes, np.ndarray]:
        self._base = open_store(self._location)
        with self._connect() as connection:
            connection.execute(f"ATTACH {_text(self._base.path)} AS base (READ_ONLY)")
            rows: pa.Table = connection.sql("SELECT _id, _print FROM base.obscore").to_arrow_table()
        return self._base, id_bytes(rows["_id"]), rows["_print"].to_numpy()

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
        self._home.publish(self._table)

    def _spool_kept(self) -> None:
        """Put the rows that stay beside the new ones, to be sorted with them."""
        names = [f"{_name(self._stored_name(name))} AS {_name(name)}" for name in self.schema.names]
        with self._connect() as connection:
            connection.execute(f"ATTACH {_text(self._base.path)} AS base (READ_ONLY)")
            connection.register("outdated", self._outdated())
            found = connection.sql(
                f"SELECT {', '.join(names)} FROM base.obscore WHERE _id NOT IN (SELECT _id FROM outdated)"
            )
            for batch in found.to_arrow_reader(100_000):
                place = batch.schema.get_field_index("_id")
                self._spool.write(batch.set_column(place, "_id", plain_ids(batch.column(place))))

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
        path = read_pointer(location.path, DUCKDB)
        try:
            told = _read_properties(path)
        except duckdb.IOException as err:
            if read_pointer(location.path, DUCKDB) == path:
                raise _unreadable(location, path) from err
        except duckdb.Error as err:
            raise _unreadable(location, path) from err
        else:
            columns = columns_from_text(told.pop(COLUMNS))
            formatted = tuple(filter(None, told.pop(FORMATTED, "").split(",")))
            return Store(location, columns, path, told, formatted, int(told.pop(UNSORTED, 0)))
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


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
