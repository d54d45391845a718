"""Stores in buckets of S3.

An object is replaced at once, as a file is by renaming.  Locks there are none:
a writer holds a lease, a small object that it renews until it is done, and the
pointer is only replaced if it is still the one that the writer found.
"""

from __future__ import annotations

__all__ = ["BucketHome", "BucketPlace"]

import contextlib
from pathlib import Path
from typing import BinaryIO, override

from ...errors import NotFoundError, TransientError, UsageError
from ...files import Scratch
from .._home import Home
from .._location import ParquetLocation
from .._pointer import (
    PARQUET,
    POINTER,
    TABLE_PREFIX,
    format_pointer,
    parse_pointer,
    sign_pointer,
    table_name,
    table_that_counts,
)
from ._cache import cached
from ._lease import LEASE, Lease
from ._objects import Bucket, ChangedError
from ._places import Place


class BucketPlace(Place):
    """A folder of a bucket.

    Parameters
    ----------
    location
        Where it is.
    """

    is_remote = True

    def __init__(self, location: ParquetLocation) -> None:
        self._location = location
        self._bucket = Bucket(str(location.place))

    @override
    def read_pointer(self) -> str:
        # Docstring inherited.
        try:
            content, _ = self._bucket.read(POINTER)
        except FileNotFoundError as err:
            check_place(self._bucket, self._location)
            raise NotFoundError(
                f"There is no store {self._location}; make it with 'butler vo export REPO {self._location}'"
            ) from err
        return parse_pointer(content, str(self._location), PARQUET)

    @override
    def bring(self, name: str) -> Path:
        # Docstring inherited.
        def download(stream: BinaryIO) -> None:
            self._bucket.download(name, stream)

        return cached(str(self._location.place), name, self._bucket.size(name), download)

    @override
    def home(self) -> Home:
        # Docstring inherited.
        return BucketHome(self._location)


class BucketHome(Home):
    """A folder of a bucket, for one writer.

    Parameters
    ----------
    location
        Where it is.
    """

    def __init__(self, location: ParquetLocation) -> None:
        self._location = location
        self._bucket = Bucket(str(location.place), writing=True)
        self._made: str | None = None

    @override
    def enter(self) -> Path:
        # Docstring inherited.
        check_place(self._bucket, self._location)
        self._lease = Lease(self._bucket, self._location)
        try:
            self._found = self._take_over()
            if self._found is not None:
                self._sweep()
            self._scratch = Scratch()
        except BaseException:
            self._lease.release()
            raise
        return self._scratch.path / table_name(PARQUET)

    @override
    def publish(self, table: Path) -> None:
        # Docstring inherited.
        self._made = table.name
        self._bucket.upload(table, table.name)
        self._lease.require()
        put_pointer(self._bucket, table.name, self._found, self._location)

    @override
    def leave(self, *, discard: bool) -> None:
        # Docstring inherited.
        try:
            self._scratch.remove()
            # What is left, the next writer removes.
            with contextlib.suppress(TransientError, UsageError):
                self._sweep()
        finally:
            self._lease.release()

    def _take_over(self) -> str | None:
        """Write the pointer again as it is, and return what tells it from others.

        A writer that stood still since it looked whether it may publish can do
        so no more: its table may be removed.  `None` if there is no pointer.
        """
        try:
            content, tag = self._bucket.read(POINTER)
        except FileNotFoundError:
            return None
        try:
            return self._bucket.put(POINTER, sign_pointer(content), replaces=tag)
        except ValueError:
            # Which table counted, a person may still find out.
            return tag
        except ChangedError as err:
            raise written_meanwhile(self._location) from err

    def _sweep(self) -> None:
        """Remove what earlier writers left, and what did not come to count."""
        try:
            content, _ = self._bucket.read(POINTER)
            current = table_that_counts(content)
        except FileNotFoundError:
            # Whoever stood still may yet publish the first table.
            if self._made is not None:
                self._bucket.remove(self._made)
            return
        except ValueError:
            return
        for name in self._bucket.names():
            if name.startswith(TABLE_PREFIX) and name != current:
                if not self._lease.is_held():
                    return
                self._bucket.remove(name)
        # A right of its own, without which nothing else is missing.
        with contextlib.suppress(TransientError, UsageError, FileNotFoundError):
            if self._lease.is_held():
                self._bucket.forget_uploads(TABLE_PREFIX)


def check_place(bucket: Bucket, location: ParquetLocation) -> None:
    """Refuse a folder that holds something else than a store.

    Parameters
    ----------
    bucket
        The folder.
    location
        Its name.

    Raises
    ------
    UsageError
        Raised if it does.
    """
    names = bucket.names()
    if POINTER in names:
        return
    for name in names:
        if name != LEASE and not name.startswith(TABLE_PREFIX):
            raise UsageError(
                f"The folder {location} is no store, it holds {name!r}; give another one{PARQUET.hint(name)}"
            )


def put_pointer(bucket: Bucket, table: str, found: str | None, location: ParquetLocation) -> None:
    """Make a table the one that counts.

    Parameters
    ----------
    bucket
        The folder.
    table
        Name of the table.
    found
        What tells the pointer before from others; `None` if there is none.
    location
        Name of the store.

    Raises
    ------
    TransientError
        Raised if another writer was faster.
    """
    try:
        bucket.put(POINTER, format_pointer(table).encode(), replaces=found)
    except ChangedError as err:
        raise written_meanwhile(location) from err


def written_meanwhile(location: ParquetLocation) -> TransientError:
    """Return the error of a writer that another one overtook.

    Parameters
    ----------
    location
        Name of the store.

    Returns
    -------
    error : `TransientError`
    """
    return TransientError(f"The store {location} was written by another process meanwhile; try again")
