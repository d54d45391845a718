"""What queries give, in a database that holds a handful of rows.

The functions on geometries are slow and plain ones here, on `lsst.sphgeom`;
the engine's own are compared with it elsewhere.
"""

import math
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from duckdb.sqltypes import BLOB, BOOLEAN, DOUBLE
from lsst.sphgeom import DISJOINT, WITHIN, Circle, ConvexPolygon, LonLat, Region, UnitVector3d

from lsst.dax.vo.dali import arrow_type
from lsst.dax.vo.query import TAP_SCHEMA, Catalog, plan_query, render_sql, tap_schema_rows
from lsst.dax.vo.query._geometry import (
    box_of,
    circle_region,
    decode,
    encode_point,
    encode_region,
    polygon_region,
)

ROWS: list[dict[str, Any]] = [
    {"obs_id": "a", "calib_level": 1, "s_ra": 10.0, "s_dec": 20.0, "lsst_visit": 1, "access_estsize": 100},
    {"obs_id": "b", "calib_level": 2, "s_ra": 10.5, "s_dec": 20.0, "lsst_visit": 2, "access_estsize": 200},
    {"obs_id": "c", "calib_level": 2, "s_ra": 359.9, "s_dec": 0.0, "lsst_visit": 3, "access_estsize": None},
    {"obs_id": "d", "calib_level": 3, "s_ra": 0.2, "s_dec": 89.9, "lsst_visit": None, "access_estsize": 400},
    {"obs_id": "e", "calib_level": 3, "s_ra": None, "s_dec": None, "lsst_visit": None, "access_estsize": 500},
]
HALF_WIDTH_DEG = 0.2


def _square(ra_deg: float, dec_deg: float) -> ConvexPolygon:
    center = UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))
    return ConvexPolygon(
        [
            center.rotatedAround(
                UnitVector3d.orthogonalTo(center), LonLat.fromDegrees(HALF_WIDTH_DEG, 0).getLon()
            ).rotatedAround(center, LonLat.fromDegrees(90 * turn, 0).getLon())
            for turn in range(4)
        ]
    )


def _relate(a: bytes, b: bytes) -> tuple[Any, Any]:
    return tuple(
        Circle(UnitVector3d(LonLat.fromDegrees(*item))) if isinstance(item, tuple) else item
        for item in (decode(a), decode(b))
    )  # type: ignore[return-value]


def _contains(a: bytes, b: bytes) -> bool:
    inner, outer = decode(a), decode(b)
    if isinstance(inner, tuple) and isinstance(outer, Region):
        return bool(outer.contains(UnitVector3d(LonLat.fromDegrees(*inner))))
    first, second = _relate(a, b)
    return bool(first.relate(second) & WITHIN)


def _intersects(a: bytes, b: bytes) -> bool:
    first, second = _relate(a, b)
    return not first.relate(second) & DISJOINT


@pytest.fixture(scope="module")
def database(catalog: Catalog) -> Iterator[duckdb.DuckDBPyConnection]:
    """Return the tables of the catalog."""
    connection = duckdb.connect()
    obscore = catalog.tables[0]
    cells: dict[str, pa.Array] = {
        column.name: pa.array([row.get(column.name) for row in ROWS], arrow_type(column))
        for column in obscore.columns
    }
    regions = [
        None if row["s_ra"] is None else encode_region(_square(row["s_ra"], row["s_dec"])) for row in ROWS
    ]
    cells["s_region"] = pa.array([None if region is None else "POLYGON ICRS" for region in regions])
    cells["_region"] = pa.array(regions, pa.binary())
    for place, name in enumerate(("_x0", "_y0", "_z0", "_x1", "_y1", "_z1")):
        cells[name] = pa.array(
            [None if region is None else box_of(region)[place] for region in regions], pa.float64()
        )
    connection.execute("CREATE SCHEMA ivoa")
    connection.execute("CREATE SCHEMA TAP_SCHEMA")
    connection.register("rows_of_obscore", pa.table(cells))
    connection.execute('CREATE TABLE ivoa."ObsCore" AS SELECT * FROM rows_of_obscore')
    for name, table in tap_schema_rows(catalog).items():
        connection.register(f"rows_of_{name}", table)
        connection.execute(f'CREATE TABLE TAP_SCHEMA."{name}" AS SELECT * FROM rows_of_{name}')
    connection.create_function("vo_contains", _contains, [BLOB, BLOB], BOOLEAN)
    connection.create_function("vo_intersects", _intersects, [BLOB, BLOB], BOOLEAN)
    connection.create_function("vo_point", encode_point, [DOUBLE, DOUBLE], BLOB)
    connection.create_function(
        "vo_circle", lambda ra, dec, radius: encode_region(circle_region(ra, dec, radius)), [DOUBLE] * 3, BLOB
    )
    connection.create_function(
        "vo_polygon",
        lambda numbers: encode_region(polygon_region(numbers)),
        [duckdb.list_type(DOUBLE)],
        BLOB,
    )
    yield connection
    connection.close()


