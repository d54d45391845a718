"""What engines are shut against, even for SQL that no ADQL becomes."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from adbc_driver_manager import Error as DriverError

from lsst.dax.vo.config import Limits
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.query import Engine, open_engine
from lsst.dax.vo.query.engines._clock import Clock
from lsst.dax.vo.query.engines.duckdb._world import make_world
from lsst.dax.vo.query.engines.postgres._connections import Connections
from lsst.dax.vo.store import ParquetLocation, PostgresLocation, Store, StoreLocation, open_store, parse_store
from lsst.dax.vo.testing import PostgresServer
from lsst.dax.vo.testing.engines._case import engine_rows, write_engine_store

_READER = "vo_reader"
_RIGHTS = (
    f"CREATE ROLE {_READER} LOGIN",
    f"GRANT USAGE ON SCHEMA ivoa TO {_READER}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA ivoa TO {_READER}",
)
"""All rights that a service needs: none to write, to make or to read files."""


_SHUT = r"(?i)disabled|locked|read.only|only read|cannot|can only|changed|does not exist|not an? table"
_DENIED = re.compile(
    r"permission denied|read-only|must be|not exist|not allowed|cannot run inside a transaction block"
)


@pytest.fixture(scope="module", params=["duckdb", "parquet"])
def folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> StoreLocation | ParquetLocation:
    """Return a store in a folder, of each kind."""
    path = Path(tmp_path_factory.mktemp("shut")) / "store"
    location = StoreLocation(path) if request.param == "duckdb" else ParquetLocation(path)
    write_engine_store(location, "a", 50)
    return location


@pytest.fixture(scope="module")
def reader(postgres_server: PostgresServer) -> Iterator[PostgresLocation]:
    """Return a store in PostgreSQL, seen by a role that may read it and nothing else."""
    with postgres_server.database() as url:
        location = parse_store(url)
        assert isinstance(location, PostgresLocation)
        write_engine_store(location, "a", 50)
        with psycopg.connect(location.conninfo, autocommit=True) as connection:
            for right in _RIGHTS:
                connection.execute(right.encode())
        (name,) = re.findall(r"/([^/?]+)\?", url)
        own = parse_store(postgres_server.url(name, _READER))
        assert isinstance(own, PostgresLocation)
        yield own
        with psycopg.connect(location.conninfo, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {_READER}".encode())
            connection.execute(f"DROP ROLE {_READER}".encode())


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def engine(request: pytest.FixtureRequest, folder: StoreLocation | ParquetLocation) -> Iterator[Engine]:
    """Return each engine, that on PostgreSQL as a role that may only read."""
    location = folder if request.param == "duckdb" else request.getfixturevalue("reader")
    store: Store = open_store(location)
    with contextlib.closing(open_engine([store], limits=Limits(query_seconds=20))) as opened:
        yield opened


DUCKDB = [
    # Files.
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_parquet('/tmp/x.parquet')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "COPY (SELECT 1) TO '/tmp/vo-stolen.csv'",
    "EXPORT DATABASE '/tmp/vo-stolen'",
    "ATTACH '/tmp/vo-other.duckdb' AS other",
    # Tables in files, which an instance may read by names of its own.
    "COPY (SELECT 1) TO 'voparquet://s0' (FORMAT csv, USE_TMP_FILE false)",
    "COPY (SELECT 1) TO 'voparquet://s1' (FORMAT csv, USE_TMP_FILE false)",
    "SELECT * FROM read_blob('voparquet://s1')",
    "SELECT * FROM read_blob('voparquet:///etc/passwd')",
    # Extensions.
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '/tmp/x.duckdb_extension'",
    "SELECT * FROM read_csv('https://example.org/x.csv')",
    # Settings.
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '1TB'",
    "RESET memory_limit",
    "PRAGMA memory_limit='1TB'",
    "SET temp_directory = '/tmp'",
    "SET python_enable_replacements = true",
    # The store, and what stands beside it in memory.
    "INSERT INTO s0.obscore SELECT * FROM s0.obscore",
    "DELETE FROM s0.obscore",
    "UPDATE s0.obscore SET obs_id = 'x'",
    "DROP TABLE s0.obscore",
    "CREATE TABLE s0.mine (x INTEGER)",
    "DROP VIEW ivoa.ObsCore",
    "DELETE FROM TAP_SCHEMA.tables",
    "CREATE TABLE mine (x INTEGER)",
    "CREATE MACRO abs(x) AS 1",
]


@pytest.mark.parametrize("statement", DUCKDB)
def test_duckdb_is_shut(folder: StoreLocation | ParquetLocation, statement: str) -> None:
    world = make_world([folder], Limits())
    with contextlib.closing(world), contextlib.closing(world.connection.cursor()) as cursor:
        # As for a query.
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        with pytest.raises(duckdb.Error, match=_SHUT):
            cursor.execute(statement).fetchall()


def test_duckdb_has_no_way_around_its_transaction(folder: StoreLocation | ParquetLocation) -> None:
    world = make_world([folder], Limits())
    with contextlib.closing(world), contextlib.closing(world.connection.cursor()) as cursor:
        # Outside of one, what is on disk is as shut.
        for statement in DUCKDB[: 29 if isinstance(folder, StoreLocation) else 28]:
            with pytest.raises(duckdb.Error):
                cursor.execute(statement).fetchall()
        assert cursor.execute("SELECT COUNT(*) FROM ivoa.ObsCore").fetchall() == [(50,)]


POSTGRES = [
    # Files and programs.
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "COPY ivoa.obscore TO '/tmp/vo-stolen.csv'",
    "COPY ivoa.obscore TO PROGRAM 'cat'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    # Rights and settings of the server.
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "ALTER SYSTEM SET work_mem = '1TB'",
    "SELECT pg_reload_conf()",
    "SELECT * FROM pg_authid",
    "CREATE EXTENSION dblink",
    "LOAD 'plpgsql_x'",
    # Writing.
    "CREATE TABLE ivoa.mine (x integer)",
    "CREATE TABLE public.mine (x integer)",
    "CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "DELETE FROM ivoa.obscore",
    "UPDATE ivoa.obscore SET obs_id = 'x'",
    "DROP VIEW ivoa.obscore",
    "SELECT nextval('pg_catalog.x')",
]


def _refusal(connections: Connections, *statements: str) -> str:
    """Return what the database says of the last statement in the transaction of a query."""
    clock = Clock(20)
    with (
        contextlib.closing(clock),
        connections.transaction(clock) as connection,
        contextlib.closing(connection.cursor()) as cursor,
    ):
        for statement in statements[:-1]:
            cursor.execute(statement)
            cursor.fetchall()
        with pytest.raises(DriverError) as caught:
            _run(cursor, statements[-1])
        connection.rollback()
    return str(caught.value)


def _run(cursor: Any, statement: str) -> None:
    cursor.execute(statement)
    cursor.fetchall()


@pytest.mark.parametrize("statement", POSTGRES)
def test_postgres_is_shut_by_the_rights_of_the_role(reader: PostgresLocation, statement: str) -> None:
    with contextlib.closing(Connections(reader.conninfo, Limits())) as connections:
        assert _DENIED.search(_refusal(connections, statement))


WRITING = [
    "CREATE TABLE public.mine (x integer)",
    "DELETE FROM ivoa.obscore",
    "CREATE EXTENSION dblink",
    "SET TRANSACTION READ WRITE",
    "SELECT setval('ivoa.x', 1)",
]


@pytest.mark.parametrize("statement", WRITING)
def test_postgres_does_not_write_whatever_the_role(postgres: str, statement: str) -> None:
    location = parse_store(postgres)
    assert isinstance(location, PostgresLocation)
    write_engine_store(location, "a", 3)
    with contextlib.closing(Connections(location.conninfo, Limits())) as connections:
        # A query has run, as whoever slips one in would have it.
        said = _refusal(connections, "SELECT 1", statement)
    assert re.search(r"read-only transaction|does not exist|must be set before any query", said)


def test_engine_works_for_a_role_that_may_only_read(engine: Engine) -> None:
    near = "SELECT obs_id FROM ivoa.ObsCore WHERE CONTAINS(POINT(7, 7), s_region) = 1"
    assert engine_rows(engine, near) == [{"obs_id": "a7"}]
    assert engine.count_rows() == {"a": 50}


def test_odd_names_and_texts_are_names_and_texts(engine: Engine) -> None:
    names = ['a"b', "x; DROP TABLE y; --", "%s", "{x}", "$1", "é漢", "'", "/*", "\\"]
    for name in names:
        quoted, text = name.replace('"', '""'), name.replace("'", "''")
        query = (
            f'SELECT TOP 1 \'{text}\' AS "{quoted}" FROM ivoa.ObsCore AS "t {quoted}" '
            f"WHERE '{text}' = '{text}'"
        )
        assert engine_rows(engine, query) == [{name: name}]
        nothing = f"SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = '{text}' OR obs_id LIKE '{text}'"
        assert engine_rows(engine, nothing) == []


@pytest.mark.parametrize(
    "condition",
    [
        "access_url LIKE '{}'".format("%e" * 300),
        "access_url LIKE '{}z'".format("%" * 5_000),
        "UPPER(access_url) LIKE '{}'".format("%_" * 500),
        "NOT access_url ILIKE '{}x'".format("%E%x" * 200),
        "s_ra > 1{}".format("0" * 400),
        "s_ra > 1e400 OR s_ra < 1e-400",
        "s_ra * {} > 1".format("9" * 300),
        "POWER(10, POWER(10, 400)) > 1",
        "s_ra IN ({})".format(", ".join(map(str, range(5_000)))),
        "MOD(1, 0) = 1 OR SQRT(-1) = 1 OR LOG(0) < 0 OR ASIN(2) = 1 OR s_ra / 0 = 1",
        "ROUND(s_ra, 2147483647) = 1 OR ROUND(s_ra, -2147483648) = 1",
    ],
    ids=lambda text: text[:30],
)
def test_bombs_are_answered_or_refused(engine: Engine, condition: str) -> None:
    refused, found = "", [{"n": 0}]
    try:
        found = engine_rows(engine, f"SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE {condition}")
    except UsageError as err:
        refused = str(err)
    # In words of ours: nothing of the statement or the server.
    assert "vo_" not in refused
    assert _READER not in refused
    assert 0 <= found[0]["n"] <= 50
    assert engine.count_rows() == {"a": 50}
