"""Temporary folders that no killed process leaves for good."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lsst.dax.vo.store._scratch import Scratch


def test_folder_of_a_killed_process_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    foreign = tmp_path / "dax-vo-rows-of-somebody"
    foreign.mkdir()
    program = (
        "import sys, tempfile, time\n"
        "from lsst.dax.vo.store._scratch import Scratch\n"
        "tempfile.tempdir = sys.argv[1]\n"
        "scratch = Scratch()\n"
        "print(scratch.path, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        own = Scratch()
        assert left.exists(), "its process lives"
        process.send_signal(signal.SIGKILL)
    assert left.exists()
    second = Scratch()
    assert not left.exists()
    assert own.path.exists()
    second.remove()
    own.remove()
    assert list(tmp_path.iterdir()) == [foreign]
