"""Searches become SQL whose values cannot be anything but values."""

import math
import re
from typing import Any

import duckdb
import numpy as np
import pytest
from lsst.sphgeom import Region, UnionRegion
from sqlglot import exp

from lsst.dax.vo.dali import Circle, Column, Interval, Polygon, Range, Stencil, to_region
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.query import (
    Between,
    Constraint,
    HasState,
    Identified,
    Intersects,
    OneOf,
    Overlaps,
    Search,
    Within,
    build_catalog,
    plan_extents,
    plan_search,
    render_sql,
)
from lsst.dax.vo.query._search_trees import near_any

INF = math.inf
CATALOG = build_catalog(
    [
        Column("obs_id", "char", arraysize="*"),
        Column("calib_level", "int"),
        Column("t_min", "double"),
        Column("t_max", "double"),
        Column("s_region", "char", arraysize="*", xtype="adql:REGION"),
        Column("size", "long"),
        Column("obs_publisher_did", "char", arraysize="*"),
        Column("released", "char", arraysize="*", xtype="timestamp"),
    ]
)
ALWAYS = 'SELECT "o"."obs_id" AS "obs_id" FROM "ivoa"."ObsCore" AS "o" WHERE '


def _where(*constraints: Constraint) -> str:
    sql = render_sql(plan_search(Search(("obs_id",), constraints), CATALOG))
    assert sql.startswith(ALWAYS)
    return sql.removeprefix(ALWAYS).replace('"o".', "")


@pytest.mark.parametrize(
    ("constraint", "where"),
    [
        (OneOf("obs_id", ("a", "b")), "(\"obs_id\" IN ('a', 'b'))"),
        (OneOf("obs_id", ("x' OR '1'='1", "\\'")), "(\"obs_id\" IN ('x'' OR ''1''=''1', '\\'''))"),
        (OneOf("obs_id", ("a", "b", "a")), "(\"obs_id\" IN ('a', 'b'))"),
        (Identified("obs_publisher_did", ("aB", "AB")), "(LOWER(\"obs_publisher_did\") IN ('ab'))"),
        (Identified("obs_publisher_did", ("a\0b",)), "FALSE"),
        (Identified("obs_publisher_did", ()), "FALSE"),
        (Identified("nosuch", ("a",)), "FALSE"),
        (Between("nosuch", ((None, None),)), "FALSE"),
        (Between("released", ((None, None),)), '(NOT "released" IS NULL)'),
        (OneOf("obs_id", ("a\0b",)), "FALSE"),
        (OneOf("obs_id", ()), "FALSE"),
        (OneOf("calib_level", (2, 3)), '("calib_level" IN (2, 3))'),
        (OneOf("_repo", ("here",)), "(\"_repo\" IN ('here'))"),
        (OneOf("nosuch", ("a",)), "FALSE"),
        (HasState("obs_id", ("I", "%")), "(STRPOS(\"obs_id\", '/I/') > 0 OR STRPOS(\"obs_id\", '/%/') > 0)"),
        (Within("t_min", (Interval(1.0, 2.5),)), '("t_min" >= 1.0e0 AND "t_min" <= 2.5e0)'),
        (Within("t_min", ()), "FALSE"),
        (
            Within("t_min", (Interval(3.0, 4.0), Interval(1.0, 2.0), Interval(2.0, 2.5))),
            '("t_min" >= 1.0e0 AND "t_min" <= 2.5e0 OR "t_min" >= 3.0e0 AND "t_min" <= 4.0e0)',
        ),
        (Within("t_min", (Interval(-1e-9, INF),)), '("t_min" >= -1e-09 AND NOT "t_min" IS NULL)'),
        (Within("t_min", (Interval(-INF, INF),)), '(NOT "t_min" IS NULL AND NOT "t_min" IS NULL)'),
        (Within("t_min", (Interval(INF, INF),)), '(FALSE AND NOT "t_min" IS NULL)'),
        (Overlaps("t_min", "t_max", (Interval(1.0, 2.0),)), '("t_max" >= 1.0e0 AND "t_min" <= 2.0e0)'),
        (Overlaps("t_min", "nosuch", (Interval(1.0, 2.0),)), "FALSE"),
        (Intersects("s_region", ()), "FALSE"),
    ],
)
def test_constraint_becomes_a_condition(constraint: Constraint, where: str) -> None:
    assert _where(constraint) == where


def test_constraints_all_hold() -> None:
    where = _where(OneOf("obs_id", ("a",)), Within("t_min", (Interval(1, 2), Interval(3, 4))))
    assert where == (
        '("obs_id" IN (\'a\')) AND ("t_min" >= 1.0e0 AND "t_min" <= 2.0e0 OR '
        '"t_min" >= 3.0e0 AND "t_min" <= 4.0e0)'
    )


