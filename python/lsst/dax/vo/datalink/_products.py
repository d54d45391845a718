"""What is made of images when somebody asks: pictures, PSFs, legends, metadata.

Their URLs are signed as those of files are.  They are made by the processes
that cut, kept where cutouts are, and the same bytes each time.
"""

from __future__ import annotations

__all__ = ["PRODUCTS_PATH", "STABLE_PRODUCT_PATH", "ProductService"]

import datetime as dt
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from uuid import UUID

from ..dali import Hangup, ParamSet, Response
from ..errors import NotFoundError, UsageError, VoError, quoted
from ..repo import Dataset, Repositories, describe_dimensions
from ..soda import (
    Cutout,
    CutoutRunner,
    CutoutWork,
    Delivery,
    Derived,
    Facts,
    ImageFile,
    Product,
    Provenance,
    SpooledCutout,
    parse_facts,
)
from ._looks import Looks
from .delivery import (
    FileFacts,
    LocalContent,
    Signature,
    Signer,
    StreamContent,
    answer_content,
    plan_delivery,
    safe_name,
    stable_url,
)

PRODUCTS_PATH = "/api/products"
"""Where they are delivered: below it label, dataset id and name."""

STABLE_PRODUCT_PATH = "/api/datalink/product"
"""Leads to a signed URL whenever it is visited, as that of files does."""

_FITS = "application/fits"
# Images that are not of the sky, or no pictures: their own libraries know them.
_NO_PICTURES = frozenset({"ExtendedPsfImage", "SpectractorImage"})
_NAMES = {one.value: one for one in Derived if one is not Derived.FACTS}


