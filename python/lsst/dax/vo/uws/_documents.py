"""The XML of jobs.

Written here: the models of ``vo-models`` want a class for the parameters of
each protocol, with a field for each name, and a job here takes any.
"""

from __future__ import annotations

__all__ = ["ResultUrl", "write_job", "write_jobs", "write_parameters", "write_results"]

from collections.abc import Callable, Iterable
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from ._job import Job, JobResult, format_time

type ResultUrl = Callable[[Job, JobResult], str]
"""From a result to the URL that documents have for it."""

_NAMESPACES = (
    ' xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://www.ivoa.net/xml/UWS/v1.0 http://www.ivoa.net/xml/UWS/v1.0"'
)
# The namespace has no room for the version of the protocol (UWS 1.1, 3).
_VERSION = ' version="1.1"'
# Characters that XML 1.0 has no way to write (2.2).
_FORBIDDEN = {
    code: "\ufffd" for code in (*range(32), 0xFFFE, 0xFFFF) if chr(code) not in "\t\n\r"
} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def write_jobs(jobs: Iterable[Job], *, list_url: str) -> bytes:
    """Write a list of jobs.

    Parameters
    ----------
    jobs
        The jobs, in the order in which they are shown.
    list_url
        URL of the list.

    Returns
    -------
    document : `bytes`

    References
    ----------
    UWS 1.1, 2.2.2.1.
    """
    parts = [
        f"<uws:jobref id={_attribute(job.job_id)} xlink:href={_attribute(f'{list_url}/{job.job_id}')}>"
        f"{_element('phase', job.phase)}{_element('runId', job.run_id) if job.run_id else ''}"
        f"{_element('ownerId', None)}{_element('creationTime', format_time(job.created_s))}</uws:jobref>\n"
        for job in jobs
    ]
    return _document("jobs", "".join(["\n", *parts]), _VERSION)


def write_job(job: Job, *, list_url: str, result_url: ResultUrl | None = None) -> bytes:
    """Write everything about a job.

    Parameters
    ----------
    job
        The job.
    list_url
        URL of the list that it is in.
    result_url
        URL of a result; by default the one below the job.

    Returns
    -------
    document : `bytes`

    References
    ----------
    UWS 1.1, 2.2.2.3 and 3; the order is that of the schema.
    """
    error = job.error
    return _document(
        "job",
        "\n".join(
            [
                "",
                _element("jobId", job.job_id),
                *([_element("runId", job.run_id)] if job.run_id else []),
                _element("ownerId", None),
                _element("phase", job.phase),
                # Nobody can tell how long a query takes.
                _element("quote", None),
                _element("creationTime", format_time(job.created_s)),
                _element("startTime", format_time(job.started_s) or None),
                _element("endTime", format_time(job.ended_s) or None),
                _element("executionDuration", str(job.execution_s)),
                _element("destruction", format_time(job.destruction_s)),
                f"<uws:parameters>{_parameters(job)}</uws:parameters>",
                f"<uws:results>{_results(job, list_url, result_url)}</uws:results>",
                *(
                    []
                    if error is None
                    else [
                        f'<uws:errorSummary type={_attribute(error.kind)} hasDetail="true">'
                        f"{_element('message', error.message)}</uws:errorSummary>"
                    ]
                ),
                "",
            ]
        ),
        _VERSION,
    )


def write_parameters(job: Job) -> bytes:
    """Write the parameters of a job.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    document : `bytes`
    """
    return _document("parameters", _parameters(job))


def write_results(job: Job, *, list_url: str, result_url: ResultUrl | None = None) -> bytes:
    """Write the list of results of a job.

    Parameters
    ----------
    job
        The job.
    list_url
        URL of the list that it is in.
    result_url
        URL of a result; by default the one below the job.

    Returns
    -------
    document : `bytes`
    """
    return _document("results", _results(job, list_url, result_url))


def _document(root: str, content: str, attributes: str = "") -> bytes:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<uws:{root}{attributes}{_NAMESPACES}>{content}</uws:{root}>\n"
    )
    return text.encode()


def _parameters(job: Job) -> str:
    return "".join(
        f"<uws:parameter id={_attribute(name)}>{_text(value)}</uws:parameter>"
        for name, value in job.parameters
    )


def _results(job: Job, list_url: str, result_url: ResultUrl | None) -> str:
    url = f"{list_url}/{job.job_id}/results"
    return "".join(
        f"<uws:result id={_attribute(item.result_id)} "
        f"xlink:href={_attribute(result_url(job, item) if result_url else f'{url}/{quote(item.result_id)}')} "
        f'mime-type={_attribute(item.media_type)} size="{item.size}"/>'
        for item in job.results
    )


def _element(tag: str, text: str | None) -> str:
    # An empty time would be no time: the schema wants it to say so.
    return f'<uws:{tag} xsi:nil="true"/>' if text is None else f"<uws:{tag}>{_text(text)}</uws:{tag}>"


def _text(value: str) -> str:
    return escape(value.translate(_FORBIDDEN))


def _attribute(value: str) -> str:
    return quoteattr(value.translate(_FORBIDDEN))
