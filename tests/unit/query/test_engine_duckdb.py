"""The engine on DuckDB: its contract, and what is its own."""

import contextlib
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
from lsst.dax.vo.store import Store, StoreLocation
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
