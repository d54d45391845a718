"""The engine on PostgreSQL.

A query runs in a transaction of its own that can only read.  The published
tables are queries in front of it, on the tables of the stores as they are when
it begins; a writer that replaces a table leaves it to those who read it.  What
the database cannot say exactly about geometries is settled before, by the
kernels (see ``query/_settle.py``), in the same transaction.  Rows come by
COPY, in binary, and stream into Arrow.
"""

from __future__ import annotations

__all__ = ["PostgresEngine"]

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Literal, override

import pyarrow as pa
from adbc_driver_manager import Error as DriverError
from adbc_driver_postgresql import StatementOptions
from sqlglot import exp

from ....config import Limits
from ....dali import ResultTable, arrow_type
from ....errors import TransientError, UnsupportedError
from ....store import LiveStore, PostgresLocation
from ..._catalog import OBSCORE_TABLE, Catalog
from ..._engine import Engine
from ..._limit import limit_rows
from ..._plan import Plan
from ..._tree import function_name, quoted
from ...lowering._named import naming_columns
from ...settling._settle import settle_predicates
from .._clock import Clock, read_ahead
from .._live import decode_texts
from .._uploads import name_uploads
from .._words import UNREADABLE
from ._connections import Connections, place_tables
from ._tables import Formats, PublishedTables, World, database_of, select_formats
from ._told import ReplacedError, explained
from ._watch import Watch

_BATCH_BYTES = 4_000_000
# Between asking which table counts and reading it, it may be replaced.
_ATTEMPTS = 5


