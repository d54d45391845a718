"""Searches become SQL whose values cannot be anything but values."""

import math

import pytest

from lsst.dax.vo.dali import Circle, Column, Interval, Polygon
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.query import (
    Constraint,
    HasState,
    Intersects,
    OneOf,
    Overlaps,
    Search,
    Within,
    build_catalog,
    plan_search,
    render_sql,
)

INF = math.inf
CATALOG = build_catalog(
    [
        Column("obs_id", "char", arraysize="*"),
        Column("calib_level", "int"),
        Column("t_min", "double"),
        Column("t_max", "double"),
        Column("s_region", "char", arraysize="*", xtype="adql:REGION"),
        Column("size", "long"),
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
        (OneOf("obs_id", ("aB",), ignore_case=True), "(LOWER(\"obs_id\") IN ('ab'))"),
        (OneOf("obs_id", ("a\0b",)), "FALSE"),
        (OneOf("obs_id", ()), "FALSE"),
        (OneOf("calib_level", (2, 3)), '("calib_level" IN (2, 3))'),
        (OneOf("_repo", ("here",)), "(\"_repo\" IN ('here'))"),
        (OneOf("nosuch", ("a",)), "FALSE"),
        (HasState("obs_id", ("I", "%")), "(STRPOS(\"obs_id\", '/I/') > 0 OR STRPOS(\"obs_id\", '/%/') > 0)"),
        (Within("t_min", (Interval(1.0, 2.5),)), '("t_min" >= 1.0e0 AND "t_min" <= 2.5e0)'),
        (Within("t_min", (Interval(-1e-9, INF),)), '("t_min" >= -1e-09 AND NOT "t_min" IS NULL)'),
        (Within("t_min", (Interval(-INF, INF),)), '(NOT "t_min" IS NULL AND NOT "t_min" IS NULL)'),
        (Within("t_min", (Interval(INF, INF),)), '(FALSE AND NOT "t_min" IS NULL)'),
        (Overlaps("t_min", "t_max", (Interval(1.0, 2.0),)), '("t_min" <= 2.0e0 AND "t_max" >= 1.0e0)'),
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
    where = _where(Intersects("s_region", (Circle(10.0, 20.0, 0.1),)))
    box, _, exact = where.partition(" AND (CASE WHEN ")
    assert box.count('"_x0" <=') == box.count('"_z1" >=') == 1
    assert exact.startswith(box)
    assert " THEN VO_INTERSECTS(UNHEX('63" in exact.replace("vo_intersects", "VO_INTERSECTS").replace(
        "unhex", "UNHEX"
    )
    assert exact.endswith('"_region") ELSE FALSE END)')


def test_all_columns_are_shown_by_their_plain_names() -> None:
    plan = plan_search(Search(None, ()), CATALOG)
    assert [column.name for column in plan.columns] == [
        "obs_id",
        "calib_level",
        "t_min",
        "t_max",
        "s_region",
        "size",
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
