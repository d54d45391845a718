"""An instance of DuckDB that can do nothing but read the published tables."""

from __future__ import annotations

__all__ = ["Formats", "World", "make_world"]

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import duckdb
from duckdb.sqltypes import BIGINT, BLOB, BOOLEAN, DOUBLE, VARCHAR

from ....config import Limits
from ....errors import TransientError
from ....store import FORMAT_PREFIX, FileLocation
from ..._catalog import OBSCORE_TABLE, Catalog, build_catalog, tap_schema_rows
from ..._udfs import UDF_KERNELS
from ...geometry._kernels import SQL_FUNCTIONS
from .._words import UNREADABLE, merge_columns, quote_name
from ._blocks import Blocks
from ._stores import Table, Tables, open_tables
from ._tables import select_rows
from ._texts import Texts

type Formats = dict[str, frozenset[str | None]]
"""The different formats of texts, by column; `None` for texts that are NULL."""

# Between asking for a store's file and attaching it, it may be replaced.
_ATTEMPTS = 5


class World:
    """One shut instance, and how many queries are running on it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        stores: tuple[Table, ...],
        tables: Tables,
        formats: tuple[Formats, ...],
    ) -> None:
        self.connection = connection
        """Of which each query has a cursor."""
        self.catalog = catalog
        """What can be read."""
        self.stores = stores
        """The tables that are attached."""
        self._tables = tables
        self.formats = formats
        """Of each store, the different formats of its texts, by column."""
        self.users = 0
        """Queries that are running."""
        self.retired = False
        """Whether the last user closes the connection."""
        self.texts = Texts()
        """SQL of plans."""
        self._blocks: Blocks | None = None
        self._counting = threading.Lock()

    @property
    def is_current(self) -> bool:
        """Whether no other table has taken the place of one."""
        return self._tables.are_current

    def close(self) -> None:
        """Close the instance; nobody uses it any more."""
        self.connection.close()
        self._tables.close()

    def blocks(self, cursor: duckdb.DuckDBPyConnection) -> Blocks:
        """Return where regions are.

        Parameters
        ----------
        cursor
            Of the connection; reads all rows when this is first asked for.

        Returns
        -------
        blocks : `Blocks`
        """
        with self._counting:
            if self._blocks is None:
                self._blocks = Blocks(cursor, len(self.stores))
            return self._blocks


def make_world(locations: Sequence[FileLocation], limits: Limits) -> World:
    """Make an instance on stores as they are now, and shut it.

    Parameters
    ----------
    locations
        Of one or more stores.
    limits
        Memory of all its queries.

    Returns
    -------
    world : `World`

    Raises
    ------
    VoError
        Raised if a store cannot be read, or they do not fit together.
    """
    for _ in range(_ATTEMPTS):
        stores = open_tables(locations)
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(contextlib.closing(_connect(limits)))
            try:
                tables = Tables(connection, stores)
                stack.callback(tables.close)
                catalog = build_catalog(merge_columns(stores))
                _make_tables(connection, catalog, stores)
                formats = tuple(_read_formats(connection, *item) for item in enumerate(stores))
                connection.execute("SET enable_external_access = false")
                connection.execute("SET lock_configuration = true")
            except (duckdb.IOException, FileNotFoundError) as err:
                if all(store.is_current for store in stores):
                    raise TransientError(UNREADABLE) from err
            else:
                stack.pop_all()
                return World(connection, catalog, stores, tables, formats)
    raise TransientError(UNREADABLE)


def _connect(limits: Limits) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{limits.query_memory_mb}MB",
            # No query fills the disk.
            "temp_directory": "",
            # Or variables of this module would be tables.
            "python_enable_replacements": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    types: dict[str, Any] = {
        "blob": BLOB,
        "bool": BOOLEAN,
        "double": DOUBLE,
        "doubles": connection.list_type(DOUBLE),
        "long": BIGINT,
        "text": VARCHAR,
    }
    for item in (*SQL_FUNCTIONS, *UDF_KERNELS):
        options: dict[str, Any] = {
            "type": "arrow",
            "null_handling": "special" if item.nulls else "default",
        }
        takes = [types[word] for word in item.takes]
        connection.create_function(item.name, item.function, takes, types[item.gives], **options)
    return connection


def _read_formats(connection: duckdb.DuckDBPyConnection, number: int, store: Table) -> Formats:
    found: Formats = {}
    for name in store.formatted:
        column = quote_name(f"{FORMAT_PREFIX}{name}")
        rows = connection.execute(f"SELECT DISTINCT {column} FROM s{number}.obscore").fetchall()
        found[name] = frozenset(text for (text,) in rows)
    return found


def _make_tables(connection: duckdb.DuckDBPyConnection, catalog: Catalog, stores: Sequence[Table]) -> None:
    schema, _, _ = OBSCORE_TABLE.partition(".")
    connection.execute(f"CREATE SCHEMA {schema}")
    connection.execute(f"CREATE VIEW {OBSCORE_TABLE} AS {select_rows(stores)}")
    connection.execute("CREATE SCHEMA TAP_SCHEMA")
    for name, rows in tap_schema_rows(catalog).items():
        connection.register("rows", rows)
        connection.execute(f"CREATE TABLE TAP_SCHEMA.{quote_name(name)} AS SELECT * FROM rows")
        connection.unregister("rows")
