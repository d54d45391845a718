"""Queries that try to reach what is not published."""

import time

import pytest
from sqlglot import exp

from lsst.dax.vo.errors import QueryError
from lsst.dax.vo.query import Catalog, plan_query, render_sql

HOSTILE = [
    # Files and other tables.
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd') AS t",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM 'file.parquet'",
    'SELECT * FROM "file.parquet"',
    'SELECT * FROM "/etc/passwd"',
    'SELECT * FROM "https://example.org/x.parquet" AS t',
    "SELECT * FROM glob('*')",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_settings",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM main.ObsCore",
    "SELECT * FROM memory.ivoa.ObsCore",
    'SELECT * FROM "ivoa.ObsCore"',
    "SELECT * FROM range(10)",
    "SELECT * FROM (VALUES (1)) AS t",
    # Functions.
    "SELECT getvariable('x') FROM ivoa.ObsCore",
    "SELECT current_setting('home_directory') FROM ivoa.ObsCore",
    "SELECT getenv('HOME') FROM ivoa.ObsCore",
    "SELECT version() FROM ivoa.ObsCore",
    "SELECT vo_blob('00') FROM ivoa.ObsCore",
    "SELECT vo_contains(obs_id, obs_id) FROM ivoa.ObsCore",
    "SELECT unhex('00') FROM ivoa.ObsCore",
    "SELECT query('x') FROM ivoa.ObsCore",
    "SELECT \"read_text\"('/etc/passwd') FROM ivoa.ObsCore",
    "SELECT main.abs(1) FROM ivoa.ObsCore",
    "SELECT sleep(10) FROM ivoa.ObsCore",
    "SELECT CURRENT_USER FROM ivoa.ObsCore",
    # Hidden columns and pseudo-columns.
    "SELECT _repo FROM ivoa.ObsCore",
    'SELECT "_repo" FROM ivoa.ObsCore',
    'SELECT o."_region" FROM ivoa.ObsCore AS o',
    "SELECT rowid FROM ivoa.ObsCore",
    'SELECT obs_id FROM ivoa.ObsCore WHERE "_id" IS NOT NULL',
    'SELECT obs_id FROM ivoa.ObsCore ORDER BY "_hpx"',
    'SELECT obs_id FROM ivoa.ObsCore GROUP BY obs_id, "_x0"',
    'SELECT a.obs_id FROM ivoa.ObsCore a JOIN ivoa.ObsCore b USING ("_id")',
    'SELECT "_1_region" FROM (SELECT obs_id, s_region FROM ivoa.ObsCore WHERE '
    "CONTAINS(POINT(1,2), s_region)=1) AS t",
    "SELECT ObsCore FROM ivoa.ObsCore",
    "SELECT COLUMNS(*) FROM ivoa.ObsCore",
    # Statements.
    "PRAGMA database_list",
    "ATTACH 'x.db'",
    "COPY ivoa.ObsCore TO 'x.csv'",
    "SET memory_limit = '1GB'",
    "INSTALL httpfs",
    "CREATE TABLE x AS SELECT 1 FROM ivoa.ObsCore",
    "EXPLAIN SELECT * FROM ivoa.ObsCore",
    "SELECT obs_id FROM ivoa.ObsCore; DROP TABLE ivoa.ObsCore",
    "SELECT obs_id FROM ivoa.ObsCore; --",
    "SELECT obs_id INTO x FROM ivoa.ObsCore",
    "SELECT obs_id FROM ivoa.ObsCore FOR UPDATE",
    "WITH x AS (DELETE FROM ivoa.ObsCore) SELECT * FROM x",
    "WITH RECURSIVE x AS (SELECT obs_id FROM x) SELECT * FROM x",
    # Marks that other dialects give a meaning.
    "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = 'a' /* ' */ OR 1=1",
    "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = $$x$$",
    "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = ?",
    "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = $1",
    "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = :x",
    "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = E'\\x41'",
    "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = 'a\0b'",
    'SELECT obs_id AS "a\0b" FROM ivoa.ObsCore',
    "SELECT obs_id # x\nFROM ivoa.ObsCore",
    "SELECT obs_id[1] FROM ivoa.ObsCore",
    "SELECT {'a': 1} FROM ivoa.ObsCore",
    "SELECT obs_id\u00a0FROM ivoa.ObsCore",
    "SELECT obs_id FROM ivoa.ObsCore WHERE s_ra = \u0661",
    "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = \u2019a\u2019",
    "\uff33ELECT obs_id FROM ivoa.ObsCore",
    "SELECT obs_id FROM ivoa.Ob\u017fCore",
    "SELECT obs_id FROM ivoa.ObsCore\uff1b DROP TABLE x",
    "\ufeffSELECT obs_id FROM ivoa.ObsCore WHERE x",
    # Other statements and sources of both databases.
    "SELECT pg_read_file('/etc/passwd') FROM ivoa.ObsCore",
    "SELECT pg_sleep(10) FROM ivoa.ObsCore",
    "SELECT lo_import('/etc/passwd') FROM ivoa.ObsCore",
    "SELECT * FROM pg_ls_dir('/') AS t",
    "SELECT * FROM generate_series(1, 1000000000) AS t",
    "SELECT * FROM read_parquet('x.parquet') AS t",
    "SELECT * FROM query_table('ivoa.ObsCore')",
    "SELECT current_setting('data_directory') FROM ivoa.ObsCore",
    "SELECT set_config('work_mem', '1TB', false) FROM ivoa.ObsCore",
    "SELECT dblink('host=x', 'SELECT 1') FROM ivoa.ObsCore",
    "SELECT CAST('ivoa.ObsCore' AS regclass) FROM ivoa.ObsCore",
    "SELECT ctid FROM ivoa.ObsCore",
    "SELECT tableoid FROM ivoa.ObsCore",
    'SELECT "xmin" FROM ivoa.ObsCore',
    'SELECT o."_scircle" FROM ivoa.ObsCore AS o',
    'SELECT o."_row" FROM ivoa.ObsCore AS o',
    "SELECT (SELECT TOP 1 table_name FROM information_schema.tables) FROM ivoa.ObsCore",
    "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id IN (SELECT rolname FROM pg_authid)",
    "SELECT obs_id FROM ivoa.ObsCore UNION SELECT rolname FROM pg_roles",
    "SELECT obs_id FROM ivoa.ObsCore ORDER BY (SELECT 1 FROM pg_class)",
    "SELECT * FROM TAP_UPLOAD.x",
    "SELECT * FROM vo_upload_0",
    "TABLE ivoa.ObsCore",
    "VALUES (1)",
    "DO $$ BEGIN END $$",
    "CALL x()",
    "BEGIN; SELECT obs_id FROM ivoa.ObsCore",
    "SHOW ALL",
    "SELECT obs_id FROM ivoa.ObsCore LIMIT 1",
    "SELECT obs_id FROM ivoa.ObsCore TABLESAMPLE SYSTEM (1)",
    "SELECT obs_id FROM ONLY ivoa.ObsCore",
    "SELECT obs_id FROM ivoa.ObsCore, LATERAL (SELECT 1) AS x",
    "SELECT COUNT(*) OVER () FROM ivoa.ObsCore",
    "SELECT REGION(obs_id) FROM ivoa.ObsCore",
    "SELECT AREA(REGION('CIRCLE ICRS 1 2 3'';DROP TABLE x')) FROM ivoa.ObsCore",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_is_refused(catalog: Catalog, text: str) -> None:
    with pytest.raises(QueryError):
        plan_query(text, catalog)


@pytest.mark.parametrize(
    "text",
    [
        'SELECT obs_id AS "a""; DROP TABLE x; --" FROM ivoa.ObsCore',
        'SELECT t."a""b" FROM (SELECT s_ra AS "a""b" FROM ivoa.ObsCore) AS t',
        'SELECT obs_id FROM ivoa.ObsCore AS "x"" CROSS JOIN y"',
        "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = ''' OR 1=1; DROP TABLE x; --'",
        "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = '\\'' OR s_ra = 1 -- ' OR 1=1\n",
        "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id LIKE '%\\%{{x}}{# y #}$1?:a'",
        "SELECT obs_id -- */ ; DROP TABLE x\nFROM ivoa.ObsCore",
    ],
)
def test_odd_quotes_stay_quoted(catalog: Catalog, text: str) -> None:
    import duckdb

    sql = render_sql(plan_query(text, catalog))
    (statement,) = duckdb.extract_statements(sql)
    assert statement.type == duckdb.StatementType.SELECT
    # Read back, the statement has the same texts and names.
    plan = plan_query(text, catalog)
    texts = {str(item.this) for item in plan.tree.find_all(exp.Literal) if item.is_string}
    assert all(item.replace("'", "''") in sql for item in texts)
    assert "DROP" not in [word for word in sql.split() if word == "DROP"] or '"' in sql or "'" in sql


def test_plans_name_published_tables_alone(catalog: Catalog) -> None:
    plan = plan_query(
        "WITH w AS (SELECT * FROM ivoa.obscore) SELECT a.* FROM w AS a, (SELECT * FROM "
        "tap_schema.tables) AS b "
        "WHERE EXISTS (SELECT key_id FROM tap_schema.keys) AND a.obs_id IN (SELECT obs_id FROM w)",
        catalog,
    )
    published = {table.name for table in catalog.tables}
    tables = [(table.db, table.name) for table in plan.tree.find_all(exp.Table)]
    assert {f"{db}.{name}" for db, name in tables if db} <= published
    assert {name for db, name in tables if not db} == {"w"}
    assert not any(column.name.startswith("_") for column in plan.tree.find_all(exp.Column))


LARGE = [
    f"SELECT s_ra FROM ivoa.ObsCore WHERE s_ra IN ({', '.join(map(str, range(5_000)))})",
    "SELECT s_ra FROM ivoa.ObsCore WHERE lsst_visit IN ({})".format(
        ", ".join(f"'{i}'" for i in range(4_000))
    ),
    f"SELECT s_ra FROM ivoa.ObsCore WHERE {' OR '.join(['s_ra > 1'] * 2_000)}",
    f"SELECT {' + '.join(['s_ra'] * 100)} FROM ivoa.ObsCore",
    f"SELECT {'-(' * 60}s_ra{')' * 60} FROM ivoa.ObsCore",
    f"SELECT {', '.join(['DISTANCE(s_ra, s_dec, 1, 2)'] * 100)} FROM ivoa.ObsCore",
]


@pytest.mark.parametrize("text", LARGE, ids=lambda text: text[:60])
def test_large_queries_are_planned(catalog: Catalog, text: str) -> None:
    assert render_sql(plan_query(text, catalog)).startswith("SELECT ")


BOMBS = [
    f"SELECT s_ra FROM ivoa.ObsCore WHERE {'NOT ' * 10_000}s_ra > 1",
    f"SELECT s_ra FROM ivoa.ObsCore WHERE {'NOT (' * 5_000}s_ra > 1{')' * 5_000}",
    f"SELECT {'-' * 2}{'- ' * 10_000}s_ra FROM ivoa.ObsCore WHERE",
    f"SELECT s_ra FROM {'(SELECT s_ra FROM ' * 10_000}ivoa.ObsCore{') AS a' * 10_000}",
    "SELECT s_ra FROM ivoa.ObsCore WHERE s_ra IN (" * 4_000 + "1" + ")" * 4_000,
    "SELECT AREA(REGION('{}')) FROM ivoa.ObsCore".format("NOT ICRS (" * 5_000 + "CIRCLE 1 2 3" + ")" * 5_000),
    "SELECT AREA(REGION('UNION ICRS ({})')) FROM ivoa.ObsCore".format("CIRCLE 1 2 3 " * 6_000),
    "WITH {} SELECT s_ra FROM a0".format(
        ", ".join(f"a{i} AS (SELECT s_ra FROM a{i + 1})" for i in range(2_000))
    ),
    f"SELECT {'ABS(' * 10_000}s_ra{')' * 10_000} FROM ivoa.ObsCore",
    f"SELECT s_ra FROM ivoa.ObsCore WHERE {'(' * 10_000}s_ra > 1{')' * 10_000}",
    f"SELECT {', '.join(['*'] * 20_000)} FROM ivoa.ObsCore",
    f"SELECT *, * FROM {'(SELECT *, * FROM ' * 20}ivoa.ObsCore{') AS a' * 20}",
    f"SELECT a1.s_ra FROM {', '.join(f'ivoa.ObsCore AS a{i}' for i in range(2_000))}",
    f"SELECT {'DISTANCE(1, ' * 40}s_dec{', 2, 3)' * 40} FROM ivoa.ObsCore",
    f"SELECT {' + '.join(['s_ra'] * 100)} AS b FROM ivoa.ObsCore ORDER BY {', '.join(['b + 1'] * 5_000)}",
    " UNION ".join(["SELECT s_ra FROM ivoa.ObsCore"] * 1_000),
    "SELECT s_ra FROM ivoa.ObsCore WHERE CONTAINS(POINT(1, 2), POLYGON({})) = 1".format(
        ", ".join(f"{i / 100}, {i % 7}" for i in range(5_000))
    ),
]


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:60])
def test_bombs_are_refused_soon(catalog: Catalog, text: str) -> None:
    start = time.monotonic()
    with pytest.raises(QueryError):
        plan_query(text, catalog)
    # Seconds where growth would be minutes; a busy machine has room.
    assert time.monotonic() - start < 20
