"""What every engine must do."""

from __future__ import annotations

__all__ = ["ENGINE_COLUMNS", "EngineTests", "engine_rows", "write_engine_store"]

import contextlib
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from lsst.sphgeom import (
    CONTAINS,
    DISJOINT,
    Angle,
    Box,
    Circle,
    ConvexPolygon,
    LonLat,
    Region,
    UnionRegion,
    UnitVector3d,
)

from .. import dali
from ..config import Limits
from ..dali import Column, arrow_type
from ..errors import TransientError, UsageError
from ..obscore import OBSCORE_COLUMNS, RUBIN_COLUMNS
from ..query import (
    TAP_SCHEMA,
    Engine,
    Intersects,
    OneOf,
    Plan,
    Search,
    open_engine,
    plan_query,
    plan_search,
)
from ..store import PostgresLocation, Store, StoreLocation, open_store, open_writer
from ._adql_cases import ADQL_QUERIES, ADQL_ROWS, ADQL_VALUES, ADQL_WHERE, adql_region

type Place = Callable[[str], StoreLocation | PostgresLocation]
type Open = Callable[..., Engine]

_BASE = "https://vo.example.org/x"
_EXTRA = Column("lsst_visit", "long")
_LONG = (
    "SELECT COUNT(*) AS n FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b, ivoa.ObsCore AS c "
    "WHERE a.s_ra + b.s_ra > c.s_ra"
)
ENGINE_COLUMNS = (
    Column("obs_id", "char", arraysize="*"),
    Column("obs_publisher_did", "char", arraysize="*"),
    Column("access_url", "char", arraysize="*"),
    Column("s_ra", "double", unit="deg"),
    Column("s_dec", "double", unit="deg"),
    Column("s_region", "char", arraysize="*", xtype="adql:REGION"),
)
"""Public columns of a small table."""

_SHAPES = [
    "POINT(10.01, 10.02)",
    "CIRCLE(359.9, 9.0, 1.5)",
    "CIRCLE(20, 20, 0)",
    "CIRCLE(180, -20, 60)",
    "CIRCLE(5, 5, 170)",
    "BOX(12, 12, 3, 2)",
    "POLYGON(0, 0, 30, 0, 30, 30, 0, 30)",
    "POLYGON(0, 0, 40, 0, 5, 5, 0, 40)",
    "POLYGON(10, 10, 10.4, 10, 10.2, 10.5)",
]


def write_engine_store(
    location: StoreLocation | PostgresLocation, label: str, count: int, *extra: Column
) -> Store:
    """Write a store of `ENGINE_COLUMNS`.

    Parameters
    ----------
    location
        Where it will be.
    label
        Label of its repository.
    count
        Rows.
    *extra
        More columns, which hold the number of the row.

    Returns
    -------
    store : `~lsst.dax.vo.store.Store`
    """
    with open_writer(location, columns=[*ENGINE_COLUMNS, *extra], properties={"label": label}) as writer:
        for start in range(0, count, 10_000):
            numbers = range(start, min(start + 10_000, count))
            rows = [
                {
                    "obs_id": f"{label}{number}",
                    "obs_publisher_did": None if number == 3 else f"ivo://x/y?repo={label}&id={number}",
                    "access_url": f"exported {number}",
                    "s_ra": float(number % 360),
                    "s_dec": float(number % 60),
                    "_repo": label,
                    "_id": uuid.UUID(int=number).bytes,
                    "_region": Circle(_vector(number % 360, number % 60), Angle.fromDegrees(0.4)).encode(),
                    "_print": number,
                }
                | {column.name: number for column in extra}
                for number in numbers
            ]
            writer.write(pa.RecordBatch.from_pylist(rows, writer.schema))
    return open_store(location)


def engine_rows(
    engine: Engine, query: str | Plan, maxrec: int | None = None, base_url: str | None = None
) -> list[dict[str, Any]]:
    """Run a query.

    Parameters
    ----------
    engine
        What runs it.
    query
        ADQL, or a plan.
    maxrec, base_url
        As for `~lsst.dax.vo.query.Engine.run`.

    Returns
    -------
    rows : `list` [`dict`]
        All that are fetched.
    """
    plan = plan_query(query, engine.catalog) if isinstance(query, str) else query
    table = engine.run(plan, maxrec=maxrec, base_url=base_url)
    return [row for batch in table.batches for row in batch.to_pylist()]


