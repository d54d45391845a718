"""How long jobs may run and are kept, and how many there are."""

from __future__ import annotations

__all__ = ["JobLimits"]

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Times of jobs, in seconds, and how many there are."""

    execution_s: int
    """That a job may run when its client says nothing."""

    execution_hard_s: int
    """That it may run at most."""

    retention_s: int
    """That it is kept when its client says nothing."""

    retention_hard_s: int
    """That it is kept at most."""

    running: int
    """Jobs that run at once."""

    kept: int = 10_000
    """Jobs that are kept at once."""

    def execution_within(self, seconds: int | None) -> int:
        """Return how long a job may run.

        Parameters
        ----------
        seconds
            What its client says, if anything; 0 for as long as the service
            allows (UWS 1.1, 2.2.1.2).

        Returns
        -------
        execution_s : `int`
            In seconds.
        """
        if seconds is None:
            return min(self.execution_s, self.execution_hard_s)
        return min(seconds or self.execution_hard_s, self.execution_hard_s)

    def destruction_within(self, destruction_s: float | None, created_s: float) -> float:
        """Return when a job is removed.

        Parameters
        ----------
        destruction_s
            What its client says, if anything; seconds since 1970, UTC.
        created_s
            When it was made.

        Returns
        -------
        destruction_s : `float`
            Seconds since 1970, UTC.
        """
        latest_s = created_s + self.retention_hard_s
        if destruction_s is None:
            return min(created_s + self.retention_s, latest_s)
        return min(destruction_s, latest_s)