@pytest.fixture
def rows(database: duckdb.DuckDBPyConnection, catalog: Catalog) -> Any:
    """Run a query; types of the columns must be those that are declared."""

    def run(adql: str) -> list[tuple[Any, ...]]:
        plan = plan_query(adql, catalog)
        table = database.sql(render_sql(plan)).to_arrow_table()
        assert table.column_names == [column.name for column in plan.columns]
        assert table.schema.types == [arrow_type(column) for column in plan.columns]
        return [tuple(row.values()) for row in table.to_pylist()]

    return run


def _ids(rows: list[tuple[Any, ...]]) -> str:
    return "".join(sorted(row[0] for row in rows))


WHERE = [
    ("calib_level = 2", "bc"),
    ("calib_level = '2'", "bc"),
    ("'2' = calib_level", "bc"),
    ("calib_level IN ('1', '3')", "ade"),
    ("calib_level BETWEEN '2' AND 3", "bcde"),
    ("calib_level <> 2 AND s_ra IS NOT NULL", "ad"),
    ("NOT (s_ra > 1)", "d"),
    ("obs_id LIKE 'a%' OR obs_id LIKE 'B%'", "a"),
    ("obs_id ILIKE 'B'", "b"),
    ("obs_id || 'x' = 'cx'", "c"),
    ("s_ra / 2 = 5.25", "b"),
    ("lsst_visit / 2 = 0.5", "a"),
    ("-s_ra = -10", "a"),
    ("obs_id IN (SELECT o.obs_id FROM ivoa.ObsCore AS o WHERE o.calib_level = 1)", "a"),
    ("EXISTS (SELECT o.obs_id FROM ivoa.ObsCore AS o WHERE o.calib_level > ObsCore.calib_level)", "abc"),
    ("CONTAINS(POINT('ICRS', 10.05, 20.05), s_region) = 1", "a"),
    ("1 = CONTAINS(POINT(10.05, 20.05), s_region)", "a"),
    ("CONTAINS(POINT('', 370.05, 20.05), s_region) > 0", "a"),
    ("CONTAINS(POINT(NULL, 10.05, 20.05), s_region) <> 0", "a"),
    ("CONTAINS(POINT(10.05, 20.05), s_region) = 0", "bcd"),
    ("0 = CONTAINS(POINT(10.05, 20.05), s_region)", "bcd"),
    ("CONTAINS(POINT(10.05, 20.05), s_region) != 1", "bcd"),
    ("NOT (CONTAINS(POINT(10.05, 20.05), s_region) = 1)", "bcd"),
    ("(CONTAINS(POINT(10.05, 20.05), s_region)) = (1)", "a"),
    ("CONTAINS(POINT(10.05, 20.05), s_region) = 2", ""),
    ("CONTAINS(POINT(10.05, 20.05), s_region) = calib_level", "a"),
    ("CONTAINS(POINT(200, 89.95), s_region) = 1", "d"),
    ("CONTAINS(POINT(0, 0), s_region) = 1", "c"),
    ("CONTAINS(POINT(s_ra, s_dec), s_region) = 1", "abcd"),
    ("CONTAINS(s_region, CIRCLE(10.2, 20, 0.7)) = 1", "ab"),
    ("CONTAINS(CIRCLE('ICRS', 10, 20, 0.05), s_region) = 1", "a"),
    ("INTERSECTS(CIRCLE('ICRS', 10.25, 20, 0.2), s_region) = 1", "ab"),
    ("INTERSECTS(s_region, CIRCLE('ICRS GEOCENTER', 10.25, 20, 0.2)) = 1", "ab"),
    ("0 = INTERSECTS(s_region, CIRCLE(10.25, 20, 0.2))", "cd"),
    ("INTERSECTS(s_region, CIRCLE(POINT(10.25, 20), 0.2)) = 1", "ab"),
    ("INTERSECTS(s_region, BOX(10.25, 20, 0.4, 0.2)) = 1", "ab"),
    ("INTERSECTS(s_region, POLYGON(9.9, 19.9, 10.1, 19.9, 10.1, 20.1, 9.9, 20.1)) = 1", "a"),
    ("INTERSECTS(s_region, POLYGON(POINT(9.9, 19.9), POINT(10.1, 19.9), POINT(10, 20.1))) = 1", "a"),
    ("INTERSECTS(POLYGON('', 359, -1, 1, -1, 0, 1), s_region) = 1", "c"),
    ("INTERSECTS(s_region, CIRCLE(s_ra, s_dec - 0.3, 0.2)) = 1", "abcd"),
    ("INTERSECTS(s_region, POINT(10.05, 20.05)) = 1", "a"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.1)) = 1", "a"),
    ("CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 10, 20, 30./60)) = 1", "ab"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(0.1, 0, 0.3)) = 1", "c"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(180, 89.95, 0.2)) = 1", "d"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 180)) = 1", "abcd"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0)) = 1", "a"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.1)) = 0", "bcd"),
    ("CONTAINS(POINT(s_ra, s_dec), POLYGON(9, 19, 11, 19, 11, 21, 9, 21)) = 1", "ab"),
    ("DISTANCE(POINT(s_ra, s_dec), POINT('ICRS', 10, 20)) < 0.1", "a"),
    ("DISTANCE(s_ra, s_dec, 10, 20) <= 0.5", "ab"),
    ("DISTANCE(s_ra, s_dec, 190, -20) > 179.9", "a"),
    ("COORD1(POINT(s_ra, 0)) = 10", "a"),
    ("COORD2(POINT('ICRS', 0, s_dec)) > 80", "d"),
    ("CONTAINS(NULL, s_region) = 1", ""),
]


