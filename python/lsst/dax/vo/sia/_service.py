"""SIAv2: requests for images, answered from the ObsCore table."""

from __future__ import annotations

__all__ = ["SiaService"]

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ..config import Limits
from ..dali import (
    VOTABLE_MEDIA_TYPE,
    XML_MEDIA_TYPE,
    AnswerFormat,
    Availability,
    Capability,
    DataOrigin,
    Interval,
    ParamSet,
    Response,
    ServiceDescriptor,
    examples_capability,
    fault_of,
    link_datasets,
    message_of,
    parse_format,
    vosi_capabilities,
    votable_error,
    write_availability,
    write_capabilities,
    write_examples,
    write_table,
)
from ..errors import NotFoundError, TransientError, VoError
from ..query import Constraint, Engine, OneOf, Overlaps, Search, plan_search
from ._description import STANDARD_ID, describe_query
from ._examples import COLUMNS as EXAMPLE_COLUMNS
from ._examples import build_examples
from ._holdings import HoldingsReader
from ._parameters import PARAMETERS
from ._request import parse_request

_PLAIN_TEXT = "text/plain; charset=utf-8"
_NOBODY = DataOrigin()
# Of a request, what is told in its answer (DataOrigin).
_TOLD = frozenset({*(parameter.name for parameter in PARAMETERS), "MAXREC", "RESPONSEFORMAT"})
# A request for the description alone waits that long for the values in it.
_PATIENCE_S = 5.0


