"""From the words of UWS in a request to typed values."""

from __future__ import annotations

__all__ = ["Wait", "parse_execution", "parse_filter", "parse_phase", "parse_time", "parse_wait"]

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..dali import ParamSet
from ..errors import UsageError, quoted
from ._phases import Phase

# A proxy may take a longer silence for a failure; an earlier answer than the
# client asked for is allowed (UWS 1.1, 2.2.1.1).
_MOST_WAIT_S = 50
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?")
# As good as without end; what is longer would be no integer of the database.
_MOST_SECONDS = 10**9


@dataclass(frozen=True, slots=True)
class Wait:
    """How long the answer about a job may wait for its phase to change."""

    seconds: int
    """At most so long."""

    phase: Phase | None = None
    """Only while it is this one; `None` for the one that it is in."""


def parse_wait(params: ParamSet) -> Wait | None:
    """Parse WAIT and PHASE.

    Parameters
    ----------
    params
        The request for a job.

    Returns
    -------
    wait : `Wait` or `None`
        `None` if the answer is wanted at once.

    Raises
    ------
    UsageError
        Raised if a value is not accepted.

    References
    ----------
    UWS 1.1, 2.2.1.1.
    """
    text = params.single("WAIT")
    if text is None:
        return None
    digits = text.strip()
    if digits == "-1":
        seconds = _MOST_WAIT_S
    elif digits.isascii() and digits.isdigit():
        seconds = min(int(digits[:9]), _MOST_WAIT_S)
    else:
        raise UsageError(
            f"WAIT={quoted(text)} is not accepted; give seconds, or -1 for as long as the service waits",
            parameter="WAIT",
            value=text,
        )
    phase = params.single("PHASE")
    return Wait(seconds, None if phase is None else parse_phase(phase))


def parse_phase(text: str) -> Phase:
    """Parse the name of a phase.

    Parameters
    ----------
    text
        A value of PHASE, in any case.

    Returns
    -------
    phase : `Phase`

    Raises
    ------
    UsageError
        Raised if there is no such phase.
    """
    try:
        return Phase(text.strip().upper())
    except ValueError as err:
        raise UsageError(
            f"PHASE={quoted(text)} is not accepted; give one of {', '.join(Phase)}",
            parameter="PHASE",
            value=text,
        ) from err


def parse_filter(params: ParamSet) -> tuple[Sequence[Phase], float | None, int | None]:
    """Parse what a list of jobs is to hold.

    Parameters
    ----------
    params
        PHASE (one of several), AFTER and LAST; all of them hold together.

    Returns
    -------
    phases : `~collections.abc.Sequence` [`Phase`]
        Empty for all.
    after_s : `float` or `None`
        Seconds since 1970, UTC.
    last : `int` or `None`
        So many at most.

    Raises
    ------
    UsageError
        Raised if a value is not accepted.

    References
    ----------
    UWS 1.1, 2.2.2.1.
    """
    after = params.single("AFTER")
    return (
        [parse_phase(text) for text in params.values("PHASE")],
        None if after is None else parse_time(after, "AFTER"),
        params.count("LAST"),
    )


def parse_time(text: str, name: str) -> float:
    """Parse a time.

    Parameters
    ----------
    text
        ISO 8601; UTC where it has no zone (UWS 1.1, 2.2).
    name
        Parameter that it is the value of.

    Returns
    -------
    seconds : `float`
        Seconds since 1970, UTC.

    Raises
    ------
    UsageError
        Raised if it is no time.
    """
    try:
        time = datetime.fromisoformat(text.strip())
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as err:
        raise UsageError(
            f"{name}={quoted(text)} is not accepted; give a time in UTC, such as 2026-01-02T03:04:05Z",
            parameter=name,
            value=text,
        ) from err


def parse_execution(params: ParamSet) -> int | None:
    """Parse EXECUTIONDURATION.

    Parameters
    ----------
    params
        The request.

    Returns
    -------
    seconds : `int` or `None`
        0 for as long as the service allows; `None` if it was not sent.

    Raises
    ------
    UsageError
        Raised if it is no number of seconds.
    """
    text = params.single("EXECUTIONDURATION")
    if text is None:
        return None
    # Seconds are whole in UWS, but pyvo (1.9) writes 100.0.
    if not _SECONDS.fullmatch(text.strip()):
        raise UsageError(
            f"EXECUTIONDURATION={quoted(text)} is not accepted; give seconds, 0 or more",
            parameter="EXECUTIONDURATION",
            value=text,
        )
    return math.ceil(min(float(text), _MOST_SECONDS))
