"""What cannot be planned, and what the message says; metadata of what can."""

import pytest

from lsst.dax.vo.dali import LanguageFeature
from lsst.dax.vo.errors import QueryError, UnsupportedError
from lsst.dax.vo.query import FEATURES, Catalog, limit_rows, plan_query, render_sql

REFUSED = [
    # Names.
    ("SELECT nosuch FROM ivoa.ObsCore", "There is no column 'nosuch'; there are: dataproduct_type, "),
    ("SELECT obs_ids FROM ivoa.ObsCore", "There is no column 'obs_ids'; did you mean obs_id?"),
    ("SELECT o.s_rra FROM ivoa.ObsCore AS o", "o has no column 's_rra'; did you mean s_ra?"),
    ('SELECT "S_RA" FROM ivoa.ObsCore', "There is no column 'S_RA'; did you mean s_ra?"),
    ("SELECT x.s_ra FROM ivoa.ObsCore AS o", "FROM lists no table 'x'; there are: o"),
    ("SELECT ObsCore.s_ra FROM ivoa.ObsCore AS o", "FROM lists no table 'ObsCore'"),
    ("SELECT x.* FROM ivoa.ObsCore", "FROM lists no table 'x'"),
    ("SELECT 1 FROM ObsCore", "There is no table 'ObsCore'; did you mean ivoa.ObsCore?"),
    ("SELECT 1 FROM ivoa.obscor", "There is no table 'ivoa.obscor'; did you mean ivoa.ObsCore?"),
    ('SELECT 1 FROM "IVOA"."ObsCore"', "There is no table 'IVOA.ObsCore'"),
    ("SELECT 1 FROM a.b.c", "There is no table 'a.b.c'"),
    ("SELECT 1 FROM TAP_UPLOAD.mine", "There is no table 'TAP_UPLOAD.mine'"),
    (
        "SELECT key_id FROM TAP_SCHEMA.keys a, TAP_SCHEMA.key_columns b",
        "'key_id' can be a column of a or b; write it with its table",
    ),
    ("SELECT 1 FROM TAP_SCHEMA.keys, TAP_SCHEMA.keys", "Two tables in FROM are called 'keys'"),
    ("SELECT 1 FROM TAP_SCHEMA.keys a JOIN TAP_SCHEMA.keys A ON 1 = 1", "Two tables in FROM are called 'A'"),
    (
        "SELECT 1 FROM TAP_SCHEMA.keys a JOIN TAP_SCHEMA.tables b USING (key_id)",
        "USING needs 'key_id' once on each side",
    ),
    (
        "SELECT 1 FROM TAP_SCHEMA.schemas a, TAP_SCHEMA.keys b JOIN TAP_SCHEMA.tables c ON a.utype = c.utype",
        "no table 'a'",
    ),
    ('SELECT s_ra AS "_x" FROM ivoa.ObsCore', "'_x' cannot be used as a name"),
    ('SELECT 1 FROM ivoa.ObsCore AS "_x"', "'_x' cannot be used as a name"),
    ('WITH "_x" AS (SELECT s_ra FROM ivoa.ObsCore) SELECT s_ra FROM "_x"', "'_x' cannot be used as a name"),
    (
        "WITH a AS (SELECT s_ra FROM b), b AS (SELECT s_ra FROM ivoa.ObsCore) SELECT s_ra FROM a",
        "There is no table 'b'",
    ),
    ("SELECT s_ra FROM ivoa.ObsCore ORDER BY 2", "There is no column 2; the query has 1"),
    ("SELECT s_ra AS a FROM ivoa.ObsCore WHERE a > 1", "There is no column 'a'"),
    ("SELECT s_ra FROM ivoa.ObsCore UNION SELECT s_ra, s_dec FROM ivoa.ObsCore", "these have 1 and 2"),
    (
        "SELECT s_ra FROM ivoa.ObsCore UNION SELECT obs_id FROM ivoa.ObsCore",
        "'s_ra' is double, 'obs_id' is char",
    ),
    (
        "SELECT s_ra FROM ivoa.ObsCore UNION SELECT s_dec FROM ivoa.ObsCore ORDER BY s_dec",
        "numbers of their columns; there are: s_ra",
    ),
    # Functions.
    ("SELECT nosuchfunc(s_ra) FROM ivoa.ObsCore", "There is no function NOSUCHFUNC here; there are: "),
    ("SELECT SQT(s_ra) FROM ivoa.ObsCore", "There is no function SQT here; did you mean SQRT?"),
    ("SELECT IN_UNIT(s_ra, 'rad') FROM ivoa.ObsCore", "IN_UNIT of ADQL is not served here"),
    ("SELECT COALESCE() FROM ivoa.ObsCore", "COALESCE takes 1 or more arguments, 0 given"),
    ("SELECT PI(1) FROM ivoa.ObsCore", "PI takes no arguments, 1 given"),
    ("SELECT ROUND(1, 2, 3) FROM ivoa.ObsCore", "ROUND takes 1 to 2 arguments, 3 given"),
    ("SELECT CAST('1 2' AS POINT) FROM ivoa.ObsCore", "CAST makes no geometries here"),
    # Types.
    ("SELECT obs_id FROM ivoa.ObsCore WHERE calib_level = 'x'", "calib_level is a number; 'x' is none"),
    (
        "SELECT obs_id FROM ivoa.ObsCore WHERE calib_level IN ('1', '1e999')",
        "calib_level is a number; '1e999' is none",
    ),
    ("SELECT obs_id FROM ivoa.ObsCore WHERE calib_level = ''", "calib_level is a number; '' is none"),
    (
        "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = 5",
        "obs_id is a text and 5 a number; write '5' in quotes",
    ),
    (
        "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id IN ('a', 5)",
        "obs_id is a text and 5 a number; write '5' in quotes",
    ),
    ("SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = s_ra", "obs_id is a text and s_ra a number"),
    (
        "SELECT obs_id FROM ivoa.ObsCore WHERE lsst_visit LIKE '2024%'",
        "Expected a text, lsst_visit is a number",
    ),
    ("SELECT obs_id + 1 FROM ivoa.ObsCore", "Expected a number, obs_id is a text"),
    ("SELECT -obs_id FROM ivoa.ObsCore", "Expected a number, obs_id is a text"),
    ("SELECT SQRT(obs_id) FROM ivoa.ObsCore", "SQRT takes a number, obs_id is a text"),
    ("SELECT LOWER(s_ra) FROM ivoa.ObsCore", "LOWER takes a text, s_ra is a number"),
    ("SELECT ROUND(s_ra, 1.5) FROM ivoa.ObsCore", "ROUND takes a whole number, 1.5 is a number"),
    ("SELECT COALESCE(s_ra, 'x') FROM ivoa.ObsCore", "COALESCE takes values of one type"),
    ("SELECT s_ra FROM ivoa.ObsCore WHERE s_ra IN (SELECT obs_id FROM ivoa.ObsCore)", "differ in type"),
    (
        "SELECT s_ra FROM ivoa.ObsCore WHERE s_ra IN (SELECT * FROM TAP_SCHEMA.keys)",
        "IN takes a query with one column, this one has 5",
    ),
    # Geometry.
    ("SELECT POINT('GALACTIC', 1, 2) FROM ivoa.ObsCore", "The coordinate system 'GALACTIC' is not served"),
    (
        "SELECT DISTANCE(POINT('FK5', 1, 2), POINT(1, 2)) FROM ivoa.ObsCore",
        "The coordinate system 'FK5' is not served",
    ),
    ("SELECT POINT(1, 91) FROM ivoa.ObsCore", "The latitude 91.0 is not within -90..90 degrees"),
    ("SELECT DISTANCE(1, 2, 3, -90.5) FROM ivoa.ObsCore", "The latitude -90.5 is not within"),
    ("SELECT POLYGON(1, 2, 3, 4, 5, 95) FROM ivoa.ObsCore", "The latitude 95.0 is not within"),
    ("SELECT CIRCLE(1, 2, -1) FROM ivoa.ObsCore", "The radius -1.0 is not within 0..180 degrees"),
    ("SELECT BOX(1, 2, 3, 4) FROM ivoa.ObsCore", "A BOX can be searched with, not shown"),
    (
        "SELECT s_ra FROM ivoa.ObsCore WHERE POINT(1, 2) = POINT(1, 2)",
        "POINT(...) is a point and is not compared",
    ),
    (
        "SELECT s_ra FROM ivoa.ObsCore WHERE CONTAINS(s_ra, s_region) = 1",
        "CONTAINS takes a point or region, s_ra is a number",
    ),
    (
        "SELECT DISTANCE(s_region, POINT(1, 2)) FROM ivoa.ObsCore",
        "COORD1 takes a point, s_region is a region",
    ),
    (
        "SELECT s_ra FROM ivoa.ObsCore WHERE INTERSECTS(POLYGON(0,0,10,10,10,0,0,9), s_region) = 1",
        "sides that cross",
    ),
    (
        "SELECT s_ra FROM ivoa.ObsCore WHERE INTERSECTS(POLYGON(0,0,1,1,1,1,0,0), s_region) = 1",
        "A polygon has too few numbers",
    ),
    (
        "SELECT t.s_region FROM (SELECT s_region FROM ivoa.ObsCore GROUP BY s_region) AS t "
        "WHERE CONTAINS(POINT(1, 2), s_region) = 1",
        "'s_region' of this subquery has lost its region",
    ),
    (
        "SELECT t.obs_id FROM (SELECT s_region, obs_id FROM ivoa.ObsCore UNION "
        "SELECT s_region, obs_id FROM ivoa.ObsCore) AS t WHERE CONTAINS(POINT(1, 2), s_region) = 1",
        "The subquery compares whole rows, and has the text of s_region alone; search inside the subquery",
    ),
    (
        "SELECT s_ra FROM ivoa.ObsCore WHERE "
        + " OR ".join(f"CONTAINS(POINT({i / 10}, 2), s_region) = 1" for i in range(501)),
        "A query has up to 500 CONTAINS and INTERSECTS here; ask for the places in several queries",
    ),
    # Groups.
    ("SELECT obs_id, COUNT(*) FROM ivoa.ObsCore", "'obs_id' is neither in GROUP BY nor inside an aggregate"),
    ("SELECT s_ra + 1 FROM ivoa.ObsCore GROUP BY s_dec", "'s_ra' is neither in GROUP BY"),
    ("SELECT COUNT(*) FROM ivoa.ObsCore HAVING s_ra > 1", "'s_ra' is neither in GROUP BY"),
    ("SELECT COUNT(*) FROM ivoa.ObsCore GROUP BY s_ra ORDER BY s_dec", "'s_dec' is neither in GROUP BY"),
    ("SELECT obs_id FROM ivoa.ObsCore WHERE COUNT(*) > 1", "COUNT cannot stand in WHERE; use HAVING"),
    ("SELECT MAX(COUNT(*)) FROM ivoa.ObsCore", "COUNT cannot stand inside MAX"),
    ("SELECT a.obs_id FROM ivoa.ObsCore a JOIN ivoa.ObsCore b ON MAX(a.s_ra) = 1", "MAX cannot stand in ON"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text for text, _ in REFUSED])