@pytest.mark.parametrize(("condition", "expected"), WHERE, ids=[condition for condition, _ in WHERE])
def test_where(rows: Any, condition: str, expected: str) -> None:
    assert _ids(rows(f"SELECT obs_id FROM ivoa.ObsCore WHERE {condition}")) == expected


VALUES = [
    ("ABS(-3)", 3),
    ("CEILING(1.2)", 2.0),
    ("FLOOR(-1.2)", -2.0),
    ("DEGREES(PI())", 180.0),
    ("RADIANS(180)", math.pi),
    ("LOG(EXP(1))", 1.0),
    ("LOG10(1000)", 3.0),
    ("MOD(-7, 3)", -1),
    ("MOD(7.5, 2)", 1.5),
    ("POWER(2, 10)", 1024.0),
    ("SQRT(16)", 4.0),
    ("ROUND(1234.5, -2)", 1200.0),
    ("ROUND(2.567, 2)", 2.57),
    ("ROUND(5)", 5.0),
    ("TRUNCATE(-1.57, 1)", -1.5),
    ("TRUNCATE(2.9)", 2.0),
    ("ACOS(1) + ASIN(0) + ATAN(0)", 0.0),
    ("ATAN2(1, 0)", math.pi / 2),
    ("COS(0) + SIN(0) + TAN(0)", 1.0),
    ("COT(PI() / 4)", 1.0),
    ("RAND() - RAND(3) * 0 - 1", None),
    ("1 / 2", 0.5),
    ("6500 / 15.", 6500 / 15),
    ("1 + 2 * 3 - -4", 11),
    ("2147483648", 2147483648),
    ("10e-5", 1e-4),
    (".5", 0.5),
    ("'it''s' || ' ' || 'x'", "it's x"),
    ("LOWER('AbC') || UPPER('AbC')", "abcABC"),
    ("COALESCE(NULL, 'x')", "x"),
    ("COALESCE(lsst_visit, 2.5)", 1.0),
    ("CAST('12' AS INTEGER) + CAST(3.7 AS SMALLINT)", 16),
    ("CAST(12 AS VARCHAR)", "12"),
    ("CAST('abc' AS VARCHAR(2)) || CAST('xyz' AS CHAR(1))", "abx"),
    ("CAST('2021-01-14 11:25:00' AS TIMESTAMP)", "2021-01-14T11:25:00"),
    ("CAST('2021-01-14T11:25:00.25' AS TIMESTAMP)", "2021-01-14T11:25:00.250000"),
    ("CAST(NULL AS VARCHAR)", None),
    ("CAST('1e3' AS REAL)", 1000.0),
    ("CAST(3 AS DOUBLE PRECISION)", 3.0),
    ("NULL", None),
    ("CONTAINS(POINT(1, 2), CIRCLE(1, 2, 3))", 1),
    ("INTERSECTS(CIRCLE(1, 2, 3), CIRCLE(50, 2, 3))", 0),
    ("POINT('ICRS', s_ra, 20)", [10.0, 20.0]),
    ("CIRCLE(s_ra, s_dec, 0.5)", [10.0, 20.0, 0.5]),
    ("POLYGON(1, 2, 3, 4, 5, 7)", [1.0, 2.0, 3.0, 4.0, 5.0, 7.0]),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=[value for value, _ in VALUES])
