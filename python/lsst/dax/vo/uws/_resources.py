"""The resources of UWS: each is a request about a job, and its answer."""

from __future__ import annotations

__all__ = ["JobResources", "ResultUrl"]

import os
from collections.abc import Iterator
from typing import BinaryIO, override

from ..dali import XML_MEDIA_TYPE, ParamSet, Response
from ..errors import NotFoundError, UsageError, quoted
from ._documents import ResultUrl, write_job, write_jobs, write_parameters, write_results
from ._job import format_time
from ._requests import parse_execution, parse_filter, parse_time
from ._service import JobService

_PLAIN_TEXT = "text/plain; charset=utf-8"
_BINARY = "application/octet-stream"
_CHUNK_BYTES = 256 * 1024


class JobResources:
    """Answers requests about the jobs of one list.

    Requests that change something are answered with 303 and the URL of what
    was changed.  Errors are raised.

    Parameters
    ----------
    jobs
        The jobs.
    result_url
        URL of a result; by default the one below its job.

    References
    ----------
    UWS 1.1, 2.2; DALI 1.1, 2.2.
    """

    def __init__(self, jobs: JobService, result_url: ResultUrl | None = None) -> None:
        self._jobs = jobs
        self._result_url = result_url

    def list_jobs(self, params: ParamSet, list_url: str) -> Response:
        """Answer GET of the list.

        Parameters
        ----------
        params
            PHASE, AFTER, LAST.
        list_url
            URL of the list.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        phases, after_s, last = parse_filter(params)
        found = self._jobs.find_all(phases=phases, after_s=after_s, last=last)
        return Response(200, XML_MEDIA_TYPE, write_jobs(found, list_url=list_url))

    def create(self, params: ParamSet, list_url: str, *, base_url: str) -> Response:
        """Answer POST to the list: make a job.

        Parameters
        ----------
        params
            Parameters of the job; PHASE=RUN runs it at once.
        list_url
            URL of the list.
        base_url
            URL under which clients reach the services.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        runs = _action(params, "PHASE", ("RUN",)) == "RUN"
        destruction = params.single("DESTRUCTION")
        job = self._jobs.create(
            params.pairs,
            params.files,
            base_url=base_url,
            execution_s=parse_execution(params),
            destruction_s=None if destruction is None else parse_time(destruction, "DESTRUCTION"),
        )
        if runs:
            self._jobs.run(job.job_id)
        return _see_other(f"{list_url}/{job.job_id}")

    def read(self, job_id: str, list_url: str) -> Response:
        """Answer GET of a job.

        Parameters
        ----------
        job_id
            The job.
        list_url
            URL of the list.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        return Response(
            200,
            XML_MEDIA_TYPE,
            write_job(self._jobs.find(job_id), list_url=list_url, result_url=self._result_url),
        )

    def act(self, job_id: str, params: ParamSet, list_url: str) -> Response:
        """Answer POST to a job.

        Parameters
        ----------
        job_id
            The job.
        params
            ACTION=DELETE; a browser's form sends nothing else than POST.
        list_url
            URL of the list.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        if _action(params, "ACTION", ("DELETE",)) is None:
            raise UsageError(
                "ACTION is missing; send ACTION=DELETE to remove the job, and parameters to /parameters",
                parameter="ACTION",
            )
        return self.delete(job_id, list_url)

    def delete(self, job_id: str, list_url: str) -> Response:
        """Answer DELETE of a job.

        Parameters
        ----------
        job_id
            The job.
        list_url
            URL of the list.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        self._jobs.delete(job_id)
        return _see_other(list_url)

    def read_item(self, job_id: str, item: str) -> Response:
        """Answer GET of one value of a job.

        Parameters
        ----------
        job_id
            The job.
        item
            ``phase executionduration destruction quote owner``.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        job = self._jobs.find(job_id)
        match item:
            case "phase":
                text = str(job.phase)
            case "executionduration":
                text = str(job.execution_s)
            case "destruction":
                text = format_time(job.destruction_s)
            case _:
                # No quote, and no owner.
                text = ""
        return Response(200, _PLAIN_TEXT, text.encode())

    def change_item(self, job_id: str, item: str, params: ParamSet, list_url: str) -> Response:
        """Answer POST of one value of a job.

        Parameters
        ----------
        job_id
            The job.
        item
            ``phase executionduration destruction``.
        params
            The parameter of that name.
        list_url
            URL of the list.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        self._jobs.find(job_id)
        value = params.required(item.upper())
        match item:
            case "phase":
                runs = _action(params, "PHASE", ("RUN", "ABORT")) == "RUN"
                (self._jobs.run if runs else self._jobs.abort)(job_id)
            case "executionduration":
                self._jobs.set_execution(job_id, parse_execution(params) or 0)
            case "destruction":
                self._jobs.set_destruction(job_id, parse_time(value, "DESTRUCTION"))
        return _see_other(f"{list_url}/{job_id}")

    def read_parameters(self, job_id: str, name: str | None = None) -> Response:
        """Answer GET of the parameters, or of one.

        Parameters
        ----------
        job_id
            The job.
        name
            A parameter, in any case, or the part of the form that a file came
            in; `None` for the list of them.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        job = self._jobs.find(job_id)
        if name is None:
            return Response(200, XML_MEDIA_TYPE, write_parameters(job))
        if name in dict(job.files):
            return _file(self._jobs.open_file(job, name), _BINARY)
        values = [value for key, value in job.parameters if key == name.upper()]
        if not values:
            raise NotFoundError(f"The job has no parameter {quoted(name)}")
        return Response(200, _PLAIN_TEXT, "\n".join(values).encode())

    def set_parameters(self, job_id: str, params: ParamSet, list_url: str) -> Response:
        """Answer POST to the parameters.

        Parameters
        ----------
        job_id
            The job.
        params
            Names and values, and files.
        list_url
            URL of the list.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        self._jobs.set_parameters(job_id, params.pairs, params.files)
        return _see_other(f"{list_url}/{job_id}")

    def read_results(self, job_id: str, list_url: str) -> Response:
        """Answer GET of the list of results.

        Parameters
        ----------
        job_id
            The job.
        list_url
            URL of the list.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        return Response(
            200,
            XML_MEDIA_TYPE,
            write_results(self._jobs.find(job_id), list_url=list_url, result_url=self._result_url),
        )

    def read_result(self, job_id: str, result_id: str) -> Response:
        """Answer GET of a result.

        Parameters
        ----------
        job_id
            The job.
        result_id
            The result.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
        """
        media_type = self._jobs.find(job_id).find_result(result_id).media_type
        return _file(self._jobs.open_result(job_id, result_id), media_type)

    def read_error(self, job_id: str) -> Response:
        """Answer GET of the error document.

        Parameters
        ----------
        job_id
            The job.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
            With status 200: the request for it was answered well (DALI 1.1,
            4.2).
        """
        job = self._jobs.find(job_id)
        if job.error is None:
            raise NotFoundError(f"The job has no error; it is {job.phase}")
        return Response(200, job.error.media_type, job.error.document)


def _action(params: ParamSet, name: str, accepted: tuple[str, ...]) -> str | None:
    text = params.single(name)
    if text is None:
        return None
    word = text.strip().upper()
    if word not in accepted:
        raise UsageError(
            f"{name}={quoted(text)} is not accepted here; give {' or '.join(accepted)}",
            parameter=name,
            value=text,
        )
    return word


def _see_other(url: str) -> Response:
    return Response(303, "", headers={"Location": url})


def _file(stream: BinaryIO, media_type: str) -> Response:
    body = _FileBody(stream)
    return Response(200, media_type, body, {"Content-Length": str(body.size)})


class _FileBody(Iterator[bytes]):
    """The bytes of a file, which is closed whether or not anybody reads them."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = os.fstat(stream.fileno()).st_size

    @override
    def __next__(self) -> bytes:
        chunk = self._stream.read(_CHUNK_BYTES)
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        self._stream.close()