def test_refuses(catalog: Catalog, text: str, message: str) -> None:
    with pytest.raises(QueryError) as raised:
        plan_query(text, catalog)
    assert message in str(raised.value)
    assert (raised.value.line, raised.value.parameter) == (1, "QUERY")
    assert raised.value.excerpt is not None


def test_columns_keep_their_metadata(catalog: Catalog) -> None:
    plan = plan_query(
        "SELECT t_min, S_RA AS ra, u.em AS wavelength, MAX(t.s_dec) AS d FROM "
        "(SELECT em_min AS em, obs_id AS i FROM ivoa.ObsCore) AS u JOIN ivoa.ObsCore AS t ON u.i = t.obs_id "
        "GROUP BY t_min, s_ra, em",
        catalog,
    )
    known = {column.name: column for column in catalog.tables[0].columns}
    found = {column.name: column for column in plan.columns}
    assert list(found) == ["t_min", "ra", "wavelength", "d"]
    assert found["t_min"] == known["t_min"]
    for name, source in (("ra", "s_ra"), ("wavelength", "em_min")):
        for key in ("datatype", "unit", "ucd", "utype", "description", "ref"):
            assert getattr(found[name], key) == getattr(known[source], key)
    assert (found["d"].unit, found["d"].ucd, found["d"].utype) == ("deg", "pos.eq.dec", None)


