"""Who may import whom: the table of the house, checked against the source.

A room is a folder or module directly below ``lsst.dax.vo``.  Imports inside
functions and under ``TYPE_CHECKING`` count as well: a layer is what the code
knows about, not when it finds out.
"""

import ast
import fnmatch
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import lsst.dax.vo

_PACKAGE = "lsst.dax.vo"
_ROOT = Path(lsst.dax.vo.__file__).parent
_MODULES = sorted(_ROOT.rglob("*.py"))

_BASE = {"errors", "files", "dali", "config"}
_QUERY = _BASE | {"repo", "store", "soda", "uws", "obscore"}
_BELOW_SERVICES = _QUERY | {"query", "datalink", "batch", "tap", "sia"}
_ANY = _BELOW_SERVICES | {"services", "http", "cli", "tasks", "sample", "testing"}

ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "dali": {"errors"},
    "config": {"errors", "dali"},
    "repo": _BASE,
    "store": _BASE,
    "soda": _BASE,
    "uws": _BASE,
    "obscore": _BASE | {"repo", "store", "soda", "uws"},
    "query": _BASE | {"store", "soda", "uws", "obscore"},
    "datalink": _QUERY,
    "batch": _QUERY | {"query"},
    "tap": _BASE | {"query", "uws"},
    "sia": _BASE | {"query", "obscore"},
    "services": _BELOW_SERVICES,
    "http": _BELOW_SERVICES | {"services"},
    "cli": _BELOW_SERVICES | {"services", "sample"},
    "tasks": _BELOW_SERVICES | {"services"},
    "sample": _BELOW_SERVICES | {"services"},
    "testing": _ANY,
}
"""Each room, and the rooms that it may import beside itself."""

EXCEPTIONS = {("cli/_serve.py", "http")}
"""Single files that may import a further room: only serving opens sockets."""

LIBRARIES: dict[str, tuple[str, ...]] = {
    "adbc_driver_postgresql": ("query/engines/postgres/*", "obscore/readers/*"),
    "astropy": (
        "obscore/readers/_summaries.py",
        "query/adql/_units.py",
        "soda/backends/*",
        "soda/picture/*",
        "sample/*",
        "testing/*",
    ),
    "PIL": ("sample/_figures.py", "soda/picture/*"),
    "boto3": ("store/parquet/_objects.py",),
    "botocore": ("store/parquet/_objects.py",),
    "cheroot": ("testing/*",),
    "click": ("cli/*", "sample/*"),
    "cmap": ("soda/picture/*",),
    "duckdb": ("store/duckdb.py", "query/engines/duckdb/*", "testing/*"),
    "fastapi": ("http/*",),
    "fsspec": ("query/engines/duckdb/_files.py",),
    "httpx": ("sample/_tour*",),
    "httpx2": ("repo/_remote.py",),
    "lsst.afw": ("soda/backends/*",),
    "lsst.daf.butler": ("repo/*", "obscore/readers/*", "sample/*", "cli/*", "tasks/*", "testing/*"),
    "lsst.dax.obscore": ("testing/*",),
    "lsst.ctrl.mpexec": (),
    "lsst.images": ("soda/backends/*", "sample/*", "testing/*"),
    "lsst.pex.config": ("tasks/*",),
    "lsst.pipe.base": ("repo/related/_provenance_graphs.py", "tasks/*"),
    "lsst.rsp": ("sample/_tour*",),
    "matplotlib": ("sample/_figures.py",),
    "moto": ("testing/*",),
    "prometheus_client": ("http/*",),
    "psycopg": ("store/postgres/*", "testing/*"),
    "pyvo": ("sample/_tour*",),
    "requests": ("sample/_tour*",),
    "rich": ("cli/*", "sample/*"),
    "s3transfer": ("store/parquet/_objects.py",),
    "sqlglot": ("query/*",),
    "starlette": ("http/*",),
    "starlink": ("soda/backends/*", "sample/*", "testing/*"),
    "swagger_ui_bundle": ("http/*",),
    "uvicorn": ("http/*",),
    "wsgidav": ("testing/*",),
}
"""Libraries that have a home, and the files that may import them."""

HEAVY = (
    "astropy",
    "duckdb",
    "fastapi",
    "lsst.daf.butler",
    "lsst.images",
    "numpy",
    "psycopg",
    "pyarrow",
    "starlette",
)
"""What importing the package, or finding its command, must not load."""


