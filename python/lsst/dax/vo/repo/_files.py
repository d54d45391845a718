"""Whether the file of a dataset is there: told by a look at it."""

from __future__ import annotations

__all__ = ["inspect_file"]

import os
import stat
from collections.abc import Callable

from lsst.resources import ResourcePath

from ._file_state import FileState
from ._members import inspect_member, member_path

_LFS_MARK = b"version https://git-lfs.github.com/spec/"
# Git LFS, specification: a pointer file is smaller than 1024 bytes.
_LFS_LARGEST_BYTES = 1024


def inspect_file(
    uri: ResourcePath | None,
    recorded_bytes: int | None,
    holds: Callable[[str], bool] = lambda _path: True,
) -> tuple[FileState, int | None]:
    """Look at a file, if it is on this machine.

    Parameters
    ----------
    uri
        Where the datastore has it; `None` if it has not.
    recorded_bytes
        Its size, as recorded.
    holds
        Tells whether a file on this machine is one of the datastore.

    Returns
    -------
    state : `FileState`
        What is known now; ``UNCHECKED`` of a file elsewhere.
    size_bytes : `int` or `None`
        Its size: that of the very file, if it is on this machine.
    """
    if uri is None:
        return FileState.UNRECORDED, None
    is_member = member_path(uri) is not None
    if not uri.isLocal:
        # The recorded size is that of the whole archive.
        return (FileState.MEMBER, None) if is_member else (FileState.UNCHECKED, recorded_bytes)
    try:
        if not holds(uri.ospath):
            return FileState.OUTSIDE, None
        if is_member:
            return inspect_member(uri)
        found = os.stat(uri.ospath)  # noqa: PTH116 (a Path for each of thousands costs more than the call)
        if not stat.S_ISREG(found.st_mode):
            return FileState.UNREADABLE, None
        if found.st_size == 0:
            return FileState.EMPTY, 0
        if not os.access(uri.ospath, os.R_OK):
            return FileState.UNREADABLE, None
        if found.st_size < _LFS_LARGEST_BYTES:
            with open(uri.ospath, "rb") as stream:  # noqa: PTH123
                if stream.read(len(_LFS_MARK)) == _LFS_MARK:
                    return FileState.POINTER, found.st_size
    except (FileNotFoundError, NotADirectoryError):
        return FileState.MISSING, None
    except OSError:
        return FileState.UNREADABLE, None
    return FileState.PRESENT, found.st_size