class EngineTests:
    """The contract of engines; subclass it and give what raises `NotImplementedError`."""

    @pytest.fixture
    def place(self) -> Place:
        """Return a function from a name to where a store can be."""
        raise NotImplementedError("subclasses give the fixture 'place'")

    @pytest.fixture(scope="class")
    @classmethod
    def class_place(cls) -> Place:
        """Return the same, for stores that several tests read."""
        raise NotImplementedError("subclasses give the fixture 'class_place'")

    def lost(self, location: StoreLocation | PostgresLocation) -> contextlib.AbstractContextManager[None]:
        """Take a store away, and bring it back in the end."""
        raise NotImplementedError("subclasses give the method 'lost'")

    @pytest.fixture
    def open_on(self) -> Iterator[Open]:
        """Open engines, and close them afterwards."""
        opened: list[Engine] = []

        def run(*stores: Store, access_url: Any = "service", **limits: Any) -> Engine:
            opened.append(open_engine(stores, limits=Limits(**limits), access_url=access_url))
            return opened[-1]

        yield run
        for engine in opened:
            engine.close()

    @pytest.fixture(scope="class")
    @classmethod
    def adql_engine(cls, class_place: Place) -> Iterator[Engine]:
        """Return an engine on the rows of `ADQL_ROWS`."""
        columns = list({column.name: column for column in (*OBSCORE_COLUMNS, *RUBIN_COLUMNS)}.values())
        location = class_place("adql")
        with open_writer(location, columns=columns, properties={}) as writer:
            cells = []
            for number, row in enumerate(ADQL_ROWS):
                here = row["s_ra"] is not None
                cells.append(
                    row
                    | {
                        "s_region": f"POLYGON ICRS {number}" if here else None,
                        "_repo": "here",
                        "_id": uuid.UUID(int=number).bytes,
                        "_region": adql_region(row["s_ra"], row["s_dec"]).encode() if here else None,
                        "_print": number,
                    }
                )
            writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
        engine = open_engine([open_store(location)], limits=Limits())
        yield engine
        engine.close()

    @pytest.fixture(scope="class")
    @classmethod
    def regions(cls) -> list[Region | None]:
        """Return the regions of the store of `region_engine`."""
        found: list[Region | None] = [None, Circle.empty(), Circle(UnitVector3d.Z(), Angle.fromDegrees(100))]
        for number in range(120):
            ra, dec = 3.0 * number, (number * 7) % 120 - 60.0
            found.append(Circle(_vector(ra, dec), Angle.fromDegrees(0.2 + number % 5)))
        # Tiles that share sides and corners, on the sides of the shapes too.
        for x in range(-2, 13):
            for y in range(12):
                corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)]
                found.append(ConvexPolygon([_vector(2.5 * a, 2.5 * b) for a, b in corners]))
        found.append(Box.fromDegrees(8, 8, 14, 14))
        found.append(UnionRegion(Circle(_vector(10, 10), Angle(0.1)), Circle(_vector(180, 0), Angle(0.1))))
        return found

    @pytest.fixture(scope="class")
    @classmethod
    def region_engine(cls, class_place: Place, regions: list[Region | None]) -> Iterator[Engine]:
        """Return an engine on rows with regions of all kinds."""
        location = class_place("regions")
        with open_writer(location, columns=ENGINE_COLUMNS, properties={}) as writer:
            cells = [
                {
                    "obs_id": f"{number:04}",
                    "s_ra": None if number % 9 == 8 else number % 360 * 1.0,
                    "s_dec": number % 180 - 89.0,
                    "s_region": None if region is None else "shape",
                    "_repo": "here",
                    "_id": uuid.UUID(int=number).bytes,
                    "_region": None if region is None else region.encode(),
                    "_print": number,
                }
                for number, region in enumerate(regions)
            ]
            writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
        engine = open_engine([open_store(location)], limits=Limits())
        yield engine
        engine.close()

    @pytest.mark.parametrize(("condition", "expected"), ADQL_WHERE, ids=[item for item, _ in ADQL_WHERE])
    def test_where(self, adql_engine: Engine, condition: str, expected: str) -> None:
        """Conditions of ADQL."""
        rows = engine_rows(adql_engine, f"SELECT obs_id FROM ivoa.ObsCore WHERE {condition}")
        assert "".join(sorted(row["obs_id"] for row in rows)) == expected

    @pytest.mark.parametrize(("value", "expected"), ADQL_VALUES, ids=[item for item, _ in ADQL_VALUES])
    def test_value(self, adql_engine: Engine, value: str, expected: Any) -> None:
        """Expressions of ADQL, with the types that are declared."""
        query = f"SELECT TOP 1 {value} AS v FROM ivoa.ObsCore WHERE obs_id = 'a' ORDER BY obs_id"
        plan = plan_query(query, adql_engine.catalog)
        (batch,) = adql_engine.run(plan, maxrec=None).batches
        assert batch.schema.types == [arrow_type(column) for column in plan.columns]
        (found,) = batch["v"].to_pylist()
        if value.startswith("RAND"):
            assert -1 <= found < 0
        elif isinstance(expected, float):
            assert found == pytest.approx(expected, abs=1e-12)
        else:
            assert found == expected

    @pytest.mark.parametrize(("adql", "expected"), ADQL_QUERIES, ids=[item for item, _ in ADQL_QUERIES])
    def test_query(self, adql_engine: Engine, adql: str, expected: list[tuple[Any, ...]]) -> None:
        """Whole queries."""
        plan = plan_query(adql, adql_engine.catalog)
        found = [
            row
            for batch in adql_engine.run(plan, maxrec=None).batches
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        ]
        assert found == expected

    def test_every_published_table_can_be_read(self, adql_engine: Engine) -> None:
        """All columns of all tables."""
        for table in adql_engine.catalog.tables:
            rows = engine_rows(adql_engine, f"SELECT * FROM {table.name}")
            assert rows
            assert len(rows[0]) == len(table.columns)
        assert len(engine_rows(adql_engine, "SELECT * FROM TAP_SCHEMA.tables")) == len(TAP_SCHEMA) + 1

    @pytest.mark.parametrize("shape", _SHAPES)
    @pytest.mark.parametrize("asked", ["intersects", "contains", "contained", "intersects in a subquery"])
    def test_regions_are_related_as_sphgeom_has_it(
        self, region_engine: Engine, regions: list[Region | None], shape: str, asked: str
    ) -> None:
        """Whatever the index leaves out: answers are those of the exact regions."""
        wanted = _shape(shape)
        source = "ivoa.ObsCore"
        if asked == "intersects in a subquery":
            source = "(SELECT s_region, obs_id FROM ivoa.ObsCore WHERE s_dec > -1000) AS q"
        terms = {"contains": f"s_region, {shape}", "contained": f"{shape}, s_region"}
        predicate = "INTERSECTS" if asked.startswith("intersects") else "CONTAINS"
        if asked == "contains" and not isinstance(wanted, Region):
            pytest.skip("a region lies in no point")
        condition = f"{predicate}({terms.get(asked, f'{shape}, s_region')})"
        for value, sense in ((1, True), (0, False)):
            expected = [
                f"{number:04}"
                for number, region in enumerate(regions)
                if region is not None and not _is_empty(region) and _relates(asked, wanted, region) is sense
            ]
            found = engine_rows(
                region_engine, f"SELECT obs_id FROM {source} WHERE {condition} = {value} ORDER BY obs_id"
            )
            assert [row["obs_id"] for row in found] == expected

    @pytest.mark.parametrize("shape", _SHAPES[1:])
    def test_points_of_the_table_in_a_shape(
        self, region_engine: Engine, regions: list[Region | None], shape: str
    ) -> None:
        """Positions that are columns; NULL is in nothing."""
        wanted = _shape(shape)
        assert isinstance(wanted, Region)
        expected = [
            f"{number:04}"
            for number in range(len(regions))
            if number % 9 != 8 and wanted.contains(_vector(number % 360, number % 180 - 89.0))
        ]
        query = (
            f"SELECT obs_id FROM ivoa.ObsCore WHERE CONTAINS(POINT(s_ra, s_dec), {shape}) = 1 ORDER BY obs_id"
        )
        assert [row["obs_id"] for row in engine_rows(region_engine, query)] == expected

    def test_regions_of_two_tables(self, region_engine: Engine, regions: list[Region | None]) -> None:
        """A join by place."""
        chosen = {number: regions[number] for number in (5, 150, 151, 180)}
        expected = sorted(
            (f"{a:04}", f"{b:04}")
            for a, first in chosen.items()
            for b, second in enumerate(regions)
            if first is not None
            and second is not None
            # Of two boxes that do not overlap, sphgeom may not know it.
            and not (_is_empty(second) or isinstance(second, Box))
            and not first.relate(second) & DISJOINT
        )
        names = ", ".join(f"'{number:04}'" for number in chosen)
        (boxed,) = (f"{number:04}" for number, region in enumerate(regions) if isinstance(region, Box))
        query = (
            "SELECT a.obs_id AS x, b.obs_id AS y FROM ivoa.ObsCore AS a JOIN ivoa.ObsCore AS b "
            "ON INTERSECTS(a.s_region, b.s_region) = 1 "
            f"WHERE a.obs_id IN ({names}) AND b.obs_id <> '{boxed}' ORDER BY x, y"
        )
        assert [(row["x"], row["y"]) for row in engine_rows(region_engine, query)] == expected

    def test_search_by_shapes(self, region_engine: Engine, regions: list[Region | None]) -> None:
        """As SIAv2 asks: one of some shapes."""
        stencils = (dali.Circle(10.0, 10.0, 0.5), dali.Polygon((170.0, 190.0, 180.0), (-10.0, -10.0, 10.0)))
        wanted = [dali.to_region(stencil) for stencil in stencils]
        expected = sorted(
            f"{number:04}"
            for number, region in enumerate(regions)
            if region is not None
            and not _is_empty(region)
            and any(not item.relate(region) & DISJOINT for item in wanted)
        )
        plan = plan_search(Search(("obs_id",), (Intersects("s_region", stencils),)), region_engine.catalog)
        assert sorted(row["obs_id"] for row in engine_rows(region_engine, plan)) == expected

    def test_stores_make_one_table_with_the_columns_of_all(self, place: Place, open_on: Open) -> None:
        """What a store has not is NULL."""
        engine = open_on(
            write_engine_store(place("a"), "a", 3), write_engine_store(place("b"), "b", 2, _EXTRA)
        )
        names = [column.name for column in engine.catalog.tables[0].columns]
        assert names[-2:] == ["s_region", "lsst_visit"]
        found = engine_rows(engine, "SELECT obs_id, lsst_visit FROM ivoa.ObsCore ORDER BY obs_id")
        assert [(row["obs_id"], row["lsst_visit"]) for row in found] == [
            ("a0", None),
            ("a1", None),
            ("a2", None),
            ("b0", 0),
            ("b1", 1),
        ]
        assert engine.count_rows() == {"a": 3, "b": 2}
        here = plan_search(Search(("obs_id",), (OneOf("_repo", ("b",)),)), engine.catalog)
        assert sorted(row["obs_id"] for row in engine_rows(engine, here)) == ["b0", "b1"]
        query = "SELECT column_name FROM TAP_SCHEMA.columns WHERE column_name = 'lsst_visit'"
        assert len(engine_rows(engine, query)) == 1

    def test_columns_of_different_types_are_refused(self, place: Place) -> None:
        """The message says which stores."""
        first = write_engine_store(place("a"), "a", 1, _EXTRA)
        second = write_engine_store(place("b"), "b", 1, Column("LSST_visit", "int"))
        with pytest.raises(UsageError) as caught:
            open_engine([first, second], limits=Limits())
        assert str(caught.value) == (
            f"Column 'LSST_visit' is of type long in the store {first.location} and of type int in "
            f"{second.location}; export one of them again with the type of the other"
        )

    def test_access_url_leads_to_the_service_in_all_clauses(self, place: Place, open_on: Open) -> None:
        """What is shown is what is searched."""
        engine = open_on(write_engine_store(place("a"), "a", 5))
        query = (
            "SELECT obs_id, access_url FROM ivoa.ObsCore WHERE access_url LIKE '%id%3D1' ORDER BY access_url"
        )
        links = f"{_BASE}/api/datalink/links?ID="
        assert engine_rows(engine, query, base_url=_BASE) == [
            {"obs_id": "a1", "access_url": f"{links}ivo%3A%2F%2Fx%2Fy%3Frepo%3Da%26id%3D1"}
        ]
        assert engine_rows(engine, query) == []
        # Without an identifier there is nothing to ask DataLink for.
        third = "SELECT access_url FROM ivoa.ObsCore WHERE obs_id = 'a3'"
        assert engine_rows(engine, third, base_url=_BASE) == [{"access_url": "exported 3"}]
        first = third.replace("a3", "a1")
        assert engine_rows(engine, first) == [{"access_url": "exported 1"}]
        # The address is a value, not a piece of SQL.
        (row,) = engine_rows(engine, first, base_url="https://x'||'y")
        assert row["access_url"].startswith("https://x'||'y/api/")

    def test_identifiers_are_escaped_in_urls(self, place: Place, open_on: Open) -> None:
        """All signs, by their bytes in UTF-8."""
        location = place("a")
        texts = ["".join(map(chr, range(32, 127))), "ü/𝄞%20\t\n", ""]
        with open_writer(location, columns=ENGINE_COLUMNS, properties={}) as writer:
            cells = [
                {
                    "obs_id": str(number),
                    "obs_publisher_did": text,
                    "_repo": "a",
                    "_id": bytes(16),
                    "_print": 0,
                }
                for number, text in enumerate(texts)
            ]
            writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
        engine = open_on(open_store(location))
        rows = engine_rows(engine, "SELECT access_url FROM ivoa.ObsCore ORDER BY obs_id", base_url=_BASE)
        escaped = [
            "".join(
                chr(byte) if (chr(byte).isalnum() and byte < 128) or chr(byte) in "_.~-" else f"%{byte:02X}"
                for byte in text.encode()
            )
            for text in texts
        ]
        assert [row["access_url"] for row in rows] == [f"{_BASE}/api/datalink/links?ID={x}" for x in escaped]

    def test_exported_access_url_stays(self, place: Place, open_on: Open) -> None:
        """If the configuration says so."""
        engine = open_on(write_engine_store(place("a"), "a", 1), access_url="exported")
        rows = engine_rows(engine, "SELECT access_url FROM ivoa.ObsCore", base_url=_BASE)
        assert rows == [{"access_url": "exported 0"}]

    def test_address_belongs_to_one_query(self, place: Place, open_on: Open) -> None:
        """Several at once do not mix."""
        engine = open_on(write_engine_store(place("a"), "a", 1))
        plan = plan_query("SELECT access_url FROM ivoa.ObsCore", engine.catalog)
        wrong: list[str] = []

        def ask(base_url: str) -> None:
            for _ in range(20):
                (row,) = engine_rows(engine, plan, base_url=base_url)
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
        self, place: Place, open_on: Open, maxrec: int | None, fetched: int
    ) -> None:
        """Which marks overflow."""
        engine = open_on(write_engine_store(place("a"), "a", 30))
        table = engine.run(plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog), maxrec=maxrec)
        assert table.maxrec == maxrec
        assert sum(batch.num_rows for batch in table.batches) == fetched

    def test_new_table_is_seen_by_the_next_query_alone(self, place: Place, open_on: Open) -> None:
        """A query that runs keeps its table."""
        location = place("a")
        engine = open_on(write_engine_store(location, "a", 30_000), write_engine_store(place("b"), "b", 1))
        plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
        running = engine.run(plan, maxrec=None).batches
        first = next(running).num_rows
        write_engine_store(location, "a", 5, _EXTRA)
        assert engine.count_rows() == {"a": 5, "b": 1}
        assert "lsst_visit" in [column.name for column in engine.catalog.tables[0].columns]
        assert first + sum(batch.num_rows for batch in running) == 30_001

    def test_lost_store_is_transient_and_comes_back(self, place: Place, open_on: Open) -> None:
        """The message does not say where it was."""
        location = place("a")
        engine = open_on(write_engine_store(location, "a", 3))
        plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
        with self.lost(location):
            for ask in (lambda: engine.catalog, engine.count_rows, lambda: engine_rows(engine, plan)):
                with pytest.raises(
                    TransientError, match="The ObsCore table cannot be read now; try again later"
                ) as caught:
                    ask()
                assert str(location) not in str(caught.value)
        assert engine.count_rows() == {"a": 3}

    def test_closed_engine_answers_no_more(self, place: Place, open_on: Open) -> None:
        """What is running ends first."""
        engine = open_on(write_engine_store(place("a"), "a", 20_000))
        plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
        running = engine.run(plan, maxrec=None).batches
        first = next(running).num_rows
        engine.close()
        engine.close()
        assert first + sum(batch.num_rows for batch in running) == 20_000
        with pytest.raises(TransientError, match="is being closed"):
            engine.count_rows()

    def test_query_that_takes_too_long_is_ended(self, place: Place, open_on: Open) -> None:
        """Others go on."""
        engine = open_on(write_engine_store(place("a"), "a", 20_000), query_seconds=1)
        start = time.monotonic()
        with pytest.raises(UsageError, match="took more than 1 s; ask for less"):
            engine_rows(engine, _LONG)
        assert time.monotonic() - start < 5
        assert engine.count_rows() == {"a": 20_000}

    def test_time_of_a_slow_reader_does_not_count(self, place: Place, open_on: Open) -> None:
        """Only the time that we wait for the database."""
        engine = open_on(write_engine_store(place("a"), "a", 30_000), query_seconds=1)
        plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
        batches = engine.run(plan, maxrec=None).batches
        rows = next(batches).num_rows
        time.sleep(1.2)
        assert rows + sum(batch.num_rows for batch in batches) == 30_000

    def test_value_that_cannot_be_computed_is_told_without_sql(self, place: Place, open_on: Open) -> None:
        """The reason alone."""
        engine = open_on(write_engine_store(place("a"), "a", 3))
        with pytest.raises(UsageError, match="The query cannot be evaluated: ") as caught:
            engine_rows(engine, "SELECT CAST(obs_id AS INTEGER) AS x FROM ivoa.ObsCore")
        assert "SELECT" not in str(caught.value)

    def test_division_by_zero_is_told_without_advice_on_settings(self, place: Place, open_on: Open) -> None:
        """Settings are for nobody here."""
        engine = open_on(write_engine_store(place("a"), "a", 5, _EXTRA))
        with pytest.raises(UsageError, match=r"(?i)division by zero") as caught:
            engine_rows(engine, "SELECT MOD(lsst_visit, 0) AS x FROM ivoa.ObsCore")
        assert "SET" not in str(caught.value)
        assert "TRY" not in str(caught.value)

    def test_groups_keep_what_is_unknown_unknown(self, place: Place, open_on: Open) -> None:
        """Many conditions in one."""
        engine = open_on(write_engine_store(place("a"), "a", 5))
        # Of the fourth row the identifier is empty.
        groups = " OR ".join(f"(obs_publisher_did = 'x{i}' AND s_ra >= 0)" for i in range(30))
        count = "SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE {0}({1})"
        assert engine_rows(engine, count.format("", groups)) == [{"n": 0}]
        assert engine_rows(engine, count.format("NOT ", groups)) == [{"n": 4}]

    def test_backslash_is_no_escape(self, place: Place, open_on: Open) -> None:
        """ADQL has none, in texts and in patterns."""
        engine = open_on(write_engine_store(place("a"), "a", 2))
        query = "SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE '{}' LIKE '{}' AND obs_id LIKE 'a_'"
        assert engine_rows(engine, query.format("a\\%", "a\\_")) == [{"n": 2}]
        assert engine_rows(engine, query.format("a\\b", "a\\\\b")) == [{"n": 0}]
        assert engine_rows(engine, query.format("a%", "a\\%")) == [{"n": 0}]