class ProductService:
    """Tells what can be made of datasets, and makes it.

    Parameters
    ----------
    repositories
        The repositories that are served.
    signer
        Signs and verifies paths.
    runner
        Makes it.
    version
        Version of the software.
    clock
        Seconds since 1970, UTC.
    """

    def __init__(
        self,
        repositories: Repositories,
        signer: Signer,
        runner: CutoutRunner,
        *,
        version: str,
        clock: Callable[[], float],
    ) -> None:
        self._repositories = repositories
        self._signer = signer
        self._runner = runner
        self._version = version
        self._clock = clock
        self._end = Hangup()
        self._looks = Looks(self._look)

    def find(self, datasets: Sequence[Dataset]) -> Mapping[UUID, Facts]:
        """Tell what can be made of datasets.

        Parameters
        ----------
        datasets
            Any datasets.

        Returns
        -------
        facts : `~collections.abc.Mapping` [`uuid.UUID`, `Facts`]
            Of those that are images that can be read.
        """
        return self._looks.find([dataset for dataset in datasets if _may_be_read(dataset)])

    def url(self, dataset: Dataset, derived: Derived, base_url: str, user: str | None = None) -> str:
        """Return a URL from which a product can be read for a while.

        Parameters
        ----------
        dataset
            The dataset.
        derived
            What is made of it.
        base_url
            URL under which clients reach this service.
        user
            For whom alone the URL works; `None` for everybody.

        Returns
        -------
        url : `str`
        """
        # As `_path` has it: ids and names need no encoding.
        path = f"{PRODUCTS_PATH}/{quote(dataset.label, safe='')}/{dataset.uuid}/{derived.value}"
        return base_url + self._signer.sign(path, user)

    def stable_url(self, dataset: Dataset, derived: Derived, base_url: str) -> str:
        """Return the URL that leads to a product as long as its dataset is there.

        Parameters
        ----------
        dataset
            The dataset.
        derived
            What is made of it.
        base_url
            URL under which clients reach this service.

        Returns
        -------
        url : `str`
        """
        identifier = quote(dataset.butler_uri, safe=":/")
        return f"{base_url}{STABLE_PRODUCT_PATH}?ID={identifier}&NAME={derived.value}"

    def redirect(self, params: ParamSet, base_url: str, *, user: str | None = None) -> Response:
        """Answer the stable URL of a product: lead to one that is signed now.

        Parameters
        ----------
        params
            ``ID``, in any form, and ``NAME``, such as ``preview.png``.
        base_url
            URL under which clients reach this service.
        user
            Who asks.

        Returns
        -------
        response : `Response`

        Raises
        ------
        UsageError
            Raised if there is no ID or NAME, or it is none.
        NotFoundError
            Raised if there is no such dataset, or it has no file.
        UnsupportedError
            Raised if its file cannot be read.
        TransientError
            Raised if the registry or the store does not answer.
        """
        name = params.single("NAME") or ""
        derived = _NAMES.get(name)
        if derived is None:
            raise UsageError(
                f"NAME={quoted(name)} is not accepted; give one of {', '.join(_NAMES)}",
                parameter="NAME",
                value=name,
            )
        dataset = self._repositories.get_dataset(params.required("ID"))
        if dataset.file_error is not None:
            raise dataset.file_error
        # cfitsio follows 301 and 302 alone; both leave GET and HEAD what they are.
        headers = {"Location": self.url(dataset, derived, base_url, user), "Cache-Control": "no-store"}
        return Response(302, "text/plain; charset=utf-8", b"It is at the Location\n", headers)

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
    ) -> Response:
        """Answer a request for a product.

        Parameters
        ----------
        label, dataset_id, name
            Parts of the path, decoded.
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

        Returns
        -------
        response : `Response`
            With the status 304 if the client has it; that is known without
            making it.

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
            Raised if it cannot be made.
        TransientError
            Raised if the registry or the store does not answer, or all
            processes are busy.
        """
        left_s = self._signer.verify(_path(label, dataset_id, name), Signature.from_params(params), user)
        derived = _NAMES.get(name)
        if derived is None:
            raise NotFoundError(f"{name[:100]!r} is not made of images any more")
        dataset = self._repositories.get_by_id(label, UUID(dataset_id))
        etag = _etag(self._version, derived.value, dataset_id)
        facts = FileFacts(_file_name(dataset, derived), 0, derived.media_type, etag)
        given = dict(headers or {})
        # What the registry says may change, and is a part of the metadata.
        if derived is not Derived.METADATA:
            plan = plan_delivery(method, given, facts)
            if plan.status == 304:
                kept = {**plan.headers, "Cache-Control": f"private, max-age={left_s}"}
                return Response(304, "", b"", kept)
        with ExitStack() as stack:
            made = self._make(dataset, derived, params.hangup)
            if derived is Derived.METADATA:
                made = self._with_registry(dataset, made, stable_url(dataset, base_url))
                facts = replace(facts, etag=_etag(made.content.decode()))
            stack.callback(made.close)
            facts = replace(facts, size_bytes=made.size)
            content: LocalContent | StreamContent
            if isinstance(made, SpooledCutout):
                content = LocalContent(made.stream, facts)
            else:
                content = StreamContent(io.BytesIO(made.content), facts)
            response = answer_content(content, stack, method=method, headers=given, left_s=left_s)
        if "Content-Disposition" not in response.headers:
            return response
        # To be looked at; only its name is told for those who save it.
        shown = f'inline; filename="{facts.name}"'
        return replace(response, headers={**response.headers, "Content-Disposition": shown})

    def close(self) -> None:
        """Look at nothing any more."""
        self._end.happen()
        self._looks.close()

    def _look(self, dataset: Dataset) -> Facts:
        made = self._make(dataset, Derived.FACTS, self._end)
        return parse_facts(b"".join(made.chunks()))

    def _make(self, dataset: Dataset, derived: Derived, hangup: Hangup) -> Delivery:
        work = self._work(dataset, derived)
        (outcome,) = self._runner.run(work, hangup)
        if isinstance(outcome, VoError):
            raise outcome
        if outcome is None:
            raise NotFoundError(f"Nothing is left of {dataset.dataset_type} {dataset.uuid}")
        return outcome

    def _work(self, dataset: Dataset, derived: Derived) -> CutoutWork:
        provenance = Provenance(
            dt.datetime.fromtimestamp(self._clock(), dt.UTC),
            self._version,
            dataset.uuid,
            dataset.dataset_type,
            dataset.data_id,
        )
        uri = dataset.require_file()
        # What can be made depends on what is installed: that is not kept.
        key = None if derived is Derived.FACTS else str(dataset.uuid)
        file = ImageFile(str(uri), key, provenance, is_raw=dataset.is_raw)
        return CutoutWork((file,), (Product("", None),), media_type=derived.media_type, derived=derived)

    def _with_registry(self, dataset: Dataset, made: Delivery, url: str) -> Cutout:
        """Put what the registry knows before what the file says."""
        repository = self._repositories[dataset.label]
        told: dict[str, Any] = {
            "dataset": {
                "id": str(dataset.uuid),
                "repository": dataset.label,
                "type": dataset.dataset_type,
                "storage_class": dataset.storage_class,
                "run": dataset.run,
                "data_id": dict(dataset.data_id),
                "url": url,
            },
            "dimensions": describe_dimensions(repository, dataset.uuid),
        }
        told |= json.loads(b"".join(made.chunks()))
        text = json.dumps(_finite(told), ensure_ascii=False, allow_nan=False, default=str)
        return Cutout((text.encode(),), made.media_type, made.filename, made.box, made.detail)


def _may_be_read(dataset: Dataset) -> bool:
    return (
        dataset.is_image
        and dataset.storage_class not in _NO_PICTURES
        and dataset.media_type == _FITS
        and dataset.file_error is None
    )


def _finite(value: Any) -> Any:
    match value:
        case float() if value != value or value in (float("inf"), float("-inf")):
            return None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


def _file_name(dataset: Dataset, derived: Derived) -> str:
    stem = dataset.file_name.partition(".fit")[0] or dataset.dataset_type
    return safe_name(f"{stem}_{derived.value}")


def _etag(*parts: str) -> str:
    return f'"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"'


def _path(label: str, dataset_id: str, name: str) -> str:
    return "/".join([PRODUCTS_PATH, *(quote(part, safe="") for part in (label, dataset_id, name))])
