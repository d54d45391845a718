"""Results of jobs by signed URLs: who holds one may read that one result.

The name of a job is all that is needed to read, change and delete it; the
URL of a result does not give it away, and can be handed on.
"""

from __future__ import annotations

__all__ = ["ResultService"]

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import BinaryIO, cast
from urllib.parse import quote

from ...dali import ParamSet, Response
from ...errors import NotFoundError
from ...soda import FORMATS
from ...uws import Job, JobResult, JobService, public_name
from ._answer import answer_content
from ._contents import LocalContent
from ._plan import FileFacts
from ._signing import Signature, Signer


class ResultService:
    """Gives the results of one list of jobs signed URLs, and answers those.

    Parameters
    ----------
    jobs
        The jobs.
    signer
        Signs and verifies paths.
    path
        Where results are delivered: a path below the base URL.
    """

    def __init__(self, jobs: JobService, signer: Signer, path: str) -> None:
        self._jobs = jobs
        self._signer = signer
        self._prefix = path

    def url(self, job: Job, result: JobResult) -> str:
        """Return a URL from which anybody can read a result for a while.

        Parameters
        ----------
        job
            The job.
        result
            One of its results.

        Returns
        -------
        url : `str`
        """
        return job.base_url + self._signer.sign(self._path(public_name(job.job_id), result.result_id))

    def deliver(
        self,
        job_name: str,
        result_id: str,
        params: ParamSet,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Answer a request for a result.

        Parameters
        ----------
        job_name, result_id
            Parts of the path, decoded.
        params
            ``EXPIRES``, ``KEY`` and ``SIGNATURE``.
        method
            ``GET`` or ``HEAD``.
        headers
            Headers of the request.

        Returns
        -------
        response : `Response`

        Raises
        ------
        AuthenticationError
            Raised if the URL has no signature.
        AuthorizationError
            Raised if its signature is not valid, or not any more.
        NotFoundError
            Raised if the job has been deleted, or its time is over.
        """
        left_s = self._signer.verify(self._path(job_name, result_id), Signature.from_params(params))
        job = self._jobs.find_public(job_name)
        result = next((item for item in job.results if item.result_id == result_id), None)
        if result is None:
            raise NotFoundError("The job has no such result any more")
        with ExitStack() as stack:
            try:
                path = self._jobs.result_path(job, result_id)
                stream = cast(BinaryIO, stack.enter_context(path.open("rb", buffering=0)))
            except FileNotFoundError as err:
                raise NotFoundError("The job has been deleted") from err
            found = os.fstat(stream.fileno())
            # Not its time: the file may be one that others use, too.
            etag = f'"{job_name}-{result_id}"'
            facts = FileFacts(_filename(result), found.st_size, result.media_type, etag, job.ended_s)
            content = LocalContent(stream, facts)
            return answer_content(content, stack, method=method, headers=headers, left_s=left_s)

    def _path(self, job_name: str, result_id: str) -> str:
        return f"{self._prefix}/{quote(job_name, safe='')}/{quote(result_id, safe='')}"


_SUFFIXES = {one.media_type: one.suffix for one in FORMATS}


def _filename(result: JobResult) -> str:
    return result.result_id + _SUFFIXES.get(result.media_type, ".txt")
