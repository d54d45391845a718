"""TAP: queries, and what the service tells about its tables and itself."""

from __future__ import annotations

__all__ = ["TapService"]

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from ..config import Limits
from ..dali import (
    TABLE_FORMATS,
    VOTABLE_MEDIA_TYPE,
    XML_MEDIA_TYPE,
    Availability,
    Capability,
    DataOrigin,
    ParamSet,
    Response,
    ResultTable,
    ServiceDescriptor,
    TapCapability,
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
    write_table_description,
    write_tableset,
)
from ..errors import NotFoundError, TransientError, UsageError, VoError, quoted
from ..query import FEATURES, FOREIGN_KEYS, OBSCORE_TABLE, Engine, plan_query
from ..uws import JobContext
from ._examples import build_examples
from ._request import LANGUAGES, parse_request
from ._uploads import OpenResult, load_uploads, no_results

_STANDARD_ID = "ivo://ivoa.net/std/TAP"
_OBSCORE_MODEL = ("ivo://ivoa.net/std/ObsCore#core-1.1", "ObsCore-1.1")
# A place where the examples find something; it also shows that rows can be had.
_PLACE = (
    "SELECT TOP 1 s_ra, s_dec FROM ivoa.ObsCore "
    "WHERE dataproduct_type = 'image' AND s_ra IS NOT NULL AND s_dec IS NOT NULL"
)
_RESULT = "result"
_PLAIN_TEXT = "text/plain; charset=utf-8"
_NOBODY = DataOrigin()


