"""The engine on DuckDB: limits, locks, and tables that are replaced beneath it."""

import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

from lsst.dax.vo import dali
from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import Column
from lsst.dax.vo.errors import TransientError, UsageError
from lsst.dax.vo.query import (
    Engine,
    Intersects,
    OneOf,
    Plan,
    Search,
    open_engine,
    plan_query,
    plan_search,
    render_sql,
)
from lsst.dax.vo.store import Store, StoreLocation, StoreWriter, open_store

BASE = "https://vo.example.org/x"
COLUMNS = (
    Column("obs_id", "char", arraysize="*"),
    Column("obs_publisher_did", "char", arraysize="*"),
    Column("access_url", "char", arraysize="*"),
    Column("s_ra", "double", unit="deg"),
    Column("s_dec", "double", unit="deg"),
    Column("s_region", "char", arraysize="*", xtype="adql:REGION"),
)
EXTRA = Column("lsst_visit", "long")


def _write(path: Path, label: str, count: int, *extra: Column) -> Store:
    location = StoreLocation(path)
    with StoreWriter(location, [*COLUMNS, *extra], {"label": label}) as writer:
        rows = []
        for number in range(count):
            center = UnitVector3d(LonLat.fromDegrees(number % 360, number % 60))
            rows.append(
                {
                    "obs_id": f"{label}{number}",
                    "obs_publisher_did": None if number == 3 else f"ivo://x/y?repo={label}&id={number}",
                    "access_url": f"exported {number}",
                    "s_ra": float(number % 360),
                    "s_dec": float(number % 60),
                    "_repo": label,
                    "_id": uuid.UUID(int=number).bytes,
                    "_region": Circle(center, Angle.fromDegrees(0.4)).encode(),
                }
                | {column.name: number for column in extra}
            )
        writer.write(pa.RecordBatch.from_pylist(rows, writer.schema))
    return open_store(location)


@pytest.fixture
def open_on() -> Iterator[Callable[..., Engine]]:
    """Open engines, and close them afterwards."""
    opened: list[Engine] = []

    def run(*stores: Store, access_url: Any = "service", **limits: Any) -> Engine:
        opened.append(open_engine(stores, limits=Limits(**limits), access_url=access_url))
        return opened[-1]

    yield run
    for engine in opened:
        engine.close()


def _rows(
    engine: Engine, query: str | Plan, maxrec: int | None = None, base_url: str | None = None
) -> list[dict[str, Any]]:
    plan = plan_query(query, engine.catalog) if isinstance(query, str) else query
    table = engine.run(plan, maxrec=maxrec, base_url=base_url)
    return [row for batch in table.batches for row in batch.to_pylist()]


def test_stores_make_one_table_with_the_columns_of_all(
    tmp_path: Path, open_on: Callable[..., Engine]
) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 3), _write(tmp_path / "b", "b", 2, EXTRA))
    assert [column.name for column in engine.catalog.tables[0].columns][-2:] == ["s_region", "lsst_visit"]
    found = _rows(engine, "SELECT obs_id, lsst_visit FROM ivoa.ObsCore ORDER BY obs_id")
    assert [(row["obs_id"], row["lsst_visit"]) for row in found] == [
        ("a0", None),
        ("a1", None),
        ("a2", None),
        ("b0", 0),
        ("b1", 1),
    ]
    assert engine.count_rows() == {"a": 3, "b": 2}
    here = plan_search(Search(("obs_id",), (OneOf("_repo", ("b",)),)), engine.catalog)
    assert sorted(row["obs_id"] for row in _rows(engine, here)) == ["b0", "b1"]
    found = _rows(engine, "SELECT column_name FROM TAP_SCHEMA.columns WHERE column_name = 'lsst_visit'")
    assert len(found) == 1


def test_columns_of_different_types_are_refused(tmp_path: Path) -> None:
    first = _write(tmp_path / "a", "a", 1, EXTRA)
    second = _write(tmp_path / "b", "b", 1, Column("LSST_visit", "int"))
    with pytest.raises(UsageError) as caught:
        open_engine([first, second], limits=Limits())
    assert str(caught.value) == (
        f"Column 'LSST_visit' is of type long in the store {tmp_path / 'a'} and of type int in "
        f"{tmp_path / 'b'}; "
        "export one of them again with the type of the other"
    )


