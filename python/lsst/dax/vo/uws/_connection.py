"""The way to the database of jobs: one connection for all threads of a process."""

from __future__ import annotations

__all__ = ["JobConnection", "is_full"]

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import TransientError

# Writers of several processes wait for each other; each writes a row.
_PATIENCE_S = 20.0


class JobConnection:
    """A connection to an SQLite database, which one thread uses at a time.

    What SQLite raises is raised as `TransientError`, whose cause it is.

    Parameters
    ----------
    path
        File of the database; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
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
        self._seen = self._data_version()

    @contextmanager
    def statement(self) -> Iterator[sqlite3.Connection]:
        """Use the connection for single statements.

        Yields
        ------
        connection : `sqlite3.Connection`
            It commits each statement by itself.

        Raises
        ------
        TransientError
            Raised if the database does not answer.
        """
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as err:
                raise TransientError("The list of jobs cannot be used now; try again later") from err

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Use the connection for statements of which all count, or none.

        Yields
        ------
        connection : `sqlite3.Connection`
            Within a transaction, for which no other process writes.

        Raises
        ------
        TransientError
            Raised if the database does not answer; nothing has changed.
        """
        with self.statement() as connection:
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

    def has_changed(self) -> bool:
        """Tell whether another process has written since this was last asked.

        Returns
        -------
        changed : `bool`
        """
        version = self._data_version()
        changed, self._seen = version != self._seen, version
        return changed

    def empty_log(self) -> None:
        """Put what is in the log where it belongs, if there is room; the log begins anew."""
        with suppress(TransientError), self.statement() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def _data_version(self) -> int:
        with self.statement() as connection:
            version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        return version


def is_full(error: TransientError) -> bool:
    """Tell whether an error of the database is that of a full disk.

    Parameters
    ----------
    error
        As `JobConnection` raises it.

    Returns
    -------
    is_full : `bool`
    """
    # SQLite has "full" for a disk, and an error of writing for a quota.
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
