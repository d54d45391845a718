"""Connections to the database of a store, and what it says, in our words."""

from __future__ import annotations

__all__ = ["Connection", "connect", "explained", "format_sql", "told_by"]

import contextlib
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pyarrow as pa
from psycopg import errors, sql

from ...errors import NotFoundError, TransientError, UsageError, VoError, without_secrets
from .._location import PostgresLocation

type Connection = psycopg.Connection[tuple[Any, ...]]
"""What `connect` makes."""

_CONNECT_SECONDS = 10


def connect(location: PostgresLocation) -> Connection:
    """Connect to the database of a store.

    Parameters
    ----------
    location
        Where the store is.

    Returns
    -------
    connection : `psycopg.Connection`
        To be closed by the caller.

    Raises
    ------
    NotFoundError
        Raised if there is no such database.
    UsageError
        Raised if the database refuses the user, or the URL is not libpq's.
    TransientError
        Raised if the database cannot be reached now.
    """
    options: dict[str, Any] = {"application_name": "lsst-dax-vo"}
    if "connect_timeout" not in location.conninfo:
        options["connect_timeout"] = _CONNECT_SECONDS
    try:
        connection = psycopg.connect(location.conninfo, **options)
    except psycopg.ProgrammingError as err:
        raise UsageError(
            f"The database of the store {location} cannot be asked for: {told_by(err, location)}"
        ) from None
    except psycopg.OperationalError as err:
        reason = told_by(err, location)
        if "does not exist" in reason and "database" in reason:
            raise NotFoundError(
                f"There is no database for the store {location}; make it with createdb"
            ) from None
        if any(word in reason for word in ("authentication failed", "role", "pg_hba.conf", "no password")):
            raise UsageError(f"The database refuses the store {location}: {reason}") from None
        raise TransientError(f"The database of the store {location} cannot be reached: {reason}") from None
    if connection.info.server_version >= 140000 and connection.info.vendor == "PostgreSQL":
        # So that work for a process that was killed ends.
        with contextlib.suppress(psycopg.Error):
            connection.execute("SET client_connection_check_interval = '1s'")
            connection.commit()
    return connection


@contextlib.contextmanager
def explained(location: PostgresLocation, *, writing: bool) -> Iterator[None]:
    """Put what a database says into our words.

    Parameters
    ----------
    location
        The store.
    writing
        Whether it is being written.

    Raises
    ------
    UsageError
        Raised if it cannot be written.
    TransientError
        Raised if it cannot be read now, or the database went away.
    """
    done = "written" if writing else "read"
    try:
        yield
    except VoError:
        raise
    except (errors.DiskFull, errors.OutOfMemory) as err:
        raise UsageError(f"The store {location} cannot be {done}: {told_by(err, location)}") from err
    except (psycopg.OperationalError, psycopg.InterfaceError) as err:
        raise TransientError(f"The store {location} cannot be {done} now: {told_by(err, location)}") from err
    except psycopg.Error as err:
        kind = UsageError if writing else TransientError
        now = "" if writing else " now"
        raise kind(f"The store {location} cannot be {done}{now}: {told_by(err, location)}") from err
    except (pa.ArrowException, OSError) as err:
        raise UsageError(f"The store {location} cannot be {done}: {str(err).splitlines()[0]}") from err


def told_by(err: Exception, location: PostgresLocation) -> str:
    """Return what an error says, without a password.

    Parameters
    ----------
    err
        The database's error.
    location
        The store.

    Returns
    -------
    text : `str`
        Its first line.
    """
    # Nothing that was a password in the URL, whatever libpq took it for.
    text = (str(err).strip() or type(err).__name__).splitlines()[0]
    return without_secrets(text, location.conninfo)


def format_sql(text: LiteralString, *parts: sql.Composable, **named: sql.Composable) -> sql.Composed:
    """Put names and values into a statement.

    Parameters
    ----------
    text
        The statement, with ``{}`` or ``{name}`` for each.
    *parts, **named
        What stands there.

    Returns
    -------
    statement : `psycopg.sql.Composed`
    """
    return sql.SQL(text).format(*parts, **named)