@pytest.mark.parametrize(
    ("value", "datatype", "unit", "xtype"),
    [
        ("COUNT(*)", "long", None, None),
        ("SUM(access_estsize)", "long", "kbyte", None),
        ("AVG(access_estsize)", "double", "kbyte", None),
        ("calib_level + 1", "int", None, None),
        ("s_ra - s_dec", "double", "deg", None),
        ("s_ra * 2", "double", None, None),
        ("calib_level / 2", "double", None, None),
        ("ABS(-s_dec)", "double", "deg", None),
        ("RADIANS(s_ra)", "double", "rad", None),
        ("obs_id || 'x'", "char", None, None),
        ("DISTANCE(s_ra, s_dec, 1, 2)", "double", "deg", None),
        ("POINT(s_ra, s_dec)", "double", None, "point"),
        ("CIRCLE(1, 2, 3)", "double", None, "circle"),
        ("s_region", "char", None, "adql:REGION"),
        ("CONTAINS(POINT(1, 2), s_region)", "int", None, None),
        ("COALESCE(calib_level, s_ra)", "double", None, None),
        ("CAST(s_ra AS BIGINT)", "long", None, None),
        ("CAST('2021-01-14T11:25:00' AS TIMESTAMP)", "char", None, "timestamp"),
        ("NULL", "char", None, None),
        ("3000000000", "long", None, None),
        ("99999999999999999999", "double", None, None),
    ],
)
def test_expressions_have_types(
    catalog: Catalog, value: str, datatype: str, unit: str | None, xtype: str | None
) -> None:
    (column,) = plan_query(f"SELECT {value} AS v FROM ivoa.ObsCore", catalog).columns
    assert (column.name, column.datatype, column.unit, column.xtype) == ("v", datatype, unit, xtype)