def test_access_url_leads_to_the_service_in_all_clauses(
    tmp_path: Path, open_on: Callable[..., Engine]
) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 5))
    query = "SELECT obs_id, access_url FROM ivoa.ObsCore WHERE access_url LIKE '%id%3D1' ORDER BY access_url"
    links = f"{BASE}/api/datalink/links?ID="
    assert _rows(engine, query, base_url=BASE) == [
        {"obs_id": "a1", "access_url": f"{links}ivo%3A%2F%2Fx%2Fy%3Frepo%3Da%26id%3D1"}
    ]
    assert _rows(engine, query) == []
    # Without an identifier there is nothing to ask DataLink for.
    (row,) = _rows(engine, "SELECT access_url FROM ivoa.ObsCore WHERE obs_id = 'a3'", base_url=BASE)
    assert row["access_url"] == "exported 3"
    (row,) = _rows(engine, "SELECT access_url FROM ivoa.ObsCore WHERE obs_id = 'a1'")
    assert row["access_url"] == "exported 1"
    # The address is a value, not a piece of SQL.
    (row,) = _rows(
        engine, "SELECT access_url FROM ivoa.ObsCore WHERE obs_id = 'a1'", base_url="https://x'||'y"
    )
    assert row["access_url"].startswith("https://x'||'y/api/")


def test_exported_access_url_stays(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 1), access_url="exported")
    assert _rows(engine, "SELECT access_url FROM ivoa.ObsCore", base_url=BASE) == [
        {"access_url": "exported 0"}
    ]


def test_address_belongs_to_one_query(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 1))
    plan = plan_query("SELECT access_url FROM ivoa.ObsCore", engine.catalog)
    wrong: list[str] = []

    def ask(base_url: str) -> None:
        for _ in range(20):
            (row,) = _rows(engine, plan, base_url=base_url)
            if not row["access_url"].startswith(f"{base_url}/api"):
                wrong.append(row["access_url"])

    threads = [threading.Thread(target=ask, args=(f"https://{name}.org",)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(("maxrec", "fetched"), [(0, 1), (4, 5), (30, 30), (None, 30)])
def test_one_row_more_than_wanted_is_fetched(
    tmp_path: Path, open_on: Callable[..., Engine], maxrec: int | None, fetched: int
) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 30))
    table = engine.run(plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog), maxrec=maxrec)
    assert table.maxrec == maxrec
    assert sum(batch.num_rows for batch in table.batches) == fetched


def test_shapes_are_found_as_sphgeom_has_them(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 400), _write(tmp_path / "b", "b", 10))
    circle = dali.Circle(359.9, 59.0, 1.5)
    region = dali.to_region(circle)
    expected = sorted(
        f"{label}{n}"
        for label, count in (("a", 400), ("b", 10))
        for n in range(count)
        if region.relate(Circle(UnitVector3d(LonLat.fromDegrees(n % 360, n % 60)), Angle.fromDegrees(0.4)))
        & 1
        == 0
    )
    plan = plan_search(Search(("obs_id",), (Intersects("s_region", (circle,)),)), engine.catalog)
    assert expected
    assert sorted(row["obs_id"] for row in _rows(engine, plan)) == expected
    query = "SELECT obs_id FROM ivoa.ObsCore WHERE INTERSECTS(CIRCLE(359.9, 59.0, 1.5), s_region) = 1"
    assert sorted(row["obs_id"] for row in _rows(engine, query)) == expected


def test_new_table_is_seen_by_the_next_query_alone(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 30_000), _write(tmp_path / "b", "b", 1))
    plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
    running = engine.run(plan, maxrec=None).batches
    first = next(running).num_rows
    _write(tmp_path / "a", "a", 5, EXTRA)
    assert engine.count_rows() == {"a": 5, "b": 1}
    assert "lsst_visit" in [column.name for column in engine.catalog.tables[0].columns]
    assert first + sum(batch.num_rows for batch in running) == 30_001


def test_lost_store_is_transient_and_comes_back(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 3))
    plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
    shutil.move(tmp_path / "a", tmp_path / "away")
    for ask in (lambda: engine.catalog, engine.count_rows, lambda: _rows(engine, plan)):
        with pytest.raises(
            TransientError, match="The ObsCore table cannot be read now; try again later"
        ) as caught:
            ask()
        assert str(tmp_path) not in str(caught.value)
    shutil.move(tmp_path / "away", tmp_path / "a")
    assert engine.count_rows() == {"a": 3}


