"""Tables that come with a query."""

from __future__ import annotations

__all__ = ["Uploads", "load_uploads"]

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from io import SEEK_END
from typing import BinaryIO

import pyarrow as pa

from ..config import Limits
from ..dali import Column, ParamSet, Table, read_votable
from ..errors import UsageError, quoted
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


def load_uploads(
    sources: Sequence[UploadSource], params: ParamSet, limits: Limits, *, seconds: float
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
        if source.url is not None:
            file = fetch_file(
                source.url,
                hosts=limits.upload_hosts,
                max_bytes=left,
                seconds=seconds,
                is_over=lambda: params.hangup.happened,
            )
            with closing(file):
                left -= _size_of(file)
                columns, content = _read(source, file, limits.upload_rows)
        else:
            file = _find_part(source, params.files)
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