def test_shape_is_tested_where_its_box_is() -> None:
    where = _where(Intersects("s_region", (Circle(10.0, 20.0, 0.1), Circle(10.0, 20.0, 0.1))))
    box, _, exact = where.partition(" AND CASE WHEN ")
    box = box.removeprefix("(")
    assert box.count('"_x0" <=') == box.count('"_z1" >=') == 1
    assert exact.startswith(box)
    assert " THEN VO_INTERSECTS(UNHEX('63" in exact.upper().replace("'63", "'63")
    assert exact.endswith('"_region") END)')


def _shapes_in(*constraints: Constraint) -> list[Region]:
    tree = plan_search(Search(("obs_id",), constraints), CATALOG).tree
    calls = [node for node in tree.find_all(exp.Anonymous) if node.this == "vo_blob"]
    return [Region.decode(bytes.fromhex(node.expressions[0].this)) for node in calls]


def test_many_shapes_are_one_region() -> None:
    stencils: tuple[Stencil, ...] = (
        *(Circle(float(i), 0.5 * i, 0.1) for i in range(100)),
        Range(1.0, 2.0, 3.0, 4.0),
        # A concave one brings its triangles.
        Polygon((0.0, 2.0, 1.0, 2.0), (0.0, 0.0, 0.5, 2.0)),
    )
    (union,) = _shapes_in(Intersects("s_region", stencils))
    assert isinstance(union, UnionRegion)
    kinds = [type(union.cloneOperand(i)).__name__ for i in range(union.nOperands())]
    assert kinds == ["Circle"] * 100 + ["Box"] + ["ConvexPolygon"] * 2
    assert union.cloneOperand(7) == to_region(stencils[7])


@pytest.fixture(scope="module")
def boxes() -> Any:
    """Return a table of boxes of unit vectors, some empty."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA ivoa")
        connection.execute(
            "CREATE TABLE ivoa.ObsCore AS SELECT i AS size, x AS _x0, y AS _y0, z AS _z0, "
            "x + w AS _x1, y + w AS _y1, z + w AS _z1 FROM (SELECT i, "
            "CASE WHEN i % 50 > 0 THEN sin(i * 1.1) END AS x, sin(i * 2.3) AS y, sin(i * 3.7) AS z, "
            "abs(sin(i * 5.9)) * 0.1 AS w FROM range(4000) AS r(i))"
        )
        yield connection


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 300])
def test_tree_of_boxes_finds_what_each_finds(boxes: Any, count: int) -> None:
    dice = np.random.default_rng(count)
    low = dice.uniform(-1.0, 1.0, (count, 3))
    low[: count // 3 + 1] = -0.1
    asked = np.concatenate([low, low + dice.choice([0.0, 1e-9, 0.1, 0.3], (count, 3))], axis=1)
    asked[0, 3:] = 0.2
    bounds = [exp.column(name, table="o", quoted=True) for name in ("_x0", "_y0", "_z0", "_x1", "_y1", "_z1")]
    around, near = near_any(bounds, [(x0, y0, z0, x1, y1, z1) for x0, y0, z0, x1, y1, z1 in asked.tolist()])
    sql = "SELECT size FROM ivoa.ObsCore AS o WHERE {} ORDER BY size"
    found, wide = (
        [row[0] for row in boxes.execute(sql.format(test.sql(dialect="duckdb"))).fetchall()]
        for test in (near, around)
    )
    columns = boxes.execute(sql.format("_x0 IS NOT NULL").replace("size FROM", "* FROM")).fetchnumpy()
    first, last = (np.stack([columns[f"_{axis}{end}"] for axis in "xyz"], axis=1)[:, None] for end in (0, 1))
    each = ((first <= asked[:, 3:]) & (last >= asked[:, :3])).all(axis=2)
    assert found == columns["size"][each.any(axis=1)].tolist()
    assert set(found) <= set(wide)
    assert found


def test_tree_of_boxes_is_no_deeper_than_it_must_be() -> None:
    where = _where(Intersects("s_region", tuple(Circle(0.3 * i, 0.1 * i - 50, 0.1) for i in range(1000))))
    depth = deepest = 0
    for word in re.findall(r"CASE|END", where):
        depth += 1 if word == "CASE" else -1
        deepest = max(deepest, depth)
    # Ten halvings, and the one around all.
    assert deepest == 11


def _rows_found(table: Any, *constraints: Constraint) -> list[int]:
    sql = render_sql(plan_search(Search(("size",), constraints), CATALOG))
    return sorted(row[0] for row in table.execute(sql).fetchall())


@pytest.fixture(scope="module")
def numbers() -> Any:
    """Return a table of intervals between whole numbers, some without an end."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA ivoa")
        connection.execute(
            "CREATE TABLE ivoa.ObsCore AS SELECT i * 100 + j AS size, "
            "CASE WHEN i < 50 THEN i END::DOUBLE AS t_min, CASE WHEN j < 8 THEN i + j END::DOUBLE AS t_max, "
            "(TIMESTAMP '2020-01-01' + INTERVAL (i * 37) HOUR)::VARCHAR AS released "
            "FROM range(52) AS a(i), range(10) AS b(j)"
        )
        yield connection


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6, 9, 40])
@pytest.mark.parametrize("ends", ["closed", "open"])
def test_many_intervals_find_what_each_finds(numbers: Any, count: int, ends: str) -> None:
    dice = np.random.default_rng(count)
    lows = dice.choice([-2.0, 0.5, 10.0, 60.0], count) + dice.integers(0, 50, count)
    lengths = dice.choice([0.0, 0.0, 0.5, 1.0, 3.0], count)
    intervals = [Interval(float(low), float(low + length)) for low, length in zip(lows, lengths, strict=True)]
    if ends == "open":
        intervals[0] = Interval(-INF, 5.0)
        intervals[-1] = Interval(45.0, INF)
    expected_overlaps, expected_within = set(), set()
    rows = numbers.execute("SELECT size, t_min, t_max FROM ivoa.ObsCore").fetchall()
    for size, t_min, t_max in rows:
        for item in intervals:
            if t_min is not None and t_max is not None and t_min <= item.high and t_max >= item.low:
                expected_overlaps.add(size)
            if t_min is not None and item.low <= t_min <= item.high:
                expected_within.add(size)
    assert _rows_found(numbers, Overlaps("t_min", "t_max", tuple(intervals))) == sorted(expected_overlaps)
    assert _rows_found(numbers, Within("t_min", tuple(intervals))) == sorted(expected_within)


