"""Files of a repository that a Butler server gives access to.

Its client has no datastore.  What it knows of many files at once is what is
needed to transfer them; a URL from which one can be read takes a request for
each, and ends after an hour.
"""

from __future__ import annotations

__all__ = [
    "RemoteFile",
    "close_connections",
    "find_signed_uri",
    "has_datastore",
    "remote_files",
    "server_errors",
]

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from lsst.daf.butler import Butler, DatasetNotFoundError, DatasetRef, LimitedButler
from lsst.resources import ResourcePath

from ..errors import NotFoundError


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a dataset, wherever the server has it."""

    name: str
    """Its name."""

    size_bytes: int | None
    """Its size, as recorded; `None` when it was not."""

    is_part: bool
    """Whether the dataset has further files."""


def has_datastore(butler: LimitedButler) -> bool:
    """Tell whether a Butler reads files itself, without a Butler server.

    Parameters
    ----------
    butler
        Any Butler.

    Returns
    -------
    has_datastore : `bool`
    """
    return hasattr(butler, "_datastore")


def close_connections(butler: Butler) -> None:
    """Close the connections to a Butler server, of a Butler and of all its clones.

    Parameters
    ----------
    butler
        Any Butler; of one that asks no server, nothing is closed.
    """
    # `RemoteButler.close` does nothing (daf_butler 30), and its sockets stay
    # open until they are collected.
    connection = getattr(butler, "_connection", None)
    if connection is not None and not has_datastore(butler):
        connection._client.close()


def remote_files(butler: LimitedButler, uuids: Iterable[UUID]) -> dict[UUID, RemoteFile]:
    """Look up many files with one request for thousands.

    Parameters
    ----------
    butler
        Client of a Butler server.
    uuids
        Dataset ids.

    Returns
    -------
    files : `dict` [`uuid.UUID`, `RemoteFile`]
        Of each dataset that has a file; the first of several.
    """
    # There is no public call for the files of many datasets (daf_butler 30):
    # get_many_uris is not implemented for a server.
    found = butler._file_transfer_source.get_file_info_for_transfer(uuids)
    files = {}
    for uuid, records in found.items():
        if records:
            info = records[0].file_info
            size = info.file_size if info.file_size >= 0 else None
            is_part = len(records) > 1 or info.component is not None
            files[uuid] = RemoteFile(PurePosixPath(str(info.path)).name, size, is_part)
    return files


def find_signed_uri(butler: Butler, ref: DatasetRef) -> ResourcePath:
    """Ask the server for a URL from which a file can be read for a while.

    Parameters
    ----------
    butler
        Client of a Butler server.
    ref
        The dataset.

    Returns
    -------
    uri : `lsst.resources.ResourcePath`

    Raises
    ------
    NotFoundError
        Raised if the dataset has no file any more.
    """
    try:
        return butler.getURI(ref)
    except (DatasetNotFoundError, FileNotFoundError) as err:
        raise NotFoundError(f"The file of {ref.datasetType.name} {ref.id} is not in the datastore") from err


def server_errors() -> tuple[type[Exception], ...]:
    """Return what the client of a Butler server raises when there is no answer.

    Returns
    -------
    errors : `tuple` [`type`, ...]
        Empty where its libraries are not installed.
    """
    try:
        import httpx2
        from lsst.daf.butler.remote_butler import ButlerServerError  # type: ignore[attr-defined]
    except ImportError:
        return ()
    return ButlerServerError, httpx2.HTTPError
