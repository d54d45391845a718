"""The store in DuckDB: one file for each table.

The rows of a table are sorted along the sky: a search by place then reads a
few stretches of the file, because DuckDB keeps the least and greatest value
of each column for each of them.
"""

from __future__ import annotations

__all__ = ["Store", "StoreWriter", "open_store"]

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa

from ..dali import Column
from ..errors import NotFoundError, TransientError, UsageError
from ._folder import WriterLock, new_table, point_to, read_pointer, sweep
from ._layout import HIDDEN_COLUMNS, batch_schema, columns_from_text, columns_to_text, sql_type
from ._location import StoreLocation
from ._staging import Staging

# Rows staged in one go.
_STAGED_ROWS = 100_000
_MEMORY = "1GiB"
_COLUMNS = "columns"
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

    Raises
    ------
    UsageError
        Raised if a column has a type or name that the store cannot hold.
    """

    def __init__(
        self, location: StoreLocation, columns: Sequence[Column], properties: Mapping[str, str]
    ) -> None:
        self.schema = batch_schema(columns)
        """What `write` takes."""
        self._columns = tuple(columns)
        self._properties = dict(properties)
        self._folder = location.path.absolute()
        self._waiting: list[pa.RecordBatch] = []

    def __enter__(self) -> Self:
        self._lock = WriterLock(self._folder)
        try:
            sweep(self._folder)
            self._table = new_table(self._folder)
            with _explained(self._folder):
                self._staging = Staging(self._table.with_suffix(".staged"), self.schema)
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
                with contextlib.suppress(OSError):
                    self._staging.close()
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
        try:
            batch = batch.select(self.schema.names).cast(self.schema)
        except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
            raise UsageError(f"These rows do not fit the table: {str(err).splitlines()[0]}") from err
        self._waiting.append(batch)
        if sum(waiting.num_rows for waiting in self._waiting) >= _STAGED_ROWS:
            self._stage()

    def _stage(self) -> None:
        rows = pa.Table.from_batches(self._waiting, self.schema)
        self._waiting = []
        if rows.num_rows:
            with _explained(self._folder):
                self._staging.add(rows)

    def _commit(self) -> None:
        self._stage()
        connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": _MEMORY,
                "temp_directory": f"{self._table}.tmp",
                "python_enable_replacements": "false",
            },
        )
        with connection:
            connection.execute(f"ATTACH {_text(self._table)} AS made")
            public = [_declare(_name(column.name), sql_type(column)) for column in self._columns]
            hidden = [_declare(name, kind) for name, kind in HIDDEN_COLUMNS.items()]
            connection.execute(f"CREATE TABLE made.obscore ({', '.join([*public, *hidden])})")
            schema = _with_uuid(pa.RecordBatch.from_pylist([], self._staging.schema)).schema
            rows = pa.RecordBatchReader.from_batches(schema, map(_with_uuid, self._staging.read_sorted()))
            connection.register("rows", rows)
            connection.execute("INSERT INTO made.obscore BY NAME SELECT * FROM rows")
            connection.unregister("rows")
            connection.execute("CREATE INDEX obscore_id ON made.obscore (_id)")
            ((count,),) = connection.execute("SELECT COUNT(*) FROM made.obscore").fetchall()
            told = self._properties | {"rows": str(count), _COLUMNS: columns_to_text(self._columns)}
            connection.execute("CREATE TABLE made.properties (name VARCHAR, value VARCHAR)")
            connection.executemany("INSERT INTO made.properties VALUES (?, ?)", list(told.items()))
            connection.execute("DETACH made")
        point_to(self._table)


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
            return Store(location, columns_from_text(told.pop(_COLUMNS)), path, told)
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


def _with_uuid(batch: pa.RecordBatch) -> pa.RecordBatch:
    place = batch.schema.get_field_index("_id")
    return batch.set_column(place, "_id", pa.ExtensionArray.from_storage(pa.uuid(), batch["_id"]))


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
