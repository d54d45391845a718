"""The engine on DuckDB: its contract, and what is its own."""

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import Column, Table
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.obscore import OBSCORE_COLUMNS
from lsst.dax.vo.query import Engine, open_engine, plan_query, render_sql
from lsst.dax.vo.query._catalog import build_catalog
from lsst.dax.vo.query.engines._clock import Clock
from lsst.dax.vo.query.engines._uploads import name_uploads
from lsst.dax.vo.query.engines.duckdb._match import take_shapes_out
from lsst.dax.vo.store import ParquetLocation, Store, StoreLocation, open_store
from lsst.dax.vo.testing import EngineTests, engine_rows, write_engine_store

type Place = Callable[[str], StoreLocation]


class TestDuckdbEngine(EngineTests):
    """The contract."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return lambda name: StoreLocation(tmp_path / name)

    @pytest.fixture(scope="class")
    @classmethod
    def class_place(cls, tmp_path_factory: pytest.TempPathFactory) -> Place:
        folder = tmp_path_factory.mktemp("stores")
        return lambda name: StoreLocation(folder / name)

    @contextlib.contextmanager
    def lost(self, location: StoreLocation) -> Iterator[None]:  # type: ignore[override]
        away = location.path.with_name("away")
        shutil.move(location.path, away)
        yield
        shutil.move(away, location.path)


class TestDuckdbEngineOnParquet(EngineTests):
    """The contract, on stores of Parquet files."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Callable[[str], ParquetLocation]:
        return lambda name: ParquetLocation(tmp_path / name)

    @pytest.fixture(scope="class")
    @classmethod
    def class_place(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ParquetLocation]:
        folder = tmp_path_factory.mktemp("stores")
        return lambda name: ParquetLocation(folder / name)

    @contextlib.contextmanager
    def lost(self, location: ParquetLocation) -> Iterator[None]:  # type: ignore[override]
        folder = Path(location.place)
        away = folder.with_name("away")
        shutil.move(folder, away)
        yield
        shutil.move(away, folder)


@pytest.fixture
def open_on() -> Iterator[Callable[..., Engine]]:
    """Open engines, and close them afterwards."""
    opened: list[Engine] = []

    def run(*stores: Store, **limits: Any) -> Engine:
        opened.append(open_engine(stores, limits=Limits(**limits)))
        return opened[-1]

    yield run
    for engine in opened:
        engine.close()


def _write(path: Path, label: str, count: int) -> Store:
    return write_engine_store(StoreLocation(path), label, count)


def test_query_that_needs_too_much_memory_is_ended(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 3_000), query_memory_mb=64)
    query = (
        "SELECT a.obs_id, b.obs_publisher_did, a.access_url FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b "
        "ORDER BY a.s_ra + b.s_dec, b.obs_id"
    )
    with pytest.raises(UsageError, match="needs more than 64 MB of memory; ask for less"):
        engine_rows(engine, query)
    assert engine.count_rows() == {"a": 3_000}


def _sizes(engine: Engine, query: str, uploads: dict[str, pa.Table] | None = None) -> list[tuple[int, int]]:
    """Run a query; return the numbers of rows and bytes of the batches."""
    tables = [
        Table(
            "TAP_UPLOAD",
            f"TAP_UPLOAD.{name}",
            tuple(Column(column, "char", arraysize="*") for column in table.schema.names),
        )
        for name, table in (uploads or {}).items()
    ]
    plan = plan_query(query, engine.catalog.with_uploads(tables))
    result = engine.run(plan, maxrec=None, uploads=uploads)
    return [(batch.num_rows, batch.nbytes) for batch in result.batches]


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT '{'x' * 150_000}' || obs_id AS x FROM ivoa.ObsCore",
        f"SELECT '{'x' * 150_000}' AS x FROM ivoa.ObsCore",
        f"WITH w AS (SELECT '{'x' * 3_000}' || obs_id AS x FROM ivoa.ObsCore) "
        f"SELECT {', '.join(['x'] * 60)} FROM w",
        # Each of six times as long as the one before: 7,776 times.
        functools.reduce(
            lambda query, number: f"SELECT {' || '.join(['x'] * 6)} AS x FROM ({query}) AS t{number}",
            range(5),
            "SELECT obs_publisher_did AS x FROM ivoa.ObsCore",
        ),
    ],
    ids=["text", "text alone", "columns", "doubled"],
)
def test_wide_rows_come_in_small_batches(tmp_path: Path, open_on: Callable[..., Engine], query: str) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 700))
    sizes = _sizes(engine, query)
    assert sum(rows for rows, _ in sizes) == 700
    assert sum(size for _, size in sizes) > 64 * 2**20
    assert max(size for _, size in sizes) <= 32 * 2**20
    assert len(_sizes(engine, "SELECT * FROM ivoa.ObsCore")) == 1


