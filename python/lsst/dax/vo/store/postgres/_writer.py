"""Writing a table, and putting it into the place of the one before."""

from __future__ import annotations

__all__ = ["PostgresWriter"]

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, override

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from ...dali import Column
from ...errors import TransientError, UsageError, VoError
from ...files import Scratch
from .._circles import bounding_circles
from .._layout import batch_schema
from .._location import PostgresLocation
from .._spool import Spool
from .._store import Writer
from ._connection import Connection, connect, explained, format_sql, told_by
from ._copy import send_rows
from ._properties import PostgresStore, check_place, write_properties
from ._shape import TableShape
from ._swap import check_dependents, mark_table, swap_view, sweep

# Otherwise who wants to know reads them from the table.
_MOST_FORMATS = 1000


class PostgresWriter(Writer):
    """Writes a table and puts it in the place of the one before.

    A context manager; see `~lsst.dax.vo.store.Writer`.  Rows are collected
    and sorted in a temporary folder, and go to the database in the end.  Who
    may read the table before may read the new one.

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
        location: PostgresLocation,
        columns: Sequence[Column],
        properties: Mapping[str, str],
        *,
        formatted: Collection[str] = (),
    ) -> None:
        self.schema = batch_schema(columns, formatted=formatted)
        for name in self.schema.names:
            if len(name.encode()) > TableShape.MOST_NAME_BYTES:
                raise UsageError(
                    f"The name of column {name!r} is too long for PostgreSQL; "
                    f"give at most {TableShape.MOST_NAME_BYTES} bytes"
                )
        self._location = location
        self._columns = tuple(columns)
        self._formatted = tuple(sorted(formatted))
        self._properties = dict(properties)
        # Of rows that were sent, and of those that stay.
        self._sent: dict[str, set[str | None]] = {name: set() for name in self._formatted}
        self._kept: Mapping[str, Sequence[str | None]] | None = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(explained(self._location, writing=True))
            self._connection = stack.enter_context(contextlib.closing(connect(self._location)))
            self._connection.autocommit = True
            # The session holds the right to write, and loses it with its process.
            key = f"lsst-dax-vo {self._location.schema}.{self._location.table}"
            ((taken,),) = self._connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key]
            ).fetchall()
            if not taken:
                raise TransientError(
                    f"The store {self._location} is being written by another process; "
                    "try again when it is done"
                )
            check_place(self._connection, self._location)
            sweep(self._connection, self._location)
            scratch = Scratch()
            stack.callback(scratch.remove)
            self._spool = Spool(
                scratch.path / "rows", self.schema, lambda: explained(self._location, writing=True)
            )
            stack.callback(self._spool.close)
            self._shape = TableShape(self._columns, self._formatted, self._spool.schema)
            check_dependents(self._connection, self._location, self._shape)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The stack also says what is wrong, in our words.
        with self._stack:
            if kind is None:
                self._commit()

    @override
    def write(self, batch: pa.RecordBatch) -> None:
        # Docstring inherited.
        self._spool.write(batch)

    def _commit(self) -> None:
        ordered = self._spool.read_sorted()
        # Rows of a table that the same transaction made need no later care.
        self._replace(lambda made: self._send(made, ordered, freeze=True))

    def _replace(self, fill: Callable[[sql.Identifier], int]) -> None:
        """Make a table, have it filled, and put it into its place."""
        location, connection = self._location, self._connection
        table = f"{location.table}_{uuid.uuid4().hex}"
        made = sql.Identifier(location.schema, table)
        with connection.transaction():
            connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
            connection.execute(format_sql("CREATE SCHEMA IF NOT EXISTS {}", sql.Identifier(location.schema)))
            _require_pgsphere(connection, location)
            connection.execute(self._shape.declare(made))
            count = fill(made)
            _index(connection, self._shape.index(made))
            mark_table(connection, made)
            connection.execute(format_sql("ANALYZE {}", made))
            self._tell(table, count)
            swap_view(connection, location, made, self._shape)
        # The new table counts, whatever becomes of the old one.
        with contextlib.suppress(psycopg.Error, VoError):
            sweep(connection, location)

    def _send(
        self,
        made: sql.Identifier,
        ordered: Iterable[pa.RecordBatch],
        *,
        start: int = 0,
        freeze: bool = False,
    ) -> int:
        """Send rows, which are numbered from ``start`` on, and count them."""
        noted = self._noting(ordered)
        return send_rows(self._connection, made, self._shape.names, _completed(noted, start), freeze=freeze)

    def _noting(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Note which formats rows have."""
        for batch in batches:
            for name, texts in self._sent.items():
                texts.update(pc.unique(batch[name]).to_pylist())
            yield batch

    def _formats(self) -> dict[str, tuple[str | None, ...]] | None:
        if self._kept is None:
            return None
        found = {name: texts.union(self._kept.get(name, ())) for name, texts in self._sent.items()}
        if sum(map(len, found.values())) > _MOST_FORMATS:
            return None
        return {name: tuple(sorted(texts, key=lambda text: text or "")) for name, texts in found.items()}

    def _tell(self, table: str, count: int, *, unsorted: int = 0) -> None:
        told = self._properties | {"rows": str(count)}
        write_properties(
            self._connection,
            PostgresStore(
                self._location, self._columns, table, told, self._formatted, unsorted, self._formats()
            ),
        )


def _completed(ordered: Iterable[pa.RecordBatch], start: int) -> Iterator[list[pa.Array]]:
    """Yield columns with circles and numbers of the rows."""
    for batch in ordered:
        circles = bounding_circles(batch["_region"])
        hidden = [pa.array(circles[:, axis], from_pandas=True) for axis in range(3)]
        end = start + batch.num_rows
        yield [*batch.columns, *hidden, pa.array(np.arange(start, end))]
        start = end


def _index(connection: Connection, statements: Iterable[sql.Composed]) -> None:
    for statement in statements:
        connection.execute(statement)


def _require_pgsphere(connection: Connection, location: PostgresLocation) -> None:
    ((there,),) = connection.execute("SELECT to_regtype('scircle') IS NOT NULL").fetchall()
    if there:
        return
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION pg_sphere")
    except psycopg.Error as err:
        raise UsageError(
            f"The database of the store {location} has no pgSphere: {told_by(err, location)}; "
            "have it installed and run CREATE EXTENSION pg_sphere as the database's administrator"
        ) from err
