"""From one table to the next: the view that everybody else reads goes over, and the old one goes."""

from __future__ import annotations

__all__ = ["check_dependents", "mark_table", "swap_view", "sweep"]

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from psycopg import errors, sql

from ...errors import NotFoundError, TransientError, UsageError
from .._location import PostgresLocation
from ._connection import Connection, format_sql
from ._properties import read_store
from ._shape import TableShape

# How long a writer waits for readers of the view to end, in all, and each
# time: who comes behind it waits that long.
_SWAP_SECONDS = 60.0
_LOCK_MILLISECONDS = 500
# Comment of tables that are ours to remove.
_MARK = "Table of an ObsCore store, made by lsst-dax-vo"


def check_dependents(connection: Connection, location: PostgresLocation, shape: TableShape) -> None:
    """Refuse other columns of a view that others need, before the work.

    Parameters
    ----------
    connection
        To its database.
    location
        Where the store is, or will be.
    shape
        Of the table that the view is to show.

    Raises
    ------
    UsageError
        Raised if something needs the columns that the view has.
    """
    dependents = _dependents_on(connection, location)
    if not dependents:
        return
    table, view = sql.Identifier("pg_temp", "probe"), sql.Identifier("pg_temp", "probe_shown")
    # What the view would be like, the database knows best.
    with connection.transaction(force_rollback=True):
        connection.execute(shape.declare(table))
        connection.execute(format_sql("CREATE VIEW {} AS {}", view, shape.show(table)))
        wanted = _columns_of(connection, "pg_temp", "probe_shown")
    there = _columns_of(connection, location.schema, location.table)
    if wanted[: len(there)] != there:
        raise _needed(location, dependents)


def swap_view(
    connection: Connection, location: PostgresLocation, made: sql.Identifier, shape: TableShape
) -> None:
    """Put the view on another table; who may read the view may read what takes its place.

    Parameters
    ----------
    connection
        To its database, in a transaction.
    location
        The store.
    made
        The table.
    shape
        Its shape.

    Raises
    ------
    UsageError
        Raised if something needs the columns that the view has.
    TransientError
        Raised if somebody is reading it for long.
    """
    # Readers of the view make it wait; each wait is short, so that who comes
    # behind it waits no longer than that.
    view, query = sql.Identifier(location.schema, location.table), shape.show(made)
    grants = _grants_on(connection, location)
    end = time.monotonic() + _SWAP_SECONDS
    while True:
        try:
            with connection.transaction():
                _wait_for_locks_at_most(connection)
                try:
                    # Others may have views on ours.
                    with connection.transaction():
                        connection.execute(format_sql("CREATE OR REPLACE VIEW {} AS {}", view, query))
                except errors.InvalidTableDefinition:
                    # It has other columns.
                    connection.execute(format_sql("DROP VIEW {}", view))
                    connection.execute(format_sql("CREATE VIEW {} AS {}", view, query))
        except errors.DependentObjectsStillExist as err:
            raise _needed(location, _dependents_on(connection, location)) from err
        except errors.LockNotAvailable as err:
            if time.monotonic() > end:
                raise TransientError(
                    f"The store {location} cannot be replaced now: somebody has been reading its view "
                    f"{location.table!r} for {_SWAP_SECONDS:.0f} s; try again later"
                ) from err
            time.sleep(_LOCK_MILLISECONDS / 1000)
        else:
            break
    for role in grants:
        grantee = sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
        for thing in (view, made):
            connection.execute(format_sql("GRANT SELECT ON {} TO {}", thing, grantee))


def mark_table(connection: Connection, table: sql.Identifier) -> None:
    """Mark a table as one that is ours to remove.

    Parameters
    ----------
    connection
        To its database.
    table
        Its name.
    """
    connection.execute(format_sql("COMMENT ON TABLE {} IS {}", table, sql.Literal(_MARK)))


def sweep(connection: Connection, location: PostgresLocation) -> None:
    """Drop tables that do not count, unless somebody still reads or needs them.

    Parameters
    ----------
    connection
        To their database.
    location
        The store.
    """
    found = connection.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE nspname = %s AND relkind = 'r' AND relname ~ %s AND obj_description(pg_class.oid) = %s",
        [location.schema, "_[0-9a-f]{32}$", _MARK],
    ).fetchall()
    try:
        current = read_store(connection, location).table
    except NotFoundError:
        current = None
    except UsageError:
        # Damaged; the next table will make it whole.
        return
    for (name,) in found:
        if name != current and name[:-33] == location.table:
            with (
                contextlib.suppress(
                    errors.LockNotAvailable, errors.InsufficientPrivilege, errors.DependentObjectsStillExist
                ),
                connection.transaction(),
            ):
                _wait_for_locks_at_most(connection)
                dropped = sql.Identifier(location.schema, name)
                connection.execute(format_sql("DROP TABLE IF EXISTS {}", dropped))


def _wait_for_locks_at_most(connection: Connection) -> None:
    connection.execute(format_sql("SET LOCAL lock_timeout = {}", sql.Literal(_LOCK_MILLISECONDS)))


def _needed(location: PostgresLocation, dependents: Sequence[str]) -> UsageError:
    return UsageError(
        f"The store {location} cannot get other columns: {', '.join(dependents)} in its database "
        f"{'depends' if len(dependents) == 1 else 'depend'} on its view {location.table!r}; drop what does, "
        "and make it again afterwards, or give another table in the URL: ?table=…"
    )


def _dependents_on(connection: Connection, location: PostgresLocation) -> list[str]:
    # Other views are there by their rules; functions and columns may also
    # need the type of its rows.
    return [
        name
        for (name,) in connection.execute(
            "SELECT DISTINCT coalesce('view ' || ev_class::regclass::text, "
            "pg_describe_object(d.classid, d.objid, d.objsubid)) "
            "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "JOIN pg_type AS t ON t.oid = c.reltype JOIN pg_depend AS d "
            "ON (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid) "
            "OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)) "
            "LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid "
            "WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'v' AND d.deptype = 'n' "
            "AND r.ev_class IS DISTINCT FROM c.oid ORDER BY 1",
            [location.schema, location.table],
        ).fetchall()
    ]


def _columns_of(connection: Connection, schema: str, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT attname, atttypid, atttypmod, attcollation FROM pg_attribute "
        "WHERE attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND attnum > 0 ORDER BY attnum",
        [schema, table],
    ).fetchall()


def _grants_on(connection: Connection, location: PostgresLocation) -> list[str | None]:
    return [
        role
        for (role,) in connection.execute(
            "SELECT DISTINCT CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END "
            "FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace, aclexplode(relacl) "
            "WHERE nspname = %s AND relname = %s AND privilege_type = 'SELECT' AND grantee <> relowner",
            [location.schema, location.table],
        ).fetchall()
    ]
