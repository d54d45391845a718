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
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, override

import pyarrow as pa
from adbc_driver_manager import Error as DriverError
from adbc_driver_postgresql import StatementOptions, dbapi
from sqlglot import exp

from ...config import Limits
from ...dali import Column, ResultTable, arrow_type
from ...errors import (
    NotFoundError,
    TransientError,
    UnsupportedError,
    UsageError,
    VoError,
    without_secrets,
)
from ...store import LiveLocation, LiveStore, PostgresLocation
from ...store.postgres import (
    SCIRCLE,
    SPOINT,
    PostgresStore,
    connect,
    explained,
    read_store,
    shown_columns,
)
from .._catalog import OBSCORE_TABLE, Catalog, build_catalog, tap_schema_rows
from .._engine import Engine
from .._limit import limit_rows
from .._plan import Plan
from .._settle import settle_predicates
from .._tree import quoted
from ..dialects import postgres
from ._live import HIDDEN, decode_texts, select_hidden, select_public

_LOG = logging.getLogger(__name__)

_BATCH_BYTES = 4_000_000
_MOST_IDLE = 4
# Between asking which table counts and reading it, it may be replaced.
_ATTEMPTS = 5
# A server that does not say in that time which table counts has stalled.
_LOOK_SECONDS = 10.0
_UNREADABLE = "The ObsCore table cannot be read now; try again later"
_TYPES = {
    "boolean": "boolean",
    "unsignedByte": "smallint",
    "short": "smallint",
    "int": "integer",
    "long": "bigint",
    "float": "real",
    "double": "double precision",
}
# All ASCII characters that a URL cannot have in a parameter as they are.
_ESCAPED = "%" + "".join(chr(code) for code in range(32, 127) if not re.match(r"[A-Za-z0-9_.~%-]", chr(code)))


_BROKEN = re.compile(r"could not|cannot open|cannot read|terminat|canceling|invalid page")
_FULL = re.compile(r"out of memory|No space left|temporary file size")


