"""Whatever the README and the pages say is run, or looked up.

Blocks of ``sh`` and ``python`` run as they are printed: those of a document
one after the other, in one folder and one namespace, as a reader types them.
What cannot be run here (an installation, the entrance of the checkout itself)
is printed as ``text`` or ``console``.  Only two things are replaced: the
repository, by the sample's, and the port, by the one that is free.  Pictures
that blocks save and the document shows are the same: ``DAX_VO_PICTURES=keep``
puts those of a run into the document's place.
"""

import gc
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from PIL import Image

from lsst.dax.vo.cli import vo
from lsst.dax.vo.config import load_service_config
from lsst.dax.vo.sample._tour_server import running_server

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "doc").glob("*.md"))]
CONFIGURATIONS = sorted((ROOT / "config/service").glob("*.yaml"))

REPOSITORY = "/path/to/repo"
ADDRESS = "http://127.0.0.1:8080"
SERVE = "butler vo serve"
# A block of YAML that begins so is a file that later blocks use.
FILE_NAME = re.compile(r"# (\S+\.yaml)\n")
TEST_NAME = re.compile(r"`(test_\w+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*|(?<![\w-])-o(?= )")


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    language: str
    text: str
    line: int


def tokens_of(path: Path) -> Iterator[Token]:
    """Yield all tokens of a document, those inside paragraphs included."""
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text()):
        yield token
        yield from token.children or ()


def blocks_of(path: Path) -> list[Block]:
    return [
        Block(token.info.strip(), token.content, token.map[0] + 1)
        for token in tokens_of(path)
        if token.type == "fence" and token.map is not None
    ]


def commands_of(text: str) -> list[str]:
    """Return the lines of a shell block, continued ones joined."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def code_of(path: Path) -> Iterator[str]:
    """Yield each piece of code of a document, blocks and words."""
    for token in tokens_of(path):
        if token.type in ("fence", "code_inline"):
            yield token.content


def is_entrance(block: Block) -> bool:
    """Tell whether a block does nothing but use the checkout's own verbs."""
    commands = commands_of(block.text)
    return block.language == "sh" and all(command.startswith("bin/dax-vo ") for command in commands)