def _relative(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _iter_imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything that a module imports."""
    package = [*_PACKAGE.split("."), *path.relative_to(_ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = [*above, *(node.module or "").split(".")] if node.module else above
            for alias in node.names:
                yield node.lineno, ".".join([*module, alias.name])


def _room_of(path: Path) -> str:
    return path.relative_to(_ROOT).parts[0].removesuffix(".py")


def _imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in _iter_imports(path):
        if name.startswith(_PACKAGE + "."):
            yield line, name.split(".")[3]


@pytest.mark.parametrize("path", _MODULES, ids=_relative)
def test_rooms_import_only_what_lies_below(path: Path) -> None:
    room = _room_of(path)
    if room == "__init__":
        assert list(_imported_rooms(path)) == []
        return
    allowed = ROOMS[room] | {room} | {to for source, to in EXCEPTIONS if source == _relative(path)}
    wrong = [
        f"{_relative(path)}:{line} imports {name}, {room} may import {sorted(allowed)}"
        for line, name in _imported_rooms(path)
        if name in ROOMS and name not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("path", _MODULES, ids=_relative)
def test_libraries_stay_at_home(path: Path) -> None:
    wrong = [
        f"{_relative(path)}:{line} imports {name}, {library} belongs in {homes}"
        for line, name in _iter_imports(path)
        for library, homes in LIBRARIES.items()
        if (name == library or name.startswith(library + "."))
        and not any(fnmatch.fnmatch(_relative(path), home) for home in homes)
    ]
    assert wrong == []


def test_every_room_is_in_the_table() -> None:
    rooms = {_room_of(path) for path in _MODULES} - {"__init__"}
    assert rooms <= set(ROOMS), "give the new room a line in ROOMS and in the house style"


def test_table_has_no_circle() -> None:
    done: set[str] = set()
    while len(done) < len(ROOMS):
        ready = {room for room, below in ROOMS.items() if room not in done and below - {room} <= done}
        assert ready, f"these rooms import each other: {sorted(set(ROOMS) - done)}"
        done |= ready


def _loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "statement", ["import lsst.dax.vo", "import lsst.dax.vo.errors", "import lsst.dax.vo.cli"], ids=str.split
)
def test_importing_loads_no_heavy_library(statement: str) -> None:
    loaded = _loaded_by(statement)
    assert [name for name in HEAVY if name in loaded] == []
    assert [
        name
        for name in loaded
        if name.startswith("lsst.") and not _PACKAGE.startswith(name) and not name.startswith(_PACKAGE)
    ] == []


def test_importing_loads_few_modules() -> None:
    # A count, not a time: the target of 0.1 s holds wherever this does.
    own = _loaded_by("import lsst.dax.vo") - _loaded_by("pass")
    assert len(own) <= 20, sorted(own)


def test_shares_the_namespace_with_other_packages(tmp_path: Path) -> None:
    # Another editable checkout, with the lsst/__init__.py that they all ship.
    other = tmp_path / "lsst" / "other_product"
    other.mkdir(parents=True)
    other.joinpath("__init__.py").write_text("answer = 42\n")
    other.parent.joinpath("__init__.py").write_text(
        "import pkgutil\n__path__ = pkgutil.extend_path(__path__, __name__)\n"
    )
    program = (
        "import lsst.other_product, lsst.dax.vo, lsst.sphgeom, lsst.daf.butler\n"
        "print(lsst.other_product.answer, lsst.dax.vo.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    answer, path = done.stdout.split()
    assert answer == "42"
    assert Path(path).samefile(_ROOT / "__init__.py")


def test_ships_no_namespace_module() -> None:
    # Uninstalling ours would take it from all the others.
    assert not (_ROOT.parents[1] / "__init__.py").exists()
    assert not (_ROOT.parent / "__init__.py").exists()


class TestButlerPlugin:
    """``butler`` finds the command once, either way it is set up."""

    _COUNT = (
        "from lsst.daf.butler.cli.butler import ButlerCLI\n"
        "import json\n"
        "found = ButlerCLI._getPluginCommands()\n"
        "print(json.dumps([len(found['vo'])]))"
    )

    def test_is_registered_once_by_entry_point(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", self._COUNT],
            check=True,
            capture_output=True,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "DAF_BUTLER_PLUGINS"},
        )
        assert json.loads(done.stdout) == [1]

    def test_is_registered_once_by_environment(self, tmp_path: Path) -> None:
        # As EUPS sets it up: everything on PYTHONPATH, our distribution not
        # installed, so that there is no entry point.
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            if not entry.name.startswith(("lsst_dax_vo", "_lsst_dax_vo")):
                tmp_path.joinpath(entry.name).symlink_to(entry)
        done = subprocess.run(
            [sys.executable, "-S", "-c", self._COUNT],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ
            | {
                "PYTHONPATH": f"{tmp_path}:{_ROOT.parents[2]}",
                "DAF_BUTLER_PLUGINS": str(_ROOT / "cli" / "resources.yaml"),
            },
        )
        assert json.loads(done.stdout) == [1]

    def test_help_lists_it(self) -> None:
        butler = Path(sys.executable).with_name("butler")
        done = subprocess.run([butler, "--help"], check=True, capture_output=True, text=True)
        assert [line.split()[0] for line in done.stdout.splitlines() if line.split()[:1] == ["vo"]] == ["vo"]
        assert "Could not import" not in done.stdout + done.stderr

    def test_commands_are_listed_without_loading_them(self) -> None:
        loaded = _loaded_by(
            "from click.testing import CliRunner\n"
            "from lsst.dax.vo.cli import vo\n"
            "assert CliRunner().invoke(vo, ['--help']).exit_code == 0"
        )
        assert [name for name in HEAVY if name in loaded] == []
