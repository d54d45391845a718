"""Files as bytes, wherever they are."""

from __future__ import annotations

__all__ = ["open_source"]

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from lsst.resources import ResourcePath

from ...errors import NotFoundError, UnsupportedError
from ._cache import FileEntry
from ._source import LocalSource, MemorySource, Source, is_lfs_pointer, unpacked


@contextmanager
def open_source(uri: ResourcePath, entry: FileEntry | None = None) -> Iterator[Source]:
    """Open a file for reading parts of it.

    Parameters
    ----------
    uri
        The file, local or remote; ``.gz`` is unpacked into memory.
    entry
        What is known of it from before; nothing by default.

    Yields
    ------
    source : `Source`
        Closed on leaving the context.

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    TransientError
        Raised if the store does not answer.
    UnsupportedError
        Raised if the file is empty, a Git LFS pointer or a damaged archive.
    """
    # Of a folder, the path ends with a slash.
    name = uri.basename() or uri.path.rstrip("/").rpartition("/")[2]
    entry = entry if entry is not None else FileEntry()
    with _open_raw(uri, name, entry) as source:
        if entry.hdus and entry.stamp == source.stamp:
            # Looked at before, and found to be FITS.
            yield source
            return
        if not source.size:
            raise UnsupportedError(f"The file {name!r} is empty; fetch it again or ask its publisher")
        if is_lfs_pointer(source):
            raise UnsupportedError(
                f"The file {name!r} is a Git LFS pointer, not the image; run 'git lfs pull' where it is"
            )
        found = unpacked(source)
        entry.forget()
        if found is source and not isinstance(source, MemorySource):
            # What is in memory as a whole will not be there next time, and
            # of an archive the places are not those of the file.
            entry.stamp = source.stamp
        yield found


@contextmanager
def _open_raw(uri: ResourcePath, name: str, entry: FileEntry) -> Iterator[Source]:
    if not uri.isLocal:
        from ._remote import open_remote

        with open_remote(uri, name, entry) as remote:
            yield remote
        return
    try:
        # A pipe without a writer would wait for one.
        descriptor = os.open(uri.ospath, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise NotFoundError(
            f"There is no file {name!r}; check its name and whether the store has it"
        ) from err
    except OSError as err:
        raise UnsupportedError(f"The file {name!r} cannot be read; check its permissions") from err
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnsupportedError(f"{name!r} is no file; give a FITS file")
        yield LocalSource(name, descriptor)
    finally:
        os.close(descriptor)
