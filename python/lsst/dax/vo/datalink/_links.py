"""``{links}``: what a dataset's identifier leads to."""

from __future__ import annotations

__all__ = ["DATALINK_MEDIA_TYPE", "LinksService"]

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dali import (
    VOTABLE_MEDIA_TYPE,
    XML_MEDIA_TYPE,
    Capability,
    Column,
    DataOrigin,
    Info,
    ParamSet,
    Response,
    ResultTable,
    ServiceDescriptor,
    arrow_type,
    fault_of,
    message_of,
    vosi_capabilities,
    votable_error,
    write_capabilities,
    write_votable,
)
from ..errors import TransientError, UsageError, VoError
from ..repo import Dataset, Repositories
from ..soda import Extent
from ._descriptors import CUTOUTS, CutoutKind, cutout_descriptors, kinds_of, links_descriptor
from ._files import DirectFiles, FileService

if TYPE_CHECKING:
    from lsst.sphgeom import Region

DATALINK_MEDIA_TYPE = f"{VOTABLE_MEDIA_TYPE};content=datalink"
"""Media type of a links document, in the spelling that clients compare."""

_STANDARD_ID = "ivo://ivoa.net/std/DataLink#links-1.1"
_IMAGE = "#image"
_NOBODY = DataOrigin()


def _text(name: str, ucd: str | None, description: str, xml_id: str | None = None) -> Column:
    return Column(name, "char", description, arraysize="*", ucd=ucd, xml_id=xml_id)


# DataLink 1.1, 3.2: names, types, UCDs and the unit are mandatory.
_COLUMNS = (
    _text("ID", "meta.id;meta.main", "Identifier of the dataset, as it was asked for", xml_id="ID"),
    _text("access_url", "meta.ref.url", "URL from which the link can be read"),
    _text("service_def", "meta.ref", "XML ID of the description of a service that can be called"),
    _text("error_message", "meta.code.error", "Why there is no link"),
    _text("description", "meta.note", "What the link leads to, for people"),
    _text("semantics", "meta.code", "What the link is to the dataset"),
    _text("content_type", "meta.code.mime", "Media type of what the link delivers"),
    Column(
        "content_length", "long", "Size of what the link delivers", unit="byte", ucd="phys.size;meta.file"
    ),
    _text("content_qualifier", None, "Kind of product that the link delivers"),
    _text("local_semantics", "meta.id.assoc", "The same text for the same kind of link of each dataset"),
    _text("link_auth", "meta.code", "Whether the link needs authentication"),
    Column("link_authorized", "boolean", "Whether the caller may use the link", ucd="meta.code"),
)


@dataclass(frozen=True, slots=True)
class _Link:
    """One row; the fields are the columns, in their order."""

    id: str
    access_url: str | None
    service_def: str | None
    error_message: str | None
    description: str | None
    semantics: str
    content_type: str | None = None
    content_length: int | None = None
    content_qualifier: str | None = None
    local_semantics: str | None = None
    link_auth: str | None = None
    link_authorized: bool | None = None

    def cells(self) -> tuple[str | int | bool | None, ...]:
        return tuple(getattr(self, name) for name in _Link.__dataclass_fields__)


