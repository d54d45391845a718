"""Benchmarks that cannot run say why in one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["votable", "--rows", "10", "--store", "{nowhere}"], "There is no store {nowhere}"),
        (["sia", "--repository", "{nowhere}"], "There is no Butler repository"),
        (["query", "--database", NO_DATABASE, "--datasets", "10"], "connection failed"),
        (["export", "--repository", "{nowhere}", "--rounds", "1"], "{nowhere} does not exist"),
    ],
    ids=lambda item: item if isinstance(item, str) else item[0],
)
def test_what_is_not_there_is_told(words: list[str], sentence: str, tmp_path: Path) -> None:
    name, *options = (word.format(nowhere=tmp_path / "none") for word in words)
    command = [sys.executable, str(BENCHMARKS / f"bench_{name}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode != 0
    assert sentence.format(nowhere=tmp_path / "none") in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
