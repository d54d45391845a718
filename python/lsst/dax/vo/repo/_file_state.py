"""What can be known about the file of a dataset."""

from __future__ import annotations

__all__ = ["FileState"]

import enum


class FileState(enum.Enum):
    """What is known about the file of a dataset."""

    PRESENT = "present"
    UNCHECKED = "recorded in an object store, which was not asked"
    UNRECORDED = "not in the datastore"
    MISSING = "recorded in the datastore, but gone"
    EMPTY = "empty"
    POINTER = "a Git LFS pointer; run 'git lfs pull' in the repository"
    UNREADABLE = "not readable by this service"
    UNREACHABLE = "in a store that does not answer"
    PARTS = "stored in several files"
    MEMBER = "inside a zip file"
    OUTSIDE = "a symbolic link out of the datastore, to no folder that link_folders names"
