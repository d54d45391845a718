"""The check of a store lists the rows whose file is gone, empty or out of reach."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pytest
from click.testing import CliRunner
from lsst.daf.butler import Butler, Config, DatasetType
from lsst.resources import ResourcePath

from lsst.dax.vo.cli import vo
from lsst.dax.vo.obscore import OBSCORE_COLUMNS
from lsst.dax.vo.services import check
from lsst.dax.vo.store import open_writer, parse_store
from lsst.dax.vo.testing import S3Server, client_environment, running_s3

COUNT = 12
UNKNOWN = UUID(int=7)


@dataclass(frozen=True)
class Made:
    """A repository, the store of its datasets and of one that it does not have."""

    root: Path
    store: str
    ids: list[UUID]
    paths: list[str]

    def findings(self, repo: str | None = None) -> list[str]:
        report = check(self.store, repo=repo or str(self.root))
        return [finding.describe() for finding in report.findings if finding.place == "files"]


def make(folder: Path, root: str | None = None) -> Made:
    repository = folder / "here"
    config = Config()
    if root is not None:
        config["datastore", "root"] = root
    Butler.makeRepo(str(repository), config=config, forceConfigRoot=root is None)
    ids, paths = [], []
    with Butler.from_config(str(repository), run="run") as butler:
        registry = butler.registry
        registry.insertDimensionData("instrument", {"name": "Cam", "detector_max": 99})
        kind = DatasetType(
            "metrics", butler.dimensions.conform(["instrument", "detector"]), "StructuredDataDict"
        )
        registry.registerDatasetType(kind)
        for detector in range(COUNT):
            record = {"instrument": "Cam", "id": detector, "full_name": f"D{detector}"}
            registry.insertDimensionData("detector", record)
            ref = butler.put({"number": detector}, kind, instrument="Cam", detector=detector)
            ids.append(ref.id)
            uri = butler.getURI(ref)
            paths.append(uri.ospath if uri.isLocal else str(uri))
    store = str(folder / "here.store")
    with open_writer(parse_store(store), columns=OBSCORE_COLUMNS, properties={"label": "here"}) as writer:
        rows = [
            {
                "dataproduct_type": "image",
                "calib_level": 2,
                "obs_collection": "TEST",
                "obs_id": "V1",
                "obs_publisher_did": f"ivo://org.example/test?repo=here&id={uuid}",
                "access_format": "application/x-votable+xml;content=datalink",
                "_id": uuid.bytes,
                "_repo": "here",
                "_print": 1,
            }
            for uuid in [*ids, UNKNOWN]
        ]
        writer.write(pa.RecordBatch.from_pylist(rows, writer.schema))
    return Made(repository, store, ids, paths)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path)


def test_files_that_are_not_as_they_should_be(made: Made) -> None:
    for path in made.paths[:7]:
        Path(path).unlink()
    Path(made.paths[7]).write_bytes(b"")
    Path(made.paths[8]).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    gone, *others = made.findings()
    assert re.fullmatch(
        "error: files: 7 of 13 rows: the file is recorded in the datastore, but gone: "
        r"(metrics [0-9a-f-]{36}, ){4}metrics [0-9a-f-]{36} \.\.\.; bring them back, or remove .*",
        gone,
    )
    assert set(re.findall(r"metrics ([0-9a-f-]{36})", gone)) <= {str(uuid) for uuid in made.ids[:7]}
    assert [re.sub(r"; .*", "", line) for line in sorted(others)] == [
        "error: files: 1 of 13 rows: the file is a Git LFS pointer",
        f"error: files: 1 of 13 rows: the file is empty: metrics {made.ids[7]}",
        "error: files: 1 of 13 rows: the file is not in the repository: "
        f"ivo://org.example/test?repo=here&id={UNKNOWN}",
    ]
    assert "3 of 13 files are there" in check(made.store, repo=str(made.root)).notes


def test_without_a_repository_no_file_is_looked_for(made: Made) -> None:
    Path(made.paths[0]).unlink()
    report = check(made.store)
    assert [finding for finding in report.findings if finding.place == "files"] == []
    assert "No file was looked for; name the repository for that: --repo REPO" in report.notes


def test_repository_of_the_index_is_looked_into(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index.yaml"
    index.write_text(f"here: {made.root}\n")
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", str(index))
    assert "12 of 13 files are there" in check(made.store).notes


def test_other_repository_is_told(made: Made, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (line,) = made.findings(str(make(tmp_path / "other").root))
    assert line.startswith("error: files: 13 of 13 rows: the file is not in the repository: ivo://")


def test_command(made: Made) -> None:
    Path(made.paths[3]).unlink()
    result = CliRunner().invoke(vo, ["check", made.store, "--repo", str(made.root)])
    assert result.exit_code == 1
    assert f"gone: metrics {made.ids[3]}; bring" in result.output


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with running_s3() as server, client_environment(server.environment):
        yield server


def test_files_in_a_bucket(s3: S3Server, tmp_path: Path) -> None:
    made = make(tmp_path, f"{s3.make_bucket('checked')}/repo/")
    ResourcePath(made.paths[0]).remove()
    ResourcePath(made.paths[1]).write(b"", overwrite=True)
    lines = made.findings()
    told = [re.sub(r".*the file is (.*): metrics (\S+);.*", r"\1 \2", line) for line in lines]
    assert f"empty {made.ids[1]}" in told
    assert f"recorded in the datastore, but gone {made.ids[0]}" in told
    assert "10 of 13 files are there" in check(made.store, repo=str(made.root)).notes