class TapService:
    """Answers TAP 1.1; jobs are run for a `~lsst.dax.vo.uws.JobService`.

    Parameters
    ----------
    engine
        Holds the published tables and runs queries.
    limits
        Rows, time and length of a query.
    origin
        Who answers.
    open_result
        Opens a result of a job of this service, which is then a table for
        UPLOAD by its URL.
    describe_related
        Further services on the datasets of rows: from the base URL and the
        XML ID of the column with identifiers to their descriptors.
    clock
        Seconds since 1970, UTC.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        limits: Limits,
        origin: DataOrigin = _NOBODY,
        open_result: OpenResult = no_results,
        describe_related: Callable[[str, str], Sequence[ServiceDescriptor]] = lambda _url, _xml_id: (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._origin = origin
        self._open_result = open_result
        self._describe_related = describe_related
        self._takes_urls = bool(limits.upload_hosts) or open_result is not no_results
        self._clock = clock
        self._up_since = datetime.fromtimestamp(clock(), UTC)

    def sync(self, params: ParamSet, base_url: str) -> Response:
        """Answer ``/sync``.

        Parameters
        ----------
        params
            The request, with its files.
        base_url
            URL under which clients reach the services, without ``/`` at its
            end.

        Returns
        -------
        response : `Response`
            The table, in chunks, or an error document.

        References
        ----------
        TAP 1.1, 2, 3.
        """
        try:
            seconds = self._limits.query_seconds
            media_type, chunks, table = self._query(params, base_url, seconds, lambda batches: batches)
        except VoError as err:
            return self.describe_error(err)
        is_long = table.maxrec is None or table.maxrec > self._limits.maxrec
        return Response(200, media_type, chunks, cancel=table.cancel, is_long=is_long)

    def run_job(self, params: ParamSet, context: JobContext) -> None:
        """Run the query of a job of ``/async``.

        Parameters
        ----------
        params
            The parameters of the job, with its files.
        context
            Where the result goes; it is named ``result``.

        Raises
        ------
        VoError
            Raised if the query cannot be answered, or fails on its way.

        References
        ----------
        TAP 1.1, 2.2.2.
        """
        failures: list[Exception] = []

        def watch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            # Of a query that fails on its way, a writer of VOTables makes a
            # document that says so; a job has another place for that.
            try:
                yield from batches
            except VoError as err:
                failures.append(err)
                raise

        media_type, chunks, table = self._query(params, context.base_url, context.seconds, watch)
        try:
            with context.open_result(_RESULT, media_type) as stream:
                for chunk in chunks:
                    stream.write(chunk)
                if failures:
                    raise failures[0]
        finally:
            table.cancel()

    def describe_error(self, error: Exception) -> Response:
        """Describe an error as TAP does.

        Parameters
        ----------
        error
            Any error.

        Returns
        -------
        response : `Response`

        References
        ----------
        TAP 1.1, 3.3.
        """
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TransientError) else {}
        return Response(
            fault_of(error).http_status, VOTABLE_MEDIA_TYPE, votable_error(message_of(error)), headers
        )

    def _query(
        self,
        params: ParamSet,
        base_url: str,
        seconds: float,
        watch: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    ) -> tuple[str, Iterator[bytes], ResultTable]:
        """Run a query; return the type of the answer, its chunks, and what they are made of."""
        # A format that cannot be had is told before a query runs.
        answer = parse_format(params, names=("RESPONSEFORMAT", "FORMAT"))
        request = parse_request(params, self._limits)
        uploads = load_uploads(
            request.uploads,
            params,
            self._limits,
            seconds=seconds,
            jobs_url=f"{base_url}/api/tap/async",
            open_result=self._open_result,
        )
        plan = plan_query(request.query, self._engine.catalog.with_uploads(uploads.tables))
        table = self._engine.run(
            plan, maxrec=request.maxrec, base_url=base_url, uploads=uploads.rows, seconds=seconds
        )
        params.hangup.add(table.cancel)
        columns, descriptors = link_datasets(table.columns, base_url)
        for xml_id in [column.xml_id for column in columns if column.xml_id is not None]:
            descriptors = (*descriptors, *self._describe_related(base_url, xml_id))
        infos = self._origin.to_infos(
            service_protocol=_STANDARD_ID,
            time_s=self._clock(),
            query=request.query,
            # The tables about tables come from nobody else.
            labels=None if plan.reads(OBSCORE_TABLE) else (),
        )
        watched = replace(table, columns=columns, batches=watch(table.batches))
        chunks = write_table(watched, answer, infos=infos, descriptors=descriptors)
        return answer.media_type, chunks, table

    def tables(self, params: ParamSet, name: str | None = None) -> Response:
        """Answer ``/tables`` and ``/tables/{name}``.

        Parameters
        ----------
        params
            ``DETAIL``: ``min`` leaves the columns out; ``max`` is the
            default.
        name
            Name of one table, in any case.

        Returns
        -------
        response : `Response`
            404 for an unknown name.

        References
        ----------
        VOSI 1.1, 6.
        """
        try:
            return Response(200, XML_MEDIA_TYPE, self._describe_tables(params, name))
        except VoError as err:
            return _text_error(err)

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
        url = f"{base_url}/api/tap"
        tap = TapCapability(
            url,
            TABLE_FORMATS,
            FEATURES,
            maxrec=self._limits.maxrec,
            maxrec_hard=self._limits.maxrec_hard,
            execution_s=min(self._limits.job_seconds, self._limits.job_seconds_hard),
            execution_hard_s=self._limits.job_seconds_hard,
            retention_s=min(self._limits.job_retention_s, self._limits.job_retention_hard_s),
            retention_hard_s=self._limits.job_retention_hard_s,
            data_models=(_OBSCORE_MODEL,),
            languages=LANGUAGES,
            # DALI 1.1, 3.4.5: who takes uploads takes them by http, too.  From
            # which hosts is the configuration's; results of jobs always work.
            uploads=("inline", "http", "https") if self._takes_urls else ("inline",),
            upload_rows=self._limits.upload_rows,
        )
        entries: tuple[Capability | TapCapability, ...] = (
            tap,
            *vosi_capabilities(url),
            Capability("ivo://ivoa.net/std/VOSI#tables-1.1", f"{url}/tables", version="1.1"),
            examples_capability(url),
        )
        try:
            return Response(200, XML_MEDIA_TYPE, write_capabilities(entries))
        except VoError as err:
            return _text_error(err)

    def availability(self) -> Response:
        """Answer ``/availability``.

        Returns
        -------
        response : `Response`
            200 whether or not the tables can be read, with the truth inside.
        """
        try:
            self._find_place()
            state = Availability(True, self._up_since)
        except VoError as err:
            state = Availability(False, notes=(message_of(err),))
        return Response(200, XML_MEDIA_TYPE, write_availability(state))

    def examples(self, base_url: str) -> Response:
        """Answer ``/examples``.

        Parameters
        ----------
        base_url
            URL under which clients reach the services.

        Returns
        -------
        response : `Response`
            A page whose queries find something in the tables of this
            service.
        """
        try:
            tables = self._engine.catalog.tables
            columns = {
                column.name for table in tables if table.name == OBSCORE_TABLE for column in table.columns
            }
            ra_deg, dec_deg = self._find_place()
        except VoError as err:
            return _text_error(err)
        page = write_examples(
            build_examples(columns, ra_deg=ra_deg, dec_deg=dec_deg),
            title="Example queries",
            capability=_STANDARD_ID,
            run_url=f"{base_url}/api/tap/sync",
            more=(("LANG", "ADQL"), ("RESPONSEFORMAT", "html")),
        )
        return Response(200, "application/xhtml+xml", page)

    def _find_place(self) -> tuple[float, float]:
        plan = plan_query(_PLACE, self._engine.catalog)
        for batch in self._engine.run(plan, maxrec=1).batches:
            for row in batch.to_pylist():
                return row["s_ra"], row["s_dec"]
        return 0.0, 0.0

    def _describe_tables(self, params: ParamSet, name: str | None) -> bytes:
        catalog = self._engine.catalog
        tables = catalog.tables
        if name is not None:
            for table in tables:
                if table.name.lower() == name.lower():
                    return write_table_description(table, keys=FOREIGN_KEYS)
            known = ", ".join(table.name for table in tables)
            raise NotFoundError(f"There is no table {name!r} here; there are: {known}")
        schemas = [(schema.name, schema.description) for schema in catalog.schemas]
        match (params.single("DETAIL") or "max").strip().lower():
            case "max":
                return write_tableset(tables, keys=FOREIGN_KEYS, schemas=schemas)
            case "min":
                return write_tableset(tables, detail="min", schemas=schemas)
            case other:
                raise UsageError(
                    f"DETAIL={quoted(other)} is not accepted; give min or max", parameter="DETAIL"
                )


def _text_error(error: VoError) -> Response:
    # VOSI and DALI-examples have no error document of their own.
    return Response(fault_of(error).http_status, _PLAIN_TEXT, f"{message_of(error)}\n".encode())
