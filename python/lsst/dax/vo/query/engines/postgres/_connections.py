"""Connections for queries: read only, with limits of time, few at once."""

from __future__ import annotations

__all__ = ["Connections", "add_network_limits", "place_tables"]

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pyarrow as pa
from adbc_driver_manager import Error as DriverError
from adbc_driver_postgresql import dbapi

from ....config import Limits
from ....errors import TransientError
from .._clock import Clock
from .._words import UNREADABLE, explain_stop, quote_name
from ._told import told_by

_LOG = logging.getLogger(__name__)

_MOST_IDLE = 8
# Fewer than a server has by default, 100: writers and others need some too.
_MOST_CONNECTIONS = 32
# Of a query that waits: so long, nobody notices that its client has left.
_PATIENCE_SECONDS = 0.5
# A host that went away is noticed after a minute, not after the two hours of
# TCP (libpq's parameters).
_NETWORK = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "application_name": "lsst-dax-vo",
}
# How long a client may take to read its answer: as long, the database keeps
# its rows, and the statement is not ended.
_READING_SECONDS = 3600
_TYPES = {
    pa.bool_(): "boolean",
    # PostgreSQL has no bytes without a sign.
    pa.uint8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.string(): 'text COLLATE "C"',
}


def add_network_limits(conninfo: str) -> str:
    """Let a connection fail that nothing comes from any more.

    Parameters
    ----------
    conninfo
        URL of a database.

    Returns
    -------
    conninfo : `str`
        The same with limits of time for the network; those that it had stay.
    """
    parts = urlsplit(conninfo)
    given = parse_qsl(parts.query, keep_blank_values=True)
    names = {name for name, _ in given}
    wanted = [(name, value) for name, value in _NETWORK.items() if name not in names]
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode([*given, *wanted], quote_via=quote)}"


class Connections:
    """Lends connections, each in a transaction that can only read.

    Parameters
    ----------
    conninfo
        URL of the database.
    limits
        Time and memory of a query.
    """

    def __init__(self, conninfo: str, limits: Limits) -> None:
        self._conninfo = add_network_limits(conninfo)
        self._limits = limits
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._is_closed = False

    @contextlib.contextmanager
    def transaction(self, clock: Clock, prepare: Callable[[Any], None] | None = None) -> Iterator[Any]:
        """Borrow a connection.

        Parameters
        ----------
        clock
            That of the query.
        prepare
            What to do on it before it can only read.

        Yields
        ------
        connection : `adbc_driver_manager.dbapi.Connection`
            All its statements see the tables as they are at the first.

        Raises
        ------
        UsageError
            Raised if the query is stopped before there is one.
        TransientError
            Raised if the database does not answer, or too many queries run for
            as long as the query itself may take.
        """
        self._wait(clock)
        connection, clean = None, False
        try:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            connection = self._begin(connection, clock)
            if prepare is not None:
                prepare(connection)
            _run(connection, "SET TRANSACTION READ ONLY")
            yield connection
            connection.rollback()
            # What stops a statement that has just ended hits the next one.
            clean = not clock.has_stopped
        finally:
            with self._lock:
                keep = clean and not self._is_closed and len(self._idle) < _MOST_IDLE
                if keep:
                    self._idle.append(connection)
            if not keep and connection is not None:
                with contextlib.suppress(DriverError):
                    connection.close()
            self._free.release()

    def _wait(self, clock: Clock) -> None:
        end = time.monotonic() + clock.seconds
        while not self._free.acquire(timeout=min(_PATIENCE_SECONDS, clock.seconds)):
            if clock.is_cancelled:
                raise explain_stop(clock)
            if time.monotonic() >= end:
                raise TransientError("Too many queries are running now; try again later")

    def close(self) -> None:
        """Close the connections that nobody has; the others are when they come back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _begin(self, connection: Any, clock: Clock) -> Any:
        memory = max(self._limits.query_memory_mb // 8, 4)
        milliseconds = round(1000 * (clock.seconds + _READING_SECONDS))
        settings = (
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            f"SET LOCAL work_mem = '{memory}MB'",
            "SET LOCAL max_parallel_workers_per_gather = 2",
            # To compile a statement takes longer than most of them run.
            "SET LOCAL jit = off",
            # Should this process stop: until then, it ends queries itself.
            f"SET LOCAL statement_timeout = {milliseconds}",
            f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}",
        )
        for fresh in (connection is None, True):
            try:
                if fresh:
                    connection = dbapi.connect(self._conninfo)
                _run(connection, *settings)
            except DriverError as err:
                # An idle connection may have been cut; a new one may not.
                if connection is not None:
                    with contextlib.suppress(DriverError):
                        connection.close()
                connection = None
                if fresh:
                    _LOG.error("The database does not answer: %s", told_by(err, self._conninfo))
                    raise TransientError(UNREADABLE) from None
            else:
                return connection
        raise AssertionError("the second connection is a fresh one")


def place_tables(cursor: Any, tables: Mapping[str, pa.Table]) -> None:
    """Make tables that only a transaction has.

    Parameters
    ----------
    cursor
        That of a connection in a transaction that may write.
    tables
        The tables, by name.
    """
    for name, table in tables.items():
        columns = [f"{quote_name(field.name)} {_type_name(field.type)}" for field in table.schema]
        cursor.execute(f"CREATE TEMPORARY TABLE {quote_name(name)} ({', '.join(columns)}) ON COMMIT DROP")
        cursor.adbc_ingest(name, _as_stored(table), mode="append", temporary=True)
        # It has no statistics, and nobody else will make them.
        cursor.execute(f"ANALYZE {quote_name(name)}")


def _type_name(kind: pa.DataType) -> str:
    return f"{_TYPES[kind.value_type]}[]" if pa.types.is_list(kind) else _TYPES[kind]


def _as_stored(table: pa.Table) -> pa.Table:
    fields = [
        field.with_type(pa.int16())
        if field.type == pa.uint8()
        else field.with_type(pa.list_(pa.int16()))
        if field.type == pa.list_(pa.uint8())
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _run(connection: Any, *statements: str) -> None:
    with contextlib.closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
