"""Jobs as rows of the table in their database."""

from __future__ import annotations

__all__ = ["COLUMNS", "INDEXES", "TABLE", "VERSION", "job_of", "row_of"]

import json
from collections.abc import Sequence
from typing import Any

from ._job import Job, JobError, JobResult
from ._phases import Phase

VERSION = 1
"""What `PRAGMA user_version` is of these tables."""

TABLE = """
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    phase TEXT NOT NULL,
    created_s REAL NOT NULL,
    execution_s INTEGER NOT NULL,
    destruction_s REAL NOT NULL,
    base_url TEXT NOT NULL,
    parameters TEXT NOT NULL,
    files TEXT NOT NULL,
    queued_s REAL,
    started_s REAL,
    ended_s REAL,
    results TEXT NOT NULL DEFAULT '[]',
    error TEXT,
    document BLOB,
    process TEXT
) WITHOUT ROWID
"""
INDEXES = (
    "CREATE INDEX by_creation ON jobs (created_s)",
    "CREATE INDEX by_phase ON jobs (phase, queued_s)",
    "CREATE INDEX by_destruction ON jobs (destruction_s)",
)
COLUMNS = (
    "job_id, phase, created_s, execution_s, destruction_s, base_url, parameters, files, "
    "started_s, ended_s, results, error, document, process"
)


def row_of(job: Job) -> dict[str, Any]:
    """Return the row of a new job.

    Parameters
    ----------
    job
        The job, without results and error.

    Returns
    -------
    values : `dict` [`str`, `~typing.Any`]
        By name of the column.
    """
    return {
        "job_id": job.job_id,
        "phase": job.phase,
        "created_s": job.created_s,
        "execution_s": job.execution_s,
        "destruction_s": job.destruction_s,
        "base_url": job.base_url,
        "parameters": json.dumps(job.parameters),
        "files": json.dumps(job.files),
    }


def job_of(row: Sequence[Any]) -> Job:
    """Return the job of a row.

    Parameters
    ----------
    row
        Its `COLUMNS`.

    Returns
    -------
    job : `Job`
    """
    (
        job_id,
        phase,
        created_s,
        execution_s,
        destruction_s,
        base_url,
        parameters,
        files,
        started_s,
        ended_s,
        results,
        error,
        document,
        process,
    ) = row
    return Job(
        job_id,
        Phase(phase),
        created_s,
        execution_s,
        destruction_s,
        base_url,
        _pairs_of(parameters),
        _pairs_of(files),
        started_s,
        ended_s,
        tuple(JobResult(**item) for item in json.loads(results)),
        None if error is None else JobError(**json.loads(error), document=document),
        process,
    )


def _pairs_of(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))
