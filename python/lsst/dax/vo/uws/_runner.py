"""Threads that run jobs, and one that watches over them.

The queue is in the database: whichever process has a free thread takes the
oldest job.  The watcher sees what other processes write (an abort, a job in
the queue), removes jobs whose time has come, and tells of those whose process
has died.
"""

from __future__ import annotations

__all__ = ["Call", "JobRunner"]

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ..dali import Hangup, ParamSet, Response, fault_of, message_of
from ..errors import TransientError, UsageError, VoError
from ._context import JobContext
from ._database import JobDatabase
from ._folders import JobFolders
from ._job import Job, JobError
from ._limits import JobLimits
from ._phases import Event, Phase
from ._processes import Presence

_LOG = logging.getLogger(__name__)

_WATCH_S = 0.5
_SWEEP_S = 10.0
_END_S = 10.0

type Call = Callable[[ParamSet, JobContext], None]
"""What a protocol does for a job: from its parameters, with its files and the
hangup that an abort makes happen, to results of its context."""


class JobRunner:
    """Runs the jobs of one list.

    Parameters
    ----------
    database
        The jobs.
    folders
        Their files.
    presence
        The sign of this process.
    call
        Runs a job.
    describe_error
        From an error to the document at ``/error``.
    limits
        How many run at once.
    clock
        Seconds since 1970, UTC.
    tell
        Called with the name of a job that has changed; `None` for all.
    """

    def __init__(
        self,
        database: JobDatabase,
        folders: JobFolders,
        presence: Presence,
        call: Call,
        describe_error: Callable[[Exception], Response],
        limits: JobLimits,
        clock: Callable[[], float],
        tell: Callable[[str | None], None],
    ) -> None:
        self._database = database
        self._folders = folders
        self._presence = presence
        self._call = call
        self._describe_error = describe_error
        self._limits = limits
        self._clock = clock
        self._tell = tell
        self._queue = threading.Condition()
        self._running: dict[str, Hangup] = {}
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def running(self) -> int:
        """Jobs that this process runs now."""
        return len(self._running)

    def start(self) -> None:
        """Start the threads; jobs that wait in the queue run then."""
        try:
            self.sweep()
        except VoError as err:
            # A full disk, as likely as not: the list can be read, jobs can be
            # deleted, and the watcher sweeps again soon.
            _LOG.error("Jobs cannot be swept: %s", err)
        names = [f"job-{number}" for number in range(self._limits.running)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        self._threads.append(threading.Thread(target=self._watch, name="job-watch", daemon=True))
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Tell that a job has come into the queue."""
        with self._queue:
            self._queue.notify()

    def stop_job(self, job_id: str) -> None:
        """End a job, if it runs in this process.

        Parameters
        ----------
        job_id
            The job, whose phase has been changed before.
        """
        hangup = self._running.get(job_id)
        if hangup is not None:
            hangup.happen()

    def stop(self) -> None:
        """End all jobs of this process, back into the queue, and the threads."""
        self._ending.set()
        with self._queue:
            self._queue.notify_all()
        for hangup in list(self._running.values()):
            hangup.happen()
        end_s = time.monotonic() + _END_S
        for thread in self._threads:
            thread.join(max(end_s - time.monotonic(), 0))

    def sweep(self) -> None:
        """Remove jobs whose time has come; tell of those whose process has died."""
        expired = self._database.find_expired(self._clock())
        for job_id in expired:
            # Of all before the first change of the list: see `remove`.
            self._folders.remove(job_id)
        for job_id in expired:
            self.remove(job_id)
        for job in self._database.find_all(phases=[Phase.EXECUTING]):
            if self._is_lost(job):
                lost = TransientError(
                    "The service was stopped while the job was running; send it once more to run it again"
                )
                self._database.fail(job.job_id, self._error_of(lost), self._clock())
                self._tell(job.job_id)
        self._presence.remove_dead()
        self._database.keep_reserve()

    def remove(self, job_id: str) -> bool:
        """Remove a job with everything that it has.

        Parameters
        ----------
        job_id
            The job.

        Returns
        -------
        removed : `bool`
            Whether it was there.
        """
        # On a full disk the list cannot be changed before files are gone; a
        # job that has lost them is still there to be removed.
        self._folders.remove(job_id)
        removed = self._database.delete(job_id)
        if removed:
            self.stop_job(job_id)
            # What a running one has written meanwhile.
            self._folders.remove(job_id)
            self._tell(job_id)
        return removed

    def _is_lost(self, job: Job) -> bool:
        if job.process == self._presence.name:
            # Taken, and not run: its end could not be told.
            begun_s = job.started_s or 0.0
            return job.job_id not in self._running and begun_s < self._clock() - _SWEEP_S
        return job.process is None or not self._presence.is_alive(job.process)

    def _work(self) -> None:
        while not self._ending.is_set():
            try:
                job = self._database.claim(self._presence.name, self._clock())
            except VoError as err:
                _LOG.error("The queue of jobs cannot be read: %s", err)
                job = None
            if job is not None:
                try:
                    self._run(job)
                except VoError as err:
                    # The next sweep finds that nobody runs the job any more.
                    _LOG.error("The end of job %s could not be told: %s", job.job_id, err)
                continue
            with self._queue:
                if not self._ending.is_set():
                    # Woken by this process's requests, and by the watcher
                    # for those of others; the time is for what was missed.
                    self._queue.wait(_SWEEP_S)

    def _watch(self) -> None:
        left_s = _SWEEP_S
        while not self._ending.wait(_WATCH_S):
            left_s -= _WATCH_S
            try:
                if self._database.has_changed():
                    self._look_at_changes()
                if left_s <= 0:
                    left_s = _SWEEP_S
                    self.sweep()
            except VoError as err:
                _LOG.error("Jobs cannot be watched: %s", err)

    def _look_at_changes(self) -> None:
        with self._queue:
            self._queue.notify_all()
        for job_id in list(self._running):
            self._stop_if_over(job_id)
        self._tell(None)

    def _stop_if_over(self, job_id: str) -> None:
        job = self._database.find(job_id)
        if job is None or job.phase is not Phase.EXECUTING:
            self.stop_job(job_id)

    def _run(self, job: Job) -> None:
        hangup, over = Hangup(), threading.Event()
        self._running[job.job_id] = hangup
        self._tell(job.job_id)
        try:
            # It may have been aborted before it was in the dictionary.
            self._stop_if_over(job.job_id)
            with ExitStack() as stack:
                files = {
                    name: stack.enter_context(self._folders.open_upload(job, name)) for name, _ in job.files
                }
                stack.enter_context(_deadline(job.execution_s, hangup, over))
                params = ParamSet(job.parameters, files, hangup)
                context = JobContext(
                    job,
                    self._folders.results(job.job_id),
                    lambda result: self._database.add_result(job.job_id, result),
                )
                self._call(params, context)
        except Exception as err:
            self._end_badly(job, err, over=over.is_set())
        else:
            self._database.move(job.job_id, Event.COMPLETE, ended_s=self._clock(), process=None)
        finally:
            del self._running[job.job_id]
            if self._database.find(job.job_id) is None:
                # Deleted meanwhile, when files were still being written.
                self._folders.remove(job.job_id)
            self._tell(job.job_id)

    def _end_badly(self, job: Job, error: Exception, *, over: bool) -> None:
        if self._ending.is_set():
            self._database.move(job.job_id, Event.RETURN, started_s=None, process=None, results="[]")
            return
        if over:
            # UWS 1.1 (2.2.1.2) has the phase ABORTED, with which clients
            # (pyvo 1.9) show no message; ERROR tells what to do.
            error = UsageError(
                f"The job took more than {job.execution_s} s; ask for less at once, or set a longer "
                "EXECUTIONDURATION if the capabilities allow it"
            )
        self._database.fail(job.job_id, self._error_of(error), self._clock())

    def _error_of(self, error: Exception) -> JobError:
        if not isinstance(error, VoError):
            log_id = uuid.uuid4().hex[:12]
            _LOG.error("Job failed, log id %s", log_id, exc_info=error)
            error = _UnforeseenError(f"{message_of(error)} (log id {log_id})")
        document = self._describe_error(error)
        content = document.body if isinstance(document.body, bytes) else b"".join(document.body)
        return JobError(message_of(error), fault_of(error).uws, document.media_type, content)


class _UnforeseenError(VoError):
    """What may be read of a defect."""


@contextmanager
def _deadline(seconds: int, hangup: Hangup, over: threading.Event) -> Iterator[None]:
    def end() -> None:
        over.set()
        hangup.happen()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
