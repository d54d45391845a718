"""What cannot be planned, and what the message says; metadata of what can."""

from dataclasses import replace

import pytest
from astropy.io.votable.ucd import check_ucd

from lsst.dax.vo.errors import QueryError, UnsupportedError
from lsst.dax.vo.query import Catalog, limit_rows, plan_query, render_sql

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
    (
        "SELECT DISTINCT s_ra FROM ivoa.ObsCore ORDER BY s_dec",
        "columns of the result here, because of DISTINCT",
    ),
    ("SELECT DISTINCT s_ra FROM ivoa.ObsCore ORDER BY s_ra + 1", "columns of the result here"),
    (
        "WITH a0 AS (SELECT s_ra FROM ivoa.ObsCore), "
        + ", ".join(f"a{i} AS (SELECT p.s_ra FROM a{i - 1} AS p, a{i - 1} AS q)" for i in range(1, 22))
        + " SELECT COUNT(*) FROM a21",
        "more than 100 tables, those of WITH counted wherever they are read",
    ),
    (
        "WITH a AS (SELECT p.s_ra FROM ivoa.ObsCore AS p, ivoa.ObsCore AS q) SELECT 1 FROM "
        + ", ".join(f"(SELECT a.s_ra FROM a) AS x{i}" for i in range(51)),
        "more than 100 tables",
    ),
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
    ("SELECT 1 FROM ivoa.ObsCore WHERE obs_id = 'a' 'b'", "Expected an operator, the next clause or the end"),
    # Functions.
    ("SELECT nosuchfunc(s_ra) FROM ivoa.ObsCore", "There is no function NOSUCHFUNC here; there are: "),
    ("SELECT SQT(s_ra) FROM ivoa.ObsCore", "There is no function SQT here; did you mean SQRT?"),
    ("SELECT SUBSTRING(obs_id, 1, 2) FROM ivoa.ObsCore", "There is no function SUBSTRING in ADQL"),
    ("SELECT ivo_hashword(obs_id, 'x') FROM ivoa.ObsCore", "IVO_HASHWORD here; did you mean IVO_HASWORD?"),
    ("SELECT ivo_string_agg(obs_id) FROM ivoa.ObsCore", "IVO_STRING_AGG takes 2 arguments, 1 given"),
    ("SELECT ivo_string_agg(obs_id, obs_id) FROM ivoa.ObsCore", "takes a text in quotes, obs_id is a text"),
    ("SELECT COUNT(s_ra, s_dec) FROM ivoa.ObsCore", "COUNT takes 1 argument, 2 given"),
    ("SELECT ivo_healpix_index(30, s_ra, s_dec) FROM ivoa.ObsCore", "The order 30 is not within 0..29"),
    ("SELECT ivo_healpix_index(2.5, s_ra, s_dec) FROM ivoa.ObsCore", "takes a whole number, 2.5 is a number"),
    # Units.
    (
        "SELECT IN_UNIT(s_ra, 'foo') FROM ivoa.ObsCore",
        "'foo' is no unit; write one of VOUnits, such as 'deg'",
    ),
    ("SELECT IN_UNIT(s_ra, '') FROM ivoa.ObsCore", "'' is no unit"),
    ("SELECT IN_UNIT(s_ra, obs_id) FROM ivoa.ObsCore", "IN_UNIT takes a text in quotes, obs_id is a text"),
    ("SELECT IN_UNIT(42, 'deg') FROM ivoa.ObsCore", "IN_UNIT takes a value with a unit, this one has none"),
    ("SELECT IN_UNIT(SQRT(42), 'deg') FROM ivoa.ObsCore", "IN_UNIT takes a value with a unit"),
    ("SELECT IN_UNIT(s_ra + 1, 'deg') FROM ivoa.ObsCore", "IN_UNIT takes a value with a unit"),
    ("SELECT IN_UNIT(s_ra / s_dec, 'deg') FROM ivoa.ObsCore", "IN_UNIT takes a value with a unit"),
    ("SELECT IN_UNIT(s_ra, 'm') FROM ivoa.ObsCore", "The unit of this value is deg, which is never 'm'"),
    (
        "SELECT IN_UNIT(s_ra * s_dec, 'deg') FROM ivoa.ObsCore",
        "The unit of this value is deg2, which is never 'deg'",
    ),
    # Times.
    (
        "SELECT ivo_to_mjd(obs_id) FROM ivoa.ObsCore",
        "takes a time, obs_id is a text; write CAST(... AS TIMESTAMP)",
    ),
    (
        "SELECT ivo_to_mjd('2021-13-01') FROM ivoa.ObsCore",
        "'2021-13-01' is no time; write it as in '2026-01-31T",
    ),
    ("SELECT CAST('2021-02-30' AS TIMESTAMP) FROM ivoa.ObsCore", "'2021-02-30' is no time"),
    (
        "SELECT obs_id FROM ivoa.ObsCore WHERE CAST('2021-02-03' AS TIMESTAMP) > 'yesterday'",
        "'yesterday' is no time",
    ),
    (
        "SELECT obs_id FROM ivoa.ObsCore WHERE CAST('2021-02-03' AS TIMESTAMP) IN ('2021-02-03', 'now')",
        "'now' is no time",
    ),
    (
        "SELECT CAST(s_ra AS TIMESTAMP) FROM ivoa.ObsCore",
        "This CAST takes a text such as '2026-01-31T12:00:00'",
    ),
    ("SELECT CURRENT_TIMESTAMP FROM ivoa.ObsCore", "ADQL has no clock; write the time in quotes"),
    ("SELECT COALESCE() FROM ivoa.ObsCore", "COALESCE takes 1 or more arguments, 0 given"),
    ("SELECT PI(1) FROM ivoa.ObsCore", "PI takes no arguments, 1 given"),
    ("SELECT ROUND(1, 2, 3) FROM ivoa.ObsCore", "ROUND takes 1 to 2 arguments, 3 given"),
    ("SELECT CAST('1 2 3' AS POINT) FROM ivoa.ObsCore", "'1 2 3' is no POINT; write longitude and latitude"),
    ("SELECT CAST('1 x' AS POINT) FROM ivoa.ObsCore", "'1 x' is no POINT"),
    ("SELECT CAST('1 95' AS POINT) FROM ivoa.ObsCore", "The latitude 95.0 is not within -90..90 degrees"),
    (
        "SELECT CAST('1 2 3 4 5' AS POLYGON) FROM ivoa.ObsCore",
        "'1 2 3 4 5' is no POLYGON; write three or more",
    ),
    ("SELECT CAST(s_region AS POLYGON) FROM ivoa.ObsCore", "This CAST takes a text such as '12.3 45.6'"),
    ("SELECT CAST(CIRCLE(1, 2, 3) AS VARCHAR) FROM ivoa.ObsCore", "This CAST takes a number or text"),
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
    ("SELECT BOX(1, 2, 200, 4) FROM ivoa.ObsCore", "The width 200.0 is not within 0..180 degrees"),
    ("SELECT AREA(s_ra) FROM ivoa.ObsCore", "AREA takes a point or region, s_ra is a number"),
    ("SELECT MAX(POINT(1, 2)) FROM ivoa.ObsCore", "MAX takes a number or text, POINT(...) is a point"),
    (
        "SELECT DISTANCE(s_region, POINT(1, 2)) FROM ivoa.ObsCore",
        "DISTANCE takes a point, s_region is a region; write CENTROID(s_region)",
    ),
    ("SELECT REGION(obs_id) FROM ivoa.ObsCore", "REGION takes a text in quotes, obs_id is a text"),
    (
        "SELECT REGION('CIRCL ICRS 1 2 3') FROM ivoa.ObsCore",
        "'CIRCL' is no shape; give one of POSITION, CIRCLE",
    ),
    ("SELECT REGION('CIRCLE FK4 1 2 3') FROM ivoa.ObsCore", "the frame FK4 is not served"),
    (
        "SELECT s_ra FROM ivoa.ObsCore WHERE POINT(1, 2) = POINT(1, 2)",
        "POINT(...) is a point and is not compared",
    ),
    (
        "SELECT s_ra FROM ivoa.ObsCore WHERE CONTAINS(s_ra, s_region) = 1",
        "CONTAINS takes a point or region, s_ra is a number",
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
        "SELECT t.r FROM (SELECT MIN(s_region) AS r FROM ivoa.ObsCore) AS t "
        "WHERE CONTAINS(POINT(1, 2), r) = 1",
        "CONTAINS takes a point or region, r is a text",
    ),
    ("SELECT AREA(COALESCE(s_region, '')) FROM ivoa.ObsCore", "COALESCE(...) is a text"),
    (
        "SELECT r FROM (SELECT s_region AS r FROM ivoa.ObsCore "
        "UNION ALL SELECT obs_id FROM ivoa.ObsCore) AS t WHERE CONTAINS(POINT(1, 2), r) = 1",
        "'r' of this subquery is computed, and is no region any more; search inside it",
    ),
    (
        "SELECT r FROM (SELECT s_region AS r FROM ivoa.ObsCore UNION SELECT REGION('CIRCLE ICRS 1 2 3') "
        "FROM ivoa.ObsCore) AS t WHERE CONTAINS(POINT(1, 2), r) = 1",
        "'r' of this subquery mixes regions of ivoa.ObsCore with others; search inside it",
    ),
    ("SELECT BOX(1, 2, 180, 4) FROM ivoa.ObsCore", "give more than 0 and less than 180 degrees"),
    (
        "SELECT s_ra FROM ivoa.ObsCore WHERE "
        + " OR ".join(f"CONTAINS(POINT({i / 10}, 2), s_region) = 1" for i in range(501)),
        "A query has up to 500 CONTAINS, INTERSECTS, DISTANCE and HEALPix functions here; "
        "ask for the places in several queries",
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
    assert (found["d"].unit, found["d"].ucd, found["d"].utype) == ("deg", "pos.eq.dec;stat.max", None)


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
        ("POINT(s_ra, s_dec)", "double", "deg", "point"),
        ("CIRCLE(1, 2, 3)", "double", "deg", "circle"),
        ("BOX(1, 2, 3, 4)", "double", "deg", "polygon"),
        ("POLYGON(1, 2, 3, 4, 5, 7)", "double", "deg", "polygon"),
        ("CENTROID(s_region)", "double", "deg", "point"),
        ("ivo_healpix_center(1, 2)", "double", "deg", "point"),
        ("CAST('1 2' AS POINT)", "double", "deg", "point"),
        ("CAST(obs_id AS CIRCLE)", "double", "deg", "circle"),
        ("REGION('CIRCLE ICRS 1 2 3')", "char", None, "adql:REGION"),
        ("AREA(s_region)", "double", "deg**2", None),
        ("COORD1(CENTROID(s_region))", "double", "deg", None),
        ("COORDSYS(s_region)", "char", None, None),
        ("IN_UNIT(s_ra, 'arcsec')", "double", "arcsec", None),
        ("ivo_healpix_index(1, s_ra, s_dec)", "long", None, None),
        ("ivo_to_mjd('2021-01-14')", "double", "d", None),
        ("ivo_hasword(obs_id, 'x')", "int", None, None),
        ("ivo_string_agg(obs_id, ',')", "char", None, None),
        ("COUNT(DISTINCT s_ra)", "long", None, None),
        ("MIN(obs_id)", "char", None, None),
        ("MIN(s_region)", "char", None, None),
        ("s_region", "char", None, "adql:REGION"),
        ("CONTAINS(POINT(1, 2), s_region)", "int", None, None),
        ("COALESCE(calib_level, s_ra)", "double", None, None),
        ("CAST(s_ra AS BIGINT)", "long", "deg", None),
        ("CAST(obs_id AS REAL)", "float", None, None),
        ("CAST(s_ra AS VARCHAR)", "char", None, None),
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
    assert [column.name for column in plan.columns] == ["col_1_2", "s_ra", "s_ra_2", "col_4", "col_1"]


def test_limit_rows(catalog: Catalog) -> None:
    tree = plan_query("SELECT TOP 5 s_ra FROM ivoa.ObsCore", catalog).tree
    assert limit_rows(tree, 10) == (tree, "")
    assert limit_rows(tree, None) == (tree, "")
    cut, end = limit_rows(tree, 3)
    assert "LIMIT" not in cut.sql()
    assert end == " LIMIT 3"
    assert tree.sql().endswith("LIMIT 5")


@pytest.mark.parametrize(
    ("value", "ucd", "description"),
    [
        ("s_ra", "pos.eq.ra", True),
        ("MIN(s_ra)", "pos.eq.ra;stat.min", True),
        ("MAX(t_min)", "time.start;obs.exposure;stat.max", True),
        ("AVG(s_dec)", "pos.eq.dec;stat.mean", False),
        ("COUNT(*)", "meta.number", False),
        ("SUM(t_exptime)", None, False),
        ("ROUND(s_ra, 2)", "pos.eq.ra", False),
        ("s_ra - 1", None, False),
        ("-s_ra", "pos.eq.ra", True),
        ("CAST(s_ra AS REAL)", "pos.eq.ra", True),
        ("COALESCE(s_ra, 1)", "pos.eq.ra", True),
        ("IN_UNIT(s_ra, 'rad')", "pos.eq.ra", False),
        ("AREA(s_region)", "phys.angArea", False),
        ("DISTANCE(s_ra, s_dec, 1, 2)", "pos.angDistance", False),
    ],
)
def test_expressions_keep_what_holds_of_them(
    catalog: Catalog, value: str, ucd: str | None, description: bool
) -> None:
    (column,) = plan_query(f"SELECT {value} AS v FROM ivoa.ObsCore", catalog).columns
    assert column.ucd == ucd
    assert bool(column.description) is description
    own = value == "s_ra"
    assert (bool(column.utype), column.std, column.principal) == (own, own, own)


def test_generated_ucds_are_in_the_vocabulary(catalog: Catalog) -> None:
    names = [column.name for column in catalog.tables[0].columns if column.datatype != "char"]
    names = [name for name in names if not name.startswith('"')]
    outputs = ", ".join(f"MIN({name}), MAX({name}), AVG({name})" for name in names)
    for column in plan_query(f"SELECT {outputs} FROM ivoa.ObsCore", catalog).columns:
        assert column.ucd is None or check_ucd(column.ucd, check_controlled_vocabulary=True), column


def test_same_text_is_planned_once(catalog: Catalog) -> None:
    text = "SELECT s_ra FROM ivoa.ObsCore WHERE s_dec > 12.5"
    first = plan_query(text, catalog)
    assert plan_query(text, catalog) is first
    other = replace(catalog)
    assert plan_query(text, other) is not first
    for number in range(200):
        plan_query(f"SELECT {number} FROM ivoa.ObsCore", catalog)
    again = plan_query(text, catalog)
    assert again is not first
    assert again.tree == first.tree


def test_other_dialects_are_refused(catalog: Catalog) -> None:
    with pytest.raises(UnsupportedError, match="There is no SQL for 'mysql' here"):
        render_sql(plan_query("SELECT s_ra FROM ivoa.ObsCore", catalog), "mysql")
