"""Stores of all kinds as databases of one instance, which only reads them."""

from __future__ import annotations

__all__ = ["Table", "Tables", "open_tables"]

from collections.abc import Sequence

import duckdb

from ....store import FORMAT_PREFIX, FileLocation, StoreLocation
from ....store import duckdb as databases
from ....store import parquet as parquets
from .._words import quote_name, quote_text
from ._files import TableFiles

type Table = databases.Store | parquets.ParquetStore
"""One table, as it was when it was opened."""


def open_tables(locations: Sequence[FileLocation]) -> tuple[Table, ...]:
    """Open the tables of stores.

    Parameters
    ----------
    locations
        Where they are.

    Returns
    -------
    tables : `tuple` [`Table`, ...]

    Raises
    ------
    VoError
        Raised if a store cannot be read.
    """
    return tuple(
        databases.open_store(location)
        if isinstance(location, StoreLocation)
        else parquets.open_store(location)
        for location in locations
    )


class Tables:
    """Tables that an instance can read: each is ``obscore`` in ``s0``, ``s1`` and so on.

    Parameters
    ----------
    connection
        Of the instance, not shut yet.
    tables
        What to attach.

    Raises
    ------
    FileNotFoundError, duckdb.IOException
        Raised if a table is gone, or cannot be read.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
        self._files = TableFiles()
        self._watches: list[databases.Store | parquets.Watch] = []
        urls: list[str] = []
        try:
            for number, table in enumerate(tables):
                if isinstance(table, databases.Store):
                    connection.execute(f"ATTACH {quote_text(str(table.path))} AS s{number} (READ_ONLY)")
                    self._watches.append(table)
                    continue
                if not urls:
                    connection.register_filesystem(self._files)
                    # Else each query reads and parses the end of the file
                    # again, 14 ms of 17 for a count; and it never changes.
                    connection.execute("SET GLOBAL parquet_metadata_cache = true")
                    connection.execute("SET GLOBAL validate_external_file_cache = 'NO_VALIDATION'")
                urls.append(self._files.add(f"s{number}", table.path))
                connection.execute(f"ATTACH ':memory:' AS s{number}")
                connection.execute(_define(connection, number, urls[-1], table.formatted))
                self._watches.append(parquets.watch_store(table))
            if urls:
                connection.execute(f"SET GLOBAL allowed_paths = [{', '.join(map(quote_text, urls))}]")
        except BaseException:
            self.close()
            raise

    @property
    def are_current(self) -> bool:
        """Whether no other table has taken the place of one.

        Raises
        ------
        VoError
            Raised if a store cannot be read.
        """
        return all(watch.is_current for watch in self._watches)

    def close(self) -> None:
        """Close what closing the connection does not; that comes first."""
        for watch in self._watches:
            if isinstance(watch, parquets.Watch):
                watch.close()
        self._files.close()


def _define(connection: duckdb.DuckDBPyConnection, number: int, url: str, formatted: Sequence[str]) -> str:
    """Return what makes a view on a file that looks as a table of a database does."""
    source = f"read_parquet({quote_text(url)}, file_row_number = true)"
    names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    shown = [quote_name(name) for name in names if name != "file_row_number"]
    for name in formatted:
        # As the generated columns of a database.
        form = quote_name(f"{FORMAT_PREFIX}{name}")
        shown.append(f"replace({form}, '{{id}}', CAST(_id AS VARCHAR)) AS {quote_name(name)}")
    return (
        f"CREATE VIEW s{number}.obscore AS SELECT {', '.join(shown)}, file_row_number AS rowid FROM {source}"
    )