def test_value(rows: Any, value: str, expected: Any) -> None:
    ((found,),) = rows(f"SELECT TOP 1 {value} AS v FROM ivoa.ObsCore WHERE obs_id = 'a' ORDER BY obs_id")
    if value.startswith("RAND"):
        assert -1 <= found < 0
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-12)
    else:
        assert found == expected


QUERIES = [
    (
        "SELECT COUNT(*) AS n, COUNT(s_ra) AS m, COUNT(DISTINCT calib_level) AS k FROM ivoa.ObsCore",
        [(5, 4, 3)],
    ),
    (
        "SELECT SUM(calib_level), AVG(calib_level), MIN(s_ra), MAX(obs_id) FROM ivoa.ObsCore",
        [(11, 2.2, 0.2, "e")],
    ),
    ("SELECT SUM(access_estsize) / 1000. AS mb FROM ivoa.ObsCore", [(1.2,)]),
    (
        "SELECT calib_level, COUNT(*) AS n FROM ivoa.ObsCore GROUP BY calib_level HAVING COUNT(*) "
        "> 1 ORDER BY 1 DESC",
        [(3, 2), (2, 2)],
    ),
    ("SELECT calib_level * 10 AS c FROM ivoa.ObsCore GROUP BY c ORDER BY c", [(10,), (20,), (30,)]),
    ("SELECT TOP 2 obs_id FROM ivoa.ObsCore ORDER BY s_ra", [("d",), ("a",)]),
    ("SELECT TOP 2 obs_id FROM ivoa.ObsCore ORDER BY s_ra DESC OFFSET 1", [("b",), ("a",)]),
    ("SELECT obs_id FROM ivoa.ObsCore ORDER BY MOD(lsst_visit, 2), obs_id DESC OFFSET 3", [("e",), ("d",)]),
    ("SELECT obs_id FROM ivoa.ObsCore OFFSET 50", []),
    ("SELECT TOP 0 obs_id FROM ivoa.ObsCore", []),
    ("SELECT DISTINCT TOP 2 calib_level FROM ivoa.ObsCore ORDER BY calib_level", [(1,), (2,)]),
    ("SELECT DISTINCT calib_level + 1 FROM ivoa.ObsCore ORDER BY calib_level + 1 DESC", [(4,), (3,), (2,)]),
    (
        "SELECT n FROM (SELECT COUNT(*) AS n FROM ivoa.ObsCore GROUP BY calib_level) AS t ORDER BY n",
        [(1,), (2,), (2,)],
    ),
    (
        "SELECT calib_level FROM ivoa.ObsCore UNION SELECT s_dec FROM ivoa.ObsCore WHERE s_ra < 1 ORDER BY 1",
        [(1.0,), (2.0,), (3.0,), (89.9,)],
    ),
    (
        "(SELECT TOP 1 obs_id FROM ivoa.ObsCore ORDER BY obs_id) UNION ALL (SELECT 'z' FROM "
        "TAP_SCHEMA.schemas)",
        [("a",), ("z",), ("z",)],
    ),
    (
        "SELECT calib_level FROM ivoa.ObsCore WHERE calib_level > 2 UNION SELECT lsst_visit FROM "
        "ivoa.ObsCore "
        "INTERSECT SELECT calib_level FROM ivoa.ObsCore WHERE calib_level < 2 ORDER BY calib_level",
        [(1,), (3,)],
    ),
    (
        "SELECT obs_id FROM ivoa.ObsCore EXCEPT SELECT obs_id FROM ivoa.ObsCore WHERE s_ra > 1 "
        "ORDER BY obs_id",
        [("d",), ("e",)],
    ),
    (
        "WITH x AS (SELECT obs_id, s_ra FROM ivoa.ObsCore), y AS (SELECT TOP 1 * FROM x ORDER BY "
        "s_ra) SELECT obs_id FROM y",
        [("d",)],
    ),
    (
        "SELECT a.obs_id, b.obs_id FROM ivoa.ObsCore a JOIN ivoa.ObsCore b ON a.calib_level = b.calib_level "
        "AND a.obs_id < b.obs_id ORDER BY 1",
        [("b", "c"), ("d", "e")],
    ),
    (
        "SELECT schema_name, COUNT(*) AS n FROM TAP_SCHEMA.tables RIGHT JOIN TAP_SCHEMA.schemas "
        "USING (schema_name) "
        "GROUP BY schema_name ORDER BY n",
        [("ivoa", 1), ("TAP_SCHEMA", 5)],
    ),
    (
        "SELECT COUNT(*) FROM TAP_SCHEMA.keys NATURAL JOIN (SELECT key_id, from_column FROM "
        "TAP_SCHEMA.key_columns) AS c",
        [(5,)],
    ),
    (
        "SELECT a.obs_id FROM (SELECT * FROM ivoa.ObsCore WHERE calib_level = 2) AS a, ivoa.ObsCore AS b "
        "WHERE b.obs_id = 'a' AND INTERSECTS(a.s_region, CIRCLE(b.s_ra, b.s_dec, 0.35)) = 1",
        [("b",)],
    ),
    (
        "SELECT u.obs_id FROM (SELECT s_region, obs_id FROM ivoa.ObsCore WHERE obs_id = 'a' UNION ALL "
        "SELECT s_region, obs_id FROM ivoa.ObsCore WHERE obs_id <> 'a') "
        "AS u WHERE CONTAINS(POINT(10, 20), u.s_region) = 1",
        [("a",)],
    ),
    (
        "SELECT obs_id FROM ivoa.ObsCore WHERE "
        + " OR ".join(f"(s_ra > {10 + i / 1000} AND s_dec > {i / 100})" for i in range(400)),
        [("b",)],
    ),
    (
        "SELECT COUNT(*) FROM (SELECT DISTINCT s.s_region FROM ivoa.ObsCore AS s JOIN ivoa.ObsCore AS t "
        "ON s.obs_id <> t.obs_id) AS q WHERE CONTAINS(POINT(10, 20), q.s_region) = 1",
        [(1,)],
    ),
    (
        "WITH w AS (SELECT DISTINCT s_region, obs_id FROM ivoa.ObsCore) "
        "SELECT w.obs_id FROM w WHERE CONTAINS(POINT(10, 20), s_region) = 1",
        [("a",)],
    ),
    (
        "SELECT COORD1(p), COORD2(p) FROM (SELECT obs_id, POINT(s_ra, s_dec) AS p FROM ivoa.ObsCore) AS t "
        "WHERE CONTAINS(p, CIRCLE(10, 20, 0.1)) = 1",
        [(10.0, 20.0)],
    ),
    (
        "SELECT obs_id FROM (SELECT obs_id, CIRCLE(s_ra, s_dec, 0.1) AS c FROM ivoa.ObsCore) AS t "
        "WHERE CONTAINS(POINT(10.05, 20), c) = 1",
        [("a",)],
    ),
    (
        "SELECT table_name FROM tap_schema.tables WHERE tap_schema.tables.schema_name = 'ivoa'",
        [("ivoa.ObsCore",)],
    ),
    (
        "SELECT column_name, \"size\" FROM TAP_SCHEMA.columns WHERE column_name LIKE '%size%' AND "
        "table_name LIKE 'T%'",
        [("arraysize", None), ('"size"', None)],
    ),
]


@pytest.mark.parametrize(("adql", "expected"), QUERIES, ids=[adql for adql, _ in QUERIES])
def test_query(rows: Any, adql: str, expected: list[tuple[Any, ...]]) -> None:
    assert rows(adql) == expected


def test_every_published_table_can_be_read(rows: Any, catalog: Catalog) -> None:
    for table in catalog.tables:
        rows(f"SELECT * FROM {table.name}")
    assert len(rows("SELECT * FROM TAP_SCHEMA.schemas")) == 2
    assert len(rows("SELECT * FROM TAP_SCHEMA.tables")) == len(TAP_SCHEMA) + 1
