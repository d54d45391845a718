"""Folders of jobs: the files that clients sent, and those that they get."""

from __future__ import annotations

__all__ = ["JobFolders"]

import logging
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import NotFoundError, TransientError
from ._job import Job

_LOG = logging.getLogger(__name__)

_RESULTS, _UPLOADS = "results", "uploads"


class JobFolders:
    """A folder for each job.

    Parameters
    ----------
    folder
        Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def results(self, job_id: str) -> Path:
        """Return the folder of the results of a job.

        Parameters
        ----------
        job_id
            Name of the job.

        Returns
        -------
        folder : `~pathlib.Path`
            It may not be there yet.
        """
        return self._folder / job_id / _RESULTS

    def open_upload(self, job: Job, name: str) -> BinaryIO:
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
        try:
            return self._upload(job.job_id, dict(job.files)[name]).open("rb")
        except FileNotFoundError as err:
            raise NotFoundError("The files of the job have been deleted; make a new job") from err

    def keep_uploads(self, job: Job, files: Mapping[str, BinaryIO]) -> tuple[tuple[str, str], ...]:
        """Keep files that came with the parameters.

        Parameters
        ----------
        job
            The job.
        files
            Their contents, by name.

        Returns
        -------
        files : `tuple` [`tuple` [`str`, `str`], ...]
            Names, and names in the folder, of these and of those that the job
            had.

        Raises
        ------
        TransientError
            Raised if they cannot be stored.
        """
        kept = dict(job.files)
        for name, source in files.items():
            # Each has a new name: another request may be at the same.
            kept[name] = secrets.token_hex(8)
            path = self._upload(job.job_id, kept[name])
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as target:
                    source.seek(0)
                    shutil.copyfileobj(source, target)
            except OSError as err:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
                # Its text names a file of the server: that is for the log alone.
                _LOG.error("A file of job %s cannot be written: %s", job.job_id, err)
                raise TransientError("The files of the job cannot be stored now; try again later") from err
        return tuple(kept.items())

    def remove(self, job_id: str) -> None:
        """Remove all files of a job, as far as that can be done.

        Parameters
        ----------
        job_id
            Name of the job.
        """
        shutil.rmtree(self._folder / job_id, ignore_errors=True)

    def _upload(self, job_id: str, name: str) -> Path:
        return self._folder / job_id / _UPLOADS / name
