"""The engine on PostgreSQL."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.errors import TransientError, UnsupportedError, UsageError
from lsst.dax.vo.query import Engine, open_engine, plan_query
from lsst.dax.vo.query.engines.postgres._connections import add_network_limits
from lsst.dax.vo.store import PostgresLocation, StoreLocation, parse_store
from lsst.dax.vo.testing import EngineTests, PostgresServer, engine_rows, write_engine_store

type Place = Callable[[str], PostgresLocation]


def _located(url: str, name: str) -> PostgresLocation:
    location = parse_store(f"{url}&schema=the%20{name}")
    assert isinstance(location, PostgresLocation)
    return location


@pytest.fixture
def place(postgres: str) -> Place:
    """Return schemas of an empty database."""
    return lambda name: _located(postgres, name)


class TestPostgresEngine(EngineTests):
    """The contract."""

    @pytest.fixture
    def place(self, place: Place) -> Place:
        return place

    @pytest.fixture(scope="class")
    @classmethod
    def class_place(cls, postgres_server: PostgresServer) -> Iterator[Place]:
        with postgres_server.database() as url:
            yield lambda name: _located(url, name)

    @contextlib.contextmanager
    def lost(self, location: PostgresLocation) -> Iterator[None]:  # type: ignore[override]
        with psycopg.connect(location.conninfo, autocommit=True) as connection:
            connection.execute(f'ALTER SCHEMA "{location.schema}" RENAME TO away'.encode())
            yield
            connection.execute(f'ALTER SCHEMA away RENAME TO "{location.schema}"'.encode())


@pytest.fixture
def engine(place: Place) -> Iterator[Engine]:
    """Return an engine on a small store."""
    opened = open_engine([write_engine_store(place("a"), "a", 2000)], limits=Limits())
    yield opened
    opened.close()


def test_stores_in_two_databases_are_not_one_table(place: Place, postgres_server: PostgresServer) -> None:
    first = write_engine_store(place("a"), "a", 1)
    with postgres_server.database() as url:
        second = write_engine_store(_located(url, "b"), "b", 1)
        with pytest.raises(
            UnsupportedError, match="are in different databases; serve stores of one database"
        ):
            open_engine([first, second], limits=Limits())


def test_folders_and_databases_are_not_one_table(place: Place, tmp_path: Path) -> None:
    first = write_engine_store(place("a"), "a", 1)
    second = write_engine_store(StoreLocation(tmp_path / "b"), "b", 1)
    with pytest.raises(UnsupportedError, match="are of different kinds; serve stores that are all in"):
        open_engine([first, second], limits=Limits())


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x (a int)",
        'DELETE FROM "the a".obscore_properties',
        'SELECT 1; DROP SCHEMA "the a" CASCADE',
    ],
)
def test_transaction_only_reads(engine: Any, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    # What ADQL cannot say, and would not get either.
    plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
    monkeypatch.setattr("lsst.dax.vo.query.engines.postgres._engine.PublishedTables.render", lambda *_: sql)
    with pytest.raises(UsageError, match=r"The query cannot be evaluated: cannot (execute|insert multiple)"):
        engine_rows(engine, plan)
    monkeypatch.undo()
    assert engine.count_rows() == {"a": 2000}


def test_client_that_goes_away_ends_its_query(place: Place) -> None:
    location = place("a")
    engine = open_engine([write_engine_store(location, "a", 3000)], limits=Limits())
    plan = plan_query(
        "SELECT a.access_url, b.access_url FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b", engine.catalog
    )
    batches: Any = engine.run(plan, maxrec=None).batches
    next(batches)
    batches.close()
    with psycopg.connect(location.conninfo, autocommit=True) as connection:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
        end = time.monotonic() + 10
        while connection.execute(query).fetchall() != [(0,)]:
            assert time.monotonic() < end
            time.sleep(0.05)
    engine.close()


def test_connections_that_were_cut_are_made_again(place: Place, engine: Engine) -> None:
    assert engine.count_rows() == {"a": 2000}
    with psycopg.connect(place("a").conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    assert engine.count_rows() == {"a": 2000}


def test_connection_cut_while_rows_come_is_transient(place: Place) -> None:
    location = place("a")
    engine = open_engine([write_engine_store(location, "a", 3000)], limits=Limits())
    plan = plan_query(
        "SELECT a.access_url, b.access_url FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b", engine.catalog
    )
    batches = engine.run(plan, maxrec=None).batches
    next(batches)
    with psycopg.connect(location.conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    with pytest.raises(TransientError, match="cannot be read now; try again later"):
        list(batches)
    assert engine.count_rows() == {"a": 3000}
    engine.close()


def test_more_geometries_than_can_be_looked_at(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsst.dax.vo.query.settling._settle._MOST_CANDIDATES", 100)
    query = "SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE CONTAINS(POINT(s_ra, s_dec), s_region) = 1"
    with pytest.raises(UsageError, match="compares more than 100 geometries one by one; ask for a smaller"):
        engine_rows(engine, query)
    # Of a large circle only the rim is looked at.
    query = "SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE INTERSECTS(CIRCLE(30, 30, 60), s_region) = 1"
    ((row),) = engine_rows(engine, query)
    assert 300 < row["n"] < 2000


def test_regions_near_a_place_are_found_by_an_index(place: Place, engine: Any) -> None:
    location = place("a")
    plan = plan_query(
        "SELECT obs_id FROM ivoa.ObsCore WHERE CONTAINS(POINT(7, 7), s_region) = 1", engine.catalog
    )
    from lsst.dax.vo.query.engines.postgres._tables import PublishedTables
    from lsst.dax.vo.query.settling._settle import settle_predicates

    tables = PublishedTables(engine._watch.look(), None)
    asked: list[str] = []

    def ask(query: Any) -> Any:
        asked.append(tables.render(query))
        with psycopg.connect(replace(location).conninfo) as connection:
            connection.execute("SET enable_seqscan = off")
            return str(connection.execute(f"EXPLAIN {asked[-1]}".encode()).fetchall())

    with contextlib.suppress(AttributeError):
        settle_predicates(plan.tree, ask)
    with psycopg.connect(location.conninfo) as connection:
        told = str(connection.execute(f"EXPLAIN {asked[0]}".encode()).fetchall())
    assert "Index Scan" in told
    assert "scircle" in told


@pytest.fixture
def stalled(engine: Any) -> Iterator[None]:
    """Stop the process of the server that says which table counts."""
    process = engine._watch._connection.info.backend_pid
    os.kill(process, signal.SIGSTOP)
    yield
    os.kill(process, signal.SIGCONT)


@pytest.mark.usefixtures("stalled")
def test_connection_that_stalls_is_cut_and_made_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsst.dax.vo.query.engines.postgres._watch._LOOK_SECONDS", 0.3)
    start = time.monotonic()
    assert engine.count_rows() == {"a": 2000}
    assert time.monotonic() - start < 20


@pytest.mark.usefixtures("stalled")
def test_engine_is_closed_while_the_database_stalls(
    engine: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lsst.dax.vo.query.engines.postgres._watch._LOOK_SECONDS", 3.0)
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(lambda: engine.catalog)
        while not engine._watch._is_looking:
            time.sleep(0.01)
        monkeypatch.setattr("lsst.dax.vo.query.engines.postgres._watch._LOOK_SECONDS", 0.1)
        # Others do not wait for it any longer than they would for the database.
        with pytest.raises(TransientError, match="cannot be read now; try again later"):
            engine.count_rows()
        assert "the database has stalled" in caplog.text
        start = time.monotonic()
        engine.close()
        assert time.monotonic() - start < 2
        assert not found.done()
        with pytest.raises(TransientError, match="is being closed"):
            engine.count_rows()
        found.result()
    assert engine._watch._connection is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("postgresql://user@host/base", {}),
        ("postgresql://user@host/base?connect_timeout=3&host=%2Ftmp%2Fx", {"connect_timeout": "3"}),
    ],
)
def test_connections_have_limits_of_time(given: str, kept: dict[str, str]) -> None:
    parts = urlsplit(add_network_limits(given))
    assert parts._replace(query="").geturl() == given.partition("?")[0]
    found = dict(parse_qsl(parts.query, strict_parsing=True))
    assert dict(parse_qsl(urlsplit(given).query)).items() <= found.items()
    wanted = {"connect_timeout": "10", "keepalives_idle": "30", "tcp_user_timeout": "60000"} | kept
    assert wanted.items() <= found.items()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("transaction_read_only", "on"),
        ("transaction_isolation", "repeatable read"),
        ("statement_timeout", "3607s"),
        ("idle_in_transaction_session_timeout", "3607s"),
        ("work_mem", "16MB"),
        ("application_name", "lsst-dax-vo"),
    ],
)
def test_settings_of_a_query(place: Place, monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> None:
    limits = Limits(query_seconds=7, query_memory_mb=128)
    engine = open_engine([write_engine_store(place("a"), "a", 1)], limits=limits)
    plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
    monkeypatch.setattr(
        "lsst.dax.vo.query.engines.postgres._engine.PublishedTables.render",
        lambda *_: f"SELECT current_setting('{setting}') AS obs_id",
    )
    assert engine_rows(engine, plan) == [{"obs_id": value}]
    engine.close()


def test_queries_wait_for_connections(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsst.dax.vo.query.engines.postgres._connections._MOST_CONNECTIONS", 1)
    engine = open_engine([write_engine_store(place("a"), "a", 3000)], limits=Limits())
    plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
    # What is one batch holds no connection any more.
    small: Any = engine.run(plan, maxrec=None).batches
    assert next(small).num_rows == 3000
    query = "SELECT a.access_url, b.access_url FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b"
    first: Any = engine.run(plan_query(query, engine.catalog), maxrec=None).batches
    next(first)
    with pytest.raises(TransientError, match="Too many queries are running now; try again later"):
        next(engine.run(plan, maxrec=None, seconds=0.2).batches)
    with ThreadPoolExecutor(2) as threads:
        left, waiting = (engine.run(plan, maxrec=None) for _ in range(2))
        answers = [threads.submit(next, table.batches) for table in (left, waiting)]
        left.cancel()
        with pytest.raises(UsageError, match="The query was stopped before its end"):
            answers[0].result()
        assert not answers[1].done()
        first.close()
        assert answers[1].result().num_rows == 3000
    assert engine.count_rows() == {"a": 3000}
    engine.close()


def test_many_queries_look_together(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = open_engine([write_engine_store(place("a"), "a", 1)], limits=Limits())
    read = engine._watch._read
    looks: list[int] = []

    def read_slowly(source: Any) -> Any:
        looks.append(1)
        time.sleep(0.2)
        return read(source)

    monkeypatch.setattr(engine._watch, "_read", read_slowly)
    with ThreadPoolExecutor(30) as threads:
        found = [thread.result() for thread in [threads.submit(lambda: engine.catalog) for _ in range(30)]]
    assert len({id(catalog) for catalog in found}) == 1
    # One that had begun, and one for all who came later.
    assert len(looks) <= 3
    engine.close()
