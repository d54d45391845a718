"""``{links}``: what a dataset's identifier leads to."""

from __future__ import annotations

__all__ = ["DATALINK_MEDIA_TYPE", "LinksService"]

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import UUID

import pyarrow as pa

from ..dali import (
    VOTABLE_MEDIA_TYPE,
    XML_MEDIA_TYPE,
    Capability,
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
from ..errors import UsageError, VoError
from ..repo import Dataset, Repositories
from ._descriptors import links_descriptor
from ._link import LINK_COLUMNS, Caller, Link, LinkSource, ServiceSource, error_link

DATALINK_MEDIA_TYPE = f"{VOTABLE_MEDIA_TYPE};content=datalink"
"""Media type of a links document, in the spelling that clients compare."""

_STANDARD_ID = "ivo://ivoa.net/std/DataLink#links-1.1"
_NOBODY = DataOrigin()
_LOG = logging.getLogger(__name__)
# All columns but the identifier are fields of a link.
_FIELDS = tuple(column.name for column in LINK_COLUMNS[1:])


class LinksService:
    """Answers DataLink's ``{links}``.

    Parameters
    ----------
    repositories
        The repositories that are served.
    sources
        What gives the links, a family each, in the order in which they stand
        in the document: that of ``#this`` first.
    max_ids
        Identifiers that one request may have answered.
    origin
        Who answers.
    clock
        Seconds since 1970, UTC.
    """

    def __init__(
        self,
        repositories: Repositories,
        sources: Sequence[LinkSource],
        *,
        max_ids: int = 5000,
        origin: DataOrigin = _NOBODY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repositories = repositories
        self._sources = tuple(sources)
        self._max_ids = max_ids
        self._origin = origin
        self._clock = clock

    def links(self, params: ParamSet, base_url: str, user: str | None = None) -> Response:
        """Answer a request for links.

        Parameters
        ----------
        params
            ``ID``, any number of times, and ``RESPONSEFORMAT``; others are
            ignored.
        base_url
            URL under which clients reach this service, without ``/`` at its
            end.
        user
            Name of a user who is logged in.

        Returns
        -------
        response : `Response`
            A links document, in which an identifier that leads nowhere is a
            row that says why; an error document if the request itself
            cannot be answered.  If an error may be over soon,
            ``Retry-After`` tells when.

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
        asked = list(dict.fromkeys(params.values("ID")))
        ids = asked[: self._max_ids]
        found = self._repositories.find(ids)
        rows, descriptors = self._look_up(ids, found, Caller(base_url, user))
        chunks = write_votable(
            _to_table(rows, overflow=len(asked) > len(ids)),
            infos=self._infos(params, found, base_url),
            descriptors=descriptors,
            description="Links of datasets",
        )
        # Links are signed for a time: what a cache keeps would end in it.
        headers = {"Cache-Control": "no-store"}
        waits = [link.retry_after for _, link in rows if link.retry_after is not None]
        if waits:
            headers["Retry-After"] = str(max(waits))
        return Response(200, media_type, b"".join(chunks), headers)

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

    def _look_up(
        self, ids: Sequence[str], found: Sequence[Dataset | VoError], caller: Caller
    ) -> tuple[list[tuple[str, Link]], list[ServiceDescriptor]]:
        """Return rows with their identifiers, and the services that they name."""
        if not ids:
            return [], [links_descriptor(f"{caller.base_url}/api/datalink/links")]
        asked = [
            (text, item if isinstance(item, Dataset) else None) for text, item in zip(ids, found, strict=True)
        ]
        copies = _group_copies(item for _, item in asked if item is not None)
        links: dict[tuple[str, UUID], list[Link]] = defaultdict(list)
        descriptors: list[ServiceDescriptor] = []
        for source in self._sources:
            given: Mapping[UUID, Sequence[Link]] = {}
            for number, datasets in enumerate(copies):
                # The services of a dataset are described once, and take the
                # ID from the row: they are those of its copies, too.
                if number == 0 or not isinstance(source, ServiceSource):
                    given = _ask(source, datasets, caller)
                for dataset in datasets:
                    if number == 0 or not isinstance(source, ServiceSource) or dataset.file_error is None:
                        links[dataset.label, dataset.uuid] += given.get(dataset.uuid, ())
                if number == 0 and isinstance(source, ServiceSource):
                    descriptors += source.descriptors(asked, given, caller)
        rows = [
            (text, link)
            for text, item in zip(ids, found, strict=True)
            for link in (
                links[item.label, item.uuid] if isinstance(item, Dataset) else (error_link("#this", item),)
            )
        ]
        return rows, descriptors

    def _infos(self, params: ParamSet, found: Sequence[Dataset | VoError], base_url: str) -> list[Info]:
        return [
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
        ]


def _group_copies(datasets: Iterable[Dataset]) -> list[list[Dataset]]:
    """Return lists of datasets, each dataset once and no two of a list with the same UUID.

    Two identifiers may name the same dataset; and copies of a repository have
    datasets of the same UUIDs, which no source tells apart.
    """
    groups: list[dict[UUID, Dataset]] = []
    for dataset in {(item.label, item.uuid): item for item in datasets}.values():
        group = next((group for group in groups if dataset.uuid not in group), None)
        if group is None:
            group = {}
            groups.append(group)
        group[dataset.uuid] = dataset
    return [list(group.values()) for group in groups]


def _ask(source: LinkSource, datasets: Sequence[Dataset], caller: Caller) -> Mapping[UUID, Sequence[Link]]:
    if not datasets:
        return {}
    try:
        return source.links(datasets, caller)
    except VoError as err:
        link = error_link(source.semantics, err)
    except Exception as err:  # one family that fails takes the others not with it
        log_id = uuid.uuid4().hex[:12]
        _LOG.exception("No links %s, log id %s", source.semantics, log_id)
        link = error_link(source.semantics, err, description=f"Log id {log_id}")
    return {dataset.uuid: (link,) for dataset in datasets}


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


def _to_table(rows: Sequence[tuple[str, Link]], *, overflow: bool) -> ResultTable:
    # A row beyond the limit is what marks an overflow.
    sent = [*rows, rows[-1]] if overflow else rows
    columns = [[text for text, _ in sent]]
    columns += [[getattr(link, name) for _, link in sent] for name in _FIELDS]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(values, arrow_type(column)) for values, column in zip(columns, LINK_COLUMNS, strict=True)],
        names=[column.name for column in LINK_COLUMNS],
    )
    return ResultTable(LINK_COLUMNS, iter([batch]), maxrec=len(rows) if overflow else None)