def _vector(ra_deg: float, dec_deg: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))


def _is_empty(region: Region) -> bool:
    return bool(region.getBoundingBox3d().isEmpty())


def _shape(text: str) -> Region | tuple[float, float]:
    name, _, rest = text.rstrip(")").partition("(")
    numbers = [float(number) for number in rest.split(",")]
    match name:
        case "POINT":
            return numbers[0], numbers[1]
        case "CIRCLE":
            return Circle(_vector(*numbers[:2]), Angle.fromDegrees(numbers[2]))
        case "BOX":
            ra, dec, width, height = (math.radians(number) for number in numbers)
            place = _xyz(_vector(numbers[0], numbers[1]))
            east = (-math.sin(ra), math.cos(ra), 0.0)
            north = (-math.sin(dec) * math.cos(ra), -math.sin(dec) * math.sin(ra), math.cos(dec))
            x, y = math.tan(width / 2), math.tan(height / 2)
            corners = [(-x, -y), (x, -y), (x, y), (-x, y)]
            return ConvexPolygon(
                [
                    UnitVector3d(*(p + a * e + b * n for p, e, n in zip(place, east, north, strict=True)))
                    for a, b in corners
                ]
            )
        case _:
            return dali.to_region(dali.Polygon(tuple(numbers[::2]), tuple(numbers[1::2])))


def _xyz(vector: UnitVector3d) -> tuple[float, float, float]:
    return vector.x(), vector.y(), vector.z()


def _relates(asked: str, wanted: Region | tuple[float, float], region: Region) -> bool:
    if not isinstance(wanted, Region):
        return bool(region.contains(_vector(*wanted)))
    if asked.startswith("intersects"):
        return not wanted.relate(region) & DISJOINT
    inner, outer = (region, wanted) if asked == "contains" else (wanted, region)
    parts = (
        [inner.cloneOperand(i) for i in range(inner.nOperands())]
        if isinstance(inner, UnionRegion)
        else [inner]
    )
    return all(bool(outer.relate(part) & CONTAINS) for part in parts)
