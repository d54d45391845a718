"""Files that appear whole or not at all; killed processes leave nothing for good.

What is being written holds a lock, which the kernel takes back when its
process dies.  Whoever comes next removes what nobody holds.
"""

__all__ = ["Scratch", "remove_parts", "replacing"]

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import UsageError

_PART = ".part"
_RANDOM = "[a-z0-9_]{8}"
_ROWS, _LOCK = "dax-vo-rows-", ".lock"


@contextmanager
def replacing(path: Path, *, advice: str | None = None) -> Iterator[BinaryIO]:
    """Open a file that takes its name when the block ends well.

    Until then it is another file beside it.  If the block raises, that one
    is gone and nothing has changed.  A device or a pipe is written to as it
    is, and where a link leads, there the file is.

    Parameters
    ----------
    path
        The file; replaced if it exists.
    advice
        What to do if it cannot be written.

    Yields
    ------
    stream : `typing.BinaryIO`
        Where the content goes.

    Raises
    ------
    UsageError
        Raised if the file cannot be written, or the disk is full.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            # A file in the place of /dev/null would be the end of many things.
            with path.open("wb") as stream:
                yield stream
            return
        path = path.resolve() if path.is_symlink() else path
        prefix = f".{path.name}."
        _remove_left(path.parent, prefix, _PART)
        handle, part = _make_locked(path.parent, prefix, _PART)
    except OSError as err:
        raise _unwritable(path, err, advice) from err
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            part.replace(path)
    except OSError as err:
        raise _unwritable(path, err, advice) from err
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove what killed processes have left of files that `replacing` was to make.

    That does so itself for a file of the same name; where names do not come
    again, somebody has to.

    Parameters
    ----------
    folder
        Where the files are.
    """
    _remove_matching(folder, re.compile(rf"\..+\.{_RANDOM}{re.escape(_PART)}"))


def _unwritable(path: Path, error: OSError, advice: str | None) -> UsageError:
    told = f"{path} cannot be written: {error.strerror or error}"
    return UsageError(f"{told}; {advice}" if advice else told)


class Scratch:
    """A folder among the temporary ones, for rows on their way.

    The environment's ``TMPDIR`` tells where; it needs room for all rows.

    Parameters
    ----------
    parent
        Where to make it; `None` for the folder of temporary files.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        _remove_left(parent, _ROWS, _LOCK)
        # The lock is there before the folder and after it, so that whoever
        # is killed in between leaves no folder that nobody knows.
        self._handle, self._lock = _make_locked(parent, _ROWS, _LOCK)
        self.path = self._lock.with_suffix("")
        """The folder."""
        try:
            self.path.mkdir(mode=0o700)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.unlink(missing_ok=True)
        os.close(self._handle)


def _make_locked(folder: Path, prefix: str, suffix: str) -> tuple[int, Path]:
    """Make a file of a new name, with the mode that the umask says, and lock it."""
    while True:
        path = folder / f"{prefix}{secrets.token_hex(4)}{suffix}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        # There are file systems without locks: then nobody removes it either.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():
            return handle, path
        # Another process was faster than our lock, and took it for left.
        os.close(handle)


def _remove_left(folder: Path, prefix: str, suffix: str) -> None:
    """Remove the files that nobody holds, and the folders that they stand for."""
    _remove_matching(folder, re.compile(f"{re.escape(prefix)}{_RANDOM}{re.escape(suffix)}"))


def _remove_matching(folder: Path, known: re.Pattern[str]) -> None:
    for path in folder.iterdir():
        if known.fullmatch(path.name):
            with contextlib.suppress(OSError), path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink()
