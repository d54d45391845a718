"""The entrances to stores of all kinds; a database is imported when it is used."""

from __future__ import annotations

__all__ = ["open_store", "open_updater", "open_writer", "require_writable"]

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from ..dali import Column
from ..errors import UsageError
from ._location import LiveLocation, Location, OwnLocation, ParquetLocation, PostgresLocation, StoreLocation
from ._store import Store, Updater, Writer


def open_store(location: OwnLocation) -> Store:
    """Read what a store tells about its table.

    Parameters
    ----------
    location
        Where the store is.

    Returns
    -------
    store : `Store`

    Raises
    ------
    NotFoundError
        Raised if there is no store.
    UsageError
        Raised if there is something else in its place, if it is damaged or
        of another layout, or if the library for it is not installed.
    TransientError
        Raised if it cannot be read now.
    """
    match location:
        case StoreLocation():
            from . import duckdb

            return duckdb.open_store(location)
        case ParquetLocation():
            from . import parquet

            return parquet.open_store(location)
        case PostgresLocation():
            with _psycopg_is_needed():
                from . import postgres
            return postgres.open_store(location)


def require_writable(
    location: Location,
) -> OwnLocation:
    """Refuse the Butler's own table: it is not ours to write.

    Parameters
    ----------
    location
        Where a store is, or will be.

    Returns
    -------
    location : `StoreLocation`, `ParquetLocation` or `PostgresLocation`
        The same.

    Raises
    ------
    UsageError
        Raised for that table.
    """
    if isinstance(location, LiveLocation):
        raise UsageError(
            f"The store {location} is the table that the Butler keeps itself, and can only be read: it is "
            "always up to date; export to a folder, parquet: or postgresql:// for a table of its own"
        )
    return location


def open_writer(
    location: Location,
    *,
    columns: Sequence[Column],
    properties: Mapping[str, str],
    formatted: Collection[str] = (),
) -> Writer:
    """Make a writer of a store.

    Parameters
    ----------
    location
        Where the store is, or will be.
    columns
        The public columns, in order.
    properties
        What to tell about the table, names and values.
    formatted
        Columns whose texts keep ``{id}`` in the place of the dataset's UUID.
        A table holds only the few formats, and makes the texts when they are
        asked for: half of an ObsCore table would be such texts.

    Returns
    -------
    writer : `Writer`
        To be used in a ``with`` statement.  Entering it raises `UsageError`
        if the store cannot be made there, and `TransientError` if another
        writer is at work.

    Raises
    ------
    UsageError
        Raised if a column has a type or name that the store cannot hold, if
        the library for it is not installed, or for the Butler's own table.
    """
    match require_writable(location):
        case StoreLocation() as folder:
            from .duckdb import StoreWriter

            return StoreWriter(folder, columns, properties, formatted=formatted)
        case ParquetLocation() as files:
            from .parquet import ParquetWriter

            return ParquetWriter(files, columns, properties, formatted=formatted)
        case PostgresLocation() as place:
            with _psycopg_is_needed():
                from .postgres import PostgresWriter
            return PostgresWriter(place, columns, properties, formatted=formatted)


def open_updater(
    location: Location,
    *,
    columns: Sequence[Column],
    properties: Mapping[str, str],
    formatted: Collection[str] = (),
) -> Updater:
    """Make what changes single rows of a store.

    Parameters
    ----------
    location
        Where the store is.
    columns, properties, formatted
        What the table is to be like; see `open_writer`.  If it is not like
        this now, all its rows are fresh.

    Returns
    -------
    updater : `Updater`
        To be used in a ``with`` statement, as a writer.  Entering it also
        raises `NotFoundError` if there is no store.

    Raises
    ------
    UsageError
        Raised as by `open_writer`.
    """
    match require_writable(location):
        case StoreLocation() as folder:
            from .duckdb import StoreUpdater

            return StoreUpdater(folder, columns, properties, formatted=formatted)
        case ParquetLocation() as files:
            from .parquet import ParquetUpdater

            return ParquetUpdater(files, columns, properties, formatted=formatted)
        case PostgresLocation() as place:
            with _psycopg_is_needed():
                from .postgres import PostgresUpdater
            return PostgresUpdater(place, columns, properties, formatted=formatted)


@contextlib.contextmanager
def _psycopg_is_needed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as err:
        if err.name != "psycopg":
            raise
        raise UsageError(
            "Stores in PostgreSQL need psycopg, which is not installed: pip install 'lsst-dax-vo[postgres]'"
        ) from err
