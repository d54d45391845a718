"""Bad input on the command line: one clear line, a status, and nothing left behind."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from astropy.io import fits
from click.testing import CliRunner

from lsst.dax.vo.cli import vo
from lsst.dax.vo.sample import Sample

BUTLER = str(Path(sys.executable).with_name("butler"))
NOBODY = "00000000-0000-4000-8000-000000000000"
CIRCLE = ("--circle", "55.7467 -32.2862 0.002")
OUT = ("-o", "out.fits")


@dataclass(frozen=True)
class Bad:
    """A command line that cannot be, and what its one line must say."""

    name: str
    arguments: tuple[str, ...]
    told: tuple[str, ...]
    status: int = 1


CASES = (
    # A repository, configuration, store, dataset or file that is not there.
    Bad(
        "export-repository",
        ("export", "nowhere", "x.store"),
        ("no Butler repository 'nowhere'", "butler.yaml"),
    ),
    Bad("links-repository", ("links", "nowhere", NOBODY), ("no Butler repository 'nowhere'",)),
    Bad(
        "cutout-repository", ("cutout", "nowhere", NOBODY, *CIRCLE, *OUT), ("no Butler repository 'nowhere'",)
    ),
    Bad("serve-repository", ("serve", "nowhere", "--get", "/"), ("no Butler repository 'nowhere'",)),
    Bad("export-empty-folder", ("export", "empty", "x.store"), ("no Butler repository 'empty'",)),
    Bad("export-file-as-repository", ("export", "text.yaml", "x.store"), ("text.yaml",)),
    Bad("export-config", ("export", "{repo}", "x.store", "--config", "none.yaml"), ("none.yaml",)),
    Bad("export-config-folder", ("export", "{repo}", "x.store", "--config", "empty"), ("empty",)),
    Bad("export-config-not-yaml", ("export", "{repo}", "x.store", "--config", "broken.yaml"), ("not YAML",)),
    Bad(
        "export-config-no-mapping", ("export", "{repo}", "x.store", "--config", "list.yaml"), ("no mapping",)
    ),
    Bad(
        "export-config-unknown-key",
        ("export", "{repo}", "x.store", "--config", "unknown.yaml"),
        ("unknown.yaml", "facilty_name", "did you mean 'facility_name'"),
    ),
    Bad(
        "export-collection",
        ("export", "{repo}", "x.store", "--config", "{config}", "--collections", "no/such"),
        ("no/such",),
    ),
    Bad(
        "export-dataset-type",
        ("export", "{repo}", "x.store", "--config", "{config}", "--dataset-type", "nothing"),
        ("nothing",),
    ),
    Bad(
        "export-where",
        ("export", "{repo}", "x.store", "--config", "{config}", "--where", "visit = = 1"),
        ("visit = = 1",),
    ),
    Bad(
        "export-where-dimension",
        ("export", "{repo}", "x.parquet", "--config", "{config}", "--where", "nodimension = 1"),
        ("nodimension",),
    ),
    Bad("export-folder", ("export", "{repo}", "no/x.parquet", "--config", "{config}"), ("no/x.parquet",)),
    Bad(
        "export-store-folder", ("export", "{repo}", "text.yaml/x.store", "--config", "{config}"), ("x.store",)
    ),
    Bad("export-onto-folder", ("export", "{repo}", "folder.csv", "--config", "{config}"), ("folder.csv",)),
    Bad("export-onto-something", ("export", "{repo}", "filled", "--config", "{config}"), ("filled",)),
    Bad("export-onto-file", ("export", "{repo}", "plain", "--config", "{config}"), ("plain",)),
    Bad(
        "export-store-kind",
        ("export", "{repo}", "mysql://host/db", "--config", "{config}"),
        ("mysql", "duckdb"),
    ),
    Bad(
        "export-postgresql",
        ("export", "{repo}", "postgresql://me:s3cret@127.0.0.1:1/db", "--config", "{config}"),
        ("The database of the store postgresql://me@127.0.0.1:1/db?schema=ivoa cannot be reached",),
    ),
    Bad("query-store", ("query", "none.store", "SELECT 1"), ("none.store", "butler vo export")),
    Bad("query-folder", ("query", "filled", "SELECT 1"), ("filled",)),
    Bad("query-file", ("query", "plain", "SELECT 1"), ("plain",)),
    Bad("query-adql", ("query", "{store}", "SELEC 1"), ("SELECT", "'SELEC'", "line 1, column 1")),
    Bad("query-column", ("query", "{store}", "SELECT nocolumn FROM ivoa.ObsCore"), ("nocolumn",)),
    Bad("query-table", ("query", "{store}", "SELECT * FROM nothing"), ("nothing", "ivoa.ObsCore")),
    Bad("query-blank", ("query", "{store}", ""), ("SELECT",)),
    Bad(
        "query-output",
        ("query", "{store}", "SELECT obs_id FROM ivoa.ObsCore", "-o", "no/rows.csv"),
        ("no/rows.csv cannot be written: No such file or directory",),
    ),
    Bad(
        "query-output-folder",
        ("query", "{store}", "SELECT obs_id FROM ivoa.ObsCore", "-o", "empty"),
        ("empty cannot be written: Is a directory",),
    ),
    Bad("cutout-dataset", ("cutout", "{repo}", NOBODY, *CIRCLE, *OUT), (NOBODY, "no repository here has")),
    Bad("cutout-id", ("cutout", "{repo}", "no", *CIRCLE, *OUT), ("ID='no' is no identifier", "butler://")),
    Bad("cutout-label", ("cutout", "{repo}", f"butler://x/{NOBODY}", *CIRCLE, *OUT), ("'x'", "not served")),
    Bad(
        "cutout-circle",
        ("cutout", "--file", "plain.fits", "--circle", "1 2", *OUT),
        ("CIRCLE='1 2'", "radius"),
    ),
    Bad("cutout-polygon", ("cutout", "--file", "plain.fits", "--polygon", "1 2", *OUT), ("three or more",)),
    Bad("cutout-pos", ("cutout", "--file", "plain.fits", "--pos", "BOX 1", *OUT), ("POS='BOX 1'", "CIRCLE")),
    Bad(
        "cutout-pixels", ("cutout", "--file", "plain.fits", "--pixels", "1 2", *OUT), ("four whole numbers",)
    ),
    Bad("cutout-no-pixel", ("cutout", "--file", "plain.fits", "--pixels", "50 60 0 1", *OUT), ("No pixel",)),
    Bad("cutout-no-wcs", ("cutout", "--file", "plain.fits", *CIRCLE, *OUT), ("WCS", "pixels")),
    Bad(
        "cutout-no-mask",
        ("cutout", "--file", "plain.fits", "--pixels", "1 2 3 4", "--detail", "MaskedImage", *OUT),
        ("no mask",),
    ),
    Bad("cutout-file", ("cutout", "--file", "none.fits", *CIRCLE, *OUT), ("none.fits",)),
    Bad("cutout-no-fits", ("cutout", "--file", "text.yaml", *CIRCLE, *OUT), ("is not FITS",)),
    Bad("cutout-folder", ("cutout", "--file", "empty", *CIRCLE, *OUT), ("no file",)),
    Bad("cutout-scheme", ("cutout", "--file", "gopher://h/x.fits", *CIRCLE, *OUT), ("gopher",)),
    Bad(
        "cutout-output",
        ("cutout", "--file", "plain.fits", "--pixels", "1 2 3 4", "-o", "no/cut.fits"),
        ("no/cut.fits cannot be written: No such file or directory",),
    ),
    Bad(
        "cutout-several",
        ("cutout", "--file", "plain.fits", "--pixels", "1 2 3 4", "--pixels", "1 2 3 4", *OUT),
        ("(PIXELS)", "a folder", "tar"),
    ),
    Bad(
        "cutout-hdu",
        ("cutout", "--file", "plain.fits", "--hdu", "7", "--pixels", "1 2 3 4", *OUT),
        ("7",),
    ),
    Bad(
        "cutout-backend",
        ("cutout", "--file", "plain.fits", "--pixels", "1 2 3 4", "--backend", "images", *OUT),
        ("no file of lsst.images", "backend 'auto'"),
    ),
    Bad("serve-nothing", ("serve", "--get", "/"), ("nothing to serve", "butler vo serve REPO")),
    Bad("serve-store", ("serve", "{repo}", "--store", "none.store", "--get", "/"), ("none.store",)),
    Bad("serve-config", ("serve", "--config", "none.yaml", "--get", "/"), ("none.yaml",)),
    Bad("serve-config-not-yaml", ("serve", "--config", "broken.yaml", "--get", "/"), ("not YAML",)),
    Bad(
        "serve-config-unknown-key",
        ("serve", "--config", "service.yaml", "--get", "/"),
        ("did you mean 'repo'",),
    ),
    Bad(
        "serve-twice-one-label",
        ("serve", "{repo}", "{repo}", "--store", "{store}", "--store", "{store}", "--get", "/"),
        ("label",),
    ),
    Bad(
        "serve-host",
        ("serve", "{repo}", "--store", "{store}", "--host", "256.0.0.1", "--port", "0"),
        ("--host",),
    ),
    # What click itself refuses comes with a line of usage.
    Bad("no-such-option", ("query", "--nothing"), ("--nothing",), 2),
    Bad("query-maxrec", ("query", "{store}", "SELECT 1", "--maxrec", "-1"), ("--maxrec",), 2),
    Bad("query-format", ("query", "{store}", "SELECT 1", "--format", "xlsx"), ("'table', 'votable'",), 2),
    Bad("export-format", ("export", "{repo}", "x", "--format", "fits"), ("parquet",), 2),
    Bad("export-limit", ("export", "{repo}", "x", "--limit", "0"), ("--limit",), 2),
    Bad("cutout-no-shape", ("cutout", "--file", "plain.fits", *OUT), ("--circle", "--pixels"), 2),
    Bad("cutout-hdu-of-repo", ("cutout", "r", "i", "--hdu", "1", *CIRCLE, *OUT), ("--hdu", "--file"), 2),
    Bad("cutout-nothing-to-cut", ("cutout", *CIRCLE, *OUT), ("REPO and ID", "--file"), 2),
    Bad("cutout-both", ("cutout", "r", "i", "--file", "x", *CIRCLE, *OUT), ("REPO and ID", "--file"), 2),
    Bad("cutout-repo-alone", ("cutout", "{repo}", *CIRCLE, *OUT), ("REPO and ID", "--file"), 2),
    Bad("cutout-detail", ("cutout", "--file", "x", *CIRCLE, "--detail", "all", *OUT), ("maskedimage",), 2),
    Bad("cutout-backend-name", ("cutout", "--file", "x", *CIRCLE, "--backend", "eups", *OUT), ("afw",), 2),
    Bad("serve-stores", ("serve", "a", "b", "--store", "x"), ("2 REPO, 1 --store", "one --store"), 2),
    Bad("serve-port", ("serve", "{repo}", "--store", "{store}", "--port", "99999"), ("65535",), 2),
    Bad("links-no-id", ("links", "{repo}"), ("ID",), 2),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory: with files that are not what they should be."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled/thesis.txt").write_text("years of work")
    (tmp_path / "plain").write_text("somebody's file")
    (tmp_path / "text.yaml").write_text("just: text\n")
    (tmp_path / "broken.yaml").write_text("a: [b\n")
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    (tmp_path / "unknown.yaml").write_text("facilty_name: here\ncollections: [x]\ndataset_types: {}\n")
    (tmp_path / "service.yaml").write_text("repositories: [{rep: x, store: y}]\n")
    fits.PrimaryHDU([[1, 2, 3]] * 9).writeto(tmp_path / "plain.fits")
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("DAX_VO_", "DAF_BUTLER_REPO")):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def fill(sample: Sample) -> Callable[[str], str]:
    names = {
        "repo": str(sample.repositories["dp02"]),
        "store": str(sample.store("dp02")),
        "config": str(sample.configurations["dp02"]),
    }
    return lambda text: text.format(**names) if text.startswith("{") else text


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file, hidden ones too, and every folder."""
    return {
        str(path.relative_to(folder)): b"" if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_one_clear_line_and_nothing_left_behind(bad: Bad, folder: Path, fill: Callable[[str], str]) -> None:
    before = snapshot(folder)
    result = CliRunner().invoke(vo, [fill(argument) for argument in bad.arguments])
    assert isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code, result.stdout) == (bad.status, "")
    lines = result.stderr.splitlines()
    if bad.status == 2:
        assert lines[0].startswith("Usage: ")
        lines = lines[-1:]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    assert [text for text in bad.told if text not in lines[0]] == [], lines[0]
    assert snapshot(folder) == before


