"""Copies of tables on this machine: immutable, so that a name is enough to know one."""

from __future__ import annotations

__all__ = ["cached"]

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ...errors import UsageError
from ...files import remove_parts, replacing

# What all copies together may take, beside the newest one: the table of DP0.2
# has 0.9 GB.
_MOST_BYTES = 16 * 2**30
_VARIABLE = "DAX_VO_CACHE"
_ADVICE = f"name another folder in the environment variable {_VARIABLE}"


def cached(store: str, name: str, size: int, download: Callable[[BinaryIO], None]) -> Path:
    """Have a copy of a table.

    Parameters
    ----------
    store
        Where the store is.
    name
        Name of the table's file there; another table never has it.
    size
        Its bytes.
    download
        Writes it into a file.

    Returns
    -------
    path : `pathlib.Path`
        The copy.  It is removed when newer ones need its room.

    Raises
    ------
    UsageError
        Raised if the folder of the copies cannot be written.
    """
    folder = _folder()
    # One store cannot give another one a table.
    path = folder / f"{hashlib.sha256(store.encode()).hexdigest()[:16]}-{name}"
    try:
        if path.stat().st_size == size:
            os.utime(path)
            return path
    except FileNotFoundError:
        pass
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror}; {_ADVICE}") from err
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise UsageError(f"{folder} cannot be made: {err.strerror}; {_ADVICE}") from err
    with replacing(path, advice=_ADVICE) as stream:
        download(stream)
    _make_room(folder, path)
    return path


def _folder() -> Path:
    given = os.environ.get(_VARIABLE)
    if given:
        return Path(given)
    usual = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(usual) / "lsst-dax-vo"


def _make_room(folder: Path, newest: Path) -> None:
    """Remove those that were not used for the longest time, and what killed processes left."""
    with contextlib.suppress(OSError):
        remove_parts(folder)
    found = []
    for path in folder.glob("*.parquet"):
        with contextlib.suppress(OSError):
            state = path.stat()
            found.append((state.st_mtime, state.st_size, path))
    total = 0
    for _, size, path in sorted(found, reverse=True):
        if path != newest:
            total += size
            if total > _MOST_BYTES:
                path.unlink(missing_ok=True)
