"""The folder of a store: immutable files, a pointer, and one writer at a time.

A DuckDB file cannot be written by one process while another reads it, and an
open connection keeps seeing a file that was replaced.  So each table is a new
file with a new name, and the pointer, a small file that names the table, is
replaced atomically once the table is complete.  A reader keeps the file that
it has open although its name is gone (POSIX).
"""

from __future__ import annotations

__all__ = ["FolderHome", "WriterLock", "check_folder", "point_to", "read_pointer", "sweep"]

import fcntl
import os
import shutil
import uuid
from pathlib import Path
from typing import override

from ..errors import NotFoundError, TransientError, UsageError
from ._home import Home
from ._pointer import (
    POINTER,
    TABLE_PREFIX,
    Kind,
    format_pointer,
    parse_pointer,
    table_name,
    table_that_counts,
)

_LOCK = "writer.lock"


def read_pointer(folder: Path, kind: Kind) -> Path:
    """Find the table that counts now.

    Parameters
    ----------
    folder
        The store.
    kind
        What its tables are.

    Returns
    -------
    path : `pathlib.Path`
        The table's file.

    Raises
    ------
    NotFoundError
        Raised if there is no store.
    UsageError
        Raised if the folder is something else, or of another layout.
    TransientError
        Raised if the pointer cannot be read now.
    """
    store = kind.name(folder)
    try:
        content = (folder / POINTER).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as err:
        check_folder(folder, kind)
        raise NotFoundError(
            f"There is no store {store}; make it with 'butler vo export REPO {store}'"
        ) from err
    except OSError as err:
        raise TransientError(f"The store {store} cannot be read now: {err.strerror}") from err
    return folder / parse_pointer(content, folder, kind)


def check_folder(folder: Path, kind: Kind) -> None:
    """Refuse a path that holds something else than a store.

    Parameters
    ----------
    folder
        The path; it may be absent, empty, or what a killed writer left.
    kind
        What tables of the store are.

    Raises
    ------
    UsageError
        Raised if it is a file, or a folder with other things.
    TransientError
        Raised if it cannot be listed now.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError as err:
        raise UsageError(f"{folder} is a file; a store is a folder, give another path") from err
    except OSError as err:
        raise TransientError(f"The store {kind.name(folder)} cannot be read now: {err.strerror}") from err
    if POINTER in names:
        return
    foreign = [name for name in names if not _is_ours(name)]
    if foreign:
        raise UsageError(
            f"The folder {folder} is no store, it holds {foreign[0]!r}; "
            f"give another path{kind.hint(foreign[0])}"
        )


def point_to(table: Path) -> None:
    """Make a complete table the one that counts.

    Parameters
    ----------
    table
        Its file, inside the folder of the store and closed.
    """
    folder = table.parent
    _synchronize(table)
    fresh = folder / f".{POINTER}.{uuid.uuid4().hex}"
    fresh.write_text(format_pointer(table.name))
    _synchronize(fresh)
    fresh.replace(folder / POINTER)
    _synchronize(folder)


def sweep(folder: Path) -> None:
    """Remove what earlier writers left, and tables that no longer count.

    Nothing is removed while the pointer cannot be read.  The caller holds
    the lock, so no table is in the making.

    Parameters
    ----------
    folder
        The store.
    """
    try:
        current = table_that_counts((folder / POINTER).read_bytes())
    except FileNotFoundError:
        current = None
    except (OSError, ValueError):
        # Which table counted, a person may still find out.
        return
    for entry in folder.iterdir():
        if entry.name in (POINTER, _LOCK, current) or not _is_ours(entry.name):
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


class WriterLock:
    """The right to write a store; the kernel takes it back when a process dies.

    Parameters
    ----------
    folder
        The store; made if absent, with its parents.
    kind
        What its tables are.

    Raises
    ------
    UsageError
        Raised if the folder is something else, or cannot be written.
    TransientError
        Raised if another writer holds the right.
    """

    def __init__(self, folder: Path, kind: Kind) -> None:
        self._folder = folder
        self._made = [path for path in (folder, *folder.parents) if not path.exists()]
        check_folder(folder, kind)
        store = kind.name(folder)
        try:
            while not self._take():
                # A writer that gave up removed the file between our opening
                # and our locking it.
                self._file.close()
        except BlockingIOError:
            self._file.close()
            raise TransientError(
                f"The store {store} is being written by another process; try again when it is done"
            ) from None
        except OSError as err:
            raise UsageError(f"The store {store} cannot be written: {err.strerror}") from err

    def release(self, *, discard: bool) -> None:
        """Give the right back.

        Parameters
        ----------
        discard
            Whether folders that this writer made are removed again.
        """
        if discard and self._made:
            (self._folder / _LOCK).unlink(missing_ok=True)
            for path in self._made:
                try:
                    path.rmdir()
                except OSError:
                    # Somebody else put something there meanwhile.
                    break
        self._file.close()

    def _take(self) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _LOCK
        self._file = path.open("a")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), path.stat())
        except FileNotFoundError:
            return False


class FolderHome(Home):
    """A folder, for one writer.

    Parameters
    ----------
    folder
        The store.
    kind
        What its tables are.
    """

    def __init__(self, folder: Path, kind: Kind) -> None:
        self._folder = folder.absolute()
        self._kind = kind

    @override
    def enter(self) -> Path:
        # Docstring inherited.
        self._lock = WriterLock(self._folder, self._kind)
        try:
            sweep(self._folder)
        except BaseException:
            self._lock.release(discard=True)
            raise
        return self._folder / table_name(self._kind)

    @override
    def publish(self, table: Path) -> None:
        # Docstring inherited.
        point_to(table)

    @override
    def leave(self, *, discard: bool) -> None:
        # Docstring inherited.
        try:
            # Also what was counting until now, or what was not finished.
            sweep(self._folder)
        finally:
            self._lock.release(discard=discard)


def _is_ours(name: str) -> bool:
    return name in (POINTER, _LOCK) or name.startswith((TABLE_PREFIX, f".{POINTER}."))


def _synchronize(path: Path) -> None:
    # The pointer must not reach the disk before what it points to.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
