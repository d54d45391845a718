"""``butler vo init`` and ``check`` as a user types them: from a repository to a service without errors."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lsst.dax.vo.obscore import load_obscore_config
from lsst.dax.vo.sample import Sample

type Run = Callable[..., subprocess.CompletedProcess[str]]

BUTLER = str(Path(sys.executable).with_name("butler"))
ROWS = {"sample": 234, "dp02": 45}
# Images of visits, with a difference image of each or without: the summaries tell their PSF.
RESOLVED = {"sample": 144, "dp02": 18}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``butler vo`` in an empty folder; it must end as expected and complain of nothing."""

    def call(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BUTLER, "vo", *arguments],
            capture_output=True,
            cwd=tmp_path,
            env=os.environ,
            text=True,
            timeout=240,
            check=False,
        )
        complaints = [line for line in done.stderr.splitlines() if " INFO: " not in line]
        if status == 0:
            assert complaints == []
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return call


@pytest.mark.parametrize("label", ["sample", "dp02"])
def test_from_a_repository_to_a_store(run: Run, sample: Sample, tmp_path: Path, label: str) -> None:
    repo = str(sample.repositories[label])
    done = run("init", repo, "--output", "start.yaml")
    assert done.stdout == f"Wrote start.yaml; next: butler vo check start.yaml --repo {repo}\n"
    assert load_obscore_config(tmp_path / "start.yaml").obs_collection == label
    # The terminal gets the same.
    assert run("init", repo).stdout == (tmp_path / "start.yaml").read_text()
    told = run("check", "start.yaml", "--repo", repo).stdout.splitlines()
    assert told[-1] == f"{len(told) - 1} warning{'s'[: len(told) != 2]}"
    assert "nobody has registered the authority 'x-unregistered'" in told[0]
    # An export with it is an export without any.
    run("export", repo, "with.parquet", "--config", "start.yaml")
    run("export", repo, "without.parquet")
    rows, others = (
        pq.read_table(tmp_path / f"{name}.parquet").sort_by("obs_publisher_did")
        for name in ("with", "without")
    )
    assert rows.equals(others)
    assert rows.num_rows == ROWS[label]
    resolutions = [value for value in rows["s_resolution"].to_pylist() if value is not None]
    assert len(resolutions) == RESOLVED[label]
    assert 0.6 < min(resolutions) <= max(resolutions) < 1.2
    run("export", repo, "start.store", "--config", "start.yaml")
    told = run("check", "start.store").stdout.splitlines()
    assert told[0].startswith(f"{ROWS[label]} rows ({ROWS[label]} of {label!r}) in ")
    assert told[-1] == "Nothing is wrong."


def test_a_file_is_not_replaced_unasked(run: Run, sample: Sample, tmp_path: Path) -> None:
    repo = str(sample.repositories["dp02"])
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    done = run("init", repo, "-o", "mine.yaml", status=1)
    assert done.stderr.splitlines()[-1] == (
        "Error: mine.yaml is there already and stays as it is; choose another --output, or give --overwrite"
    )
    assert path.read_text() == "precious"
    run("init", repo, "-o", "mine.yaml", "--overwrite", "--label", "ours")
    assert load_obscore_config(path).obs_publisher_did_fmt == "ivo://x-unregistered/ours?repo=ours&id={id}"
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.yaml"]


def test_nothing_is_written_for_a_repository_that_is_none(run: Run, tmp_path: Path) -> None:
    done = run("init", "nowhere", "-o", "mine.yaml", status=1)
    assert "There is no Butler repository 'nowhere'" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("label", ["sample", "dp02"])
def test_our_own_configurations_fit_the_samples(run: Run, sample: Sample, label: str) -> None:
    told = run("check", str(sample.configurations[label]), "--repo", str(sample.repositories[label])).stdout
    assert "error: " not in told


def test_all_that_is_wrong_is_told_and_the_status_says_so(run: Run, sample: Sample, tmp_path: Path) -> None:
    text = sample.configurations["sample"].read_text()
    text = text.replace("facility_name:", "facilty_name:").replace(
        "{records[visit].name}", "{records[visit].nmae}"
    )
    text = text.replace("[LSSTCam/runs/DRP/DP2]", "[LSSTCam/runs/DRP/DP3]")
    (tmp_path / "bad.yaml").write_text(text)
    done = run("check", "bad.yaml", "--repo", str(sample.repositories["sample"]), status=1)
    lines = done.stdout.splitlines()
    for wanted in (
        r"error: bad.yaml:4: facilty_name: unknown key here; did you mean 'facility_name' at the top\?",
        r"error: bad.yaml:2: collections.0: there is no collection 'LSSTCam/runs/DRP/DP3'; "
        r"did you mean 'LSSTCam/runs/DRP/DP2'\?",
        r"error: bad.yaml:\d+: dataset_types.visit_image.obs_id_fmt: '{records\[visit\].nmae}' names 'nmae', "
        r"which no record of visit has; did you mean 'name'\?",
        r"error: bad.yaml:\d+: dataset_types.difference_image.obs_id_fmt: ",
    ):
        assert any(re.match(wanted, line) for line in lines), lines
    assert re.fullmatch(r"\d+ errors and \d+ warnings?", lines[-1])
    # Without a repository, its names are taken for right.
    done = run("check", "bad.yaml", status=1)
    assert done.stdout.startswith("Without --repo, names are not compared with those of a repository.\n")
    assert "there is no collection" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.yaml",), "There is no configuration none.yaml; make one of the exporter with 'butler vo"),
        (("none.store",), "There is no store none.store"),
        (("x.yaml", "--repo", "nowhere"), "There is no Butler repository 'nowhere'"),
        (("http://",), "'http://' is no address of the web"),
        (("mysql://x/y",), "The store has the scheme 'mysql'"),
    ],
)
def test_what_is_not_there(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "x.yaml").write_text("obs_collection: X\n")
    done = run("check", *arguments, status=1)
    assert message in done.stderr
    assert done.stdout == ""


def test_a_running_service(run: Run, base_url: str) -> None:
    told = run("check", base_url).stdout.splitlines()
    assert told[-1] == "Nothing is wrong.", told
    assert "the file of #this can be fetched" in told