def test_large_values_of_uploads_come_in_small_batches(
    tmp_path: Path, open_on: Callable[..., Engine]
) -> None:
    engine = open_on(_write(tmp_path / "a", "a", 200))
    uploads = {"t": pa.table({"note": ["x" * 500_000], "name": ["y"]})}
    query = "SELECT t.note, o.obs_id FROM TAP_UPLOAD.t AS t, ivoa.ObsCore AS o"
    sizes = _sizes(engine, query, uploads)
    assert sum(rows for rows, _ in sizes) == 200
    assert max(size for _, size in sizes) <= 32 * 2**20
    many = ", ".join(f"t.note || t.note AS n{number}" for number in range(300))
    with pytest.raises(UsageError, match=r"rows of up to 286 MB, because values of an uploaded table"):
        _sizes(engine, f"SELECT {many} FROM TAP_UPLOAD.t AS t", uploads)


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
        list(engine._stream(lambda _: sql, Clock(60)))


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
    assert [row["obs_id"] for row in engine_rows(engine, query)] == ["a2", "a3", "a4"]
    assert render_sql(plan_query(query, engine.catalog)).count("COALESCE(") >= 1200


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        (
            " JOIN ivoa.ObsCore AS o ON CONTAINS(POINT(u.ra, u.dec), o.s_region) = 1",
            [True],
        ),
        (", ivoa.ObsCore AS o WHERE 1 = CONTAINS(u.spot, o.s_region)", [True]),
        (
            ", ivoa.ObsCore AS o WHERE o.calib_level = 1 "
            "AND INTERSECTS(o.s_region, CIRCLE(u.ra, u.dec, 0.1)) = 1",
            [True],
        ),
        (
            ", ivoa.ObsCore AS o WHERE INTERSECTS(o.s_region, CIRCLE(u.ra, u.dec, 1)) = 1 "
            "AND CONTAINS(POINT(u.ra, u.dec), o.s_region) = 1",
            [False, True],
        ),
        # Rows that meet nothing are wanted as well.
        (
            " LEFT JOIN ivoa.ObsCore AS o ON CONTAINS(POINT(u.ra, u.dec), o.s_region) = 1",
            [False],
        ),
        (", ivoa.ObsCore AS o WHERE CONTAINS(u.spot, o.s_region) = 0", [False]),
        (", ivoa.ObsCore AS o WHERE CONTAINS(POINT(u.ra, o.s_dec), o.s_region) = 1", []),
    ],
)
def test_uploads_are_joined_by_stretches_of_the_store(source: str, keys: list[bool]) -> None:
    columns = (Column("ra", "double"), Column("dec", "double"), Column("spot", "double", "", "2", "point"))
    catalog = build_catalog(OBSCORE_COLUMNS).with_uploads([Table("TAP_UPLOAD", "TAP_UPLOAD.mine", columns)])
    plan = plan_query(f"SELECT u.ra, o.obs_id FROM TAP_UPLOAD.mine AS u{source}", catalog)
    tree, tables = name_uploads(plan.tree, {"mine": pa.table({"ra": [1.0]})})
    found = [shape.is_key for _, shapes in take_shapes_out(tree, tables).values() for shape in shapes]
    assert sorted(found) == keys
    assert tree.sql().count("vo_block") == sum(keys)


def test_stores_in_files_of_both_kinds_are_one_table(tmp_path: Path, open_on: Callable[..., Engine]) -> None:
    stores = [
        _write(tmp_path / "a", "a", 3),
        write_engine_store(ParquetLocation(tmp_path / "b"), "b", 4),
        write_engine_store(ParquetLocation(tmp_path / "c"), "c", 5),
    ]
    engine = open_on(*stores)
    assert engine.count_rows() == {"a": 3, "b": 4, "c": 5}
    query = "SELECT obs_id FROM ivoa.ObsCore WHERE CONTAINS(POINT(2, 2), s_region) = 1 ORDER BY obs_id"
    assert [row["obs_id"] for row in engine_rows(engine, query)] == ["a2", "b2", "c2"]


def test_query_reads_to_its_end_a_file_that_was_replaced(
    tmp_path: Path, open_on: Callable[..., Engine]
) -> None:
    location = ParquetLocation(tmp_path / "a")
    engine = open_on(write_engine_store(location, "a", 200_000))
    plan = plan_query("SELECT obs_id, s_ra, s_region FROM ivoa.ObsCore", engine.catalog)
    batches = iter(engine.run(plan, maxrec=None).batches)
    count = next(batches).num_rows
    write_engine_store(location, "b", 10)
    assert engine.count_rows() == {"b": 10}
    assert count + sum(batch.num_rows for batch in batches) == 200_000
    # Of the table before, nothing is left open.
    opened = {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
    assert [path for path in opened if str(location.place) in path] == [str(open_store(location).path)]  # type: ignore[attr-defined]
