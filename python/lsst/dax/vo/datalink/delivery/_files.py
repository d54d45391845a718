"""The files of datasets: the URLs that lead to them, and their delivery."""

from __future__ import annotations

__all__ = ["STABLE_PATH", "FileService", "stable_url"]

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Literal
from urllib.parse import quote
from uuid import UUID

from lsst.resources import ResourcePath

from ...dali import ParamSet, Response
from ...errors import NotFoundError
from ...repo import Dataset, Repositories, member_path
from ._answer import answer_content
from ._contents import LocalContent
from ._nginx import HandOver
from ._opening import open_content
from ._plan import safe_name
from ._signing import Signature, Signer
from ._stores import sign_at_once, sign_when_asked

STABLE_PATH = "/api/datalink/file"
"""Leads to a signed URL whenever it is visited; a path beside ``links``, so
that a proxy which asks for a login there asks for one here."""

_PATH = "/api/files"
# A store's URL works for everybody: where the one that led to it is for one
# user alone, it is followed at once or never.
_BOUND_S = 60


class FileService:
    """Gives datasets signed URLs, and answers those that lead here.

    Parameters
    ----------
    repositories
        The repositories that are served.
    signer
        Signs and verifies paths.
    urls
        Which URL is given: a signed one, or the stable one.
    from_stores
        Whether files are read from stores that sign URLs themselves.
    hand_over
        What nginx in front can send.
    """

    def __init__(
        self,
        repositories: Repositories,
        signer: Signer,
        *,
        urls: Literal["signed", "stable"] = "signed",
        from_stores: bool = True,
        hand_over: HandOver | None = None,
    ) -> None:
        self._repositories = repositories
        self._signer = signer
        self._urls = urls
        self._from_stores = from_stores
        self._hand_over = hand_over or HandOver({})

    def parts(self, dataset: Dataset) -> dict[str, Dataset]:
        """Return the files of a dataset that is stored in several.

        Parameters
        ----------
        dataset
            The dataset.

        Returns
        -------
        parts : `dict` [`str`, `Dataset`]
            By component; empty for a dataset in one file.
        """
        return self._repositories[dataset.label].parts(dataset) if dataset.parts else {}

    def access_url(
        self, dataset: Dataset, base_url: str, user: str | None = None, part: str | None = None
    ) -> str:
        """Return a URL from which a dataset can be read, as it is configured.

        Parameters
        ----------
        dataset
            The dataset.
        base_url
            URL under which clients reach this service, without ``/`` at its
            end.
        user
            Who asks; a signed URL then works for that user alone.
        part
            Which component ``dataset`` is, of one in several files.

        Returns
        -------
        url : `str`

        Raises
        ------
        NotFoundError
            Raised if the dataset has no file.
        AuthorizationError
            Raised if its file is not one of the datastore.
        UnsupportedError
            Raised if its file cannot be delivered.
        TransientError
            Raised if the object store does not answer.
        """
        if dataset.file_error is not None:
            raise dataset.file_error
        if self._urls == "stable":
            return self.stable_url(dataset, base_url, part)
        return self.signed_url(dataset, base_url, user, part)

    def signed_url(
        self, dataset: Dataset, base_url: str, user: str | None = None, part: str | None = None
    ) -> str:
        """Return a URL from which a dataset can be read for a while.

        Parameters
        ----------
        dataset
            The dataset.
        base_url
            URL under which clients reach this service.
        user
            For whom alone the URL works; `None` for everybody.
        part
            Which component ``dataset`` is, of one in several files.

        Returns
        -------
        url : `str`
            One of this service, or one that the object store signs.

        Raises
        ------
        TransientError
            Raised if the object store does not answer.
        """
        if user is None and self._from_stores and dataset.uri is not None and not dataset.uri.isLocal:
            url = sign_at_once(dataset.uri, self._signer.lifetime_s)
            if url is not None:
                return url
        return base_url + self._signer.sign(_path_of(dataset, part), user)

    def stable_url(self, dataset: Dataset, base_url: str, part: str | None = None) -> str:
        """Return the URL that leads to the file of a dataset as long as it is there.

        Parameters
        ----------
        dataset
            The dataset.
        base_url
            URL under which clients reach this service.
        part
            Which component it is, of one in several files.

        Returns
        -------
        url : `str`
        """
        url = stable_url(dataset, base_url)
        return url if part is None else f"{url}&PART={quote(part, safe='')}"

    def redirect(
        self, params: ParamSet, base_url: str, *, user: str | None = None, method: str = "GET"
    ) -> Response:
        """Answer the stable URL of a file: lead to one that is signed now.

        Parameters
        ----------
        params
            ``ID``, in any form, and perhaps ``PART``, a component.
        base_url
            URL under which clients reach this service.
        user
            Who asks.
        method
            ``GET`` or ``HEAD``.

        Returns
        -------
        response : `Response`

        Raises
        ------
        UsageError
            Raised if there is no ID, or it is none.
        NotFoundError
            Raised if there is no such dataset, or it has no file.
        AuthorizationError
            Raised if its file is not one of the datastore.
        UnsupportedError
            Raised if its file cannot be delivered.
        TransientError
            Raised if the registry or the store does not answer.
        """
        dataset, part = self._repositories.get_dataset(params.required("ID")), params.single("PART")
        if part is not None:
            parts = self.parts(dataset)
            if part not in parts:
                raise NotFoundError(f"PART={part[:100]!r}: the dataset has no such file of its own")
            dataset = parts[part]
        if dataset.file_error is not None:
            raise dataset.file_error
        url = None
        if user is None and method == "GET":
            url = self._store_url(dataset.require_file(or_member=True), self._signer.lifetime_s)
        if url is None:
            url = base_url + self._signer.sign(_path_of(dataset, part), user)
        return _lead_to(url)

    def deliver(
        self,
        label: str,
        dataset_id: str,
        name: str,
        params: ParamSet,
        *,
        base_url: str = "",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        user: str | None = None,
        is_behind_proxy: bool = False,
    ) -> Response:
        """Answer a request for a file.

        Parameters
        ----------
        label, dataset_id, name
            Parts of the path, decoded.  They name a dataset, never a path
            of this machine.
        params
            ``EXPIRES``, ``KEY``, ``SIGNATURE`` and perhaps ``BOUND``.
        base_url
            URL under which clients reach this service.
        method
            ``GET`` or ``HEAD``.
        headers
            Headers of the request.
        user
            Who asks; `None` if nobody is logged in.
        is_behind_proxy
            Whether a trusted proxy sent the request.

        Returns
        -------
        response : `Response`

        Raises
        ------
        AuthenticationError
            Raised if the URL has no signature, or is for a user and nobody is
            logged in.
        AuthorizationError
            Raised if its signature is not valid, or not any more.
        NotFoundError
            Raised if there is no such file, or not any more.
        UnsupportedError
            Raised if the file is empty, or a Git LFS pointer.
        TransientError
            Raised if the registry or the store does not answer.
        """
        given = Signature.from_params(params)
        stable = _stable_url(label, dataset_id, base_url)
        left_s = self._signer.verify(
            _path(label, dataset_id, name), given, user, renewal=f"get a new one from {stable}"
        )
        # What was signed here is well-formed, but for repositories and
        # datasets that have gone since.
        dataset = self._repositories.get_by_id(label, UUID(dataset_id))
        for part, item in self.parts(dataset).items():
            if _name_of(item, part) == name:
                dataset = item
        uri = dataset.require_file(or_member=True)
        # A store's URL is for GET alone.
        if method == "GET":
            url = self._store_url(uri, left_s if given.bound is None else min(left_s, _BOUND_S))
            if url is not None:
                return _lead_to(url)
        with ExitStack() as stack:
            content = open_content(dataset, uri, stack, self._repositories[label].places)
            link = {"Link": f'<{stable}>; rel="bookmark"'}
            if is_behind_proxy and isinstance(content, LocalContent) and member_path(uri) is None:
                response = self._hand_over.answer(uri.ospath, content.facts, left_s)
                if response is not None:
                    return response
            return answer_content(content, stack, method=method, headers=headers, left_s=left_s, further=link)

    def _store_url(self, uri: ResourcePath, lifetime_s: int) -> str | None:
        if uri.isLocal or not self._from_stores:
            return None
        return sign_when_asked(uri, max(1, lifetime_s))


