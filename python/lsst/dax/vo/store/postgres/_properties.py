"""What a store in PostgreSQL tells about its table."""

from __future__ import annotations

__all__ = ["PostgresStore", "check_place", "open_store", "read_store", "write_properties"]

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg import errors, sql

from ...dali import Column
from ...errors import NotFoundError, UsageError
from .._layout import LAYOUT, batch_schema, columns_from_text, columns_to_text
from .._location import PostgresLocation
from ._connection import Connection, connect, explained, format_sql
from ._shape import has_place

# Properties that are not the caller's.
_COLUMNS, _LAYOUT, _TABLE, _FORMATTED, _UNSORTED = "columns", "layout", "table", "formatted", "unsorted"
_FORMATS = "formats"


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

    formats: Mapping[str, tuple[str | None, ...]] | None = None
    """Of the columns that have formats, all that rows may have, `None` for rows
    without; it is not told where there are many, and in older stores."""

    @property
    def has_place(self) -> bool:
        """Whether its rows have positions, and an index on them."""
        return has_place(batch_schema(self.columns))

    @property
    def is_current(self) -> bool:
        """Whether it has not been replaced or changed."""
        return open_store(self.location) == self


def open_store(location: PostgresLocation) -> PostgresStore:
    """Read what a store tells about its table; see `~lsst.dax.vo.store.open_store`.

    Parameters
    ----------
    location
        Where the store is.

    Returns
    -------
    store : `PostgresStore`
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
    query = format_sql("SELECT name, value FROM {}", _properties_of(location))
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
        layout, table = told.pop(_LAYOUT), told.pop(_TABLE)
        columns, formatted = columns_from_text(told.pop(_COLUMNS)), tuple(json.loads(told.pop(_FORMATTED)))
        unsorted = int(told.pop(_UNSORTED))
        formats = json.loads(told.pop(_FORMATS, "null"))
        if formats is not None:
            formats = {name: tuple(texts) for name, texts in formats.items()}
    except (AttributeError, LookupError, TypeError, ValueError) as err:
        raise _damaged(location) from err
    if layout != str(LAYOUT):
        raise UsageError(
            f"The store {location} has the layout {layout}, this version reads {LAYOUT}; "
            f"make it again with 'butler vo export REPO {location}'"
        )
    return PostgresStore(location, columns, table, told, formatted, unsorted, formats)


def write_properties(connection: Connection, store: PostgresStore) -> None:
    """Write what `read_store` reads.

    Parameters
    ----------
    connection
        To its database, in a transaction.
    store
        The table that counts from now on, and what is told about it.
    """
    properties = _properties_of(store.location)
    told = {
        **store.properties,
        _COLUMNS: columns_to_text(store.columns),
        _LAYOUT: str(LAYOUT),
        _FORMATTED: json.dumps(store.formatted),
        _UNSORTED: str(store.unsorted),
        _TABLE: store.table,
    }
    if store.formats is not None:
        told[_FORMATS] = json.dumps(store.formats)
    connection.execute(
        format_sql("CREATE TABLE IF NOT EXISTS {} (name text PRIMARY KEY, value text NOT NULL)", properties)
    )
    connection.execute(format_sql("DELETE FROM {}", properties))
    with connection.cursor() as cursor:
        cursor.executemany(format_sql("INSERT INTO {} VALUES (%s, %s)", properties), list(told.items()))


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


def _properties_of(location: PostgresLocation) -> sql.Identifier:
    return sql.Identifier(location.schema, f"{location.table}_properties")


def _damaged(location: PostgresLocation) -> UsageError:
    return UsageError(
        f"The properties of the store {location} are damaged; "
        f"make the store again with 'butler vo export REPO {location}'"
    )
