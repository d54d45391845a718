"""SQL for DuckDB: what it names, and how often it is written."""

from collections.abc import Collection
from pathlib import Path

import pytest

from lsst.dax.vo.query import Catalog, Plan, plan_query, render_sql
from lsst.dax.vo.query.engines.duckdb._tables import select_rows
from lsst.dax.vo.query.engines.duckdb._texts import Texts
from lsst.dax.vo.store import StoreLocation
from lsst.dax.vo.store.duckdb import Store, open_store
from lsst.dax.vo.testing import write_engine_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    write_engine_store(StoreLocation(tmp_path / "a"), "a", 1)
    return open_store(StoreLocation(tmp_path / "a"))


def test_needed_columns_alone_are_named(store: Store) -> None:
    wanted = {"S_Ra", "_x0", "nothing"}
    assert select_rows([store], wanted=wanted) == 'SELECT "s_ra", _x0 FROM s0.obscore'
    assert select_rows([store], wanted=()) == "SELECT NULL AS _none FROM s0.obscore"
    assert " UNION ALL BY NAME SELECT rowid + " in select_rows([store, store], wanted={"_row"})


def test_url_leads_to_the_service_if_it_is_told(store: Store) -> None:
    wanted = {"access_url"}
    assert select_rows([store], wanted=wanted) == 'SELECT "access_url" FROM s0.obscore'
    assert select_rows([store], wanted=wanted, service="https://x/'y") == (
        "SELECT coalesce('https://x/''y/api/datalink/links?ID=' || url_encode(obs_publisher_did), "
        "access_url) AS access_url FROM s0.obscore"
    )


def test_query_stands_in_the_place_of_each_table(catalog: Catalog) -> None:
    query = (
        "SELECT a.s_ra FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b WHERE CONTAINS(POINT(1, 2), b.s_region) = 1"
    )
    asked: list[set[str]] = []

    def published(names: Collection[str]) -> str:
        asked.append(set(names))
        return "SELECT 1"

    sql = render_sql(plan_query(query, catalog), published=published)
    assert sql.count("(SELECT 1) AS ") == 2
    assert "ObsCore" not in sql
    assert len(asked) == 1
    assert {"s_ra", "_region", "_x0", "_z1"} <= asked[0]
    assert not {"s_dec", "obs_id"} & asked[0]


def test_plans_are_written_once(catalog: Catalog) -> None:
    texts = Texts()
    first, second = (plan_query(f"SELECT {name} FROM ivoa.ObsCore", catalog) for name in ("s_ra", "s_dec"))
    written: list[Plan] = []

    def get(plan: Plan, base_url: str | None) -> str:
        def render() -> str:
            written.append(plan)
            return f"{render_sql(plan)} -- {base_url}"

        return texts.get(plan, base_url, render)

    for _ in range(3):
        assert get(first, "a") == f"{render_sql(first)} -- a"
        assert get(first, None) == f"{render_sql(first)} -- None"
        assert get(second, "a") == f"{render_sql(second)} -- a"
    assert written == [first, first, second]
    # The oldest are forgotten, and what is long is not kept.
    for number in range(200):
        get(second, str(number))
    get(first, "a")
    assert written.count(first) == 3

    def render_long() -> str:
        written.append(first)
        return "x" * 60_000

    for _ in range(2):
        texts.get(first, "long", render_long)
    assert written.count(first) == 5