def stable_url(dataset: Dataset, base_url: str) -> str:
    """Return the URL that leads to the file of a dataset as long as it is there.

    Parameters
    ----------
    dataset
        The dataset.
    base_url
        URL under which clients reach this service.

    Returns
    -------
    url : `str`
    """
    return _stable_url(dataset.label, str(dataset.uuid), base_url)


def _stable_url(label: str, dataset_id: str, base_url: str) -> str:
    identifier = f"butler://{quote(label, safe='')}/{quote(dataset_id, safe='')}"
    return f"{base_url}{STABLE_PATH}?ID={quote(identifier, safe=':/')}"


def _lead_to(url: str) -> Response:
    # cfitsio follows 301 and 302, and no other; 301 would be kept (RFC 9110,
    # 15.4.2).  What 302 leaves open is the matter of POST alone.
    headers = {"Location": url, "Cache-Control": "no-store"}
    return Response(302, "text/plain; charset=utf-8", b"The file is at the Location\n", headers)


def _path_of(dataset: Dataset, part: str | None) -> str:
    return _path(dataset.label, str(dataset.uuid), _name_of(dataset, part))


def _name_of(dataset: Dataset, part: str | None) -> str:
    # The name of a part tells which one is meant.
    return safe_name(dataset.file_name if part is None else f"{part}-{dataset.file_name}")


def _path(label: str, dataset_id: str, name: str) -> str:
    return "/".join([_PATH, *(quote(part, safe="") for part in (label, dataset_id, name))])
