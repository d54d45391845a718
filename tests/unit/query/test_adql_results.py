"""What queries give, in a database that holds a handful of rows.

The functions on geometries are slow and plain ones here, on `lsst.sphgeom`;
the engine's own are compared with it elsewhere.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from duckdb.sqltypes import BIGINT, BLOB, BOOLEAN, DOUBLE, VARCHAR
from lsst.sphgeom import DISJOINT, WITHIN, Circle, LonLat, Region, UnitVector3d

from lsst.dax.vo.dali import arrow_type
from lsst.dax.vo.query import TAP_SCHEMA, Catalog, plan_query, render_sql, tap_schema_rows
from lsst.dax.vo.query._udfs import UDF_KERNELS
from lsst.dax.vo.query.geometry._geometry import (
    box_of,
    circle_region,
    decode,
    encode_point,
    encode_region,
    polygon_region,
)
from lsst.dax.vo.query.geometry._kernels import SQL_FUNCTIONS
from lsst.dax.vo.testing import ADQL_QUERIES, ADQL_ROWS, ADQL_VALUES, ADQL_WHERE, adql_region


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
        column.name: pa.array([row.get(column.name) for row in ADQL_ROWS], arrow_type(column))
        for column in obscore.columns
    }
    regions = [
        None if row["s_ra"] is None else encode_region(adql_region(row["s_ra"], row["s_dec"]))
        for row in ADQL_ROWS
    ]
    cells["s_region"] = pa.array(
        [None if region is None else f"POLYGON ICRS {number}" for number, region in enumerate(regions)]
    )
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
    numbers = duckdb.list_type(DOUBLE)
    connection.create_function(
        "vo_polygon", lambda values: encode_region(polygon_region(values)), [numbers], BLOB
    )
    types = {"blob": BLOB, "double": DOUBLE, "doubles": numbers, "text": VARCHAR, "long": BIGINT}
    for item in (*SQL_FUNCTIONS, *UDF_KERNELS):
        if item.name in ("vo_area", "vo_centroid", "vo_region") or item in UDF_KERNELS:
            connection.create_function(
                item.name,
                item.function,
                [types[name] for name in item.takes],
                types[item.gives],
                type="arrow",
                null_handling="special" if item.nulls else "default",
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


@pytest.mark.parametrize(
    ("condition", "expected"), ADQL_WHERE, ids=[condition for condition, _ in ADQL_WHERE]
)
def test_where(rows: Any, condition: str, expected: str) -> None:
    assert _ids(rows(f"SELECT obs_id FROM ivoa.ObsCore WHERE {condition}")) == expected


@pytest.mark.parametrize(("value", "expected"), ADQL_VALUES, ids=[value for value, _ in ADQL_VALUES])
def test_value(rows: Any, value: str, expected: Any) -> None:
    ((found,),) = rows(f"SELECT TOP 1 {value} AS v FROM ivoa.ObsCore WHERE obs_id = 'a' ORDER BY obs_id")
    if value.startswith("RAND"):
        assert -1 <= found < 0
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
    else:
        assert found == expected


@pytest.mark.parametrize(("adql", "expected"), ADQL_QUERIES, ids=[adql for adql, _ in ADQL_QUERIES])
def test_query(rows: Any, adql: str, expected: list[tuple[Any, ...]]) -> None:
    assert rows(adql) == expected


def _examples_of_the_page() -> list[str]:
    text = (Path(__file__).parents[3] / "doc/adql.md").read_text()
    return re.findall(r"^```sql\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("adql", _examples_of_the_page())
def test_examples_of_the_page_run(rows: Any, adql: str) -> None:
    assert isinstance(rows(adql), list)


def test_every_published_table_can_be_read(rows: Any, catalog: Catalog) -> None:
    for table in catalog.tables:
        rows(f"SELECT * FROM {table.name}")
    assert len(rows("SELECT * FROM TAP_SCHEMA.schemas")) == 2
    assert len(rows("SELECT * FROM TAP_SCHEMA.tables")) == len(TAP_SCHEMA) + 1
