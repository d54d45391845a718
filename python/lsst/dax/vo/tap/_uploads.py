"""Tables that come with a query."""

from __future__ import annotations

__all__ = ["OpenResult", "Uploads", "load_uploads", "no_results"]

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from io import SEEK_END
from typing import BinaryIO
from urllib.parse import unquote

import pyarrow as pa

from ..config import Limits
from ..dali import Column, ParamSet, Table, read_votable
from ..errors import NotFoundError, UsageError, quoted
from ._fetch import fetch_file
from ._request import UploadSource

SCHEMA = "TAP_UPLOAD"
"""Schema of the tables (TAP 1.1, 2.7.6)."""

_NO_ADVICE = "send the table in a part of a multipart/form-data form"


@dataclass(frozen=True, slots=True)
class Uploads:
    """Tables that a query may read, and nobody else."""

    tables: tuple[Table, ...] = ()
    """What they are; names of columns as the files have them."""

    rows: Mapping[str, pa.Table] = field(default_factory=dict)
    """Their rows, by the name behind the dot."""


type OpenResult = Callable[[str, str], BinaryIO]
"""From the names of a job and of its result to the file; raises `VoError`."""


def no_results(_job_id: str, _result_id: str) -> BinaryIO:
    """Open no result: there are no jobs.

    Raises
    ------
    NotFoundError
        Raised always.
    """
    raise NotFoundError("There is no such job here")


def load_uploads(
    sources: Sequence[UploadSource],
    params: ParamSet,
    limits: Limits,
    *,
    seconds: float,
    jobs_url: str = "",
    open_result: OpenResult = no_results,
) -> Uploads:
    """Read the tables that come with a request.

    Parameters
    ----------
    sources
        Where they are.
    params
        The request, with its files.
    limits
        Rows and bytes of tables, and hosts from which they may come.
    seconds
        Time for one that must be fetched.
    jobs_url
        URL of the list of jobs: what lies below it is not fetched, but
        opened.
    open_result
        Opens a result of a job.

    Returns
    -------
    uploads : `Uploads`

    Raises
    ------
    UsageError
        Raised if one is not there, too large, or no VOTable.
    TransientError
        Raised if one cannot be fetched now.

    References
    ----------
    TAP 1.1, 2.7.6; DALI 1.1, 3.4.5.
    """
    tables, rows, left = [], {}, limits.upload_bytes
    for source in sources:
        with ExitStack() as stack:
            if source.url is None:
                file = _find_part(source, params.files)
            elif (result := _own_result(source.url, jobs_url)) is not None:
                file = stack.enter_context(_open_own(source.url, result, open_result))
            else:
                fetched = fetch_file(
                    source.url,
                    hosts=limits.upload_hosts,
                    max_bytes=left,
                    seconds=seconds,
                    is_over=lambda: params.hangup.happened,
                )
                file = stack.enter_context(closing(fetched))
            left -= _size_of(file)
            if left < 0:
                raise UsageError(
                    f"UPLOAD: the tables have more than {limits.upload_bytes} bytes together; send less",
                    parameter="UPLOAD",
                )
            columns, content = _read(source, file, limits.upload_rows)
        tables.append(Table(SCHEMA, f"{SCHEMA}.{source.name}", columns, "Came with this request"))
        rows[source.name] = content
    return Uploads(tuple(tables), rows)


def _own_result(url: str, jobs_url: str) -> tuple[str, str] | None:
    """Return the names of a job of this service and of its result, if a URL is of one.

    No request is made for it, so it does not matter what host the client says
    this service has.
    """
    # Before a proxy, http and https are the same service.
    path, below = (text.partition("://")[2] for text in (url, jobs_url))
    if not below or not path.startswith(f"{below}/"):
        return None
    match path.removeprefix(f"{below}/").split("/"):
        case [job_id, "results", name]:
            return job_id, unquote(name)
    return None


def _open_own(url: str, result: tuple[str, str], open_result: OpenResult) -> BinaryIO:
    try:
        return open_result(*result)
    except NotFoundError as err:
        raise UsageError(f"UPLOAD: {quoted(url)}: {err}", parameter="UPLOAD", value=url) from err


def _find_part(source: UploadSource, files: Mapping[str, BinaryIO]) -> BinaryIO:
    part = source.part or ""
    if part in files:
        return files[part]
    there = f"it has {', '.join(map(quoted, files))}" if files else _NO_ADVICE
    raise UsageError(
        f"UPLOAD: the request has no file in a part {quoted(part)}; {there}", parameter="UPLOAD", value=part
    )


def _read(source: UploadSource, file: BinaryIO, max_rows: int) -> tuple[tuple[Column, ...], pa.Table]:
    file.seek(0)
    try:
        columns, rows = read_votable(file, max_rows=max_rows)
    except UsageError as err:
        raise UsageError(f"UPLOAD {source.name}: {err}", parameter="UPLOAD") from err
    seen: dict[str, str] = {}
    for column in columns:
        first = seen.setdefault(column.name.lower(), column.name)
        if first != column.name:
            # Queries could not tell them apart without quotes (ADQL 2.1, 2.1.3).
            raise UsageError(
                f"UPLOAD {source.name}: the columns {quoted(first)} and {quoted(column.name)} differ by the "
                "case of letters alone; rename one",
                parameter="UPLOAD",
            )
    return columns, rows


def _size_of(file: BinaryIO) -> int:
    file.seek(0, SEEK_END)
    return file.tell()
