"""The jobs of a service, kept where the configuration says."""

from __future__ import annotations

__all__ = ["open_jobs"]

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager

from ..config import ServiceConfig
from ..dali import Response
from ..files import Scratch
from ..uws import Call, JobLimits, JobService


@contextmanager
def open_jobs(
    name: str,
    call: Call,
    describe_error: Callable[[Exception], Response],
    config: ServiceConfig,
    *,
    multiple: Collection[str],
    clock: Callable[[], float],
) -> Iterator[JobService]:
    """Open the jobs of one service.

    Parameters
    ----------
    name
        Name of the service: its jobs are kept apart from those of others.
    call
        Runs a job.
    describe_error
        From an error to the document that tells it.
    config
        Folder and limits.
    multiple
        Parameters that are added to.
    clock
        Seconds since 1970, UTC.

    Yields
    ------
    jobs : `~lsst.dax.vo.uws.JobService`
        Closed in the end.

    Raises
    ------
    UsageError
        Raised if the folder cannot be used.
    """
    limits = config.limits
    with ExitStack() as stack:
        folder = config.jobs_folder
        if folder is None:
            # As long as the services; what a killed process left goes as well.
            scratch = Scratch()
            stack.callback(scratch.remove)
            folder = scratch.path
        jobs = JobService(
            folder / name,
            call,
            describe_error,
            limits=JobLimits(
                limits.job_seconds,
                limits.job_seconds_hard,
                limits.job_retention_s,
                limits.job_retention_hard_s,
                limits.jobs_running,
                limits.jobs_kept,
            ),
            multiple=multiple,
            listed=config.jobs_listed,
            clock=clock,
        )
        stack.callback(jobs.close)
        yield jobs