class LinksService:
    """Answers DataLink's ``{links}``.

    Parameters
    ----------
    repositories
        The repositories that are served.
    files
        Gives the URLs of files: signed ones, or those of the datastore.
    max_ids
        Identifiers that one request may have answered.
    find_extents
        From datasets to their wavelengths, times and polarization, by
        dataset id.
    origin
        Who answers.
    clock
        Seconds since 1970, UTC.
    """

    def __init__(
        self,
        repositories: Repositories,
        files: FileService | DirectFiles,
        *,
        max_ids: int = 5000,
        find_extents: Callable[[Sequence[Dataset]], Mapping[str, Extent]] = lambda _datasets: {},
        origin: DataOrigin = _NOBODY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repositories = repositories
        self._files = files
        self._max_ids = max_ids
        self._find_extents = find_extents
        self._origin = origin
        self._clock = clock

    def links(self, params: ParamSet, base_url: str) -> Response:
        """Answer a request for links.

        Parameters
        ----------
        params
            ``ID``, any number of times, and ``RESPONSEFORMAT``; others are
            ignored.
        base_url
            URL under which clients reach this service, without ``/`` at its
            end.

        Returns
        -------
        response : `Response`
            A links document, in which an identifier that leads nowhere is a
            row that says why; an error document if the request itself
            cannot be answered.

        References
        ----------
        DataLink 1.1, 2.1, 3.
        """
        try:
            media_type = _response_type(params)
        except UsageError as err:
            fault = fault_of(err)
            document = votable_error(f"{fault.datalink}: {message_of(err)}")
            return Response(fault.http_status, VOTABLE_MEDIA_TYPE, document)
        # Links are signed for a time: what a cache keeps would end in it.
        headers = {"Cache-Control": "no-store"}
        return Response(200, media_type, b"".join(self._document(params, base_url)), headers)

    def capabilities(self, base_url: str) -> Response:
        """Answer ``/capabilities``.

        Parameters
        ----------
        base_url
            URL under which clients reach the services.

        Returns
        -------
        response : `Response`
        """
        url = f"{base_url}/api/datalink"
        entries = (Capability(_STANDARD_ID, f"{url}/links", version="1.1"), *vosi_capabilities(url))
        return Response(200, XML_MEDIA_TYPE, write_capabilities(entries))

    def _document(self, params: ParamSet, base_url: str) -> list[bytes]:
        asked = list(dict.fromkeys(params.values("ID")))
        ids = asked[: self._max_ids]
        found = self._repositories.find(ids)
        rows: list[_Link] = []
        used: set[CutoutKind] = set()
        for text, dataset in zip(ids, found, strict=True):
            links, kinds = self._links_of(text, dataset, base_url)
            rows += links
            used.update(kinds)
        table = _to_table(rows, overflow=len(asked) > len(ids))
        descriptors = self._descriptors(ids, found, used, base_url)
        return list(
            write_votable(
                table,
                infos=[
                    Info("standardID", _STANDARD_ID),
                    *self._origin.to_infos(
                        service_protocol=_STANDARD_ID,
                        time_s=self._clock(),
                        request=(
                            f"{base_url}/api/datalink/links",
                            [pair for pair in params.pairs if pair[0] in ("ID", "RESPONSEFORMAT")],
                        ),
                        labels={item.label for item in found if isinstance(item, Dataset)},
                    ),
                ],
                descriptors=descriptors,
                description="Links of datasets",
            )
        )

    def _links_of(
        self, text: str, dataset: Dataset | VoError, base_url: str
    ) -> tuple[list[_Link], tuple[CutoutKind, ...]]:
        if isinstance(dataset, VoError):
            return [_error_link(text, dataset)], ()
        try:
            access_url = self._files.access_url(dataset, base_url)
        except VoError as err:
            return [_error_link(text, err)], ()
        qualifier = _IMAGE if dataset.is_image else None
        this = _Link(
            id=text,
            access_url=access_url,
            service_def=None,
            error_message=None,
            description=_describe(dataset),
            semantics="#this",
            content_type=dataset.media_type,
            content_length=dataset.size_bytes,
            content_qualifier=qualifier,
            local_semantics=dataset.dataset_type,
            # The signature in the URL is all that is needed.
            link_auth="false",
            link_authorized=True,
        )
        kinds = kinds_of(dataset)
        cutouts = [
            _Link(
                id=text,
                access_url=None,
                service_def=kind.xml_id,
                error_message=None,
                description=kind.description,
                semantics=kind.semantics,
                content_type="application/fits",
                content_qualifier=_IMAGE,
                local_semantics=kind.xml_id,
                link_auth="false",
                link_authorized=True,
            )
            for kind in kinds
        ]
        return [this, *cutouts], kinds

    def _descriptors(
        self,
        ids: Sequence[str],
        found: Sequence[Dataset | VoError],
        used: set[CutoutKind],
        base_url: str,
    ) -> tuple[ServiceDescriptor, ...]:
        if not ids:
            return (links_descriptor(f"{base_url}/api/datalink/links"),)
        kinds = [kind for kind in CUTOUTS if kind in used]
        if len(ids) == 1 and isinstance(found[0], Dataset) and kinds:
            dataset = found[0]
            return cutout_descriptors(
                base_url,
                kinds,
                fixed_id=ids[0],
                region=self._region(dataset),
                extent=self._extent(dataset),
            )
        return cutout_descriptors(base_url, kinds)

    def _extent(self, dataset: Dataset) -> Extent | None:
        try:
            return self._find_extents([dataset]).get(str(dataset.uuid))
        except TransientError:
            return None

    def _region(self, dataset: Dataset) -> Region | None:
        try:
            return self._repositories[dataset.label].region(dataset.uuid)
        except TransientError:
            # Limits are hints; the links are good without them.
            return None


def _response_type(params: ParamSet) -> str:
    wanted = params.single("RESPONSEFORMAT")
    if wanted is None or not wanted.strip():
        return DATALINK_MEDIA_TYPE
    # The rows are TABLEDATA whatever a parameter of the type says
    # (DataLink 1.1, 3); a "+" that was not encoded arrives as a space.
    match wanted.partition(";")[0].strip().lower().replace(" ", "+"):
        case "votable" | "application/x-votable+xml":
            return DATALINK_MEDIA_TYPE
        case "text/xml":
            # DALI 1.1, 3.4.3: a type that is asked for is the type answered.
            return "text/xml"
    raise UsageError(
        f"RESPONSEFORMAT={wanted[:200]!r} is not accepted; give votable or {VOTABLE_MEDIA_TYPE}",
        parameter="RESPONSEFORMAT",
        value=wanted,
    )


def _error_link(text: str, error: VoError) -> _Link:
    return _Link(
        id=text,
        access_url=None,
        service_def=None,
        error_message=f"{fault_of(error).datalink}: {message_of(error)}",
        description=None,
        semantics="#this",
    )


def _describe(dataset: Dataset) -> str:
    values = ", ".join(f"{name} {value}" for name, value in dataset.data_id.items())
    return f"{dataset.dataset_type}: {values}" if values else dataset.dataset_type


def _to_table(rows: Sequence[_Link], *, overflow: bool) -> ResultTable:
    schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in _COLUMNS])
    # A row beyond the limit is what marks an overflow.
    sent = [*rows, rows[-1]] if overflow else rows
    cells = zip(*(row.cells() for row in sent), strict=True) if sent else ((),) * len(_COLUMNS)
    arrays = [pa.array(values, field.type) for values, field in zip(cells, schema, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return ResultTable(_COLUMNS, iter([batch]), maxrec=len(rows) if overflow else None)
