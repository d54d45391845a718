"""The jobs of a service, kept where the configuration says."""

from __future__ import annotations

__all__ = ["open_folder", "open_jobs"]

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

from ..config import ServiceConfig
from ..dali import Response
from ..files import Scratch
from ..uws import Call, JobLimits, JobService, Merge

_NO_MERGES: Mapping[str, Merge] = MappingProxyType({})


@contextmanager
def open_folder(config: ServiceConfig) -> Iterator[Path]:
    """Open the folder in which jobs, and what belongs to them, are kept.

    Parameters
    ----------
    config
        Names it; without a name it is one for as long as the services.

    Yields
    ------
    folder : `~pathlib.Path`
    """
    if config.jobs_folder is not None:
        yield config.jobs_folder
        return
    # What a killed process left goes as well.
    scratch = Scratch()
    try:
        yield scratch.path
    finally:
        scratch.remove()


@contextmanager
def open_jobs(
    name: str,
    call: Call,
    describe_error: Callable[[Exception], Response],
    config: ServiceConfig,
    *,
    multiple: Collection[str] = (),
    merges: Mapping[str, Merge] = _NO_MERGES,
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
    merges
        How values of a parameter, and new ones, become those that count.
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
        folder = stack.enter_context(open_folder(config))
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
            merges=merges,
            listed=config.jobs_listed,
            clock=clock,
        )
        stack.callback(jobs.close)
        yield jobs
