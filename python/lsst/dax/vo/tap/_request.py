"""From the parameters of a TAP request to typed values."""

from __future__ import annotations

__all__ = ["LANGUAGES", "TapRequest", "UploadSource", "merge_uploads", "parse_request"]

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..config import Limits
from ..dali import ParamSet
from ..errors import UsageError, quoted

LANGUAGES = ("2.0", "2.1")
"""Versions of ADQL that are answered."""

_MOST_RUNID = 64
_MOST_UPLOADS = 20
# ADQL 2.1, 2.1.3: a regular identifier, without a schema (TAP 1.1, 2.7.6).
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# TAP 1.0 (2.5.1) joined several tables with a semicolon, and clients still
# do (pyvo 1.9).  One of a URL that looks alike has to be escaped.
_JOINT = re.compile(r";(?=\s*[A-Za-z][A-Za-z0-9_]*\s*,|\s*$)")
_FORM = "give name,param:part or name,URL with a name of letters, digits and _"


@dataclass(frozen=True, slots=True)
class UploadSource:
    """A table that comes with a request."""

    name: str
    """Name behind ``TAP_UPLOAD.``, as the client wrote it."""

    part: str | None = None
    """Part of the form that holds it."""

    url: str | None = None
    """URL at which it is."""


@dataclass(frozen=True, slots=True)
class TapRequest:
    """What a client asks for."""

    query: str
    """ADQL text."""

    maxrec: int
    """Rows that may be sent, within the limits of the service."""

    uploads: tuple[UploadSource, ...] = ()
    """Tables that the query may read besides."""


def parse_request(params: ParamSet, limits: Limits) -> TapRequest:
    """Parse the parameters of a query.

    Parameters
    ----------
    params
        The request.  ``REQUEST`` and ``VERSION`` of TAP 1.0 and unknown
        parameters are ignored; a missing ``LANG`` means ADQL.
    limits
        Length of a query and rows of an answer.

    Returns
    -------
    request : `TapRequest`

    Raises
    ------
    UsageError
        Raised if a parameter is missing or its value is not accepted.

    References
    ----------
    TAP 1.1, 2.7; DALI 1.1, 3.4.
    """
    _check_language(params.single("LANG"))
    run_id = params.single("RUNID")
    if run_id is not None and len(run_id) > _MOST_RUNID:
        raise UsageError(
            f"RUNID has {len(run_id)} characters; give up to {_MOST_RUNID}", parameter="RUNID", value=run_id
        )
    query = params.required("QUERY")
    if len(query) > limits.query_characters:
        raise UsageError(
            f"QUERY has {len(query)} characters; this service reads up to {limits.query_characters}",
            parameter="QUERY",
        )
    wanted = params.count("MAXREC")
    maxrec = min(limits.maxrec if wanted is None else wanted, limits.maxrec_hard)
    return TapRequest(query, maxrec, _parse_uploads(params))


def merge_uploads(before: Sequence[str], added: Sequence[str]) -> list[str]:
    """Add values of UPLOAD to those that a job has.

    Parameters
    ----------
    before
        Those that it has.
    added
        Those that are sent; each table takes the place of the one that has
        its name.

    Returns
    -------
    values : `list` [`str`]
        Not checked; that is done when the job runs.

    References
    ----------
    TAP 1.1, 2.2.2; DALI 1.1, 3.4.5.
    """
    names = {_name_of(item) for text in added for item in _items(text)}
    kept = ([item for item in _items(text) if _name_of(item) not in names] for text in before)
    return [*(";".join(items) for items in kept if items), *added]


def _check_language(text: str | None) -> None:
    accepted = ("ADQL", *(f"ADQL-{version}" for version in LANGUAGES))
    if text is not None and text.strip().upper() not in accepted:
        raise UsageError(
            f"LANG={quoted(text)} is not accepted; give one of {', '.join(accepted)}",
            parameter="LANG",
            value=text,
        )


def _parse_uploads(params: ParamSet) -> tuple[UploadSource, ...]:
    uploads: dict[str, UploadSource] = {}
    for text in params.values("UPLOAD"):
        for upload in _iter_uploads(text):
            first = uploads.setdefault(upload.name.lower(), upload)
            if first is not upload:
                raise UsageError(
                    f"UPLOAD names two tables {first.name} and {upload.name}; the case of letters does not "
                    "count, give each a name of its own",
                    parameter="UPLOAD",
                    value=text,
                )
    if len(uploads) > _MOST_UPLOADS:
        raise UsageError(
            f"UPLOAD has {len(uploads)} tables; this service reads up to {_MOST_UPLOADS}", parameter="UPLOAD"
        )
    return tuple(uploads.values())


def _items(text: str) -> list[str]:
    return [item for item in _JOINT.split(text) if item.strip()]


def _name_of(item: str) -> str:
    # The case of letters does not count (ADQL 2.1, 2.1.3).
    return item.partition(",")[0].strip().lower()


def _iter_uploads(text: str) -> Iterator[UploadSource]:
    for item in _items(text):
        name, comma, source = (part.strip() for part in item.partition(","))
        if not comma or not _NAME.fullmatch(name) or not source:
            raise _refused(text, _FORM)
        scheme, colon, part = source.partition(":")
        match scheme.lower() if colon else "":
            case "param":
                yield UploadSource(name, part=part)
            case "http" | "https":
                try:
                    host = urlsplit(source).hostname
                except ValueError:
                    host = None
                if not host:
                    raise _refused(text, "the URL has no host")
                yield UploadSource(name, url=source)
            case _:
                raise _refused(text, f"{_FORM}; URLs begin with http: or https:")


def _refused(text: str, advice: str) -> UsageError:
    return UsageError(f"UPLOAD={quoted(text)} is not accepted; {advice}", parameter="UPLOAD", value=text)