@dataclass(frozen=True, slots=True)
class _World:
    """The stores as they are, and what they are to queries."""

    stores: tuple[PostgresStore | LiveStore, ...]
    catalog: Catalog

    @property
    def is_indexed(self) -> bool:
        """Whether all have pgSphere's geometries, of one type, in their indexes."""
        live = [store for store in self.stores if isinstance(store, LiveStore)]
        return not live or (
            len(live) == len(self.stores)
            and all(store.region_column and store.position_column for store in live)
        )


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
        self._sources = tuple(sources)
        self._database, *others = map(_database_of, sources)
        for other in others:
            if other.conninfo != self._database.conninfo:
                raise UnsupportedError(
                    f"The stores {self._database} and {other} are in different databases; "
                    "serve stores of one database, or one service for each"
                )
        self._limits = limits
        self._access_url = access_url
        # For what takes no time; the other one is held while the database is asked.
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._is_closed = False
        self._watch: Any = None
        self._idle: list[Any] = []
        try:
            self._world = self._look()
        except BaseException:
            self.close()
            raise

    @property
    @override
    def catalog(self) -> Catalog:
        # Docstring inherited.
        return self._current_world().catalog

    @override
    def run(self, plan: Plan, *, maxrec: int | None, base_url: str | None = None) -> ResultTable:
        # Docstring inherited.
        if maxrec is not None:
            plan = replace(plan, tree=limit_rows(plan.tree, maxrec + 1))
        schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in plan.columns])
        return ResultTable(plan.columns, self._stream(plan.tree, schema, base_url), maxrec)

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
        batches = self._stream(tree, schema, None)
        return {row["label"]: row["rows"] for batch in batches for row in batch.to_pylist()}

    @override
    def close(self) -> None:
        # Docstring inherited.
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._close_watch()

    def _stream(self, tree: exp.Query, schema: pa.Schema, base_url: str | None) -> Iterator[pa.RecordBatch]:
        for attempt in range(_ATTEMPTS):
            world = self._current_world()
            clock = _Clock(self._limits.query_seconds)
            try:
                with self._transaction() as connection:
                    reader, cursor = self._start(connection, clock, world, tree, base_url)
                    with contextlib.closing(cursor):
                        yield from self._read(reader, cursor, clock, schema)
            except _ReplacedError:
                if attempt + 1 == _ATTEMPTS:
                    raise TransientError(_UNREADABLE) from None
            else:
                return

    def _start(
        self, connection: Any, clock: _Clock, world: _World, tree: exp.Query, base_url: str | None
    ) -> tuple[pa.RecordBatchReader, Any]:
        tables = _Tables(world, self._access_url, base_url)

        def ask(query: exp.Select) -> pa.Table:
            with (
                contextlib.closing(connection.cursor()) as cursor,
                self._explained(clock),
                clock.watching(cursor),
            ):
                cursor.execute(tables.render(query))
                return cursor.fetch_arrow_table()

        settled = settle_predicates(tree, ask, indexed=world.is_indexed, decode=decode_texts)
        text = tables.render(settled)
        cursor = connection.cursor()
        try:
            options = {StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
            cursor.adbc_statement.set_options(**options)
            with self._explained(clock), clock.watching(cursor):
                cursor.execute(text)
                return cursor.fetch_record_batch(), cursor
        except BaseException:
            cursor.close()
            raise

    def _read(
        self, reader: pa.RecordBatchReader, cursor: Any, clock: _Clock, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        done = False
        try:
            while True:
                with self._explained(clock), clock.watching(cursor):
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
                with contextlib.suppress(DriverError):
                    cursor.adbc_cancel()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        clean = False
        try:
            connection = self._begin(connection)
            yield connection
            connection.rollback()
            clean = True
        finally:
            with self._lock:
                keep = clean and not self._is_closed and len(self._idle) < _MOST_IDLE
                if keep:
                    self._idle.append(connection)
            if not keep and connection is not None:
                with contextlib.suppress(DriverError):
                    connection.close()

    def _begin(self, connection: Any) -> Any:
        memory = max(self._limits.query_memory_mb // 8, 4)
        settings = (
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            f"SET LOCAL work_mem = '{memory}MB'",
            "SET LOCAL max_parallel_workers_per_gather = 2",
        )
        for fresh in (connection is None, True):
            try:
                if fresh:
                    connection = dbapi.connect(self._database.conninfo)
                with contextlib.closing(connection.cursor()) as cursor:
                    for statement in settings:
                        cursor.execute(statement)
            except DriverError as err:
                # An idle connection may have been cut; a new one may not.
                if connection is not None:
                    with contextlib.suppress(DriverError):
                        connection.close()
                connection = None
                if fresh:
                    _LOG.error("The database does not answer: %s", self._told_by(err))
                    raise TransientError(_UNREADABLE) from None
            else:
                return connection
        raise AssertionError("the second connection is a fresh one")

    def _current_world(self) -> _World:
        with self._lock:
            if self._is_closed:
                raise TransientError("The service is being closed; try again later")
        if not self._looking.acquire(timeout=_LOOK_SECONDS):
            _LOG.error("The ObsCore table cannot be read: the database has stalled")
            raise TransientError(_UNREADABLE)
        try:
            self._world = world = self._look()
        except VoError as err:
            # Its text names the database: that is for the log alone.
            _LOG.error("The ObsCore table cannot be read: %s", err)
            raise TransientError(_UNREADABLE) from err
        finally:
            self._looking.release()
            if self._is_closed:
                self._close_watch()
        return world

    def _close_watch(self) -> None:
        # Nobody waits here: who is just looking does it then.
        if self._looking.acquire(blocking=False):
            try:
                watch, self._watch = self._watch, None
            finally:
                self._looking.release()
            if watch is not None:
                watch.close()

    def _look(self) -> _World:
        # A connection that was cut is made again once.
        for last in (self._watch is None, True):
            try:
                return self._look_once()
            except (TransientError, NotFoundError):
                if self._watch is not None:
                    self._watch.close()
                    self._watch = None
                if last:
                    raise
        raise AssertionError("the second look is the last")

    def _look_once(self) -> _World:
        stores: list[PostgresStore | LiveStore] = []
        for source in self._sources:
            if isinstance(source, LiveStore):
                stores.append(source)
                continue
            if self._watch is None:
                self._watch = connect(source)
                self._watch.autocommit = True
            with explained(source, writing=False), _cut_when_stalled(self._watch):
                stores.append(read_store(self._watch, source))
        known: _World | None = getattr(self, "_world", None)
        if known is not None and known.stores == tuple(stores):
            return known
        return _World(tuple(stores), build_catalog(_merge_columns(stores)))

    @contextlib.contextmanager
    def _explained(self, clock: _Clock) -> Iterator[None]:
        try:
            yield
        except (DriverError, pa.ArrowException, OSError) as err:
            state = getattr(err, "sqlstate", None) or _state_in(err)
            if clock.has_rung:
                raise UsageError(
                    f"The query took more than {self._limits.query_seconds} s; ask for less: "
                    "a place, fewer rows (TOP), or one table instead of a join"
                ) from None
            if state == "42P01":
                raise _ReplacedError from None
            reason = self._told_by(err)
            if state is None and "ERROR: " in str(err) and not _BROKEN.search(reason):
                # While rows come, the driver leaves the state out.
                state = "53000" if _FULL.search(reason) else "22000"
            if state is None or state.startswith(("08", "57", "58", "XX", "40", "55")):
                _LOG.error("The ObsCore table cannot be read: %s", reason)
                raise TransientError(_UNREADABLE) from None
            if state.startswith("53"):
                raise UsageError(
                    f"The query needs more memory or room than the database has ({reason}); ask for less: "
                    "fewer rows or columns, or no ORDER BY"
                ) from None
            raise UsageError(f"The query cannot be evaluated: {reason}") from None

    def _told_by(self, err: Exception) -> str:
        # The driver repeats the statement behind the database's own first line.
        found = re.search(r"ERROR:\s+(.*)", str(err))
        text = found[1] if found else str(err).partition("\n")[0]
        return without_secrets(text, self._database.conninfo)


@contextlib.contextmanager
def _cut_when_stalled(connection: Any) -> Iterator[None]:
    """Let what waits on a connection fail when it has waited too long."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:

        def cut() -> None:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(_LOOK_SECONDS, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class _ReplacedError(Exception):
    """A table was removed before it was read."""


class _Clock:
    """Ends a query whose statements have taken too long, all together.

    The time that a client takes to read what it was sent does not count.
    """

    def __init__(self, seconds: float) -> None:
        self._left_s = float(seconds)
        self.has_rung = False
        """Whether the time is over."""

    @contextlib.contextmanager
    def watching(self, cursor: Any) -> Iterator[None]:
        """Let the time run while a cursor is at work."""

        def ring() -> None:
            self.has_rung = True
            with contextlib.suppress(DriverError):
                cursor.adbc_cancel()

        start_s = time.monotonic()
        timer = threading.Timer(max(self._left_s, 0.0), ring)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._left_s -= time.monotonic() - start_s


class _Tables:
    """The published tables, as queries in front of a query."""

    def __init__(self, world: _World, access_url: str, base_url: str | None) -> None:
        self._world = world
        self._service = base_url if access_url == "service" else None

    def render(self, tree: exp.Query) -> str:
        tree = tree.copy()
        taken = {str(name.this) for name in tree.find_all(exp.Identifier)}
        made: dict[str, str] = {}
        for table in list(tree.find_all(exp.Table)):
            if table.args.get("db") is None:
                continue
            name = f"{table.db}.{table.name}"
            if name not in made:
                made[name] = next(
                    own
                    for number in range(len(taken) + 1)
                    if (own := f"vo_{len(made)}_{number}") not in taken
                )
                taken.add(made[name])
            table.set("db", None)
            table.set("this", quoted(made[name]))
        queries = [f"{_name(own)} AS NOT MATERIALIZED ({self._query(name)})" for name, own in made.items()]
        text = postgres.render(tree)
        if not queries:
            return text
        # A query has one WITH.
        own = f", {text.removeprefix('WITH ')}" if text.startswith("WITH ") else f" {text}"
        return f"WITH {', '.join(queries)}{own}"

    def _query(self, name: str) -> str:
        if name != OBSCORE_TABLE:
            rows = tap_schema_rows(self._world.catalog)[name.partition(".")[2]]
            return _values(rows)
        columns = next(table.columns for table in self._world.catalog.tables if table.name == OBSCORE_TABLE)
        names = [column.name.strip('"') for column in columns]
        return " UNION ALL ".join(self._select(store, names) for store in self._world.stores)

    def _select(self, store: PostgresStore | LiveStore, names: Sequence[str]) -> str:
        own = {column.name.lower(): column for column in store.columns}
        ways = _ways(store)
        kinds = {column.name.lower(): column for item in self._world.stores for column in item.columns}
        parts = []
        for name in names:
            key = name.lower()
            way = ways.get(key, f"CAST(NULL AS {_sql_type(kinds[key])})")
            if (
                key == "access_url"
                and self._service is not None
                and {"access_url", "obs_publisher_did"} <= set(own)
            ):
                links = _text(f"{self._service}/api/datalink/links?ID=")
                way = f"coalesce({links} || {_url_encoded(ways['obs_publisher_did'])}, {way})"
            parts.append(f"{way} AS {_name(name)}")
        indexed = self._world.is_indexed
        if isinstance(store, LiveStore):
            parts += select_hidden(store, indexed=indexed)
            place = f"{_name(store.database.schema)}.{_name(store.database.table)}"
        else:
            parts += HIDDEN
            if indexed:
                parts.append(f"{SCIRCLE} AS _scircle")
                parts.append(f"{SPOINT if store.has_place else 'CAST(NULL AS spoint)'} AS _spoint")
            place = f"{_name(store.location.schema)}.{_name(store.table)}"
        return f"SELECT {', '.join(parts)} FROM {place}"


def _database_of(source: PostgresLocation | LiveStore) -> PostgresLocation:
    return source.database if isinstance(source, LiveStore) else source


def _ways(store: PostgresStore | LiveStore) -> dict[str, str]:
    # What selects each public column.
    if isinstance(store, LiveStore):
        return {
            column.name.lower(): select_public(store, column, _sql_type(column)) for column in store.columns
        }
    return {
        column.name.lower(): part.as_string(None).rpartition(" AS ")[0] or _name(column.name)
        for column, part in zip(store.columns, shown_columns(store.columns, store.formatted), strict=True)
    }


def _values(rows: pa.Table) -> str:
    kinds = ['text COLLATE "C"' if field.type == pa.string() else "integer" for field in rows.schema]
    names = [_name(name) for name in rows.column_names]
    shown = [
        f"CAST({name} AS integer) AS {name}" if kind == "integer" else f'{name} COLLATE "C" AS {name}'
        for name, kind in zip(names, kinds, strict=True)
    ]
    lines = [
        "(" + ", ".join(_cell(value, kind) for value, kind in zip(row.values(), kinds, strict=True)) + ")"
        for row in rows.to_pylist()
    ]
    return f"SELECT {', '.join(shown)} FROM (VALUES {', '.join(lines)}) AS v ({', '.join(names)})"


def _cell(value: str | int | None, kind: str) -> str:
    if value is None:
        return "CAST(NULL AS integer)" if kind == "integer" else "CAST(NULL AS text)"
    return str(value) if isinstance(value, int) else _text(value)


def _url_encoded(text: str) -> str:
    # Signs of ASCII one by one, which is quick; other texts by their bytes.
    quick = text
    for sign in _ESCAPED:
        quick = f"replace({quick}, {_text(sign)}, '%{ord(sign):02X}')"
    byte = f"get_byte(convert_to({text}, 'UTF8'), i)"
    slow = (
        f"(SELECT string_agg(CASE WHEN chr({byte}) ~ '[A-Za-z0-9_.~-]' AND {byte} < 128 THEN chr({byte}) "
        f"ELSE '%' || lpad(upper(to_hex({byte})), 2, '0') END, '' ORDER BY i) "
        f"FROM generate_series(0, octet_length({text}) - 1) AS i)"
    )
    return f"CASE WHEN {text} ~ '^[ -~]*$' THEN {quick} ELSE {slow} END"


def _sql_type(column: Column) -> str:
    if column.datatype not in _TYPES:
        return "text"
    return _TYPES[column.datatype] + ("" if column.arraysize is None else "[]")


def _merge_columns(stores: Sequence[PostgresStore | LiveStore]) -> list[Column]:
    merged: dict[str, tuple[Column, PostgresLocation | LiveLocation]] = {}
    for store in stores:
        for column in store.columns:
            first, location = merged.setdefault(column.name.lower(), (column, store.location))
            if arrow_type(first) != arrow_type(column):
                raise UsageError(
                    f"Column {column.name!r} is of type {first.datatype} in the store {location} and of type "
                    f"{column.datatype} in {store.location}; "
                    "export one of them again with the type of the other"
                )
    return [column for column, _ in merged.values()]


def _state_in(err: Exception) -> str | None:
    found = re.search(r"SQLSTATE: ([0-9A-Z]{5})", str(err))
    return None if found is None else found[1]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