@pytest.mark.parametrize(
    ("period", "condition"),
    [
        (("2020-01-02T13:00:00", "2020-01-02T13:00:00"), "size // 100 = 1"),
        (("2020-01-02T13:00:00.500000", None), "size // 100 > 1"),
        ((None, "2020-01-02T12:59:59.500000"), "size // 100 < 1"),
        ((None, None), "TRUE"),
    ],
)
def test_times_are_compared_as_times(
    numbers: Any, period: tuple[str | None, str | None], condition: str
) -> None:
    expected = numbers.execute(f"SELECT size FROM ivoa.ObsCore WHERE {condition}").fetchall()
    assert _rows_found(numbers, Between("released", (period,))) == sorted(row[0] for row in expected)


def test_limit_and_distinct_are_part_of_the_plan() -> None:
    sql = render_sql(plan_search(Search(("obs_id",), (), distinct=True, most=7), CATALOG))
    assert sql.startswith('SELECT DISTINCT "o"."obs_id"')
    assert sql.endswith(" LIMIT 7")


def test_extents_are_one_row(numbers: Any) -> None:
    plan = plan_extents([("MIN", "t_min"), ("MAX", "t_max")], (Within("t_min", (Interval(3, 4),)),), CATALOG)
    assert [column.datatype for column in plan.columns] == ["double", "double"]
    assert numbers.execute(render_sql(plan)).fetchall() == [(3.0, 11.0)]


def test_identifiers_are_looked_up_where_they_name_their_datasets() -> None:
    own, other = "01234567-89ab-4cde-8f01-23456789abcd", "ffffffff-89ab-4cde-8f01-23456789abcd"
    texts = (f"ivo://X/{own.upper()}", "butler://a/b", f"{own}?copy={other}")
    plan = plan_search(Search(("obs_id",), (Identified("obs_publisher_did", texts),)), CATALOG)
    test = f"(LOWER(\"o\".\"obs_publisher_did\") IN ('ivo://x/{own}', 'butler://a/b', '{own}?copy={other}'))"
    assert render_sql(plan).endswith(f" WHERE {test}")
    ids = f"CAST('{own}' AS UUID), CAST('{other}' AS UUID)"
    named = render_sql(plan, named=["obs_publisher_did"])
    assert named.endswith(f' WHERE ("o"."_id" IN ({ids}) AND {test})')


def test_all_columns_are_shown_by_their_plain_names() -> None:
    plan = plan_search(Search(None, ()), CATALOG)
    assert [column.name for column in plan.columns] == [
        "obs_id",
        "calib_level",
        "t_min",
        "t_max",
        "s_region",
        "size",
        "obs_publisher_did",
        "released",
    ]
    assert "WHERE" not in render_sql(plan)
    assert '"o"."size" AS "size"' in render_sql(plan)


def test_unknown_column_cannot_be_shown() -> None:
    with pytest.raises(UsageError, match="There is no column '_region'; there are: obs_id, calib_level"):
        plan_search(Search(("_region",), ()), CATALOG)


def test_polygon_that_crosses_itself_is_refused() -> None:
    crossed = Polygon((0.0, 2.0, 2.0, 0.0), (0.0, 1.0, 0.0, 0.4))
    with pytest.raises(UsageError, match="sides that cross"):
        plan_search(Search(None, (Intersects("s_region", (crossed,)),)), CATALOG)
