"""Stores in PostgreSQL."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from lsst.dax.vo.dali import Column
from lsst.dax.vo.errors import NotFoundError, TransientError, UsageError
from lsst.dax.vo.store import (
    PostgresLocation,
    Store,
    StoreLocation,
    open_store,
    open_updater,
    open_writer,
    parse_store,
)
from lsst.dax.vo.store.postgres import PostgresStore, PostgresUpdater
from lsst.dax.vo.testing import (
    STORE_COLUMNS,
    PostgresServer,
    StoreTests,
    make_store_rows,
    update_store,
    write_store,
)

type Location = StoreLocation | PostgresLocation


def _located(url: str) -> PostgresLocation:
    location = parse_store(url)
    assert isinstance(location, PostgresLocation)
    return location


@pytest.fixture
def location(postgres: str) -> PostgresLocation:
    """Return a schema with a name that must be quoted, in an empty database."""
    return _located(f"{postgres}&schema=its%20schema%27s")


@pytest.fixture
def ask(location: PostgresLocation) -> Callable[..., list[tuple[Any, ...]]]:
    """Run a statement in the schema of the store."""

    def run(query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(location.conninfo, autocommit=True) as connection:
            connection.execute(
                "SELECT set_config('search_path', %s, false)", [f'"{location.schema}", public']
            )
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    return run


class TestPostgresStore(StoreTests):
    """The contract."""

    late = (
        ("postgres._writer", "_require_pgsphere"),
        ("postgres._writer", "bounding_circles"),
        ("postgres._writer", "_index"),
        ("postgres._writer", "write_properties"),
        ("postgres._swap", "_grants_on"),
        ("postgres._copy", "_encode"),
    )
    late_changes = (
        ("postgres._copy", "_encode"),
        ("postgres._writer", "bounding_circles"),
        ("postgres._writer", "write_properties"),
    )

    @pytest.fixture
    def location(self, location: PostgresLocation) -> PostgresLocation:
        return location

    @pytest.fixture
    def forbidden(self, location: PostgresLocation) -> Iterator[PostgresLocation]:
        write_store(location, 1.0)
        user = "nobody_here"
        with psycopg.connect(location.conninfo, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {user} LOGIN")
            connection.execute(f'GRANT USAGE ON SCHEMA "{location.schema}" TO {user}')
            yield replace(location, conninfo=location.conninfo.replace("postgres@", f"{user}@"))
            connection.execute(f"DROP OWNED BY {user}")
            connection.execute(f"DROP ROLE {user}")

    def read(self, store: Store) -> list[dict[str, Any]]:
        assert isinstance(store, PostgresStore)
        hidden = ", ".join(make_store_rows().schema.names[len(STORE_COLUMNS) :])
        public = ", ".join(f'"{column.name}"' for column in store.columns)
        with psycopg.connect(store.location.conninfo) as connection:
            cursor = connection.execute(
                f'SELECT {public}, {hidden} FROM "{store.location.schema}".obscore ORDER BY obs_id'.encode()
            )
            assert cursor.description is not None
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return [row | {"_id": row["_id"].bytes} for row in rows]

    @contextlib.contextmanager
    def count_slowly(self, store: Store) -> Iterator[Iterator[int]]:
        assert isinstance(store, PostgresStore)
        query = f'SELECT count(*) FROM "{store.location.schema}"."{store.table}"'.encode()
        with psycopg.connect(store.location.conninfo) as connection:

            def count() -> Iterator[int]:
                while True:
                    ((rows,),) = connection.execute(query).fetchall()
                    yield rows

            yield count()

    def names(self, location: Location) -> list[str]:
        assert isinstance(location, PostgresLocation)
        with psycopg.connect(location.conninfo) as connection:
            found = connection.execute(
                "SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace AS n "
                "ON n.oid = relnamespace "
                "WHERE nspname = %s UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = %s ORDER BY 1",
                [location.schema, location.schema],
            )
            return [name for (name,) in found]

    def tell(self, location: Location, name: str, value: str | None) -> None:
        assert isinstance(location, PostgresLocation)
        with psycopg.connect(location.conninfo) as connection:
            table = f'"{location.schema}".obscore_properties'
            if value is None:
                connection.execute(f"DELETE FROM {table} WHERE name = 'columns'".encode())
            else:
                connection.execute(f"UPDATE {table} SET value = %s WHERE name = %s".encode(), [value, name])

    def put_something_else(self, location: Location) -> None:
        assert isinstance(location, PostgresLocation)
        with psycopg.connect(location.conninfo) as connection:
            connection.execute(f'CREATE SCHEMA "{location.schema}"'.encode())
            connection.execute(f'CREATE TABLE "{location.schema}".obscore (x int)'.encode())


def test_rows_lie_along_the_sky_and_have_indexes(location: PostgresLocation, ask: Callable[..., Any]) -> None:
    with open_writer(location, columns=STORE_COLUMNS, properties={}) as writer:
        writer.write(make_store_rows(*(float(i % 360) for i in range(3000))))
    rows = ask("SELECT _row, _hpx FROM obscore ORDER BY _row")
    keys = [key for _, key in rows]
    assert [number for number, _ in rows] == list(range(3000))
    known = [key for key in keys if key is not None]
    assert keys == sorted(known) + [None] * (len(keys) - len(known))
    for query in (
        "SELECT count(*) FROM obscore WHERE _scircle && scircle(spoint(0.1, 0.17), 0.01)",
        "SELECT count(*) FROM obscore WHERE _spoint <@ scircle(spoint(0.1, 0.17), 0.01)",
        "SELECT count(*) FROM obscore WHERE _id = '00000000-0000-0000-0000-000000000007'",
    ):
        ((count,),) = ask(query)
        assert 0 < count < 100
        assert "Index" in str(ask(f"EXPLAIN {query}"))
    ((persistence,),) = ask(
        "SELECT DISTINCT relpersistence::text FROM pg_class WHERE relname LIKE 'obscore_%'"
    )
    assert persistence == "p"


def test_formats_are_stored_and_texts_shown(location: PostgresLocation, ask: Callable[..., Any]) -> None:
    rows = make_store_rows(1.0, 2.0)
    place = rows.schema.get_field_index("access_url")
    rows = rows.set_column(place, "access_url", pa.array(["https://x/{id}/a", None]))
    with open_writer(location, columns=STORE_COLUMNS, properties={}, formatted=["access_url"]) as writer:
        writer.write(rows)
    store = open_store(location)
    assert store.properties == {"rows": "2"}
    assert ask("SELECT access_url FROM obscore ORDER BY obs_id") == [
        ("https://x/00000000-0000-0000-0000-000000000000/a",),
        (None,),
    ]
    assert isinstance(store, PostgresStore)
    assert ask(f"SELECT _format_access_url FROM {store.table} WHERE obs_id = 'o0'") == [("https://x/{id}/a",)]


def test_formats_are_told_and_kept_by_updates(location: PostgresLocation) -> None:
    def set_formats(rows: pa.RecordBatch, *texts: str | None) -> pa.RecordBatch:
        place = rows.schema.get_field_index("access_url")
        return rows.set_column(place, "access_url", pa.array(texts))

    def told() -> object:
        store = open_store(location)
        assert isinstance(store, PostgresStore)
        return store.formats

    def update(rows: pa.RecordBatch) -> None:
        with open_updater(
            location, columns=STORE_COLUMNS, properties={}, formatted=["access_url"]
        ) as updater:
            fresh = updater.find_fresh(b"".join(rows["_id"].to_pylist()), rows["_print"])
            updater.write(rows.filter(pa.array(fresh)))

    rows = make_store_rows(*map(float, range(40)))
    with open_writer(location, columns=STORE_COLUMNS, properties={}, formatted=["access_url"]) as writer:
        writer.write(set_formats(rows, *["https://x/{id}/a", None] * 20))
    assert told() == {"access_url": (None, "https://x/{id}/a")}
    # One row is put behind the others, then most are new and all are sorted again.
    for count in (1, 30):
        update(_outdate(set_formats(rows, *[f"https://x/{{id}}/{count}"] * 40), count))
    assert told() == {"access_url": (None, "https://x/{id}/1", "https://x/{id}/30", "https://x/{id}/a")}


def test_many_formats_are_not_told(location: PostgresLocation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsst.dax.vo.store.postgres._writer._MOST_FORMATS", 3)
    for count, known in ((3, True), (4, False)):
        rows = make_store_rows(*map(float, range(count)))
        texts = pa.array([f"https://x/{{id}}/{number}" for number in range(count)])
        rows = rows.set_column(rows.schema.get_field_index("access_url"), "access_url", texts)
        with open_writer(location, columns=STORE_COLUMNS, properties={}, formatted=["access_url"]) as writer:
            writer.write(rows)
        store = open_store(location)
        assert isinstance(store, PostgresStore)
        assert (store.formats is not None) == known


def test_who_could_read_can_read_the_new_table(location: PostgresLocation, ask: Callable[..., Any]) -> None:
    write_store(location, 1.0)
    ask("CREATE ROLE reader LOGIN")
    try:
        ask(f'GRANT USAGE ON SCHEMA "{location.schema}" TO reader')
        ask("GRANT SELECT ON obscore, obscore_properties TO reader")
        with open_writer(
            location, columns=[*STORE_COLUMNS, Column("more", "int")], properties={"label": "x"}
        ) as writer:
            rows = make_store_rows(1.0, 2.0)
            writer.write(rows.append_column("more", pa.array([1, 2], pa.int32())))
        reader = replace(location, conninfo=location.conninfo.replace("postgres@", "reader@"))
        store = open_store(reader)
        assert store.properties == {"label": "x", "rows": "2"}
        assert isinstance(store, PostgresStore)
        with psycopg.connect(reader.conninfo) as connection:
            for name in ("obscore", store.table):
                query = f'SELECT sum(more) FROM "{location.schema}".{name}'.encode()
                assert connection.execute(query).fetchall() == [(3,)]
    finally:
        ask("DROP OWNED BY reader")
        ask("DROP ROLE reader")


def test_reader_of_the_view_makes_the_writer_wait(
    location: PostgresLocation, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsst.dax.vo.store.postgres._swap._SWAP_SECONDS", 0.1)
    monkeypatch.setattr("lsst.dax.vo.store.postgres._swap._LOCK_MILLISECONDS", 20)
    write_store(location, 1.0)
    with psycopg.connect(location.conninfo) as connection:
        connection.execute(f'SELECT count(*) FROM "{location.schema}".obscore'.encode())
        with pytest.raises(TransientError, match="somebody has been reading its view 'obscore' for 0 s; try"):
            write_store(location, 1.0, 2.0)
        assert ask("SELECT count(*) FROM obscore") == [(1,)]
    write_store(location, 1.0, 2.0)
    assert ask("SELECT count(*) FROM obscore") == [(2,)]
    assert len(ask("SELECT 1 FROM pg_class WHERE relkind = 'r' AND relname LIKE 'obscore_%'")) == 2


def test_two_stores_in_one_schema(location: PostgresLocation) -> None:
    other = replace(location, table="other")
    write_store(location, 1.0)
    write_store(other, 1.0, 2.0)
    write_store(location, 1.0, 2.0, 3.0)
    assert [open_store(item).properties["rows"] for item in (location, other)] == ["3", "2"]
    assert "&table=other" in str(other)


def test_foreign_table_with_a_name_like_ours_stays(
    location: PostgresLocation, ask: Callable[..., Any]
) -> None:
    write_store(location, 1.0)
    name = "obscore_" + "a" * 32
    ask(f"CREATE TABLE {name} (x int)")
    write_store(location, 1.0)
    assert ask(f"SELECT count(*) FROM {name}") == [(0,)]


def test_database_without_pgsphere(postgres_server: PostgresServer) -> None:
    with postgres_server.connect() as connection:
        connection.execute("CREATE ROLE owner LOGIN")
        connection.execute("CREATE DATABASE bare OWNER owner TEMPLATE template0")
        try:
            location = _located(postgres_server.url("bare", "owner"))
            with pytest.raises(
                UsageError, match=r"has no pgSphere: .*; have it installed and run CREATE EXT"
            ):
                write_store(location, 1.0)
            with pytest.raises(NotFoundError, match="There is no store"):
                open_store(location)
        finally:
            connection.execute("DROP DATABASE bare WITH (FORCE)")
            connection.execute("DROP ROLE owner")


def test_database_that_is_down_is_told_without_the_password() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        location = _located(f"postgresql://me:s3cr%2Ft@127.0.0.1:{free.getsockname()[1]}/db")
    for run in (open_store, lambda item: write_store(item, 1.0)):
        with pytest.raises(
            TransientError, match=r"The database of the store postgresql://me@127.* cannot be reached: "
        ) as caught:
            run(location)
        seen: BaseException | None = caught.value
        while seen is not None:
            assert "s3cr" not in str(seen) + repr(seen)
            seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def test_database_that_is_not_there(postgres: str) -> None:
    location = _located(postgres.replace("/test_", "/no_test_"))
    with pytest.raises(NotFoundError, match=r"There is no database for the store .*; make it with createdb"):
        open_store(location)


def test_user_that_is_not_there(postgres: str) -> None:
    with pytest.raises(UsageError, match=r'The database refuses the store .* role "somebody" does not exist'):
        open_store(_located(postgres.replace("postgres@", "somebody:s3cret@")))


def test_parameter_that_libpq_does_not_know(postgres: str) -> None:
    with pytest.raises(UsageError, match=r'cannot be asked for: .*invalid URI query parameter: "shema"'):
        open_store(_located(f"{postgres}&shema=x"))


def test_server_that_dies_while_a_table_is_written(
    location: PostgresLocation, postgres_server: PostgresServer
) -> None:
    write_store(location, 1.0)

    def write_and_die() -> None:
        with open_writer(location, columns=STORE_COLUMNS, properties={}) as writer:
            writer.write(make_store_rows(1.0, 2.0))
            with postgres_server.connect() as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'lsst-dax-vo'"
                )

    with pytest.raises(TransientError, match="cannot be written now: "):
        write_and_die()
    assert open_store(location).properties["rows"] == "1"


def test_text_that_the_database_cannot_hold(location: PostgresLocation) -> None:
    rows = make_store_rows(1.0)
    rows = rows.set_column(0, "obs_id", pa.array(["a\0b"]))
    with (
        pytest.raises(UsageError, match=r"cannot be written: .*invalid byte sequence"),
        open_writer(location, columns=STORE_COLUMNS, properties={}) as writer,
    ):
        writer.write(rows)


def test_name_that_is_too_long(location: PostgresLocation) -> None:
    with pytest.raises(UsageError, match=r"'x{60}' is too long for PostgreSQL; give at most 55 bytes"):
        open_writer(location, columns=[Column("x" * 60, "int")], properties={})


def test_readers_see_the_old_table_or_the_new_one(location: PostgresLocation) -> None:
    write_store(location, 1.0)
    seen: list[tuple[int, int]] = []
    done = threading.Event()
    query = (
        f'SELECT (SELECT count(*) FROM "{location.schema}".obscore), value::int '
        f"FROM \"{location.schema}\".obscore_properties WHERE name = 'rows'"
    ).encode()

    def read() -> None:
        with psycopg.connect(location.conninfo, autocommit=True) as connection:
            while not done.is_set():
                seen.extend(connection.execute(query).fetchall())

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for count in range(2, 7):
        write_store(location, *(float(i) for i in range(count)))
    done.set()
    for thread in threads:
        thread.join()
    assert {counted for counted, _ in seen} <= set(range(1, 7))
    assert len({counted for counted, _ in seen}) > 1


def _outdate(rows: pa.RecordBatch, count: int) -> pa.RecordBatch:
    """Give the first rows other fingerprints."""
    prints = rows["_print"].to_pylist()
    changed = [value + 1 if number < count else value for number, value in enumerate(prints)]
    return rows.set_column(
        rows.schema.get_field_index("_print"), rows.schema.field("_print"), pa.array(changed)
    )


def test_many_outdated_rows_are_found_by_a_join(location: PostgresLocation) -> None:
    # With so little memory, they would be gone through for each row that may stay.
    settings = "&options=-c%20work_mem%3D64kB%20-c%20statement_timeout%3D10s"
    location = replace(location, conninfo=location.conninfo + settings)
    rows = make_store_rows(*[None] * 30_000)
    with open_writer(location, columns=STORE_COLUMNS, properties={"label": "here"}) as writer:
        writer.write(rows)
    changes = update_store(location, _outdate(rows, 25_000))
    assert (changes.changed, changes.kept) == (25_000, 5000)
    assert not update_store(location, _outdate(rows, 25_000))


def test_update_that_keeps_nothing_is_a_plain_write(
    location: PostgresLocation, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("there is nothing to merge")

    monkeypatch.setattr(PostgresUpdater, "_send_outdated", refuse)
    rows = make_store_rows(1.0, 2.0, 3.0)
    write_store(location, 1.0, 2.0, 3.0, 4.0)
    assert update_store(location, _outdate(rows, 3)).kept == 0
    assert ask("SELECT count(*), max(_print) FROM obscore") == [(3, 12)]
    assert open_store(location).properties == {"label": "here", "rows": "3"}


def test_views_of_others_follow_the_table(location: PostgresLocation, ask: Callable[..., Any]) -> None:
    write_store(location, 1.0)
    ask("CREATE VIEW mine AS SELECT obs_id, _scircle FROM obscore")
    ask("CREATE FUNCTION first() RETURNS obscore BEGIN ATOMIC SELECT * FROM obscore LIMIT 1; END")
    write_store(location, 1.0, 2.0)
    assert ask("SELECT obs_id FROM mine ORDER BY 1") == [("o0",), ("o1",)]
    assert update_store(location, make_store_rows(*map(float, range(30)))).added == 28
    assert ask("SELECT count(*) FROM mine") == [(30,)]
    # Formats instead of texts are the same column.
    with open_writer(location, columns=STORE_COLUMNS, properties={}, formatted=["access_url"]) as writer:
        writer.write(make_store_rows(1.0))
    assert ask("SELECT count(*) FROM mine") == [(1,)]


def test_other_columns_are_refused_at_once_where_somebody_has_a_view(
    location: PostgresLocation, ask: Callable[..., Any]
) -> None:
    write_store(location, 1.0)
    ask('CREATE VIEW "It\'s mine" AS SELECT obs_id FROM obscore')
    ask("CREATE MATERIALIZED VIEW theirs AS SELECT obs_id FROM obscore")
    ask("CREATE TABLE of_type (x obscore)")
    columns = [*STORE_COLUMNS, Column("more", "int")]
    names = ask("SELECT relname FROM pg_class ORDER BY 1")
    for enter in (open_writer, open_updater):
        with (
            pytest.raises(UsageError, match="cannot get other columns") as caught,
            enter(location, columns=columns, properties={}),
        ):
            raise AssertionError("it was entered")
        told = str(caught.value)
        for name in (
            "It's mine",
            "theirs",
            "of_type",
            "depend on its view 'obscore'; drop what does, and",
        ):
            assert name in told
    assert ask("SELECT relname FROM pg_class ORDER BY 1") == names
    ask('DROP VIEW "It\'s mine"')
    ask("DROP MATERIALIZED VIEW theirs")
    ask("DROP TABLE of_type")
    with open_writer(location, columns=columns, properties={}):
        pass
    assert open_store(location).columns == tuple(columns)


def test_view_that_somebody_makes_meanwhile(location: PostgresLocation, ask: Callable[..., Any]) -> None:
    write_store(location, 1.0)
    with (
        pytest.raises(UsageError, match=r"cannot get other columns: view .*late in its database depends on"),
        open_writer(location, columns=[*STORE_COLUMNS, Column("more", "int")], properties={}),
    ):
        ask("CREATE VIEW late AS SELECT obs_id FROM obscore")
    assert ask("SELECT obs_id FROM late") == [("o0",)]


def test_table_before_that_somebody_has_a_view_on_stays(
    location: PostgresLocation, ask: Callable[..., Any]
) -> None:
    write_store(location, 1.0)
    store = open_store(location)
    assert isinstance(store, PostgresStore)
    ask(f"CREATE VIEW mine AS SELECT obs_id FROM {store.table}")
    for count in (2, 3):
        write_store(location, *map(float, range(count)))
        assert open_store(location).properties["rows"] == str(count)
    assert ask("SELECT obs_id FROM mine") == [("o0",)]
