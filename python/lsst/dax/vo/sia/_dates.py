"""Dates of release: from the text of a request to the form of DALI."""

from __future__ import annotations

__all__ = ["parse_period"]

import re
from datetime import UTC, datetime

from ..errors import UsageError, quoted

# DALI 1.1, 3.3.3: a date, with or without a time; UTC.
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z?)?", re.ASCII)
_OPEN = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


def parse_period(text: str, *, parameter: str) -> tuple[str | None, str | None]:
    """Parse one or two dates.

    Parameters
    ----------
    text
        ``2025-06-30``, ``2025-06-30T12:00:00.5`` or two of such with a blank
        between, open ends written ``-Inf`` and ``+Inf``.
    parameter
        Name of the parameter, for the message.

    Returns
    -------
    period : `tuple` [`str` or `None`, `str` or `None`]
        First and last time as ``YYYY-MM-DDThh:mm:ss``, with six decimals
        where there are any; `None` for an open end.  One date is both.

    Raises
    ------
    UsageError
        Raised if there are not one or two dates, or the second is earlier.
    """
    words = text.split()
    try:
        ends = [_parse_end(word) for word in words]
    except ValueError:
        ends = []
    match ends:
        case [str(only)]:
            return only, only
        case [first, last] if not _is_open(words[0], "+") and not _is_open(words[1], "-"):
            if first is None or last is None or first <= last:
                return first, last
    raise UsageError(
        f"{parameter}={quoted(text)} is not accepted; give one date, or two dates 'first last' with "
        "first <= last, as YYYY-MM-DD or YYYY-MM-DDThh:mm:ss in UTC (open ends: -Inf, +Inf)",
        parameter=parameter,
        value=text,
    )


def _parse_end(word: str) -> str | None:
    if _OPEN.fullmatch(word):
        return None
    if not _TIMESTAMP.fullmatch(word):
        raise ValueError(word)
    # More than six decimals are more than the table's times have.
    whole, point, decimals = word.removesuffix("Z").partition(".")
    time = datetime.fromisoformat(whole + point + decimals[:6]).replace(tzinfo=UTC)
    return time.replace(tzinfo=None).isoformat()


def _is_open(word: str, sign: str) -> bool:
    # From plus infinity on, or until minus infinity, is no period.
    return bool(_OPEN.fullmatch(word)) and (word[0] == "-") is (sign == "-")
