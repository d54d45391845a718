"""Members of zip files: what `Butler.ingest_zip` makes of many small files.

The datastore records such a dataset as ``file.zip#zip-path=member``.
"""

from __future__ import annotations

__all__ = ["Member", "find_member", "inspect_member", "member_path"]

import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from lsst.resources import ResourcePath

from ._file_state import FileState

_MARK = "zip-path="
# APPNOTE.TXT of PKWARE, 4.3.7: the fixed part of a local header, at the end of
# which are the lengths of the name and of the extra field.
_LOCAL = struct.Struct("<4s22xHH")
_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a zip file."""

    name: str
    """Its name in the zip file."""

    size_bytes: int
    """Its length, unpacked."""

    checksum: int
    """CRC-32 of what it holds."""

    header_at: int
    """Where its local header begins in the zip file."""

    is_stored: bool
    """Whether its bytes lie in the zip file as they are."""

    is_encrypted: bool
    """Whether a password is needed."""

    def locate(self, descriptor: int) -> int:
        """Return where its bytes begin in the zip file.

        Parameters
        ----------
        descriptor
            The zip file, open.

        Returns
        -------
        offset : `int`

        Raises
        ------
        zipfile.BadZipFile
            Raised if there is no such header.
        """
        header = os.pread(descriptor, _LOCAL.size, self.header_at)
        if len(header) < _LOCAL.size or not header.startswith(_SIGNATURE):
            raise zipfile.BadZipFile(f"no header of {self.name!r}")
        _, name_bytes, extra_bytes = _LOCAL.unpack(header)
        offset: int = self.header_at + _LOCAL.size + name_bytes + extra_bytes
        return offset


def member_path(uri: ResourcePath) -> str | None:
    """Return which member of a zip file a URI names.

    Parameters
    ----------
    uri
        Any URI of a datastore.

    Returns
    -------
    name : `str` or `None`
        `None` if it is that of a file, whatever else its fragment says.
    """
    fragment: str = uri.unquoted_fragment
    return fragment.removeprefix(_MARK) if fragment.startswith(_MARK) else None


def inspect_member(uri: ResourcePath) -> tuple[FileState, int | None]:
    """Tell whether a member of a local zip file is there.

    Parameters
    ----------
    uri
        A URI with a ``zip-path``.

    Returns
    -------
    state : `FileState`
    size_bytes : `int` or `None`
        Its length, if it is known.
    """
    name = member_path(uri)
    try:
        member = find_member(uri.ospath, name or "")
    except (FileNotFoundError, NotADirectoryError):
        return FileState.MISSING, None
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return FileState.UNREADABLE, None
    if member is None:
        return FileState.MISSING, None
    if member.is_encrypted:
        return FileState.UNREADABLE, None
    return (FileState.MEMBER if member.size_bytes else FileState.EMPTY), member.size_bytes


def find_member(path: str, name: str) -> Member | None:
    """Look up a member of a local zip file.

    Parameters
    ----------
    path
        The zip file.
    name
        Name of the member.

    Returns
    -------
    member : `Member` or `None`
        `None` if there is none of that name.

    Raises
    ------
    OSError
        Raised if the file cannot be read.
    zipfile.BadZipFile
        Raised if it is no zip file.
    """
    found = os.stat(path)  # noqa: PTH116 (for thousands of members)
    return _read_members(path, found.st_size, found.st_mtime_ns).get(name)


# Zip files of thousands of members take some 20 ms to open.
@lru_cache(maxsize=32)
def _read_members(path: str, size_bytes: int, changed_ns: int) -> Mapping[str, Member]:
    del size_bytes, changed_ns
    with zipfile.ZipFile(path) as archive:
        return {
            info.filename: Member(
                info.filename,
                info.file_size,
                info.CRC,
                info.header_offset,
                is_stored=info.compress_type == zipfile.ZIP_STORED,
                is_encrypted=bool(info.flag_bits & _ENCRYPTED),
            )
            for info in archive.infolist()
            if not info.is_dir()
        }
