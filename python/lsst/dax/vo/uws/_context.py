"""What a running job may use."""

from __future__ import annotations

__all__ = ["JobContext"]

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import TransientError, UsageError
from ..files import replacing
from ._job import Job, JobResult

_LOG = logging.getLogger(__name__)

# Also the name of a file, and a part of a URL.
_RESULT_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class JobContext:
    """The way of a running job to its results.

    Parameters
    ----------
    job
        The job.
    folder
        Where its results go; made when there is one.
    tell
        Called with each result that is there.
    """

    def __init__(self, job: Job, folder: Path, tell: Callable[[JobResult], None]) -> None:
        self.job_id = job.job_id
        """Name of the job."""
        self.base_url = job.base_url
        """URL under which its maker knows the services."""
        self.seconds = job.execution_s
        """Seconds that it may run; then its `~lsst.dax.vo.dali.Hangup` happens."""
        self._folder = folder
        self._tell = tell

    @contextmanager
    def open_result(self, result_id: str, media_type: str) -> Iterator[BinaryIO]:
        """Write a result.

        Parameters
        ----------
        result_id
            Name of the result, unique in the job.
        media_type
            Content-Type.

        Yields
        ------
        stream : `typing.BinaryIO`
            Where its bytes go.  The result is there when the block ends
            well; if it raises, there is none.

        Raises
        ------
        ValueError
            Raised for a name that would be none of a file.
        TransientError
            Raised if it cannot be written.
        """
        if not _RESULT_ID.fullmatch(result_id):
            raise ValueError(f"{result_id!r} is no name of a result")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._folder / result_id) as stream:
                yield stream
                size = stream.tell()
        except (OSError, UsageError) as err:
            if isinstance(err, UsageError) and not isinstance(err.__cause__, OSError):
                raise
            # Its text names a file of the server: that is for the log alone.
            _LOG.error("A result of job %s cannot be written: %s", self.job_id, err)
            raise TransientError("The result cannot be stored now; try again later") from err
        self._tell(JobResult(result_id, media_type, size))

    def link_result(self, result_id: str, media_type: str, path: Path) -> bool:
        """Make a result of a file that is there: its content under one more name.

        Parameters
        ----------
        result_id
            Name of the result, unique in the job.
        media_type
            Content-Type.
        path
            The file, which nobody writes to any more.

        Returns
        -------
        is_linked : `bool`
            `False` if it has to be copied: it is on another file system, or
            gone.
        """
        if not _RESULT_ID.fullmatch(result_id):
            raise ValueError(f"{result_id!r} is no name of a result")
        result = self._folder / result_id
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            result.hardlink_to(path)
            size = result.stat().st_size
        except OSError:
            return False
        self._tell(JobResult(result_id, media_type, size))
        return True
