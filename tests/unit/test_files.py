"""Files that appear whole, and folders that no killed process leaves for good."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.files import Scratch, replacing


def test_folder_of_a_killed_process_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    foreign = tmp_path / "dax-vo-rows-of-somebody"
    foreign.mkdir()
    program = (
        "import sys, tempfile, time\n"
        "from lsst.dax.vo.files import Scratch\n"
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


# A child of this program dies at its n-th call of the system, for every n;
# then the program does the same work to its end.  (It is a program of its
# own because pytest has threads, which do not fork.)
_KILLED_EVERYWHERE = """
import json, os, signal, sys
from pathlib import Path
from lsst.dax.vo.files import Scratch, replacing

def replace(folder):
    with replacing(folder / "rows.csv") as stream:
        stream.write(b"rows")

def scratch(folder):
    scratch = Scratch(folder)
    (scratch.path / "rows").write_bytes(b"rows")
    scratch.remove()

def count(event, _):
    global left
    if event.startswith(("os.", "open", "fcntl.", "shutil.")):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

work, root = {"replace": replace, "scratch": scratch}[sys.argv[1]], Path(sys.argv[2])
found, status = [], None
while status != 0:
    left = len(found) + 1
    folder = root / str(left)
    folder.mkdir()
    if (child := os.fork()) == 0:
        sys.addaudithook(count)
        work(folder)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    work(folder)
    found.append((status, sorted(path.name for path in folder.iterdir())))
print(json.dumps(found))
"""


@pytest.mark.parametrize(("work", "names"), [("replace", ["rows.csv"]), ("scratch", [])])
def test_killed_between_any_two_calls_leaves_nothing_for_good(
    tmp_path: Path, work: str, names: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_EVERYWHERE, work, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert len(found) > 5
    assert found == [[signal.SIGKILL, names]] * (len(found) - 1) + [[0, names]]


def test_pipe_and_device_stay_what_they_are(tmp_path: Path) -> None:
    """Root's ``-o /dev/null`` made a file of it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    with replacing(pipe) as stream:
        stream.write(b"content")
    reader.join()
    assert found == [b"content"]
    assert pipe.is_fifo()
    full = Path("/dev/full")
    with pytest.raises(UsageError, match="full cannot be written: No space left"), replacing(full) as stream:
        stream.write(b"content")
    assert full.is_char_device()


def test_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    for content in (b"new", b"again"):
        with replacing(link) as stream:
            stream.write(content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]
