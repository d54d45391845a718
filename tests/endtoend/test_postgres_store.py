"""The commands on a store in PostgreSQL, and its rows against those of a folder."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from astropy.io.votable import parse_single_table
from click.testing import CliRunner

from lsst.dax.vo.cli import vo
from lsst.dax.vo.config import Limits
from lsst.dax.vo.query import open_engine, plan_query
from lsst.dax.vo.sample import Sample
from lsst.dax.vo.services import export_repository
from lsst.dax.vo.store import open_store, parse_store
from lsst.dax.vo.testing import PostgresServer

_PASSWORD = "s3cr/t"


@pytest.fixture(scope="module")
def stores(sample: Sample, postgres_server: PostgresServer) -> Iterator[dict[str, str]]:
    """Export both repositories of the sample, as a user with a password in the URL."""
    with postgres_server.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE exporter LOGIN PASSWORD '{_PASSWORD}'")
            name = connection.info.dbname
            connection.execute(f"GRANT CREATE ON DATABASE {name} TO exporter")
        made = {}
        for label, repository in sample.repositories.items():
            url_of = url.replace("postgres@", "exporter:s3cr%2Ft@")
            made[label] = f"{url_of}&schema={label}"
            result = CliRunner().invoke(
                vo,
                [
                    "export",
                    str(repository),
                    made[label],
                    "--label",
                    label,
                    "--config",
                    str(sample.configurations[label]),
                ],
            )
            assert result.exit_code == 0, result.output
            assert "s3cr" not in result.output
            assert f"schema={label}" in result.output
        yield made
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP OWNED BY exporter CASCADE")
            connection.execute("DROP ROLE exporter")


def _table(name: str) -> pa.Table:
    with contextlib.closing(
        open_engine([open_store(parse_store(name))], limits=Limits(), access_url="exported")
    ) as engine:
        plan = plan_query("SELECT * FROM ivoa.ObsCore ORDER BY obs_publisher_did", engine.catalog)
        batches = list(engine.run(plan, maxrec=None).batches)
    return pa.Table.from_batches(batches)


def test_rows_are_those_of_a_folder(sample: Sample, stores: dict[str, str], tmp_path: Path) -> None:
    for label, name in stores.items():
        folder = tmp_path / label
        export_repository(
            sample.repositories[label], folder, config_path=sample.configurations[label], label=label
        )
        wanted, found = _table(str(folder)), _table(name)
        differing = [column for column in wanted.column_names if found[column] != wanted[column]]
        assert differing == []
        assert found.num_rows == wanted.num_rows > 0
        assert found.schema == wanted.schema
        assert found.equals(wanted)


def test_update_command_has_nothing_to_do(sample: Sample, stores: dict[str, str]) -> None:
    for label, name in stores.items():
        before = open_store(parse_store(name))
        result = CliRunner().invoke(vo, ["update", str(sample.repositories[label]), name, "--label", label])
        assert result.exit_code == 0, result.output
        assert "s3cr" not in result.output
        assert ": 0 added, 0 changed, 0 removed, " in result.output
        assert before.is_current


def test_query_command(stores: dict[str, str]) -> None:
    for name in stores.values():
        result = CliRunner().invoke(
            vo, ["query", name, "SELECT COUNT(*) AS n FROM ivoa.ObsCore", "--format", "csv"]
        )
        assert result.exit_code == 0, result.output
        header, count = result.output.split()
        assert header == "n"
        assert int(count) > 0


def test_services_answer_alike(sample: Sample, stores: dict[str, str], place: tuple[float, float]) -> None:
    path = f"/api/sia/query?POS=CIRCLE%20{place[0]}%20{place[1]}%200.05&MAXREC=100000"

    def ask(chosen: list[str]) -> Any:
        arguments = ["serve", *map(str, sample.repositories.values())]
        for store in chosen:
            arguments += ["--store", store]
        done = subprocess.run(
            [Path(sys.executable).with_name("butler"), "vo", *arguments, "--get", path],
            capture_output=True,
            check=True,
            timeout=120,
        )
        assert b"s3cr" not in done.stdout + done.stderr
        return parse_single_table(io.BytesIO(done.stdout)).to_table()

    wanted = ask([str(sample.store(label)) for label in sample.repositories])
    found = ask([stores[label] for label in sample.repositories])
    assert len(found) == len(wanted) > 0
    assert sorted(found["obs_publisher_did"]) == sorted(wanted["obs_publisher_did"])
    assert sorted(found["access_url"]) == sorted(wanted["access_url"])
