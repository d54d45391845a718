"""What queries become: pairs of ADQL and SQL in the files beside this one.

Blanks and line ends do not count.
"""

from pathlib import Path

import pytest

from lsst.dax.vo.query import Catalog, plan_query, render_sql

PAIRS = []
for path in sorted(Path(__file__).with_name("adql").glob("*.sql")):
    for block in path.read_text().split("\n\n"):
        title, _, rest = block.strip().partition("\n")
        adql, _, sql = rest.partition("\n-- gives\n")
        PAIRS.append(
            pytest.param(adql, " ".join(sql.split()), id=f"{path.stem}: {title.removeprefix('-- ')}")
        )


@pytest.mark.parametrize(("adql", "sql"), PAIRS)
def test_pair(catalog: Catalog, adql: str, sql: str) -> None:
    assert render_sql(plan_query(adql, catalog)) == sql
