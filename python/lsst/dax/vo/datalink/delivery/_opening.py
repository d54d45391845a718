"""Open the file of a dataset: on a disk, in a zip file, in a store."""

from __future__ import annotations

__all__ = ["open_content"]

import os
import stat
import zipfile
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from typing import BinaryIO, cast

from lsst.resources import ResourcePath

from ...errors import AuthorizationError, NotFoundError, TransientError, UnsupportedError
from ...repo import Dataset, FileState, Places, find_member, member_path
from ._contents import Content, LocalContent, StreamContent
from ._plan import FileFacts
from ._web import open_web, translated


def open_content(dataset: Dataset, uri: ResourcePath, stack: ExitStack, places: Places) -> Content:
    """Open the file of a dataset.

    Parameters
    ----------
    dataset
        The dataset.
    uri
        Where its file is.
    stack
        Closes it.
    places
        Where files of its repository may be.

    Returns
    -------
    content : `Content`

    Raises
    ------
    NotFoundError
        Raised if there is no such file any more.
    AuthorizationError
        Raised if symbolic links lead out of the datastore.
    UnsupportedError
        Raised if it cannot be delivered.
    TransientError
        Raised if it cannot be read at present.
    """
    if not uri.isLocal:
        return _open_remote(dataset, uri, stack)
    what = f"The file of {dataset.dataset_type} {dataset.uuid}"
    try:
        # Unbuffered: chunks are large.  Its facts are those of the very file
        # that is open, even while another takes its name.  A pipe without a
        # writer would wait for one.
        descriptor = os.open(uri.ospath, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        stream = cast(BinaryIO, stack.enter_context(open(descriptor, "rb", buffering=0)))  # noqa: PTH123, SIM115
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnsupportedError(f"{what} is no file")
        # Of the file that is open: links may have changed since it was
        # looked at.
        if not places.holds(uri.ospath, descriptor):
            raise AuthorizationError(f"{what} is {FileState.OUTSIDE.value}")
        etag = f'"{found.st_size:x}-{found.st_mtime_ns:x}"'
        facts = FileFacts(dataset.file_name, found.st_size, dataset.media_type, etag, found.st_mtime)
        name = member_path(uri)
        return LocalContent(stream, facts) if name is None else _open_member(stream, name, uri, facts, stack)
    except FileNotFoundError as err:
        raise NotFoundError(f"{what} is gone") from err
    except zipfile.BadZipFile as err:
        raise UnsupportedError(f"{what} is inside a damaged zip file") from err
    except OSError as err:
        raise TransientError(f"{what} cannot be read now") from err


def _open_member(
    stream: BinaryIO, name: str, uri: ResourcePath, facts: FileFacts, stack: ExitStack
) -> Content:
    member = find_member(uri.ospath, name)
    if member is None or member.is_encrypted:
        raise FileNotFoundError(name)
    etag = f'{facts.etag[:-1]}-{member.checksum:x}"'
    facts = replace(facts, size_bytes=member.size_bytes, etag=etag)
    if member.is_stored:
        return LocalContent(stream, facts, member.locate(stream.fileno()))
    return StreamContent(_open_packed(stream, name, stack), facts)


def _open_packed(stream: BinaryIO, name: str, stack: ExitStack) -> BinaryIO:
    archive = stack.enter_context(zipfile.ZipFile(stream))
    return cast(BinaryIO, stack.enter_context(archive.open(name)))


def _open_remote(dataset: Dataset, uri: ResourcePath, stack: ExitStack) -> Content:
    what = f"The file of {dataset.dataset_type} {dataset.uuid}"
    name = member_path(uri)
    with translated(what):
        if uri.scheme in ("http", "https") and name is None:
            return open_web(uri, what, dataset)
        stream = cast(BinaryIO, stack.enter_context(uri.open("rb")))
        info = uri.get_info()
        changed_s = None if info.last_modified is None else info.last_modified.timestamp()
        known = f"{info.size} {changed_s} {sorted(info.checksums.items())} {uri.fragment} {dataset.uuid}"
        etag = f'"{sha256(known.encode()).hexdigest()[:32]}"'
        facts = FileFacts(dataset.file_name, info.size, dataset.media_type, etag, changed_s)
        if name is None:
            return StreamContent(stream, facts)
        archive = stack.enter_context(zipfile.ZipFile(stream))
        try:
            size_bytes = archive.getinfo(name).file_size
        except KeyError as err:
            raise FileNotFoundError(name) from err
        packed = cast(BinaryIO, stack.enter_context(archive.open(name)))
        return StreamContent(packed, replace(facts, size_bytes=size_bytes))
