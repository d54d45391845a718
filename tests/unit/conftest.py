"""Somebody whom permissions hold back, for tests that root runs as well; a tiny disk."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# The user that owns nothing: the kernel's number for whom it cannot tell.
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Nobody:
    """A user without rights; whoever is not root, is one already."""

    folder: Path
    """Where such a user may write, and the only place for files of the test:
    pytest's folders are for their owner alone."""

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """Be that user, who owns what is in the folder, until the block ends.

        What the block imports has to be imported before: the interpreter may
        be where only root can read.
        """
        if os.getuid() != 0:
            yield
            return
        groups, users = os.getresgid(), os.getresuid()
        others = os.getgroups()
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, _NOBODY, _NOBODY)
        # All threads of the process change; only the saved user leads back.
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, groups[2])
        os.setresuid(_NOBODY, _NOBODY, users[2])
        try:
            yield
        finally:
            os.setresuid(*users)
            os.setresgid(*groups)
            os.setgroups(others)


@pytest.fixture
def nobody() -> Iterator[Nobody]:
    """Return a user whom permissions hold back, also when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="dax-vo-nobody-"))
    try:
        folder.chmod(0o755)
        found = Nobody(folder)
        try:
            with found.acting():
                pass
        except (OSError, AttributeError) as err:
            # A namespace without other users, or a system without saved ones.
            pytest.skip(f"root cannot be somebody else for a while here: {err}")
        yield found
    finally:
        # What a test has closed, is opened again.
        for top, names, _ in os.walk(folder):
            for name in names:
                (Path(top) / name).chmod(0o755)
        shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
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
