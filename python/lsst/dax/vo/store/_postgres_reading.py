"""Reading what a store in PostgreSQL tells, and what its database says, in our words."""

from __future__ import annotations

__all__ = [
    "COLUMNS",
    "FORMATTED",
    "FORMAT_PREFIX",
    "LAYOUT_NAME",
    "SCIRCLE",
    "SPOINT",
    "TABLE",
    "UNSORTED",
    "Connection",
    "PostgresStore",
    "check_place",
    "connect",
    "explained",
    "format_sql",
    "has_place",
    "open_store",
    "properties_of",
    "read_store",
    "shown_columns",
    "told_by",
]

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
import pyarrow as pa
from psycopg import errors, sql

from ..dali import Column
from ..errors import NotFoundError, TransientError, UsageError, VoError, without_secrets
from ._layout import LAYOUT, batch_schema, columns_from_text
from ._location import PostgresLocation

type Connection = psycopg.Connection[tuple[Any, ...]]
"""What `connect` makes."""

COLUMNS, LAYOUT_NAME, TABLE, FORMATTED, UNSORTED = "columns", "layout", "table", "formatted", "unsorted"
"""Properties that are not the caller's."""

FORMAT_PREFIX = "_format_"
"""Before the name of a column: the column of its formats."""

_CONNECT_SECONDS = 10
# Not columns: COPY has no binary form of pgSphere's types.  The view has these
# expressions, and there are indexes on them.  pgSphere's circles end at 90
# degrees; wider ones have an index of their own.
SCIRCLE: LiteralString = "CASE WHEN _radius <= 1.57 THEN scircle(spoint(_lon, _lat), _radius) END"
"""The circle around a region, in a table."""

SPOINT: LiteralString = (
    "CASE WHEN s_ra BETWEEN -1e6 AND 1e6 AND s_dec BETWEEN -90 AND 90 "
    "THEN spoint(radians(s_ra), radians(s_dec)) END"
)
"""The position of a row, in a table that has columns for it."""

_PLACE = ("s_ra", "s_dec")


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """One table of a store, as it was when it was opened."""

    location: PostgresLocation
    """Where the store is."""

    columns: tuple[Column, ...]
    """The public columns, in order."""

    table: str
    """Name of the table in the store's schema.  A writer that replaces it
    removes it when nobody reads it any more."""

    properties: Mapping[str, str] = field(default_factory=dict)
    """What the writer told about the table, and ``rows``, their count."""

    formatted: tuple[str, ...] = ()
    """Columns of which the table holds formats."""

    unsorted: int = 0
    """Rows that updates have put behind those along the sky."""

    @property
    def has_place(self) -> bool:
        """Whether its rows have positions, and an index on them."""
        return has_place(batch_schema(self.columns))

    @property
    def is_current(self) -> bool:
        """Whether it has not been replaced or changed."""
        return open_store(self.location) == self


def open_store(location: PostgresLocation) -> PostgresStore:
    """Read what a store tells about its table.

    Parameters
    ----------
    location
        Where the store is.

    Returns
    -------
    store : `PostgresStore`

    Raises
    ------
    NotFoundError
        Raised if there is no store.
    UsageError
        Raised if there is something else, or a store of another layout.
    TransientError
        Raised if the database cannot be read now.
    """
    with explained(location, writing=False), contextlib.closing(connect(location)) as connection:
        connection.read_only = True
        return read_store(connection, location)


def read_store(connection: Connection, location: PostgresLocation) -> PostgresStore:
    """Read what a store tells, on a connection.

    Parameters
    ----------
    connection
        To its database.
    location
        Where the store is.

    Returns
    -------
    store : `PostgresStore`
    """
    query = format_sql("SELECT name, value FROM {}", properties_of(location))
    try:
        with connection.transaction():
            told: dict[str, str] = dict(connection.execute(query).fetchall())
    except (errors.UndefinedTable, errors.InvalidSchemaName) as err:
        check_place(connection, location)
        raise NotFoundError(
            f"There is no store {location}; make it with 'butler vo export REPO {location}'"
        ) from err
    except (errors.UndefinedColumn, ValueError) as err:
        raise _damaged(location) from err
    try:
        layout, table = told.pop(LAYOUT_NAME), told.pop(TABLE)
        columns, formatted = columns_from_text(told.pop(COLUMNS)), tuple(json.loads(told.pop(FORMATTED)))
        unsorted = int(told.pop(UNSORTED))
    except (LookupError, TypeError, ValueError) as err:
        raise _damaged(location) from err
    if layout != str(LAYOUT):
        raise UsageError(
            f"The store {location} has the layout {layout}, this version reads {LAYOUT}; "
            f"make it again with 'butler vo export REPO {location}'"
        )
    return PostgresStore(location, columns, table, told, formatted, unsorted)


def shown_columns(columns: Sequence[Column], formatted: Collection[str]) -> list[sql.Composable]:
    """Return what selects the public columns from a table.

    Parameters
    ----------
    columns
        The public columns.
    formatted
        Those of which the table holds formats.

    Returns
    -------
    expressions : `list` [`psycopg.sql.Composable`]
        One for each column, with its name.
    """
    return [
        format_sql(
            "replace({}, '{{id}}', _id::text) AS {}",
            sql.Identifier(FORMAT_PREFIX + column.name),
            sql.Identifier(column.name),
        )
        if column.name in formatted
        else sql.Identifier(column.name)
        for column in columns
    ]


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


def _damaged(location: PostgresLocation) -> UsageError:
    return UsageError(
        f"The properties of the store {location} are damaged; "
        f"make the store again with 'butler vo export REPO {location}'"
    )


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


def properties_of(location: PostgresLocation) -> sql.Identifier:
    """Return the name of the table of properties.

    Parameters
    ----------
    location
        The store.

    Returns
    -------
    name : `psycopg.sql.Identifier`
    """
    return sql.Identifier(location.schema, f"{location.table}_properties")


def check_place(connection: Connection, location: PostgresLocation) -> None:
    """Refuse a place that holds something else than a store.

    Parameters
    ----------
    connection
        To its database.
    location
        Where a store is, or will be.

    Raises
    ------
    UsageError
        Raised if there is a table or view by its name that is not ours.
    """
    # Names that we need, taken by something else.
    ((view, properties),) = connection.execute(
        "SELECT max(relkind::text) FILTER (WHERE relname = %(view)s), "
        "count(*) FILTER (WHERE relname = %(properties)s) "
        "FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname = %(schema)s",
        {"schema": location.schema, "view": location.table, "properties": f"{location.table}_properties"},
    ).fetchall()
    if view is not None and (view != "v" or not properties):
        raise UsageError(
            f"{location} is no store: the schema {location.schema!r} has a table {location.table!r} that is "
            "something else; give another schema or table in the URL: ?schema=…&table=…"
        )


def has_place(schema: pa.Schema) -> bool:
    """Tell whether rows have positions.

    Parameters
    ----------
    schema
        Of the rows.

    Returns
    -------
    answer : `bool`
    """
    return all(name in schema.names and schema.field(name).type == pa.float64() for name in _PLACE)
