"""Jobs in an SQLite database, which several processes may share."""

from __future__ import annotations

__all__ = ["JobDatabase"]

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import TransientError
from ._connection import JobConnection, is_full
from ._job import Job, JobError, JobResult
from ._phases import Event, Phase, phases_before
from ._reserve import Reserve
from ._rows import COLUMNS, INDEXES, TABLE, VERSION, job_of, row_of


class JobDatabase:
    """The jobs of one list.

    All methods may be called from any thread, and raise `TransientError` if
    the database does not answer.

    Parameters
    ----------
    path
        File of the database; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._reserve = Reserve(path.with_name("reserve"))
        self._reserve.keep()
        self._connection = JobConnection(path)
        with self._connection.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in (TABLE, *INDEXES, f"PRAGMA user_version = {VERSION}"):
                    connection.execute(statement)

    def insert(self, job: Job) -> None:
        """Add a job.

        Parameters
        ----------
        job
            A new one, without results and error.
        """
        values = row_of(job)
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        with self._connection.transaction() as connection:
            connection.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", list(values.values()))

    def find(self, job_id: str) -> Job | None:
        """Look a job up.

        Parameters
        ----------
        job_id
            Any text.

        Returns
        -------
        job : `Job` or `None`
        """
        rows = self._select("job_id = ?", (job_id,))
        return rows[0] if rows else None

    def find_names(self) -> list[str]:
        """Return the names of all jobs.

        Returns
        -------
        job_ids : `list` [`str`]
        """
        with self._connection.statement() as connection:
            return [job_id for (job_id,) in connection.execute("SELECT job_id FROM jobs")]

    def find_all(
        self, *, phases: Sequence[Phase] = (), after_s: float | None = None, last: int | None = None
    ) -> list[Job]:
        """Look for jobs.

        Parameters
        ----------
        phases
            One of these; by default in any phase.
        after_s
            Made after that time.
        last
            So many at most, the newest ones.

        Returns
        -------
        jobs : `list` [`Job`]
            The newest first.
        """
        conditions, values = ["1"], list[Any]()
        if phases:
            conditions.append(f"phase IN ({', '.join('?' * len(phases))})")
            values += phases
        if after_s is not None:
            conditions.append("created_s > ?")
            values.append(after_s)
        values.append(-1 if last is None else last)
        where = " AND ".join(conditions)
        return self._select(f"{where} ORDER BY created_s DESC, job_id LIMIT ?", values)

    def count(self) -> int:
        """Count the jobs.

        Returns
        -------
        number : `int`
        """
        with self._connection.statement() as connection:
            number: int = connection.execute("SELECT COUNT(*) FROM jobs").fetchone()[0]
        return number

    def find_expired(self, now_s: float) -> list[str]:
        """Look for jobs that are to be removed.

        Parameters
        ----------
        now_s
            The time.

        Returns
        -------
        job_ids : `list` [`str`]
        """
        with self._connection.statement() as connection:
            rows = connection.execute("SELECT job_id FROM jobs WHERE destruction_s <= ?", (now_s,)).fetchall()
        return [job_id for (job_id,) in rows]

    def move(self, job_id: str, event: Event, **changes: Any) -> Job | None:
        """Let something happen to a job.

        Parameters
        ----------
        job_id
            The job.
        event
            What happens.
        **changes
            Columns, and their new values.

        Returns
        -------
        job : `Job` or `None`
            As it is then; `None` if it is not there, or in a phase in which
            that cannot happen: nothing has changed.
        """
        steps = phases_before(event)
        cases = " ".join(f"WHEN '{before}' THEN '{after}'" for before, after in steps.items())
        changed = "".join(f", {name} = ?" for name in changes)
        marks = ", ".join("?" * len(steps))
        with self._connection.transaction() as connection:
            rows = connection.execute(
                f"UPDATE jobs SET phase = CASE phase {cases} END{changed} "
                f"WHERE job_id = ? AND phase IN ({marks}) RETURNING {COLUMNS}",
                [*changes.values(), job_id, *steps],
            ).fetchall()
        return job_of(rows[0]) if rows else None

    def fail(self, job_id: str, error: JobError, now_s: float) -> Job | None:
        """Let a job fail.

        Parameters
        ----------
        job_id
            The job.
        error
            Why.
        now_s
            The time.

        Returns
        -------
        job : `Job` or `None`
            As `move` returns it.
        """
        about = {key: value for key, value in asdict(error).items() if key != "document"}
        return self.move(
            job_id, Event.FAIL, error=json.dumps(about), document=error.document, ended_s=now_s, process=None
        )

    def claim(self, process: str, now_s: float) -> Job | None:
        """Take the first job of the queue.

        Parameters
        ----------
        process
            Who takes it.
        now_s
            The time.

        Returns
        -------
        job : `Job` or `None`
            `None` if the queue is empty.
        """
        with self._connection.statement() as connection:
            waiting = connection.execute("SELECT 1 FROM jobs WHERE phase = 'QUEUED' LIMIT 1").fetchone()
        if waiting is None:
            return None
        with self._connection.transaction() as connection:
            row = connection.execute(
                "SELECT job_id FROM jobs WHERE phase = 'QUEUED' ORDER BY queued_s LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            rows = connection.execute(
                f"UPDATE jobs SET phase = ?, process = ?, started_s = ? WHERE job_id = ? RETURNING {COLUMNS}",
                (phases_before(Event.START)[Phase.QUEUED], process, now_s, row[0]),
            ).fetchall()
        return job_of(rows[0])

    def change(self, job_id: str, phases: Sequence[Phase], **changes: Any) -> Job | None:
        """Change what is known of a job.

        Parameters
        ----------
        job_id
            The job.
        phases
            Phases in which that is possible.
        **changes
            Columns, and their new values.

        Returns
        -------
        job : `Job` or `None`
            As it is then; `None` if it is not there, or in another phase.
        """
        sets = ", ".join(f"{name} = ?" for name in changes)
        marks = ", ".join("?" * len(phases))
        with self._connection.transaction() as connection:
            rows = connection.execute(
                f"UPDATE jobs SET {sets} WHERE job_id = ? AND phase IN ({marks}) RETURNING {COLUMNS}",
                [*changes.values(), job_id, *phases],
            ).fetchall()
        return job_of(rows[0]) if rows else None

    def set_parameters(
        self, job: Job, parameters: Sequence[tuple[str, str]], files: Sequence[tuple[str, str]]
    ) -> bool:
        """Set the parameters of a pending job, unless another request was faster.

        Parameters
        ----------
        job
            As it was when the parameters were put together.
        parameters, files
            The new ones.

        Returns
        -------
        changed : `bool`
        """
        with self._connection.transaction() as connection:
            done = connection.execute(
                "UPDATE jobs SET parameters = ?, files = ? "
                "WHERE job_id = ? AND phase = ? AND parameters = ? AND files = ?",
                (
                    json.dumps(parameters),
                    json.dumps(files),
                    job.job_id,
                    Phase.PENDING,
                    json.dumps(job.parameters),
                    json.dumps(job.files),
                ),
            )
            return done.rowcount == 1

    def add_result(self, job_id: str, result: JobResult) -> None:
        """Tell that a result of a running job is there.

        Parameters
        ----------
        job_id
            The job.
        result
            The result.
        """
        with self._connection.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET results = json_insert(results, '$[#]', json(?)) WHERE job_id = ?",
                (json.dumps(asdict(result)), job_id),
            )

    def delete(self, job_id: str) -> bool:
        """Remove a job.

        Parameters
        ----------
        job_id
            The job.

        Returns
        -------
        deleted : `bool`
            Whether it was there.

        Notes
        -----
        On a full disk, the room that was kept for that is used.
        """
        try:
            return self._delete(job_id)
        except TransientError as err:
            if not is_full(err):
                raise
        self._reserve.give_up()
        self._connection.empty_log()
        deleted = self._delete(job_id)
        self._reserve.keep()
        return deleted

    def keep_reserve(self) -> None:
        """Keep room on the disk for `delete`, if there is any."""
        self._reserve.keep()

    def has_changed(self) -> bool:
        """Tell whether another process has written since this was last asked.

        Returns
        -------
        changed : `bool`
        """
        return self._connection.has_changed()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _select(self, where: str, values: Sequence[Any]) -> list[Job]:
        with self._connection.statement() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM jobs WHERE {where}", values).fetchall()
        return [job_of(row) for row in rows]

    def _delete(self, job_id: str) -> bool:
        with self._connection.transaction() as connection:
            return connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,)).rowcount == 1
