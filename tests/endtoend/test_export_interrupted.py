"""Exports that are killed, or find no room: what counted before counts after."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

from lsst.dax.vo.errors import NotFoundError, UsageError
from lsst.dax.vo.sample import build_registry
from lsst.dax.vo.services import export_repository
from lsst.dax.vo.store import open_store, parse_store

_DATASETS = 20_000
_BUTLER = Path(sys.executable).with_name("butler")
_LIMITED = (
    "import os, resource, signal, sys\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of a few thousand visits, without files."""
    root = tmp_path_factory.mktemp("registry") / "repo"
    build_registry(root, datasets=_DATASETS, overlaps=False)
    return root


@pytest.fixture(scope="module")
def config_path() -> Iterator[Path]:
    """Return the configuration that fits it."""
    with resources.as_file(resources.files("lsst.dax.vo.sample") / "obscore" / "registry.yaml") as path:
        yield path


@pytest.fixture(scope="module")
def whole(registry: Path, config_path: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Return the rows of an export that nobody interrupts."""
    return _read(_export_here(registry, config_path, tmp_path_factory.mktemp("whole") / "rows.parquet"))


@pytest.fixture
def command(registry: Path, config_path: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Return the command line of an export."""
    (tmp_path / "tmp").mkdir()

    def make(destination: Path, *options: str) -> list[str]:
        arguments = ["export", str(registry), str(destination), "--config", str(config_path)]
        return [str(_BUTLER), "vo", *arguments, *options]

    return make


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Keep temporary files in a folder of the test, to see what is left of them."""
    return os.environ | {"TMPDIR": str(tmp_path / "tmp")}


def _export_here(registry: Path, config_path: Path, destination: Path, **choice: Any) -> Path:
    export_repository(registry, destination, config_path=config_path, **choice)
    return destination


def _read(path: Path) -> pa.Table:
    """Read the public columns of a file or store, in one order."""
    if path.is_dir():
        store = open_store(parse_store(str(path)))
        names = ", ".join(f'"{column.name}"' for column in store.columns)
        with duckdb.connect(str(store.path), read_only=True) as connection:
            rows: pa.Table = connection.sql(f"SELECT {names} FROM obscore").to_arrow_table()
    elif path.suffix == ".csv":
        rows = pyarrow.csv.read_csv(
            path,
            convert_options=pyarrow.csv.ConvertOptions(
                null_values=[r"\N"], strings_can_be_null=True, quoted_strings_can_be_null=False
            ),
        )
    else:
        rows = pyarrow.parquet.read_table(path)
    return rows.sort_by("obs_publisher_did").combine_chunks()


def _state(path: Path) -> Any:
    """Return what a reader of the destination sees."""
    if path.suffix:
        return path.read_bytes() if path.exists() else None
    try:
        store = open_store(parse_store(str(path)))
    except NotFoundError:
        return None
    return store.path, store.path.read_bytes()


def _names(folder: Path) -> set[str]:
    """Return the names of what exports have made in a folder, which may be changing."""
    paths = [Path(path) / name for path, _, names in os.walk(folder) for name in names]
    # Python itself writes a file into TMPDIR and removes it, to see whether it can.
    return {str(path) for path in paths if path.parent != folder / "tmp"}


def _assert_same(found: pa.Table, wanted: pa.Table) -> None:
    assert found.num_rows == wanted.num_rows == _DATASETS
    for name in wanted.column_names:
        assert found[name].cast(wanted[name].type).equals(wanted[name]), name


@pytest.mark.parametrize("before", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize("name", ["store", "rows.parquet", "rows.csv"])
def test_killed_export_leaves_what_was_there(
    registry: Path,
    config_path: Path,
    tmp_path: Path,
    command: Any,
    environment: dict[str, str],
    whole: pa.Table,
    name: str,
    before: bool,
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    destination = folder / name
    if before:
        _export_here(registry, config_path, destination, limit=10)
    state = _state(destination)
    chance = random.Random(f"{name} {before}")  # noqa: S311
    killed = 0
    for moment in (0.0, chance.uniform(0.0, 0.3), chance.uniform(0.3, 1.0)):
        names = _names(tmp_path)
        process = subprocess.Popen(
            command(destination), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        # What it does before it has made a file is no matter for files.
        while process.poll() is None and _names(tmp_path) <= names:
            time.sleep(0.001)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        killed += process.returncode != 0
        if (now := _state(destination)) != state:
            # Killed when all was done: the new table, or none of it.
            _assert_same(_read(destination), whole)
            state = now
    assert killed
    result = subprocess.run(command(destination), env=environment, check=True, capture_output=True, text=True)
    assert f"{_DATASETS:,} rows in " in result.stdout
    _assert_same(_read(destination), whole)
    assert [path.name for path in folder.iterdir()] == [name]
    if name == "store":
        assert len(list(destination.iterdir())) == 3, "pointer, lock and one table"
    assert [path for path in (tmp_path / "tmp").iterdir() if path.name.startswith("dax-vo")] == []


@pytest.mark.parametrize("reader", ["public", "bulk"])
def test_parts_go_on_where_an_export_was_killed(
    tmp_path: Path,
    command: Any,
    environment: dict[str, str],
    config_path: Path,
    registry: Path,
    whole: pa.Table,
    reader: str,
) -> None:
    parts, destination = tmp_path / "parts", tmp_path / "rows.parquet"
    line = command(destination, "--parts", str(parts), "--reader", reader)
    finished: list[Path] = []
    for _ in range(5):
        shutil.rmtree(parts, ignore_errors=True)
        process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
        while process.poll() is None and not list(parts.glob("*.arrows")):
            time.sleep(0.001)
        process.kill()
        process.wait()
        if finished := sorted(parts.glob("*.arrows")):
            break
        destination.unlink()
    assert finished
    assert not destination.exists()
    times = [path.stat().st_mtime_ns for path in finished]
    rows = sum(sum(batch.num_rows for batch in pa.ipc.open_stream(path)) for path in finished)
    # Another configuration makes other rows: the folder is not for it.
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(yaml.safe_load(config_path.read_text()) | {"facility_name": "Elsewhere"}))
    with pytest.raises(UsageError, match="holds parts of another export: its repository, configuration or"):
        export_repository(registry, destination, config_path=other, parts=parts)
    with pytest.raises(UsageError, match="holds parts of another export"):
        export_repository(registry, destination, config_path=config_path, parts=parts, limit=10)
    assert [path.stat().st_mtime_ns for path in finished] == times
    assert not destination.exists()
    result = subprocess.run(line, env=environment, check=True, capture_output=True, text=True)
    (told,) = [part for part in result.stdout.splitlines() if "taken from finished parts" in part]
    counts = [int(word.replace(",", "")) for word in told.split() if word[0].isdigit()]
    assert rows == sum(counts) < _DATASETS
    _assert_same(_read(destination), whole)
    assert not parts.exists()


def test_parts_of_another_process_have_the_same_name(
    tmp_path: Path, command: Any, environment: dict[str, str], config_path: Path
) -> None:
    """Sets have another order in each process; parts must not depend on it."""
    config = yaml.safe_load(config_path.read_text())
    where = {"where": "instrument = 'SimCam'", "extra_dims": ["skymap", "healpix3", "htm2", "subfilter"]}
    config["where"] = where
    path, parts = tmp_path / "config.yaml", tmp_path / "parts"
    path.write_text(yaml.safe_dump(config))
    line = command(tmp_path / "missing" / "rows.csv", "--parts", str(parts), "--config", str(path))
    for seed in ("1", "2", "3"):
        # The part is finished, and then the folder of the file is not there.
        result = subprocess.run(
            [*line, "--dataset-type", "raw", "--limit", "5"],
            env=environment | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "another export" not in result.stderr
        assert "No such file" in result.stderr


class TestNoRoom:
    @pytest.mark.parametrize("name", ["store", "rows.parquet", "rows.csv", "rows.vot", "rows.arrow"])
    @pytest.mark.parametrize("size", [10_000, 1_000_000])
    def test_files_that_may_not_grow(
        self, tmp_path: Path, command: Any, environment: dict[str, str], name: str, size: int
    ) -> None:
        folder = tmp_path / "out"
        folder.mkdir()
        result = subprocess.run(
            [sys.executable, "-c", _LIMITED, str(size), *command(folder / name)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert "File too large" in result.stderr
        assert "Traceback" not in result.stderr
        assert len(result.stderr.splitlines()) == 1, result.stderr
        assert list(folder.iterdir()) == []
        assert list((tmp_path / "tmp").iterdir()) == []

    @pytest.fixture
    def full(self, tmp_path: Path) -> Iterator[Path]:
        """Mount a tiny disk."""
        folder = tmp_path / "disk"
        folder.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip(f"a small disk cannot be made here: {mounted.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    @pytest.mark.parametrize("name", ["store", "rows.csv", "rows.parquet"])
    def test_full_disk(
        self,
        command: Any,
        environment: dict[str, str],
        registry: Path,
        config_path: Path,
        full: Path,
        name: str,
    ) -> None:
        (full / "here").mkdir()
        destination = full / "here" / name
        _export_here(registry, config_path, destination, limit=10)
        state = _state(destination)
        names = sorted((full / "here").rglob("*"))
        # All but a little of the disk is full.
        (full / "filler").write_bytes(bytes(shutil.disk_usage(full).free - 200_000))
        result = subprocess.run(
            command(destination), env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 1
        assert "No space left on device" in result.stderr
        assert str(destination) in result.stderr
        assert "Traceback" not in result.stderr
        assert _state(destination) == state
        assert sorted((full / "here").rglob("*")) == names

    def test_full_disk_for_parts(
        self, tmp_path: Path, command: Any, environment: dict[str, str], full: Path
    ) -> None:
        destination = tmp_path / "rows.csv"
        result = subprocess.run(
            command(destination, "--parts", str(full / "parts")),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert f"{full / 'parts'} cannot be written: No space left on device" in result.stderr
        assert not destination.exists()

    def test_full_disk_for_temporary_files(
        self, tmp_path: Path, command: Any, environment: dict[str, str], full: Path
    ) -> None:
        destination = tmp_path / "rows.csv"
        result = subprocess.run(
            command(destination),
            env=environment | {"TMPDIR": str(full)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert "No space left on device; name a larger one in TMPDIR" in result.stderr
        assert not destination.exists()
        assert list(full.iterdir()) == []


def test_two_exports_of_one_file_at_once(
    tmp_path: Path, command: Any, environment: dict[str, str], whole: pa.Table
) -> None:
    """The later one counts; none takes what the other is writing for left."""
    destination = tmp_path / "out" / "rows.parquet"
    destination.parent.mkdir()
    left = destination.parent / ".rows.parquet.abcdefgh.part"
    left.touch()
    other = destination.parent / ".rows.parquet.abcdefgh.partly"
    other.touch()
    running = [subprocess.Popen(command(destination), env=environment) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    _assert_same(_read(destination), whole)
    assert sorted(destination.parent.iterdir()) == [other, destination]
