"""Jobs in an SQLite database, which several processes may share."""

from __future__ import annotations

__all__ = ["JobDatabase"]

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import TransientError
from ._job import Job, JobError, JobResult
from ._phases import Event, Phase, phases_before
from ._reserve import Reserve

_VERSION = 1
_TABLE = """
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
_INDEXES = (
    "CREATE INDEX by_creation ON jobs (created_s)",
    "CREATE INDEX by_phase ON jobs (phase, queued_s)",
    "CREATE INDEX by_destruction ON jobs (destruction_s)",
)
_COLUMNS = (
    "job_id, phase, created_s, execution_s, destruction_s, base_url, parameters, files, "
    "started_s, ended_s, results, error, document, process"
)
# Writers of several processes wait for each other; each writes a row.
_PATIENCE_S = 20.0


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
        self._lock = threading.Lock()
        self._reserve = Reserve(path.with_name("reserve"))
        self._reserve.keep()
        self._connection = sqlite3.connect(
            path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing; a machine that loses its power
        # may lose the last moments.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        # A change takes some 4 pages in the log; by default it grows to 1000
        # before they go where they belong, also for jobs that are removed.
        self._connection.execute("PRAGMA wal_autocheckpoint = 64")
        with self._transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in (_TABLE, *_INDEXES, f"PRAGMA user_version = {_VERSION}"):
                    connection.execute(statement)
        self._seen = self._data_version()

    def insert(self, job: Job) -> None:
        """Add a job.

        Parameters
        ----------
        job
            A new one, without results and error.
        """
        values = {
            "job_id": job.job_id,
            "phase": job.phase,
            "created_s": job.created_s,
            "execution_s": job.execution_s,
            "destruction_s": job.destruction_s,
            "base_url": job.base_url,
            "parameters": json.dumps(job.parameters),
            "files": json.dumps(job.files),
        }
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        with self._transaction() as connection:
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
        with self._statement() as connection:
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
        with self._statement() as connection:
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
        with self._statement() as connection:
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
        with self._transaction() as connection:
            rows = connection.execute(
                f"UPDATE jobs SET phase = CASE phase {cases} END{changed} "
                f"WHERE job_id = ? AND phase IN ({marks}) RETURNING {_COLUMNS}",
                [*changes.values(), job_id, *steps],
            ).fetchall()
        return _job_of(rows[0]) if rows else None

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
        with self._statement() as connection:
            waiting = connection.execute("SELECT 1 FROM jobs WHERE phase = 'QUEUED' LIMIT 1").fetchone()
        if waiting is None:
            return None
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT job_id FROM jobs WHERE phase = 'QUEUED' ORDER BY queued_s LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            rows = connection.execute(
                "UPDATE jobs SET phase = ?, process = ?, started_s = ? WHERE job_id = ? "
                f"RETURNING {_COLUMNS}",
                (phases_before(Event.START)[Phase.QUEUED], process, now_s, row[0]),
            ).fetchall()
        return _job_of(rows[0])

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
        with self._transaction() as connection:
            rows = connection.execute(
                f"UPDATE jobs SET {sets} WHERE job_id = ? AND phase IN ({marks}) RETURNING {_COLUMNS}",
                [*changes.values(), job_id, *phases],
            ).fetchall()
        return _job_of(rows[0]) if rows else None

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
        with self._transaction() as connection:
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
        with self._transaction() as connection:
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
            if not _is_full(err.__cause__):
                raise
        self._reserve.give_up()
        # What is in the log goes where it belongs, and the log begins anew.
        with suppress(TransientError), self._statement() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
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
        version = self._data_version()
        changed, self._seen = version != self._seen, version
        return changed

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def _select(self, where: str, values: Sequence[Any]) -> list[Job]:
        with self._statement() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE {where}", values).fetchall()
        return [_job_of(row) for row in rows]

    def _delete(self, job_id: str) -> bool:
        with self._transaction() as connection:
            return connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,)).rowcount == 1

    def _data_version(self) -> int:
        with self._statement() as connection:
            version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    @contextmanager
    def _statement(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as err:
                raise TransientError("The list of jobs cannot be used now; try again later") from err

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._statement() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk ends some transactions by itself, and leaves
                # others open, in which nothing could begin any more.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _is_full(error: BaseException | None) -> bool:
    # SQLite has "full" for a disk, and an error of writing for a quota.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _pairs_of(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))


def _job_of(row: Sequence[Any]) -> Job:
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
