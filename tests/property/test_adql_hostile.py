"""Hostile texts: whatever is accepted becomes one SELECT on published tables, of listed words alone."""

import itertools
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.tokens import TokenType

from lsst.dax.vo.errors import QueryError, UnsupportedError
from lsst.dax.vo.obscore import OBSCORE_COLUMNS, RUBIN_COLUMNS
from lsst.dax.vo.query import Catalog, Plan, build_catalog, plan_query, render_sql
from lsst.dax.vo.query._udfs import UDF_KERNELS
from lsst.dax.vo.query.adql._functions import FUNCTIONS
from lsst.dax.vo.query.geometry._kernels import SQL_FUNCTIONS

OWN = {item.name for item in (*SQL_FUNCTIONS, *UDF_KERNELS)}
"""What this package registers."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DUCKDB_FUNCTIONS = (
    OWN
    | {item.duckdb for item in FUNCTIONS.values() if item.duckdb}
    | _words(
        """
        * + - / || ~~ ~~* contains count_star epoch_us error first left len list_extract list_value
        power regexp_replace replace row_number strftime string_agg string_split_regex trim unhex
        """
    )
)
"""What SQL of DuckDB may call: nothing here reads a file or a setting, writes or waits."""

DUCKDB_NODES = _words(
    "BETWEEN CASE CAST COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION OPERATOR SUBQUERY TYPE WINDOW"
)
"""Kinds of expressions of DuckDB that may be there."""

DUCKDB_TABLES = _words("BASE_TABLE SUBQUERY JOIN EMPTY")
"""Kinds of sources that may be there; no function, no file."""

POSTGRES_FUNCTIONS = _words(
    """
    abs acos any array array_agg asin atan atan2 avg btrim cardinality cast ceil char coalesce cos
    cot count decimal decode degrees exp extract floor get_byte greatest least left ln log log10
    lower max min mod pi power radians random regexp_replace regexp_split_to_array replace round
    row_number scircle sign sin spoint sqrt string_agg strpos substring sum tan to_char trim trunc
    unnest upper varchar
    """
)
"""What SQL of PostgreSQL may call, and types and operators that have parentheses."""

_CLAUSES = _words(
    """
    ALL AND AS BETWEEN BY CASE DISTINCT ELSE END EXCEPT EXISTS FROM HAVING ILIKE IN INTERSECT JOIN
    LIKE NOT ON OR SELECT THEN UNION USING WHEN WHERE WITH
    """
)

VALID = [
    "SELECT TOP 5 obs_id AS x , s_ra FROM ivoa.ObsCore WHERE s_ra BETWEEN 1 AND 2 ORDER BY x",
    "SELECT COUNT ( * ) FROM ivoa . ObsCore AS o "
    "WHERE CONTAINS ( POINT ( o.s_ra , o.s_dec ) , CIRCLE ( 1 , 2 , 3 ) ) = 1",
    "SELECT AREA ( s_region ) , UPPER ( obs_id ) FROM ivoa.ObsCore "
    "WHERE obs_id LIKE 'a%b' GROUP BY s_region , obs_id",
    "SELECT a.obs_id FROM ivoa.ObsCore AS a JOIN TAP_SCHEMA.tables AS t ON a.obs_id = t.table_name",
    "WITH w AS ( SELECT obs_id FROM ivoa.ObsCore ) SELECT * FROM w WHERE EXISTS ( SELECT obs_id FROM w )",
    "SELECT CAST ( s_ra AS VARCHAR ( 9 ) ) || 'x''y' FROM ivoa.ObsCore "
    "WHERE lsst_visit IN ( 1 , 2 ) OFFSET 3",
    "SELECT obs_id FROM ivoa.ObsCore UNION ALL SELECT schema_name FROM TAP_SCHEMA.schemas",
    "SELECT COALESCE ( ROUND ( s_ra , 2 ) , 0 ) FROM ivoa.ObsCore WHERE s_region IS NOT NULL",
    "SELECT IVO_HASWORD ( obs_id , 'x' ) , IVO_HEALPIX_INDEX ( 5 , s_ra , s_dec ) FROM ivoa.ObsCore",
    "SELECT INTERSECTS ( REGION ( 'UNION ICRS (CIRCLE 1 2 3 CIRCLE 2 3 4)' ) , s_region ) FROM ivoa.ObsCore",
]
"""Queries whose words are mixed with others."""

HOSTILE = [
    *_words(
        """
        read_csv read_text read_parquet glob pg_read_file pg_sleep lo_import dblink COPY ATTACH
        PRAGMA SET INSTALL LOAD CALL EXPORT DELETE UPDATE INTO DROP information_schema.tables
        pg_catalog.pg_class duckdb_settings() sqlite_master current_user getenv current_setting
        set_config getvariable query_table query unnest generate_series '/etc/passwd' "/etc/passwd"
        ' " \'\' "" ; -- /* */ $$ $1 ? :x ( ) [ ] { } , . * :: -> @ # ` ~ ^ & | ! % => _id "_region"
        _row rowid ctid xmin tableoid COLUMNS EXCLUDE LATERAL TABLE OVER QUALIFY RETURNING LIMIT
        FETCH FOR VALUES EXECUTE E'x' U&'x' 1e999 0x41 1_000 NaN Infinity vo_contains vo_blob
        vo_by_id VO_IN md5 main.ObsCore memory.ivoa.ObsCore s0.obscore vo_upload_0 TAP_UPLOAD.x
        temp.x public.x
        """
    ),
    # A backslash and many digits; NUL, blanks, quotes and letters of Unicode that look like others.
    *("\\", "9" * 40, "\0", "\x1b", "\r", "\n", "\u00a0", "\u2019", "\uff07", "\uff1b", "\u202e", "\ufeff"),
    *("\u017fELECT", "\uff33\uff25\uff2c\uff25\uff23\uff34", "\u0661", "\ud800"),
]
"""What has a meaning to a database, or may have one to a parser."""

WORDS = sorted({word for query in VALID for word in query.split()} | set(HOSTILE))


@lru_cache(maxsize=1)
def _catalog() -> Catalog:
    columns = {column.name: column for column in (*OBSCORE_COLUMNS, *RUBIN_COLUMNS)}
    return build_catalog(tuple(columns.values()))


@st.composite
def mutants(draw: Any) -> str:
    """Return a valid query with words that were left out, put in or exchanged."""
    words = draw(st.sampled_from(VALID)).split(" ")
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(words) - 1))
        word = draw(st.sampled_from(HOSTILE) | st.sampled_from(WORDS))
        match draw(st.integers(0, 4)):
            case 0:
                words[place] = word
            case 1:
                words.insert(place, word)
            case 2:
                words[place] += word
            case 3:
                words[place] = '"' + word + '"'
            case _:
                del words[place]
                words = words or ["SELECT"]
    return draw(st.sampled_from([" ", "\n", "\t"])).join(words)


def _walk(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _walk(part)
    elif isinstance(value, list):
        for part in value:
            yield from _walk(part)


def _check_duckdb(sql: str, own: set[str]) -> None:
    (statement,) = duckdb.extract_statements(sql)
    assert statement.type == duckdb.StatementType.SELECT
    with duckdb.connect() as connection:
        found = connection.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [sql]).fetchone()
    tree = json.loads(found[0] if found else "")
    assert not tree["error"], tree
    published = {tuple(table.name.split(".")) for table in _catalog().tables}
    for node in _walk(tree):
        if "class" in node:
            assert node["class"] in DUCKDB_NODES, (node["class"], sql)
        if "function_name" in node:
            assert node["function_name"] in DUCKDB_FUNCTIONS, (node["function_name"], sql)
            assert not node.get("catalog")
            assert node.get("schema", "") in ("", "main")
        if "alias" in node and "sample" in node:
            assert node["type"] in DUCKDB_TABLES, (node["type"], sql)
        if node.get("type") == "BASE_TABLE":
            assert not node["catalog_name"]
            if node["schema_name"]:
                assert (node["schema_name"], node["table_name"]) in published
            else:
                assert node["table_name"] in own, sql


def _check_postgres(sql: str) -> None:
    for token, behind in itertools.pairwise(Postgres().tokenize(sql)):
        assert token.token_type not in (TokenType.SEMICOLON, TokenType.PARAMETER, TokenType.PLACEHOLDER), sql
        if behind.token_type != TokenType.L_PAREN or not re.fullmatch(r"\w+", token.text):
            continue
        # A name in quotes before a parenthesis is that of a query in WITH.
        known = token.token_type == TokenType.IDENTIFIER or token.text.upper() in _CLAUSES
        assert known or token.text.lower() in POSTGRES_FUNCTIONS, (token.text, sql)


def _check(plan: Plan) -> None:
    names = {cte.alias for cte in plan.tree.find_all(exp.CTE)}
    published = {table.name for table in _catalog().tables}
    for table in plan.tree.find_all(exp.Table):
        assert f"{table.db}.{table.name}" in published if table.db else table.name in names
        assert not table.catalog
    _check_duckdb(render_sql(plan), names)
    try:
        sql = render_sql(plan, "postgres")
    except UnsupportedError:
        # Geometry, which the engine puts other words for.
        return
    _check_postgres(sql)


@given(mutants())
def test_mutants_are_refused_or_harmless(text: str) -> None:
    try:
        plan = plan_query(text, _catalog())
    except QueryError:
        return
    _check(plan)


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=6), max_size=30))
def test_any_text_is_refused_or_harmless(words: list[str]) -> None:
    try:
        plan = plan_query(" ".join(words), _catalog())
    except QueryError:
        return
    _check(plan)


@pytest.mark.parametrize("query", VALID)
def test_what_is_mixed_is_valid(query: str) -> None:
    _check(plan_query(query, _catalog()))


def _fixtures() -> list[str]:
    texts = [path.read_text() for path in Path(__file__).parents[1].glob("unit/query/adql/*.sql")]
    parts = [part for text in texts for part in re.split(r"\n\s*\n", text)]
    return [re.sub(r"^--.*\n", "", part).partition("\n-- gives\n")[0] for part in parts]


def test_all_queries_of_the_fixtures_use_listed_words_alone() -> None:
    checked = 0
    for text in _fixtures():
        try:
            plan = plan_query(text, _catalog())
        except QueryError:
            continue
        _check(plan)
        checked += 1
    assert checked > 20
