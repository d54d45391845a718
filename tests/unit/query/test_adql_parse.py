"""The grammar of ADQL 2.1: what is accepted, what is refused, and how."""

import pytest

from lsst.dax.vo.errors import QueryError
from lsst.dax.vo.query import parse_adql

ACCEPTED = [
    "SELECT ROUND(5)as x FROM y",
    "SELECT * FROM TAP_UPLOAD . abc",
    "select top 4* from (select * from t)x",
    "select all(a+b)X from m,(a join b ON(c BETWEEN(d+e)AND 4))",
    "SELECT TOP 0 * FROM t",
    "SELECT a FROM t WHERE 1=CONTAINS(POINT(NULL,2,3), c)",
    "SELECT COALESCE(a) FROM t",
    "(SELECT TOP 10 a FROM t ORDER BY a) UNION (SELECT a FROM u)",
    "SELECT a FROM t ORDER BY LOG10(z+1) DESC",
    "SELECT CAST('12.3 45.6' AS POINT) FROM t",
    "SELECT CAST(a AS double  precision), CAST(b AS VARCHAR(30)) FROM t",
    "select region('Circle FK4 10 10 1') from t",
    "SELECT t.* , u.a FROM t NATURAL JOIN u",
    "SELECT COUNT(DISTINCT a), COUNT(ALL b), COUNT(*) FROM t",
    "SELECT -a+.5E3, 12., 1.2E-3, +3 FROM t",
    'SELECT "size", "a""b" FROM t',
    'SELECT a "My Col" FROM t',
    "SELECT 'it''s', '', 'a\nb' FROM t -- the end",
    "SELECT a FROM t WHERE x IN (1)",
    "SELECT a FROM t WHERE x>10AND y<3",
    "SELECT a FROM t WHERE NOT (a = 1 OR b <> 2) AND c != 3",
    "SELECT a FROM ((SELECT a FROM t) UNION (SELECT b FROM u)) AS v",
    "SELECT a FROM ((t JOIN u USING (i)) JOIN v USING (j, k))",
    "(SELECT a FROM t) ORDER BY 1 OFFSET 5",
    "WITH c AS (SELECT a FROM t) SELECT a FROM c",
    "SELECT a, * FROM t",
    "SELECT LIMIT FROM limit AS limit",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepts(text: str) -> None:
    parse_adql(text)


REFUSED = [
    ("", "The query ends where SELECT was expected"),
    ("SELECT FROM t", "Expected a value, found 'FROM'"),
    ("SELECT 1", "The query ends where ',' or FROM was expected"),
    (
        "SELECT distance FROM t",
        "Expected a value, found 'distance'; as a name, write \"distance\" in double quotes",
    ),
    (
        "SELECT COUNT(*) AS count FROM t",
        "Expected a name behind AS, found 'count'; as a name, write \"count\"",
    ),
    ("SELECT _x FROM t", "'_x' is not part of ADQL; names begin with a letter"),
    ("SELECT a$b FROM t", "'a$b' is not part of ADQL"),
    ("SELECT é FROM t", "'é' is not part of ADQL"),
    ("SELECT N'x' FROM t", "\"N'x'\" is not part of ADQL"),
    ("SELECT 0x1F FROM t", "The number 0 and 'x1F' run together"),
    ("SELECT 1e FROM t", "'1e' is not part of ADQL"),
    ("SELECT 1e999 FROM t", "This number is too large"),
    ("SELECT a /* b */ FROM t", "'*'"),
    ("SELECT {# x #} a FROM t", "'{' is not part of ADQL"),
    ("SELECT a % b FROM t", "'%' is not part of ADQL; use MOD(x, y)"),
    ("SELECT a & b FROM t", "'&' is not part of ADQL"),
    ("SELECT a::int FROM t", "':' is not part of ADQL"),
    ("SELECT a FROM t;", "';' is not part of ADQL; ADQL has no mark at its end"),
    ("SELECT 'a FROM t", "This quote is never closed"),
    ("SELECT (a FROM t", "Expected ')', found 'FROM'"),
    ("SELECT a FROM t WHERE (a = 1", "This '(' is never closed"),
    (
        "SELECT a FROM t WHERE a = 1)",
        "Expected an operator, the next clause or the end of the query, found ')'",
    ),
    ("SELECT TOP -10 a FROM t", "Expected the most rows wanted (TOP): digits alone"),
    ("SELECT TOP (5) a FROM t", "Expected the most rows wanted (TOP): digits alone"),
    ("SELECT TOP 5 DISTINCT a FROM t", "DISTINCT comes before TOP"),
    ("SELECT a FROM t OFFSET 10.5", "Expected the rows to leave out: digits alone"),
    ("SELECT a FROM t LIMIT 5", "ADQL has no LIMIT; write SELECT TOP n"),
    ("SELECT a FROM t INNER JOIN u", "The query ends where ON or USING behind the joined table was expected"),
    ("SELECT a FROM t NATURAL JOIN u ON a = b", "NATURAL joins on all columns of the same name"),
    ("SELECT a FROM t CROSS JOIN u", "found 'CROSS'; write a comma between the tables"),
    ("SELECT a FROM (SELECT a FROM t)", "a name for the subquery"),
    ("SELECT a FROM f(1)", "functions give no tables"),
    ("SELECT a FROM 'file.parquet'", "Expected a table, found \"'file.parquet'\""),
    ("SELECT a FROM t WHERE CONTAINS(a,b)", "CONTAINS gives a number: compare it, as in CONTAINS(...) = 1"),
    ("SELECT a FROM t WHERE a", "Expected a condition, found a value"),
    ("SELECT a FROM t WHERE (a = 1) = 1", "Expected a value, found a condition"),
    ("SELECT (a = 1) FROM t", "Expected a value, found a condition"),
    ("SELECT a FROM t WHERE a IN ()", "Expected a value, found ')'"),
    ("SELECT a FROM t WHERE a LIKE 'b' ESCAPE 'c'", "LIKE of ADQL has no ESCAPE"),
    ("SELECT a FROM t WHERE a = TRUE", "ADQL has no truth values; compare with 0 or 1"),
    ("SELECT CASE WHEN a = 1 THEN 2 END FROM t", "ADQL has no CASE"),
    ("SELECT (SELECT b FROM u) FROM t", "a subquery stands in FROM, IN (...) or EXISTS (...)"),
    ("SELECT CIRCLE('fk5',2,3) FROM t", "Expected a point, such as POINT(10.5, -3)"),
    ("SELECT POLYGON(1,2,3,4,5) FROM t", "POLYGON takes three or more pairs of numbers, not 5 numbers"),
    ("SELECT POLYGON(POINT(1,2), 3, 4) FROM t", "POLYGON takes either numbers or points, not both"),
    ("SELECT CAST(a AS FLOAT) FROM t", "Expected a type: SMALLINT, INTEGER"),
    (
        "SELECT a FROM t WHERE x IN (WITH c AS (SELECT 1 FROM t) SELECT 1 FROM c)",
        "WITH stands at the beginning",
    ),
    ("SELECT a FROM t ORDER BY a UNION SELECT a FROM u", "found 'UNION'"),
    ("SELECT a b c FROM t", "Expected ',' or FROM, found 'c'"),
    ("SELECT - - a FROM t", "Expected a value, found '-'"),
    ("DROP TABLE t", "Expected SELECT, found 'DROP'"),
    ("INSERT INTO t VALUES (1)", "Expected SELECT, found 'INSERT'"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text for text, _ in REFUSED])
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse_adql(text)
    assert message in str(raised.value)
    assert raised.value.line == 1


def test_error_shows_the_place() -> None:
    with pytest.raises(QueryError) as raised:
        parse_adql("SELECT a,\n\tb -- 'x\nFROM t WHERE a =\nORDER BY 1")
    assert (raised.value.line, raised.value.column) == (4, 1)
    assert raised.value.excerpt == "ORDER BY 1\n^^^^^"
    assert str(raised.value).endswith("(line 4, column 1)")


def test_excerpt_of_a_long_line_is_short() -> None:
    with pytest.raises(QueryError) as raised:
        parse_adql(f"SELECT {'a, ' * 1000} FROM t")
    assert raised.value.excerpt is not None
    shown, mark = raised.value.excerpt.split("\n")
    assert len(shown) <= 120
    assert shown[mark.index("^") :][: mark.count("^")] == "FROM"


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT {'(' * 10_000}a{')' * 10_000} FROM t",
        f"SELECT a FROM t WHERE {'(' * 10_000}a = 1{')' * 10_000}",
        f"SELECT a FROM {'(' * 10_000}t{')' * 10_000}",
        f"SELECT {'ABS(' * 10_000}a{')' * 10_000} FROM t",
        f"SELECT {'a + ' * 10_000}a FROM t",
        " UNION ".join(["SELECT a FROM t"] * 1_000),
        f"SELECT a FROM t {'JOIN ' * 5_000}",
        f"SELECT a FROM t WHERE {'NOT ' * 10_000}a = 1",
        f"SELECT {'(SELECT ' * 10_000}",
        "'" * 9_999,
    ],
    ids=lambda text: text[:40],
)
def test_depth_is_an_error_not_a_crash(text: str) -> None:
    with pytest.raises(QueryError):
        parse_adql(text)


@pytest.mark.parametrize("word", ["AND", "OR"])
def test_many_conditions_are_fine(word: str) -> None:
    parse_adql(f"SELECT a FROM t WHERE {f' {word} '.join(['a = 1'] * 2_000)}")
