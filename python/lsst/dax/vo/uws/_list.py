"""What is known of jobs, and the files that belong to them."""

from __future__ import annotations

__all__ = ["JobList"]

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from ..errors import NotFoundError
from ._database import JobDatabase
from ._folders import JobFolders
from ._job import Job, public_name
from ._phases import Phase

_MOST_LISTED = 1000


class JobList:
    """The jobs of one service, to look at.

    Parameters
    ----------
    database
        The jobs.
    folders
        Their files.
    listed
        Whether the jobs of all are listed.
    clock
        Seconds since 1970, UTC.
    """

    def __init__(
        self, database: JobDatabase, folders: JobFolders, *, listed: bool, clock: Callable[[], float]
    ) -> None:
        self.is_listed = listed
        """Whether the jobs of all are listed."""
        self._database = database
        self._folders = folders
        self._clock = clock
        self._public: dict[str, str] = {}

    def find(self, job_id: str) -> Job:
        """Look a job up.

        Parameters
        ----------
        job_id
            Its name.

        Returns
        -------
        job : `Job`

        Raises
        ------
        NotFoundError
            Raised if there is none, or no more.
        """
        job = self._database.find(job_id)
        if job is None or job.destruction_s <= self._clock():
            raise NotFoundError("There is no such job here; it may have been deleted, or its time was over")
        return job

    def find_public(self, name: str) -> Job:
        """Look a job up by the name that can do nothing.

        Parameters
        ----------
        name
            Its public name, `public_name`.

        Returns
        -------
        job : `Job`

        Raises
        ------
        NotFoundError
            Raised if there is none, or no more.
        """
        if name not in self._public:
            # A name is looked for only behind a good signature.
            self._public = {public_name(job_id): job_id for job_id in self._database.find_names()}
        return self.find(self._public.get(name, ""))

    def find_all(
        self, *, phases: Sequence[Phase] = (), after_s: float | None = None, last: int | None = None
    ) -> list[Job]:
        """Look for jobs.

        Parameters
        ----------
        phases
            One of these; by default any.
        after_s
            Made after that time.
        last
            So many at most, the newest ones.

        Returns
        -------
        jobs : `list` [`Job`]
            The newest first, up to 1000; none if jobs are not listed.

        References
        ----------
        UWS 1.1, 2.2.2.1.
        """
        if not self.is_listed:
            return []
        most = _MOST_LISTED if last is None else min(last, _MOST_LISTED)
        now_s = self._clock()
        found = self._database.find_all(phases=phases, after_s=after_s, last=most)
        return [job for job in found if job.destruction_s > now_s]

    def result_path(self, job: Job, result_id: str) -> Path:
        """Return the file of a result.

        Parameters
        ----------
        job
            The job.
        result_id
            One of its results.

        Returns
        -------
        path : `~pathlib.Path`
        """
        return self._folders.results(job.job_id) / result_id

    def open_result(self, job_id: str, result_id: str) -> BinaryIO:
        """Open a result.

        Parameters
        ----------
        job_id
            Name of the job.
        result_id
            One of its results.

        Returns
        -------
        file : `typing.BinaryIO`
            To be closed by the caller.

        Raises
        ------
        NotFoundError
            Raised if there is no such job, or it has no such result.
        """
        job = self.find(job_id)
        job.find_result(result_id)
        try:
            return self.result_path(job, result_id).open("rb")
        except FileNotFoundError as err:
            raise NotFoundError("The job has been deleted") from err

    def open_file(self, job: Job, name: str) -> BinaryIO:
        """Open a file that came with the parameters.

        Parameters
        ----------
        job
            The job.
        name
            One of its files.

        Returns
        -------
        file : `typing.BinaryIO`
            To be closed by the caller.

        Raises
        ------
        NotFoundError
            Raised if the job has been deleted.
        """
        return self._folders.open_upload(job, name)
