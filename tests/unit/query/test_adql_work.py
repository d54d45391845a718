"""Work that a query makes before it runs, which no limit of time ends: it grows as the query does."""

import sys
from collections.abc import Callable

import pytest

from lsst.dax.vo.errors import QueryError
from lsst.dax.vo.query import Catalog, plan_query, render_sql

_TABLE = "ivoa.ObsCore"
_WHERE = f"SELECT s_ra FROM {_TABLE} WHERE"


def _lines(call: Callable[[], object]) -> int:
    """Count the lines of Python that a call runs."""
    count = 0

    def line(_code: object, _number: int) -> None:
        nonlocal count
        count += 1

    tool = sys.monitoring.PROFILER_ID
    sys.monitoring.use_tool_id(tool, "lines")
    try:
        sys.monitoring.register_callback(tool, sys.monitoring.events.LINE, line)
        sys.monitoring.set_events(tool, sys.monitoring.events.LINE)
        call()
        return count
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)


def _wide(count: int) -> str:
    return f"SELECT {', '.join(f's_ra AS c{i}' for i in range(count))} FROM {_TABLE}"


_GROWING: dict[str, Callable[[int], str]] = {
    "conditions": lambda n: f"{_WHERE} {' OR '.join(f's_ra = {i}' for i in range(n))}",
    "values": lambda n: f"{_WHERE} s_ra IN ({', '.join(f'{i}.5' for i in range(n))})",
    "texts for numbers": lambda n: f"{_WHERE} s_ra IN ({', '.join(f"'{i}'" for i in range(n))})",
    "columns in a list": lambda n: f"{_WHERE} s_ra IN ({', '.join(['s_dec'] * n)})",
    "arguments": lambda n: f"SELECT COALESCE({', '.join(['s_ra'] * n)}) FROM {_TABLE}",
    "functions as arguments": lambda n: f"SELECT COALESCE({', '.join(['ROUND(s_ra, 1)'] * n)}) FROM {_TABLE}",
    "casts as arguments": lambda n: (
        f"SELECT COALESCE({', '.join(['CAST(s_ra AS CHAR(5))'] * n)}) FROM {_TABLE}"
    ),
    "orders": lambda n: f"{_wide(n)} ORDER BY {', '.join(f's_ra + {i}' for i in range(n))}",
    "orders by name": lambda n: f"{_wide(n)} ORDER BY {', '.join(f'c{i}' for i in range(n))}",
    "groups": lambda n: (
        f"SELECT COUNT(*) FROM {_TABLE} GROUP BY {', '.join(f's_ra + {i}' for i in range(n))}"
    ),
    "names of a wide table": lambda n: (
        f"WITH w AS ({_wide(n)}) SELECT 1 FROM w AS a, w AS b "
        f"WHERE {' OR '.join(f'a.c{i} = 1' for i in range(n))}"
    ),
    "bare names of wide tables": lambda n: (
        f"WITH w AS ({_wide(n)}), v AS (SELECT s_dec AS d FROM {_TABLE}) "
        f"SELECT 1 FROM w AS a, w AS b, v WHERE {' OR '.join(['d = 1'] * n)}"
    ),
    "natural joins of wide tables": lambda n: (
        f"WITH w AS ({_wide(n)}) SELECT 1 FROM w AS a NATURAL JOIN w AS b"
    ),
    "joins of wide tables by names": lambda n: (
        f"WITH w AS ({_wide(n)}) "
        f"SELECT 1 FROM w AS a JOIN w AS b USING ({', '.join(f'c{i}' for i in range(n))})"
    ),
    "orders of a union": lambda n: (
        f"{_wide(n)} UNION {_wide(n)} ORDER BY {', '.join(f'c{i}' for i in range(n))}"
    ),
}


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
@pytest.mark.parametrize("kind", _GROWING)
def test_work_grows_as_the_query(catalog: Catalog, kind: str, dialect: str) -> None:
    def work(count: int) -> int:
        # No other test has asked the same, which would be remembered.
        query = f"{_GROWING[kind](count)} -- {dialect}"
        return _lines(lambda: render_sql(plan_query(query, catalog), dialect))

    few, many = work(20), work(160)
    # Eight times as much, and what each query costs: were it by squares, 64 times.
    assert many < 12 * few