def test_outputs_without_names_get_some(catalog: Catalog) -> None:
    plan = plan_query(
        "SELECT 1, s_ra, s_ra, COUNT(*), s_ra AS col_1 FROM ivoa.ObsCore GROUP BY s_ra", catalog
    )
    assert [column.name for column in plan.columns] == ["col_1", "s_ra", "s_ra_2", "col_4", "col_1_2"]


def test_limit_rows(catalog: Catalog) -> None:
    tree = plan_query("SELECT TOP 5 s_ra FROM ivoa.ObsCore", catalog).tree
    assert limit_rows(tree, 10) is tree
    assert limit_rows(tree, 3).sql().endswith("LIMIT 3")
    assert tree.sql().endswith("LIMIT 5")


def test_features_are_declared() -> None:
    forms = {feature.form for feature in FEATURES}
    assert {
        "POINT",
        "CIRCLE",
        "POLYGON",
        "BOX",
        "CONTAINS",
        "INTERSECTS",
        "DISTANCE",
        "COORD1",
        "COORD2",
    } <= forms
    assert {"AREA", "CENTROID", "REGION", "COORDSYS", "IN_UNIT"}.isdisjoint(forms)
    assert all(feature.kind == feature.kind.lower() for feature in FEATURES)
    assert LanguageFeature("ivo://ivoa.net/std/tapregext#features-adql-offset", "OFFSET") in FEATURES


def test_other_dialects_are_refused(catalog: Catalog) -> None:
    with pytest.raises(UnsupportedError, match="There is no SQL for 'mysql' here"):
        render_sql(plan_query("SELECT s_ra FROM ivoa.ObsCore", catalog), "mysql")
