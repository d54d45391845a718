"""The commands on stores of Parquet files, and their rows against those of DuckDB."""

import contextlib
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from lsst.dax.vo.cli import vo
from lsst.dax.vo.config import Limits
from lsst.dax.vo.query import open_engine, plan_query
from lsst.dax.vo.sample import Sample
from lsst.dax.vo.services import export_repository
from lsst.dax.vo.store import open_store, parse_store


@pytest.fixture(scope="module")
def stores(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Export both repositories of the sample; a suffix does not make a file of a store."""
    folder = tmp_path_factory.mktemp("stores")
    made = {}
    for label, repository in sample.repositories.items():
        made[label] = f"parquet:{folder / label}.parquet"
        config = str(sample.configurations[label])
        words = ["export", str(repository), made[label], "--label", label, "--config", config]
        assert _run(*words).endswith("\n")
    return made


def _run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(vo, words)
    assert result.exit_code == code, result.output
    return result.output


def _table(name: str) -> pa.Table:
    with contextlib.closing(
        open_engine([open_store(parse_store(name))], limits=Limits(), access_url="exported")
    ) as engine:
        plan = plan_query("SELECT * FROM ivoa.ObsCore ORDER BY obs_publisher_did", engine.catalog)
        return pa.Table.from_batches(list(engine.run(plan, maxrec=None).batches))


def test_rows_are_those_of_duckdb(sample: Sample, stores: dict[str, str], tmp_path: Path) -> None:
    for label, name in stores.items():
        folder = tmp_path / label
        export_repository(
            sample.repositories[label], folder, config_path=sample.configurations[label], label=label
        )
        wanted, found = _table(str(folder)), _table(name)
        assert found.num_rows > 0
        assert found.equals(wanted)


def test_update_check_and_query(sample: Sample, stores: dict[str, str]) -> None:
    label, name = next(iter(stores.items()))
    before = open_store(parse_store(name))
    told = _run("update", str(sample.repositories[label]), name, "--label", label)
    assert f"{name}: 0 added, 0 changed, 0 removed, " in told
    assert before.is_current
    assert "error" not in _run("check", name)
    count = _run("query", name, "SELECT COUNT(*) AS n FROM ivoa.ObsCore", "--format", "csv")
    assert count.split() == ["n", before.properties["rows"]]


def test_service(sample: Sample, stores: dict[str, str]) -> None:
    label, name = next(iter(stores.items()))
    request = "/api/sia/query?MAXREC=1&RESPONSEFORMAT=csv"
    told = _run("serve", str(sample.repositories[label]), "--store", name, "--get", request)
    assert len(told.splitlines()) == 2