def _sums(length: int) -> str:
    # As many signs in all, whatever the length.
    return f"SELECT {', '.join(['+'.join(['s_ra'] * length)] * (960 // length))} FROM {_TABLE}"


@pytest.mark.parametrize(
    "make",
    [
        _sums,
        lambda length: f"{_WHERE} {'+'.join(['s_ra'] * length)} IN ({', '.join(['1'] * (960 // length))})",
        lambda length: (
            f"{_WHERE} {' OR '.join([f"{'||'.join(['obs_id'] * length)} = 'a'"] * (960 // length))}"
        ),
    ],
    ids=["sums", "sum before a list", "texts"],
)
def test_long_expressions_are_looked_at_once(catalog: Catalog, make: Callable[[int], str]) -> None:
    short, long = (_lines(lambda length=length: plan_query(make(length), catalog)) for length in (8, 120))
    # Fifteen times as long; were all of it described at each sign, fifteen times the work.
    assert long < 3 * short


def _doubled(times: int) -> str:
    query = f"SELECT obs_id AS x FROM {_TABLE}"
    for number in range(times):
        query = f"SELECT x || x AS x FROM ({query}) AS t{number}"
    return query


_OR = "write IN or BETWEEN instead of OR, or send the values as a table with UPLOAD"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"{_WHERE} {' OR '.join(['1=1'] * 24_000)}", _OR),
        (f"SELECT {'+'.join(['1'] * 30_000)} FROM {_TABLE}", _OR),
        (f"SELECT {'(' * 30_000}1{')' * 30_000} FROM {_TABLE}", _OR),
        (
            f"WITH a AS ({_WHERE} {' OR '.join(['s_ra=1'] * 9000)}) SELECT 1 FROM "
            + ", ".join(f"a AS a{i}" for i in range(99)),
            _OR,
        ),
        (
            f"SELECT COUNT(*) FROM {_TABLE} GROUP BY {', '.join(['s_ra'] * 1001)}",
            "GROUP BY has 1001 terms; it may have 1000",
        ),
        (
            f"SELECT s_ra FROM {_TABLE} ORDER BY {', '.join(['s_ra'] * 1001)}",
            "ORDER BY has 1001 terms; it may have 1000",
        ),
        (
            f"SELECT s_ra FROM {_TABLE} UNION SELECT s_dec FROM {_TABLE} ORDER BY {', '.join(['1'] * 1001)}",
            "ORDER BY has 1001 terms; it may have 1000",
        ),
        (
            f"WITH w AS ({_wide(1000)}) SELECT 1 FROM w NATURAL JOIN w AS a "
            "NATURAL JOIN w AS b NATURAL JOIN w AS c",
            "NATURAL and USING merge more than 2000 columns; join with ON",
        ),
        (_doubled(20), "A row of the result may have 301989872 bytes; it may have 268435456"),
        (
            f"SELECT {', '.join(['x'] * 1000)} FROM (SELECT '{'x' * 100_000}' AS x FROM {_TABLE}) AS t",
            "A row of the result may have ",
        ),
        (
            f"{_WHERE} {' OR '.join(['DISTANCE(s_ra, s_dec, 1, 2) < 1'] * 501)}",
            "A query has up to 500 CONTAINS, INTERSECTS, DISTANCE and HEALPix functions here",
        ),
    ],
)
def test_what_would_take_long_is_refused(catalog: Catalog, query: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        plan_query(query, catalog)
    assert message in str(caught.value)
    assert caught.value.line == 1


def test_long_lists_are_welcome(catalog: Catalog) -> None:
    query = f"{_WHERE} lsst_visit IN ({', '.join(map(str, range(5_000)))})"
    assert render_sql(plan_query(query, catalog)).count(",") == 4_999
