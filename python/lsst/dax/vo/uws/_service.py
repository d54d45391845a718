"""A list of jobs, and what can be done with each of them."""

from __future__ import annotations

__all__ = ["JobService"]

import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from ..dali import Response
from ..errors import AuthorizationError, TransientError, UsageError
from ._database import JobDatabase
from ._folders import JobFolders
from ._job import Job
from ._limits import JobLimits
from ._list import JobList
from ._listeners import JobListeners
from ._parameters import Merge, merge_parameters
from ._phases import ACTIVE, Event, Phase
from ._processes import Presence
from ._runner import Call, JobRunner

# What says how a job is run is no parameter of it (UWS 1.1, 2.2.2).
_CONTROLS = frozenset({"PHASE", "ACTION", "WAIT", "EXECUTIONDURATION", "DESTRUCTION"})
_NO_MERGES: Mapping[str, Merge] = MappingProxyType({})


class JobService(JobList):
    """The jobs of one service, to look at and to change; it knows nothing of its protocol.

    Several processes may share a folder, each with one of these: they see the
    same jobs, and any of them runs what is in the queue.  All methods may be
    called from any thread.

    Parameters
    ----------
    folder
        Where jobs and results are kept, on a local disk; made if it is not
        there.
    call
        Runs a job; what it raises is the job's error.
    describe_error
        From an error to the document at ``/error``, in the protocol's form.
    limits
        Times of jobs, and how many run at once.
    multiple
        Parameters that are added to; of others the last value counts that is
        sent to ``/parameters``.
    merges
        For parameters of which a new value may take the place of some of the
        old ones: from the values that there are, and those that are sent, to
        those that count.
    listed
        Whether the jobs of all are listed.
    clock
        Seconds since 1970, UTC.

    Raises
    ------
    UsageError
        Raised if the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        call: Call,
        describe_error: Callable[[Exception], Response],
        *,
        limits: JobLimits,
        multiple: Collection[str] = (),
        merges: Mapping[str, Merge] = _NO_MERGES,
        listed: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        """Times of jobs, and how many run at once."""
        self._multiple = frozenset(multiple)
        self._merges = dict(merges)
        self._listeners = JobListeners()
        try:
            # What users sent, and got, is nobody else's.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / "processes").mkdir(exist_ok=True)
            self._presence = Presence(folder / "processes")
            database = JobDatabase(folder / "jobs.sqlite")
        except (OSError, sqlite3.Error) as err:
            raise UsageError(
                f"Jobs cannot be kept in {folder}: {err}; give jobs_folder a folder on a local disk that can "
                "be written"
            ) from err
        super().__init__(database, JobFolders(folder), listed=listed, clock=clock)
        self._runner = JobRunner(
            database,
            self._folders,
            self._presence,
            call,
            describe_error,
            limits,
            clock,
            self._listeners.tell,
        )

    @property
    def running(self) -> int:
        """Jobs that this process runs now."""
        return self._runner.running

    def start(self) -> None:
        """Run jobs from now on; those first that wait in the queue."""
        self._runner.start()

    def sweep(self) -> None:
        """Remove jobs whose time has come; tell of those whose process has died.

        Happens at the start, and then by itself every few seconds.
        """
        self._runner.sweep()

    def close(self) -> None:
        """End running jobs, back into the queue, and close the list."""
        self._runner.stop()
        self._database.close()
        self._presence.leave()

    def listen(self, job_id: str, tell: Callable[[], None]) -> Callable[[], None]:
        """Be told of changes of a job.

        Parameters
        ----------
        job_id
            Its name.
        tell
            Called from any thread, perhaps for no change; it must not block.

        Returns
        -------
        end : `~collections.abc.Callable`
            Ends that.
        """
        return self._listeners.add(job_id, tell)

    def create(
        self,
        parameters: Sequence[tuple[str, str]],
        files: Mapping[str, BinaryIO],
        *,
        base_url: str,
        execution_s: int | None = None,
        destruction_s: float | None = None,
    ) -> Job:
        """Make a job; it is pending.

        Parameters
        ----------
        parameters
            Names in upper case, and values; nothing is required, and nothing
            checked before it runs (TAP 1.1, 2.2).
        files
            Files that came with them.
        base_url
            URL under which clients reach the services.
        execution_s
            Seconds that it may run; within the limits.
        destruction_s
            When it is removed: seconds since 1970, UTC; within the limits.

        Returns
        -------
        job : `Job`

        Raises
        ------
        TransientError
            Raised if there are as many jobs as are kept, or its files cannot be
            stored.
        """
        if self._database.count() >= self.limits.kept:
            raise TransientError(
                f"This service keeps {self.limits.kept} jobs, and has as many; delete some of yours, or try "
                "again later",
                retry_after=600,
            )
        now_s = self._clock()
        kept = tuple((name, value) for name, value in parameters if name not in _CONTROLS)
        job = Job(
            secrets.token_hex(16),
            Phase.PENDING,
            now_s,
            self.limits.execution_within(execution_s),
            self.limits.destruction_within(destruction_s, now_s),
            base_url,
            kept,
        )
        try:
            job = replace(job, files=self._folders.keep_uploads(job, files))
            self._database.insert(job)
        except BaseException:
            self._folders.remove(job.job_id)
            raise
        return job

    def run(self, job_id: str) -> Job:
        """Put a pending job into the queue.

        Parameters
        ----------
        job_id
            Its name.

        Returns
        -------
        job : `Job`
            The same, if it is in the queue or running already.

        Raises
        ------
        NotFoundError
            Raised if there is no such job.
        AuthorizationError
            Raised if it has ended.
        """
        job = self._database.move(job_id, Event.RUN, queued_s=self._clock())
        if job is not None:
            self._runner.wake()
            self._listeners.tell(job_id)
            return job
        job = self.find(job_id)
        if job.phase in ACTIVE:
            return job
        raise AuthorizationError(f"The job has ended ({job.phase}) and is not run again; make a new one")

    def abort(self, job_id: str) -> Job:
        """End a job.

        Parameters
        ----------
        job_id
            Its name.

        Returns
        -------
        job : `Job`
            The same, if it has ended already.

        Raises
        ------
        NotFoundError
            Raised if there is no such job.
        """
        job = self._database.move(job_id, Event.ABORT, ended_s=self._clock(), process=None)
        if job is None:
            return self.find(job_id)
        self._runner.stop_job(job_id)
        self._listeners.tell(job_id)
        return job

    def delete(self, job_id: str) -> None:
        """Remove a job with its results; a running one is ended.

        Parameters
        ----------
        job_id
            Its name.

        Raises
        ------
        NotFoundError
            Raised if there is no such job.
        """
        self.find(job_id)
        self._runner.remove(job_id)

    def set_parameters(
        self, job_id: str, parameters: Sequence[tuple[str, str]], files: Mapping[str, BinaryIO]
    ) -> Job:
        """Set parameters of a pending job.

        Parameters
        ----------
        job_id
            Its name.
        parameters
            Names in upper case, and values.
        files
            Files that came with them; a name that was there is replaced.

        Returns
        -------
        job : `Job`

        Raises
        ------
        NotFoundError
            Raised if there is no such job.
        AuthorizationError
            Raised if it is not pending.
        TransientError
            Raised if the files cannot be stored.
        """
        added = [(name, value) for name, value in parameters if name not in _CONTROLS]
        while True:
            job = self.find(job_id)
            if job.phase is not Phase.PENDING:
                raise AuthorizationError(
                    f"The parameters of a job can be changed while it is PENDING; it is {job.phase}"
                )
            names = self._folders.keep_uploads(job, files)
            merged = merge_parameters(job.parameters, added, multiple=self._multiple, merges=self._merges)
            if self._database.set_parameters(job, merged, names):
                return self.find(job_id)

    def set_execution(self, job_id: str, seconds: int) -> Job:
        """Set the seconds that a job may run.

        Parameters
        ----------
        job_id
            Its name.
        seconds
            Within the limits; 0 for as long as the service allows (UWS 1.1,
            2.2.1.2).

        Returns
        -------
        job : `Job`

        Raises
        ------
        NotFoundError
            Raised if there is no such job.
        AuthorizationError
            Raised if it runs already, or has ended.
        """
        job = self._database.change(
            job_id, [Phase.PENDING, Phase.QUEUED], execution_s=self.limits.execution_within(seconds)
        )
        if job is None:
            raise AuthorizationError(
                f"EXECUTIONDURATION can be changed before a job runs; it is {self.find(job_id).phase}"
            )
        return job

    def set_destruction(self, job_id: str, destruction_s: float) -> Job:
        """Set when a job is removed.

        Parameters
        ----------
        job_id
            Its name.
        destruction_s
            Seconds since 1970, UTC; within the limits.

        Returns
        -------
        job : `Job`

        Raises
        ------
        NotFoundError
            Raised if there is no such job.
        """
        job = self.find(job_id)
        when_s = self.limits.destruction_within(destruction_s, job.created_s)
        changed = self._database.change(job_id, list(Phase), destruction_s=when_s)
        return self.find(job_id) if changed is None else changed