class PostgresEngine(Engine):
    """Runs plans on stores in PostgreSQL; see `~lsst.dax.vo.query.Engine`.

    Parameters
    ----------
    sources
        One or more stores, all in one database: where they are, or what the
        Butler's own tables are.
    limits
        Time and memory of a query.
    access_url
        Whether ``access_url`` leads to the service, or is the one that was
        exported.

    Raises
    ------
    UsageError
        Raised if two stores have a column of one name and different types.
    UnsupportedError
        Raised if the stores are in different databases.
    TransientError
        Raised if a store cannot be read now.
    """

    def __init__(
        self,
        sources: Sequence[PostgresLocation | LiveStore],
        *,
        limits: Limits,
        access_url: Literal["service", "exported"],
    ) -> None:
        database, *others = map(database_of, sources)
        for other in others:
            if other.conninfo != database.conninfo:
                raise UnsupportedError(
                    f"The stores {database} and {other} are in different databases; "
                    "serve stores of one database, or one service for each"
                )
        self._conninfo = database.conninfo
        self._limits = limits
        self._access_url = access_url
        self._watch = Watch(sources)
        self._connections = Connections(self._conninfo, limits)

    @property
    @override
    def catalog(self) -> Catalog:
        # Docstring inherited.
        return self._watch.look().catalog

    @override
    def run(
        self,
        plan: Plan,
        *,
        maxrec: int | None,
        base_url: str | None = None,
        uploads: Mapping[str, pa.Table] | None = None,
        seconds: float | None = None,
    ) -> ResultTable:
        # Docstring inherited.
        tree, end = limit_rows(plan.tree, None if maxrec is None else maxrec + 1)
        tree, tables = name_uploads(tree, uploads)
        schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in plan.columns])
        clock = Clock(self._limits.query_seconds if seconds is None else seconds)
        batches = self._stream(tree, schema, clock, base_url, tables, end)
        return ResultTable(plan.columns, read_ahead(batches), maxrec, clock.cancel)

    @override
    def count_rows(self) -> dict[str, int]:
        # Docstring inherited.
        schema_name, _, name = OBSCORE_TABLE.partition(".")
        label = exp.Column(this=quoted("_repo"), table=quoted("o"))
        table = exp.Table(this=quoted(name), db=quoted(schema_name), alias=exp.TableAlias(this=quoted("o")))
        tree = exp.Select(
            expressions=[label, exp.Anonymous(this="COUNT", expressions=[exp.Star()])],
            from_=exp.From(this=table),
            group=exp.Group(expressions=[label.copy()]),
            order=exp.Order(expressions=[exp.Ordered(this=label.copy())]),
        )
        schema = pa.schema([pa.field("label", pa.string()), pa.field("rows", pa.int64())])
        batches = self._stream(tree, schema, Clock(self._limits.query_seconds))
        return {row["label"]: row["rows"] for batch in batches for row in batch.to_pylist()}

    @override
    def close(self) -> None:
        # Docstring inherited.
        self._connections.close()
        self._watch.close()

    def _stream(
        self,
        tree: exp.Query,
        schema: pa.Schema,
        clock: Clock,
        base_url: str | None = None,
        uploads: Mapping[str, pa.Table] | None = None,
        end: str = "",
    ) -> Generator[pa.RecordBatch]:
        def prepare(connection: Any) -> None:
            with self._working(connection.cursor(), clock) as cursor:
                place_tables(cursor, uploads or {})

        service = base_url if self._access_url == "service" else None
        with contextlib.closing(clock):
            for attempt in range(_ATTEMPTS):
                world = self._watch.look()
                try:
                    borrowed = self._connections.transaction(clock, prepare if uploads else None)
                    with borrowed as connection:
                        named = self._named(connection, clock, world, tree, base_url)
                        tables = PublishedTables(world, service, named)
                        settled = self._settle(connection, clock, world, tables, tree)
                        yield from self._read(connection, clock, tables.render(settled) + end, schema)
                except ReplacedError:
                    if attempt + 1 == _ATTEMPTS:
                        raise TransientError(UNREADABLE) from None
                else:
                    return

    def _named(
        self, connection: Any, clock: Clock, world: World, tree: exp.Query, base_url: str | None
    ) -> frozenset[str]:
        """Return the columns whose texts name their datasets, if that matters to a query."""
        if all(function_name(node) != "vo_by_id" for node in tree.find_all(exp.Anonymous)):
            return frozenset()
        if not world.formats:
            found: list[Formats] = []
            for store in world.stores:
                with self._working(connection.cursor(), clock) as cursor:
                    known = {} if isinstance(store, LiveStore) else store.formats or {}
                    formats: Formats = {name: frozenset(texts) for name, texts in known.items()}
                    for name, query in select_formats(store).items():
                        cursor.execute(query)
                        formats[name] = frozenset(cursor.fetch_arrow_table()["text"].to_pylist())
                    found.append(formats)
            world.formats[:] = found
        return naming_columns(world.formats, access_url=self._access_url, base_url=base_url)

    def _settle(
        self, connection: Any, clock: Clock, world: World, tables: PublishedTables, tree: exp.Query
    ) -> exp.Query:
        def ask(query: exp.Select) -> pa.Table:
            with self._working(connection.cursor(), clock) as cursor:
                cursor.execute(tables.render(query))
                return cursor.fetch_arrow_table()

        return settle_predicates(tree, ask, indexed=world.is_indexed, decode=decode_texts)

    def _read(self, connection: Any, clock: Clock, sql: str, schema: pa.Schema) -> Generator[pa.RecordBatch]:
        cursor = connection.cursor()
        done = False
        try:
            options = {StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
            cursor.adbc_statement.set_options(**options)
            with self._working(cursor, clock, last=False):
                cursor.execute(sql)
                reader = cursor.fetch_record_batch()
            while True:
                with self._working(cursor, clock, last=False):
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        done = True
                        return
                arrays = [
                    array if array.type == item.type else array.cast(item.type)
                    for array, item in zip(batch.columns, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        finally:
            if not done:
                # Whoever asked went away, or the query failed.
                _cancel(cursor)
            cursor.close()

    @contextlib.contextmanager
    def _working(self, cursor: Any, clock: Clock, *, last: bool = True) -> Iterator[Any]:
        """Let a cursor work, and close it if that is the last it does."""
        try:
            with explained(clock, self._conninfo), clock.watching(lambda: _cancel(cursor)):
                yield cursor
        finally:
            if last:
                cursor.close()


def _cancel(cursor: Any) -> None:
    with contextlib.suppress(DriverError):
        cursor.adbc_cancel()