def test_closed_engine_answers_no_more(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 20_000))
    running = engine.run(plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog), maxrec=None).batches
    first = next(running).num_rows
    engine.close()
    engine.close()
    assert first + sum(batch.num_rows for batch in running) == 20_000
    with pytest.raises(TransientError, match="is being closed"):
        engine.count_rows()


LONG = (
    "SELECT COUNT(*) AS n FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b, ivoa.ObsCore AS c "
    "WHERE a.s_ra + b.s_ra > c.s_ra"
)


def test_query_that_takes_too_long_is_ended(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 20_000), query_seconds=1)
    start = time.monotonic()
    with pytest.raises(UsageError, match="took more than 1 s; ask for less"):
        _rows(engine, LONG)
    assert time.monotonic() - start < 5
    assert engine.count_rows() == {"a": 20_000}


def test_time_of_a_slow_reader_does_not_count(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 30_000), query_seconds=1)
    batches = engine.run(plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog), maxrec=None).batches
    rows = next(batches).num_rows
    time.sleep(1.2)
    assert rows + sum(batch.num_rows for batch in batches) == 30_000


def test_query_that_needs_too_much_memory_is_ended(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 3_000), query_memory_mb=64)
    query = (
        "SELECT a.obs_id, b.obs_publisher_did, a.access_url FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b "
        "ORDER BY a.s_ra + b.s_dec, b.obs_id"
    )
    with pytest.raises(UsageError, match="needs more than 64 MB of memory; ask for less"):
        _rows(engine, query)
    assert engine.count_rows() == {"a": 3_000}


def test_value_that_cannot_be_computed_is_told_without_sql(
    tmp_path: Path, open_on: Callable[..., Engine]
) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 3))
    with pytest.raises(UsageError, match="The query cannot be evaluated: ") as caught:
        _rows(engine, "SELECT CAST(obs_id AS INTEGER) AS x FROM ivoa.ObsCore")
    assert "SELECT" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "ATTACH '/tmp/x.duckdb' AS x",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET threads = 1",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "LOAD httpfs",
        "INSERT INTO s0.properties VALUES ('a', 'b')",
        "SELECT * FROM stores",
    ],
)
def test_instance_is_shut(tmp_path: Path, open_on: Callable[..., Engine], sql: str) -> None:
    # What ADQL cannot say, and would not get either.
    engine: Any = open_on(_write(tmp_path / "a", "a", 1))
    with pytest.raises(UsageError, match=r"disabled|has been locked|does not exist|read-only mode"):
        list(engine._stream(sql, None))


@pytest.mark.parametrize(
    "condition",
    [
        " OR ".join(f"(s_ra >= {i} AND s_ra <= {i}.5)" for i in range(1200)),
        " OR ".join(f"NOT (s_ra < {i} OR s_ra > {i}.5)" for i in range(1200)),
        "NOT (" + " AND ".join(f"(s_ra < {i} OR s_ra > {i}.5)" for i in range(1200)) + ")",
    ],
)
def test_many_groups_are_closed_to_the_optimizer(
    tmp_path: Path, open_on: Callable[..., Engine], condition: str
) -> None:
    # The database compared each with all others, a thousand in seconds and
    # ten thousand in minutes, and no limit of time could interrupt that.
    engine = open_on(_write(tmp_path / "a", "a", 5))
    query = f"SELECT obs_id FROM ivoa.ObsCore WHERE ({condition}) AND s_ra > 1 ORDER BY obs_id"
    assert [row["obs_id"] for row in _rows(engine, query)] == ["a2", "a3", "a4"]
    assert render_sql(plan_query(query, engine.catalog)).count("COALESCE(") >= 1200


def test_many_groups_keep_what_is_unknown_unknown(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 5))
    # Of the fourth row the identifier is empty.
    groups = " OR ".join(f"(obs_publisher_did = 'x{i}' AND s_ra >= 0)" for i in range(30))
    count = "SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE {0}({1})"
    assert _rows(engine, count.format("", groups)) == [{"n": 0}]
    assert _rows(engine, count.format("NOT ", groups)) == [{"n": 4}]


def test_division_by_zero_is_told_without_advice_on_settings(
    tmp_path: Path, open_on: Callable[..., Engine]
) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 5, EXTRA))
    with pytest.raises(UsageError, match="Division by zero") as caught:
        _rows(engine, "SELECT MOD(lsst_visit, 0) AS x FROM ivoa.ObsCore")
    assert "SET" not in str(caught.value)
    assert "TRY" not in str(caught.value)
