"""The engine on DuckDB.

An instance in memory holds the tables of TAP_SCHEMA and a view on the files
of the stores, which are attached for reading alone.  Then it is shut: no file
or address can be reached any more, and no setting changed.  When a store's
table has been replaced, the next query gets a new instance, and the one
before is closed when the last query on it has ended.
"""

from __future__ import annotations

__all__ = ["DuckdbEngine"]

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, override

import duckdb
import pyarrow as pa
from duckdb.sqltypes import BLOB, BOOLEAN, DOUBLE

from ...config import Limits
from ...dali import Column, ResultTable, arrow_type
from ...errors import TransientError, UsageError, VoError
from ...store import HIDDEN_COLUMNS, StoreLocation
from ...store.duckdb import Store, open_store
from .._catalog import OBSCORE_TABLE, Catalog, build_catalog, tap_schema_rows
from .._engine import Engine
from .._geometry import box_region, encode_circles, encode_points, encode_shapes, polygon_region
from .._kernels import contains, intersects
from .._limit import limit_rows
from .._plan import Plan, render_sql

_LOG = logging.getLogger(__name__)

_BATCH_ROWS = 10_000
# Between asking for a store's file and attaching it, it may be replaced.
_ATTEMPTS = 5
_SERVICE_URL = (
    "coalesce(CAST(getvariable('base_url') AS VARCHAR) || '/api/datalink/links?ID=' "
    "|| url_encode(obs_publisher_did), access_url) AS access_url"
)
_UNREADABLE = "The ObsCore table cannot be read now; try again later"


class _World:
    """One shut instance, and how many queries are running on it."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, catalog: Catalog, stores: tuple[Store, ...]
    ) -> None:
        self.connection = connection
        self.catalog = catalog
        self.stores = stores
        self.users = 0
        self.retired = False


class DuckdbEngine(Engine):
    """Runs plans on stores in DuckDB; see `~lsst.dax.vo.query.Engine`.

    Parameters
    ----------
    locations
        Of one or more stores.
    limits
        Time and memory of a query.
    access_url
        Whether ``access_url`` leads to the service, or is the one that was
        exported.

    Raises
    ------
    UsageError
        Raised if two stores have a column of one name and different types.
    TransientError
        Raised if a store cannot be read now.
    """

    def __init__(
        self,
        locations: Sequence[StoreLocation],
        *,
        limits: Limits,
        access_url: Literal["service", "exported"],
    ) -> None:
        self._locations = tuple(locations)
        self._limits = limits
        self._access_url = access_url
        self._lock = threading.Lock()
        self._is_closed = False
        self._world: _World | None = self._make_world()

    @property
    @override
    def catalog(self) -> Catalog:
        # Docstring inherited.
        with self._enter() as world:
            return world.catalog

    @override
    def run(self, plan: Plan, *, maxrec: int | None, base_url: str | None = None) -> ResultTable:
        # Docstring inherited.
        if maxrec is not None:
            plan = replace(plan, tree=limit_rows(plan.tree, maxrec + 1))
        return ResultTable(plan.columns, self._stream(render_sql(plan), base_url), maxrec)

    @override
    def count_rows(self) -> dict[str, int]:
        # Docstring inherited.
        counts: dict[str, int] = {}
        query = f"SELECT _repo, COUNT(*) AS n FROM {OBSCORE_TABLE} GROUP BY _repo ORDER BY _repo"
        for batch in self._stream(query, None):
            counts |= {row["_repo"]: row["n"] for row in batch.to_pylist()}
        return counts

    @override
    def close(self) -> None:
        # Docstring inherited.
        with self._lock:
            self._is_closed = True
            self._retire()

    def _stream(self, sql: str, base_url: str | None) -> Iterator[pa.RecordBatch]:
        with self._enter() as world, contextlib.closing(world.connection.cursor()) as cursor:
            clock = _Clock(cursor, self._limits.query_seconds)
            with self._explained(world), clock:
                if base_url is not None:
                    cursor.execute("SET VARIABLE base_url = ?", [base_url])
                # This relation streams; a cursor that executes would hold
                # the whole result.
                reader = cursor.sql(sql).to_arrow_reader(_BATCH_ROWS)
            while True:
                with self._explained(world), clock:
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        return
                yield batch

    @contextlib.contextmanager
    def _enter(self) -> Iterator[_World]:
        with self._lock:
            world = self._current_world()
            world.users += 1
        try:
            yield world
        finally:
            with self._lock:
                world.users -= 1
                if world.retired and world.users == 0:
                    world.connection.close()

    def _current_world(self) -> _World:
        if self._is_closed:
            raise TransientError("The service is being closed; try again later")
        try:
            if self._world is None or not all(store.is_current for store in self._world.stores):
                fresh = self._make_world()
                self._retire()
                self._world = fresh
        except VoError as err:
            # Its text may name the server's files: that is for the log alone.
            _LOG.error("The ObsCore table cannot be read: %s", err)
            raise TransientError(_UNREADABLE) from err
        return self._world

    def _retire(self) -> None:
        world, self._world = self._world, None
        if world is not None:
            world.retired = True
            if world.users == 0:
                world.connection.close()

    def _make_world(self) -> _World:
        for _ in range(_ATTEMPTS):
            stores = tuple(open_store(location) for location in self._locations)
            connection = self._connect()
            try:
                for number, store in enumerate(stores):
                    path = str(store.path).replace("'", "''")
                    connection.execute(f"ATTACH '{path}' AS s{number} (READ_ONLY)")
                catalog = build_catalog(_merge_columns(stores))
                _make_tables(connection, catalog, stores, self._access_url)
                connection.execute("SET enable_external_access = false")
                connection.execute("SET lock_configuration = true")
            except duckdb.IOException as err:
                connection.close()
                if all(store.is_current for store in stores):
                    raise TransientError(_UNREADABLE) from err
            except BaseException:
                connection.close()
                raise
            else:
                return _World(connection, catalog, stores)
        raise TransientError(_UNREADABLE)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{self._limits.query_memory_mb}MB",
                # No query fills the disk.
                "temp_directory": "",
                # Or variables of this module would be tables.
                "python_enable_replacements": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
        for name, function, arguments, result, null_handling in _functions(connection):
            options: dict[str, Any] = {"type": "arrow", "null_handling": null_handling}
            connection.create_function(name, function, arguments, result, **options)
        return connection

    @contextlib.contextmanager
    def _explained(self, world: _World) -> Iterator[None]:
        try:
            yield
        except duckdb.InterruptException as err:
            raise UsageError(
                f"The query took more than {self._limits.query_seconds} s; ask for less: "
                "a place, fewer rows (TOP), or one table instead of a join"
            ) from err
        except duckdb.OutOfMemoryException as err:
            raise UsageError(
                f"The query needs more than {self._limits.query_memory_mb} MB of memory; ask for less: "
                "fewer rows or columns, or no ORDER BY"
            ) from err
        except (duckdb.FatalException, duckdb.InternalException) as err:
            # The instance answers nothing any more; the next query gets a new one.
            with self._lock:
                if self._world is world:
                    self._retire()
            _LOG.error("The database failed", exc_info=err)
            raise TransientError(_UNREADABLE) from err
        except duckdb.IOException as err:
            _LOG.error("The ObsCore table cannot be read: %s", err)
            raise TransientError(_UNREADABLE) from err
        except duckdb.Error as err:
            # Advice on settings of the database is for nobody here.
            text = str(err).partition("\n")[0].partition(". Use TRY")[0]
            kind, _, reason = text.partition("Error: ")
            raise UsageError(f"The query cannot be evaluated: {reason or kind}") from err


class _Clock:
    """Ends a query whose statements have taken too long, all together.

    The time that a client takes to read what it was sent does not count.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, seconds: float) -> None:
        self._connection = connection
        self._left_s = seconds

    def __enter__(self) -> None:
        self._start_s = time.monotonic()
        self._timer = threading.Timer(max(self._left_s, 0.0), self._connection.interrupt)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._left_s -= time.monotonic() - self._start_s


