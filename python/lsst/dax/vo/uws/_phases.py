"""The life of a job, as a table.

::

    PENDING ──RUN──► QUEUED ──START──► EXECUTING ──COMPLETE──► COMPLETED
       │               │  ◄──RETURN──    │    └────FAIL──────► ERROR
       └────ABORT──────┴──────ABORT──────┴───────────────────► ABORTED

A job is made PENDING, and its parameters are set.  RUN puts it into the
queue, from which a process takes it (START).  A process that is stopped
gracefully puts what it has begun back (RETURN); one that is killed cannot,
and the next one to look tells that its jobs have failed (FAIL).  DELETE is
no event: it takes the job away, in any phase, and ends it first.
"""

__all__ = ["ACTIVE", "TRANSITIONS", "Event", "Phase", "phases_before"]

from collections.abc import Mapping
from enum import StrEnum


class Phase(StrEnum):
    """Phases of UWS 1.1, 2.1.3; jobs here are never in the last four."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"
    HELD = "HELD"
    SUSPENDED = "SUSPENDED"
    UNKNOWN = "UNKNOWN"
    ARCHIVED = "ARCHIVED"


class Event(StrEnum):
    """What happens to a job."""

    RUN = "RUN"
    START = "START"
    RETURN = "RETURN"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    ABORT = "ABORT"


TRANSITIONS: Mapping[Phase, Mapping[Event, Phase]] = {
    Phase.PENDING: {Event.RUN: Phase.QUEUED, Event.ABORT: Phase.ABORTED},
    Phase.QUEUED: {Event.START: Phase.EXECUTING, Event.ABORT: Phase.ABORTED},
    Phase.EXECUTING: {
        Event.RETURN: Phase.QUEUED,
        Event.COMPLETE: Phase.COMPLETED,
        Event.FAIL: Phase.ERROR,
        Event.ABORT: Phase.ABORTED,
    },
}
"""From a phase, by an event, to the next one; no other change is possible."""

ACTIVE = frozenset(TRANSITIONS)
"""Phases that can still change, in which WAIT waits (UWS 1.1, 2.2.1.1)."""


def phases_before(event: Event) -> dict[Phase, Phase]:
    """Return the phases in which an event can happen.

    Parameters
    ----------
    event
        The event.

    Returns
    -------
    changes : `dict` [`Phase`, `Phase`]
        From each of them to the next one.
    """
    return {phase: events[event] for phase, events in TRANSITIONS.items() if event in events}
