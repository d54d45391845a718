"""An instance of DuckDB that can do nothing but read the published tables."""

from __future__ import annotations

__all__ = ["Formats", "World", "make_world"]

import threading
from collections.abc import Sequence
from typing import Any, Literal

import duckdb
from duckdb.sqltypes import BIGINT, BLOB, BOOLEAN, DOUBLE, VARCHAR

from ....config import Limits
from ....errors import TransientError
from ....store import HIDDEN_COLUMNS, StoreLocation
from ....store.duckdb import Store, open_store
from ..._catalog import OBSCORE_TABLE, Catalog, build_catalog, tap_schema_rows
from ..._udfs import UDF_KERNELS
from ...geometry._kernels import SQL_FUNCTIONS
from .._words import FORMAT_PREFIX, UNREADABLE, merge_columns, quote_name, quote_text
from ._blocks import STORE_ROWS, Blocks

type Formats = dict[str, frozenset[str | None]]
"""The different formats of texts, by column; `None` for texts that are NULL."""

# Between asking for a store's file and attaching it, it may be replaced.
_ATTEMPTS = 5
_SERVICE_URL = (
    "coalesce(CAST(getvariable('base_url') AS VARCHAR) || '/api/datalink/links?ID=' "
    "|| url_encode(obs_publisher_did), access_url) AS access_url"
)


class World:
    """One shut instance, and how many queries are running on it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        stores: tuple[Store, ...],
        formats: tuple[Formats, ...],
    ) -> None:
        self.connection = connection
        """Of which each query has a cursor."""
        self.catalog = catalog
        """What can be read."""
        self.stores = stores
        """The tables that are attached."""
        self.formats = formats
        """Of each store, the different formats of its texts, by column."""
        self.users = 0
        """Queries that are running."""
        self.retired = False
        """Whether the last user closes the connection."""
        self._blocks: Blocks | None = None
        self._counting = threading.Lock()

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


def make_world(
    locations: Sequence[StoreLocation], limits: Limits, access_url: Literal["service", "exported"]
) -> World:
    """Make an instance on stores as they are now, and shut it.

    Parameters
    ----------
    locations
        Of one or more stores.
    limits
        Memory of all its queries.
    access_url
        As for `~lsst.dax.vo.query.open_engine`.

    Returns
    -------
    world : `World`

    Raises
    ------
    VoError
        Raised if a store cannot be read, or they do not fit together.
    """
    for _ in range(_ATTEMPTS):
        stores = tuple(open_store(location) for location in locations)
        connection = _connect(limits)
        try:
            for number, store in enumerate(stores):
                connection.execute(f"ATTACH {quote_text(str(store.path))} AS s{number} (READ_ONLY)")
            catalog = build_catalog(merge_columns(stores))
            _make_tables(connection, catalog, stores, access_url)
            formats = tuple(_read_formats(connection, *item) for item in enumerate(stores))
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
        except duckdb.IOException as err:
            connection.close()
            if all(store.is_current for store in stores):
                raise TransientError(UNREADABLE) from err
        except BaseException:
            connection.close()
            raise
        else:
            return World(connection, catalog, stores, formats)
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


def _read_formats(connection: duckdb.DuckDBPyConnection, number: int, store: Store) -> Formats:
    found: Formats = {}
    for name in store.formatted:
        column = quote_name(f"{FORMAT_PREFIX}{name}")
        rows = connection.execute(f"SELECT DISTINCT {column} FROM s{number}.obscore").fetchall()
        found[name] = frozenset(text for (text,) in rows)
    return found


def _make_tables(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, stores: Sequence[Store], access_url: str
) -> None:
    schema, _, _ = OBSCORE_TABLE.partition(".")
    parts = []
    for number, store in enumerate(stores):
        names = {column.name.lower() for column in store.columns}
        shown = [quote_name(column.name) for column in store.columns]
        if access_url == "service" and {"access_url", "obs_publisher_did"} <= names:
            shown = [_SERVICE_URL if name == '"access_url"' else name for name in shown]
        row = f"rowid + {number * STORE_ROWS} AS _row" if number else "rowid AS _row"
        parts.append(f"SELECT {', '.join([*shown, *HIDDEN_COLUMNS, row])} FROM s{number}.obscore")
    connection.execute(f"CREATE SCHEMA {schema}")
    connection.execute(f"CREATE VIEW {OBSCORE_TABLE} AS {' UNION ALL BY NAME '.join(parts)}")
    connection.execute("CREATE SCHEMA TAP_SCHEMA")
    for name, rows in tap_schema_rows(catalog).items():
        connection.register("rows", rows)
        connection.execute(f"CREATE TABLE TAP_SCHEMA.{quote_name(name)} AS SELECT * FROM rows")
        connection.unregister("rows")
