"""From the parameters of a TAP request to typed values."""

from __future__ import annotations

__all__ = ["LANGUAGES", "TapRequest", "parse_request"]

from dataclasses import dataclass

from ..config import Limits
from ..dali import ParamSet
from ..errors import UnsupportedError, UsageError, quoted

LANGUAGES = ("2.0", "2.1")
"""Versions of ADQL that are answered."""

_MOST_RUNID = 64


@dataclass(frozen=True, slots=True)
class TapRequest:
    """What a client asks for."""

    query: str
    """ADQL text."""

    maxrec: int
    """Rows that may be sent, within the limits of the service."""


def parse_request(params: ParamSet, limits: Limits) -> TapRequest:
    """Parse the parameters of ``/sync``.

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
    UnsupportedError
        Raised for uploads.

    References
    ----------
    TAP 1.1, 2.7; DALI 1.1, 3.4.
    """
    _check_language(params.single("LANG"))
    if any(value.strip() for value in params.values("UPLOAD")):
        raise UnsupportedError("This service takes no UPLOAD; write the values into the query, with IN or OR")
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
    return TapRequest(query, min(limits.maxrec if wanted is None else wanted, limits.maxrec_hard))


def _check_language(text: str | None) -> None:
    accepted = ("ADQL", *(f"ADQL-{version}" for version in LANGUAGES))
    if text is not None and text.strip().upper() not in accepted:
        raise UsageError(
            f"LANG={quoted(text)} is not accepted; give one of {', '.join(accepted)}",
            parameter="LANG",
            value=text,
        )
