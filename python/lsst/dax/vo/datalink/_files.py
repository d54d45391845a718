"""The files of datasets: the URLs that lead to them, and their delivery."""

from __future__ import annotations

__all__ = ["DirectFiles", "FileService", "answer_file"]

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import BinaryIO, cast
from urllib.parse import quote
from uuid import UUID

from ..dali import ParamSet, Response
from ..errors import NotFoundError, TransientError, UnsupportedError
from ..repo import Dataset, Repositories
from ._delivery import ByteRange, FileFacts, plan_delivery, safe_name
from ._signing import Signer

_PATH = "/api/files"
_CHUNK_BYTES = 2**20


class DirectFiles:
    """Gives datasets the URIs of the datastore itself, for a caller beside it."""

    def access_url(self, dataset: Dataset, base_url: str) -> str:
        """Return where the file of a dataset is.

        Parameters
        ----------
        dataset
            The dataset.
        base_url
            Of no use here.

        Returns
        -------
        url : `str`
            A ``file`` URL, or that of the object store.

        Raises
        ------
        NotFoundError
            Raised if the dataset has no file.
        UnsupportedError
            Raised if its file cannot be delivered.
        TransientError
            Raised if it cannot be read at present.
        """
        del base_url
        return dataset.require_file().geturl()


class FileService:
    """Gives datasets signed URLs, and answers those that lead here.

    Parameters
    ----------
    repositories
        The repositories that are served.
    signer
        Signs and verifies paths.
    """

    def __init__(self, repositories: Repositories, signer: Signer) -> None:
        self._repositories = repositories
        self._signer = signer

    def access_url(self, dataset: Dataset, base_url: str) -> str:
        """Return a URL from which anybody can read a dataset for a while.

        Parameters
        ----------
        dataset
            The dataset.
        base_url
            URL under which clients reach this service, without ``/`` at its
            end.

        Returns
        -------
        url : `str`
            One of this service for a file on its own machine, otherwise one
            that the object store signs.

        Raises
        ------
        NotFoundError
            Raised if the dataset has no file.
        UnsupportedError
            Raised if its file cannot be delivered.
        TransientError
            Raised if the object store does not answer.
        """
        uri = dataset.require_file()
        if uri.isLocal:
            path = _path(dataset.label, str(dataset.uuid), safe_name(uri.basename()))
            return base_url + self._signer.sign(path)
        if uri.scheme in ("http", "https") and uri.query:
            # A Butler server hands out URLs that are signed already.
            return uri.geturl()
        try:
            return str(uri.generate_presigned_get_url(expiration_time_seconds=self._signer.lifetime_s))
        except NotImplementedError as err:
            raise UnsupportedError(
                f"The file of {dataset.dataset_type} {dataset.uuid} is in a store of the kind "
                f"{uri.scheme!r}, from which nothing can be delivered"
            ) from err
        except OSError as err:
            raise TransientError(f"The store of {dataset.label!r} does not answer; try again") from err

    def deliver(
        self,
        label: str,
        dataset_id: str,
        name: str,
        params: ParamSet,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Answer a request for a file.

        Parameters
        ----------
        label, dataset_id, name
            Parts of the path, decoded.  They name a dataset, never a path
            of this machine.
        params
            ``EXPIRES``, ``KEY`` and ``SIGNATURE``.
        method
            ``GET`` or ``HEAD``.
        headers
            Headers of the request.

        Returns
        -------
        response : `Response`

        Raises
        ------
        AuthenticationError
            Raised if the URL has no signature.
        AuthorizationError
            Raised if its signature is not valid, or not any more.
        NotFoundError
            Raised if there is no such file, or not any more.
        UnsupportedError
            Raised if the file is empty, or a Git LFS pointer.
        TransientError
            Raised if the registry or the store does not answer.
        """
        left_s = self._signer.verify(
            _path(label, dataset_id, name),
            expires=params.single("EXPIRES"),
            key_id=params.single("KEY"),
            signature=params.single("SIGNATURE"),
        )
        # What was signed here is well-formed, but for repositories and
        # datasets that have gone since.
        if label not in self._repositories:
            raise NotFoundError(f"The repository {label!r} is not served here any more")
        uuid = UUID(dataset_id)
        dataset = self._repositories[label].datasets([uuid]).get(uuid)
        if dataset is None:
            raise NotFoundError(f"The repository {label!r} has no dataset {uuid} any more")
        with ExitStack() as stack:
            stream, facts = _open(dataset, stack)
            return answer_file(stream, facts, stack, method=method, headers=headers, left_s=left_s)


def answer_file(
    stream: BinaryIO,
    facts: FileFacts,
    stack: ExitStack,
    *,
    method: str,
    headers: Mapping[str, str] | None,
    left_s: int,
) -> Response:
    """Answer a request for a file that is open.

    Parameters
    ----------
    stream
        The file.
    facts
        What is known of it.
    stack
        Closes it; taken over by the answer if that is still to be read.
    method
        ``GET`` or ``HEAD``.
    headers
        Headers of the request.
    left_s
        Seconds for which its URL still works.

    Returns
    -------
    response : `Response`
    """
    plan = plan_delivery(method, headers or {}, facts)
    answer = {**plan.headers, "Cache-Control": f"private, max-age={left_s}"}
    if not any(isinstance(section, ByteRange) for section in plan.sections):
        body = b"".join(section for section in plan.sections if isinstance(section, bytes))
        return Response(plan.status, plan.media_type, body, answer)
    return Response(plan.status, plan.media_type, _Sections(stream, plan.sections, stack.pop_all()), answer)


class _Sections(Iterator[bytes]):
    """Sections of an open file, in chunks; closes the file at the end."""

    def __init__(self, stream: BinaryIO, sections: tuple[bytes | ByteRange, ...], stack: ExitStack) -> None:
        self._stack = stack
        self._chunks = _read_sections(stream, sections)

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; also called when a client has gone away."""
        self._stack.close()

    def __del__(self) -> None:
        self.close()


def _read_sections(stream: BinaryIO, sections: tuple[bytes | ByteRange, ...]) -> Iterator[bytes]:
    for section in sections:
        if isinstance(section, bytes):
            yield section
            continue
        stream.seek(section.start)
        left = section.stop - section.start
        while left:
            chunk = stream.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise TransientError("The file became shorter while it was sent")
            left -= len(chunk)
            yield chunk


def _open(dataset: Dataset, stack: ExitStack) -> tuple[BinaryIO, FileFacts]:
    uri = dataset.require_file()
    if not uri.isLocal:
        raise NotFoundError(
            f"The file of {dataset.dataset_type} {dataset.uuid} is not delivered here any more"
        )
    try:
        # Unbuffered: chunks are large.  Its facts are those of the very file
        # that is open, even while another takes its name.
        stream = cast(BinaryIO, stack.enter_context(open(uri.ospath, "rb", buffering=0)))  # noqa: PTH123, SIM115
    except FileNotFoundError as err:
        raise NotFoundError(f"The file of {dataset.dataset_type} {dataset.uuid} is gone") from err
    except OSError as err:
        raise TransientError(f"The file of {dataset.dataset_type} {dataset.uuid} cannot be read now") from err
    found = os.fstat(stream.fileno())
    etag = f'"{found.st_size:x}-{found.st_mtime_ns:x}"'
    return stream, FileFacts(uri.basename(), found.st_size, dataset.media_type, etag, found.st_mtime)


def _path(label: str, dataset_id: str, name: str) -> str:
    return "/".join([_PATH, *(quote(part, safe="") for part in (label, dataset_id, name))])