def test_old_store_stays_when_an_export_fails(folder: Path, fill: Callable[[str], str]) -> None:
    runner = CliRunner()
    arguments = ["export", fill("{repo}"), "x.store", "--config", fill("{config}")]
    assert runner.invoke(vo, [*arguments, "--limit", "3"]).exit_code == 0
    before = snapshot(folder)
    assert runner.invoke(vo, [*arguments, "--where", "visit = = 1"]).exit_code == 1
    assert snapshot(folder) == before


def test_port_in_use(folder: Path, fill: Callable[[str], str]) -> None:
    before = snapshot(folder)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ["serve", fill("{repo}"), "--store", fill("{store}"), "--port", port]
        result = CliRunner().invoke(vo, arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use; "
        "choose another --host or --port (0 for any)\n"
    )
    assert snapshot(folder) == before


@pytest.mark.parametrize("name", ["export-repository", "query-store", "cutout-file", "serve-config-not-yaml"])
def test_the_whole_program_says_no_more(name: str, folder: Path) -> None:
    """Through ``butler`` itself, with its logging and its own handlers."""
    (bad,) = (bad for bad in CASES if bad.name == name)
    done = subprocess.run(
        [BUTLER, "vo", *bad.arguments], capture_output=True, text=True, cwd=folder, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_get_of_a_failing_path_is_a_failure(fill: Callable[[str], str], folder: Path) -> None:
    arguments = ["serve", fill("{repo}"), "--store", fill("{store}"), "--get", "/api/cutout/sync?ID=no"]
    done = subprocess.run(
        [BUTLER, "vo", *arguments], capture_output=True, text=True, cwd=folder, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("UsageError: ")
