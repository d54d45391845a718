"""What is known of a job."""

from __future__ import annotations

__all__ = ["Job", "JobError", "JobResult", "format_time", "public_name"]

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import NotFoundError, quoted
from ._phases import Phase


@dataclass(frozen=True, slots=True)
class JobResult:
    """One result, in a file of the job's folder."""

    result_id: str
    """Name, unique in the job; also that of its file."""

    media_type: str
    """Content-Type."""

    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed."""

    message: str
    """What its owner may read."""

    kind: str
    """``fatal``, or ``transient`` if the same may work later (UWS 1.1)."""

    media_type: str
    """Content-Type of the document at ``/error``."""

    document: bytes
    """That document, in the form of the protocol."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is now; the store has it, and nothing else."""

    job_id: str
    """Name that nobody can guess: whoever knows it may do everything."""

    phase: Phase
    """Where in its life it is."""

    created_s: float
    """When it was made: seconds since 1970, UTC, as all times here."""

    execution_s: int
    """Seconds that it may run."""

    destruction_s: float
    """When it is removed."""

    base_url: str
    """URL under which its maker knows the services."""

    parameters: tuple[tuple[str, str], ...] = ()
    """Names in upper case, and values."""

    files: tuple[tuple[str, str], ...] = ()
    """Files that came with the parameters: the names of their parts of the
    form, and those in the job's folder."""

    started_s: float | None = None
    """When it began to run."""

    ended_s: float | None = None
    """When it ended, well or not."""

    results: tuple[JobResult, ...] = ()
    """What it has made."""

    error: JobError | None = None
    """Why it failed."""

    process: str | None = None
    """The process that runs it."""

    @property
    def run_id(self) -> str | None:
        """The client's own name for it (DALI 1.1, 3.4.6)."""
        names = [value for name, value in self.parameters if name == "RUNID"]
        return names[-1] if names else None

    def find_result(self, result_id: str) -> JobResult:
        """Look a result up.

        Parameters
        ----------
        result_id
            Its name.

        Returns
        -------
        result : `JobResult`

        Raises
        ------
        NotFoundError
            Raised if the job has none of that name.
        """
        for result in self.results:
            if result.result_id == result_id:
                return result
        raise NotFoundError(f"The job has no result {quoted(result_id)}; it is {self.phase}")


def public_name(job_id: str) -> str:
    """Return a name by which a job can be told from others, and not be used.

    Parameters
    ----------
    job_id
        Its name.

    Returns
    -------
    name : `str`
        From which nobody finds the other.
    """
    return hashlib.sha256(f"job {job_id}".encode()).hexdigest()[:32]


def format_time(seconds: float | None) -> str:
    """Write a time as UWS has it.

    Parameters
    ----------
    seconds
        Seconds since 1970, UTC.

    Returns
    -------
    text : `str`
        ISO 8601 with milliseconds and ``Z``; empty for `None`.
    """
    if seconds is None:
        return ""
    time = datetime.fromtimestamp(seconds, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