def _functions(
    connection: duckdb.DuckDBPyConnection,
) -> list[tuple[str, Callable[..., pa.Array], list[Any], Any, Any]]:
    # DuckDB counts the parameters.
    def boxes(ra_deg: pa.Array, dec_deg: pa.Array, width_deg: pa.Array, height_deg: pa.Array) -> pa.Array:
        return encode_shapes(box_region, ra_deg, dec_deg, width_deg, height_deg)

    def polygons(numbers: pa.Array) -> pa.Array:
        return encode_shapes(polygon_region, numbers)

    numbers = connection.list_type(DOUBLE)
    return [
        ("vo_contains", contains, [BLOB, BLOB], BOOLEAN, "default"),
        ("vo_intersects", intersects, [BLOB, BLOB], BOOLEAN, "default"),
        # NULL for numbers that make no shape.
        ("vo_point", encode_points, [DOUBLE, DOUBLE], BLOB, "special"),
        ("vo_circle", encode_circles, [DOUBLE, DOUBLE, DOUBLE], BLOB, "special"),
        ("vo_box", boxes, [DOUBLE, DOUBLE, DOUBLE, DOUBLE], BLOB, "special"),
        ("vo_polygon", polygons, [numbers], BLOB, "special"),
    ]


def _merge_columns(stores: Sequence[Store]) -> list[Column]:
    merged: dict[str, tuple[Column, StoreLocation]] = {}
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


def _make_tables(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, stores: Sequence[Store], access_url: str
) -> None:
    schema, _, _ = OBSCORE_TABLE.partition(".")
    parts = []
    for number, store in enumerate(stores):
        names = {column.name.lower() for column in store.columns}
        shown = [_name(column.name) for column in store.columns]
        if access_url == "service" and {"access_url", "obs_publisher_did"} <= names:
            shown = [_SERVICE_URL if name == '"access_url"' else name for name in shown]
        parts.append(f"SELECT {', '.join([*shown, *HIDDEN_COLUMNS])} FROM s{number}.obscore")
    connection.execute(f"CREATE SCHEMA {schema}")
    connection.execute(f"CREATE VIEW {OBSCORE_TABLE} AS {' UNION ALL BY NAME '.join(parts)}")
    connection.execute("CREATE SCHEMA TAP_SCHEMA")
    for name, rows in tap_schema_rows(catalog).items():
        connection.register("rows", rows)
        connection.execute(f"CREATE TABLE TAP_SCHEMA.{_name(name)} AS SELECT * FROM rows")
        connection.unregister("rows")


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