@dataclass
class Reader:
    """Somebody who types what a document says, in an empty folder."""

    path: Path
    folder: Path
    repository: Path
    base_url: str
    servers: ExitStack
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def follow(self, block: Block) -> None:
        text = self._replace(block.text)
        match block.language:
            case "sh":
                self._shell(text, block)
            case "python":
                # Empty lines before, so that a traceback tells the line of the document.
                code = compile("\n" * block.line + text, str(self.path), "exec")
                exec(code, self.names)  # noqa: S102 (our own documents)
            case "yaml":
                if (name := FILE_NAME.match(text)) is not None:
                    (self.folder / name[1]).write_text(text)

    def _replace(self, text: str) -> str:
        return text.replace(REPOSITORY, str(self.repository)).replace(ADDRESS, self.base_url)

    def _shell(self, text: str, block: Block) -> None:
        last = commands_of(text)[-1]
        serves = last.startswith(SERVE) and "--get" not in last
        if serves:
            text = text.replace("\\\n", " ")
            text = text[: text.rindex(SERVE)]
        done = subprocess.run(
            ["sh", "-eu", "-c", text],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        where = f"{self.path.name}, line {block.line}"
        assert done.returncode == 0, f"{where}:\n{block.text}\nsays\n{done.stdout}"
        if serves:
            arguments = shlex.split(last.removeprefix(SERVE), comments=True)
            server = running_server(without_address(arguments), log=self.folder / f"server-{block.line}.log")
            self.base_url = self.servers.enter_context(server).base_url


def without_address(arguments: list[str]) -> list[str]:
    """Leave host and port out of the arguments of serve: the test has its own."""
    kept = list(arguments)
    for option in ("--host", "--port"):
        if option in kept:
            at = kept.index(option)
            del kept[at : at + 2]
    return kept


# pyvo (1.9) streams the documents of jobs and closes none of them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_run(
    path: Path, tmp_path: Path, sample_server: Any, sample_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # bin/dax-vo ci types the README's first block itself.
    blocks = [block for block in blocks_of(path) if not is_entrance(block)]
    if not any(block.language in ("sh", "python") for block in blocks):
        pytest.skip("has nothing to run")
    repository = sample_root / "sample"
    shutil.copytree(ROOT / "config", tmp_path / "config")
    for config in tmp_path.rglob("config/service/*.yaml"):
        config.write_text(config.read_text().replace(REPOSITORY, str(repository)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    # What a block sets in the environment is undone.
    with ExitStack() as servers, mock.patch.dict(os.environ):
        reader = Reader(path, tmp_path, repository, sample_server.base_url, servers)
        for block in blocks:
            reader.follow(block)
        compare_pictures(path, tmp_path)
    # What the blocks left open is closed here, not in another test.
    reader.names.clear()
    gc.collect()


def compare_pictures(path: Path, folder: Path) -> None:
    """Compare the pictures that blocks have saved with those that the document shows."""
    for token in tokens_of(path):
        source = token.attrGet("src") if token.type == "image" else None
        made = folder / Path(str(source)).name
        if source is None or not made.exists():
            continue
        shown = path.parent / str(source)
        if os.environ.get("DAX_VO_PICTURES") == "keep":
            shown.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made, shown)
        with Image.open(made) as ours, Image.open(shown) as theirs:
            assert ours.size == theirs.size, f"{path.name} shows another {shown.name} than is made"
            levels = [np.asarray(image.convert("RGBA"), dtype=float) for image in (ours, theirs)]
        # Other releases of the libraries round other pixels, and decode other JPEGs.
        assert np.abs(levels[0] - levels[1]).mean() < 1.0, (
            f"{path.name} shows another {shown.name} than is made"
        )


def test_first_block_of_the_readme_is_what_ci_runs() -> None:
    script = (ROOT / "bin/dax-vo").read_text()
    found = re.search(r"sed -n '(.*)' README\.md", script)
    assert found is not None
    done = subprocess.run(
        ["sed", "-n", found[1], "README.md"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    first = next(block for block in blocks_of(ROOT / "README.md") if block.language == "sh")
    typed = [command.partition("#")[0].strip() for command in commands_of(first.text)]
    assert done.stdout.splitlines() == typed
    assert "bin/dax-vo test" in typed


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    missing = []
    for token in tokens_of(path):
        target = token.attrGet("href") if token.type == "link_open" else token.attrGet("src")
        if token.type not in ("link_open", "image") or not isinstance(target, str):
            continue
        parts = urllib.parse.urlsplit(target)
        if not parts.scheme and parts.path and not (path.parent / urllib.parse.unquote(parts.path)).exists():
            missing.append(target)
    assert not missing, f"{path.name} links to what is not there: {', '.join(missing)}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_options_exist(path: Path) -> None:
    context = click.Context(vo)
    known = {name: options_of(vo.get_command(context, name)) for name in vo.list_commands(context)}
    verbs = set(
        re.findall(r"^    ([a-z | ]+)\) setup ;;", (ROOT / "bin/dax-vo").read_text(), re.M)[0].split(" | ")
    )
    for code in code_of(path):
        for command in commands_of(code):
            for name, rest in re.findall(r"butler vo ([a-z]+)([^|;]*)", command):
                assert name in known, f"{path.name}: there is no 'butler vo {name}'"
                # A query may hold anything.
                plain = re.sub(r"\"[^\"]*\"|'[^']*'", "", rest)
                unknown = set(OPTION.findall(plain)) - known[name]
                assert not unknown, f"{path.name}: 'butler vo {name}' has no {', '.join(unknown)}"
            for verb in re.findall(r"bin/dax-vo ([a-z]+)", command):
                assert verb in verbs, f"{path.name}: there is no 'bin/dax-vo {verb}'"


def options_of(command: click.Command | None) -> set[str]:
    assert command is not None
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {name for option in options for name in (*option.opts, *option.secondary_opts)} | {"--help"}


def test_every_command_and_option_is_documented() -> None:
    context = click.Context(vo)
    told = " ".join(code for path in DOCUMENTS for code in code_of(path))
    for name in vo.list_commands(context):
        assert f"butler vo {name}" in told
        for option in options_of(vo.get_command(context, name)):
            assert option == "--help" or re.search(rf"{re.escape(option)}\b", told), (
                f"{option} of {name} is not told"
            )


def test_every_test_that_is_named_exists() -> None:
    defined = set()
    contracts = ROOT / "python" / "lsst" / "dax" / "vo" / "testing"
    for path in (*(ROOT / "tests").rglob("test_*.py"), *contracts.rglob("*.py")):
        defined |= set(re.findall(r"def (test_\w+)", path.read_text()))
        defined.add(path.stem)
    named = {name for path in DOCUMENTS for name in TEST_NAME.findall(path.read_text())}
    assert len(named) > 20
    assert not named - defined


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_service_configurations_load(path: Path) -> None:
    config = load_service_config(path, environment={})
    assert config.repositories
    for repository in config.repositories:
        assert repository.obscore is None or repository.obscore.is_file()


def test_there_are_service_configurations() -> None:
    assert len(CONFIGURATIONS) >= 2