class SiaService:
    """Answers SIAv2 for all repositories, or for the one of a label.

    Parameters
    ----------
    engine
        Runs searches on the ObsCore table.
    labels
        Labels of the repositories that are served.
    limits
        Rows of an answer, and values of a request.
    origin
        Who answers.
    expand_id
        From a value of ``ID`` to the values of ``obs_publisher_did`` that it
        can mean; by default only itself.
    describe_related
        From the URL under which clients reach the services, and the XML ID
        of the column with the identifiers, to descriptors of what else can
        be called by these; by default of nothing.
    clock
        Seconds since 1970, UTC.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        labels: Collection[str],
        limits: Limits,
        origin: DataOrigin = _NOBODY,
        expand_id: Callable[[str], Iterable[str]] = lambda text: (text,),
        describe_related: Callable[[str, str], Sequence[ServiceDescriptor]] = lambda _url, _xml_id: (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._labels = frozenset(labels)
        self._limits = limits
        self._origin = origin
        self._expand_id = expand_id
        self._describe_related = describe_related
        self._holdings = HoldingsReader(engine)
        self._clock = clock
        self._up_since = datetime.fromtimestamp(clock(), UTC)

    def close(self) -> None:
        """Stop what is read beside the requests."""
        self._holdings.close()

    def query(self, params: ParamSet, base_url: str, *, label: str | None = None) -> Response:
        """Answer ``{query}``.

        Parameters
        ----------
        params
            The request.
        base_url
            URL under which clients reach the services, without ``/`` at its
            end.
        label
            The repository that is asked; `None` for all.

        Returns
        -------
        response : `Response`
            A table of ObsCore rows, or an error document.

        References
        ----------
        SIA 2.0, 2, 3, 4.
        """
        answer: AnswerFormat | None = None
        try:
            answer = parse_format(params)
            return self._answer(params, answer, base_url, label)
        except VoError as err:
            return _error_document(err, answer)

    def capabilities(self, base_url: str, *, label: str | None = None) -> Response:
        """Answer ``/capabilities``.

        Parameters
        ----------
        base_url
            URL under which clients reach the services.
        label
            The repository that is asked; `None` for all.

        Returns
        -------
        response : `Response`
            404 for an unknown label: pyvo then looks one level up.
        """
        try:
            url = self._url(base_url, label)
            sia = Capability(STANDARD_ID, f"{url}/query", version="2.0", use="base")
            entries = [sia, *vosi_capabilities(url), examples_capability(url)]
            return Response(200, XML_MEDIA_TYPE, write_capabilities(entries))
        except VoError as err:
            return _text_error(err)

    def availability(self, *, label: str | None = None) -> Response:
        """Answer ``/availability``.

        Parameters
        ----------
        label
            The repository that is asked; `None` for all.

        Returns
        -------
        response : `Response`
            200 whether or not the table can be read, with the truth inside.
        """
        try:
            self._check_label(label)
        except NotFoundError as err:
            return _text_error(err)
        try:
            plan = plan_search(Search(("obs_publisher_did",), ()), self._engine.catalog)
            next(self._engine.run(plan, maxrec=1).batches, None)
            state = Availability(True, self._up_since)
        except VoError as err:
            state = Availability(False, notes=(message_of(err),))
        return Response(200, XML_MEDIA_TYPE, write_availability(state))

    def examples(self, base_url: str, *, label: str | None = None) -> Response:
        """Answer ``/examples``.

        Parameters
        ----------
        base_url
            URL under which clients reach the services.
        label
            The repository that is asked; `None` for all.

        Returns
        -------
        response : `Response`
            A page whose requests find something in the table of this service.
        """
        try:
            url = self._url(base_url, label)
            examples = build_examples(self._find_image(label))
        except VoError as err:
            return _text_error(err)
        page = write_examples(
            examples,
            title="Example searches",
            capability=STANDARD_ID,
            run_url=f"{url}/query",
        )
        return Response(200, "application/xhtml+xml", page)

    def _find_image(self, label: str | None) -> Mapping[str, Any] | None:
        """Return an image of a calibrated exposure if there is one, else any."""
        of_label: tuple[Constraint, ...] = () if label is None else (OneOf("_repo", (label,)),)
        images = (*of_label, OneOf("dataproduct_type", ("image",)))
        timed = Overlaps("t_min", "t_max", (Interval(-math.inf, math.inf),))
        for constraints in ((*images, timed), images):
            plan = plan_search(Search(EXAMPLE_COLUMNS, constraints), self._engine.catalog)
            for batch in self._engine.run(plan, maxrec=1).batches:
                for row in batch.to_pylist():
                    return dict(row)
        return None

    def _answer(self, params: ParamSet, answer: AnswerFormat, base_url: str, label: str | None) -> Response:
        url = self._url(base_url, label)
        request = parse_request(params, self._limits, expand_id=self._expand_id)
        constraints: tuple[Constraint, ...] = request.constraints
        if label is not None:
            constraints = (OneOf("_repo", (label,)), *constraints)
        wanted = self._limits.maxrec if request.maxrec is None else request.maxrec
        maxrec = min(wanted, self._limits.maxrec_hard)
        catalog = self._engine.catalog
        plan = plan_search(Search(None, constraints), catalog)
        table = self._engine.run(plan, maxrec=maxrec, base_url=base_url)
        params.hangup.add(table.cancel)
        columns, links = link_datasets(table.columns, base_url)
        related = [
            descriptor
            for column in columns
            if links and column.xml_id is not None
            for descriptor in self._describe_related(base_url, column.xml_id)
        ]
        holdings = self._holdings.get(label, catalog, wait_s=0.0 if maxrec else _PATIENCE_S)
        this = describe_query(
            f"{url}/query", self._limits.maxrec_hard, tuple(column.name for column in columns), holdings
        )
        chunks = write_table(
            replace(table, columns=columns),
            answer,
            infos=self._origin.to_infos(
                service_protocol=STANDARD_ID,
                time_s=self._clock(),
                request=(f"{url}/query", [pair for pair in params.pairs if pair[0] in _TOLD]),
                labels=None if label is None else [label],
            ),
            descriptors=(*links, *related, *this),
            description="Images and cubes (SIAv2)",
        )
        is_long = maxrec > self._limits.maxrec
        return Response(200, answer.media_type, chunks, cancel=table.cancel, is_long=is_long)

    def _url(self, base_url: str, label: str | None) -> str:
        self._check_label(label)
        return f"{base_url}/api/sia" if label is None else f"{base_url}/api/sia/{label}"

    def _check_label(self, label: str | None) -> None:
        if label is not None and label not in self._labels:
            raise NotFoundError(
                f"There is no repository {label!r} here; there are: {', '.join(sorted(self._labels))}"
            )


def _error_document(error: VoError, answer: AnswerFormat | None) -> Response:
    # SIA 2.0, 4.3: a VOTable, or plain text where a text format was asked for.
    fault = fault_of(error)
    message = f"{fault.sia}: {message_of(error)}"
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TransientError) else {}
    if answer is not None and answer.table_format.name != "votable":
        return Response(fault.http_status, _PLAIN_TEXT, f"{message}\n".encode(), headers)
    media_type = VOTABLE_MEDIA_TYPE if answer is None else answer.media_type
    return Response(fault.http_status, media_type, votable_error(message), headers)


def _text_error(error: VoError) -> Response:
    fault = fault_of(error)
    return Response(fault.http_status, _PLAIN_TEXT, f"{fault.sia}: {message_of(error)}\n".encode())
