"""The ObsCore store, in a folder of DuckDB files or in PostgreSQL: open, write, replace."""

from ._known import Changes
from ._layout import HIDDEN_COLUMNS, HIDDEN_SCHEMA, ID_COLUMNS, batch_schema
from ._location import PostgresLocation, StoreLocation, parse_store
from ._open import open_store, open_updater, open_writer
from ._spool import sorted_along_sky
from ._store import Store, Updater, Writer

__all__ = [
    "HIDDEN_COLUMNS",
    "HIDDEN_SCHEMA",
    "ID_COLUMNS",
    "Changes",
    "PostgresLocation",
    "Store",
    "StoreLocation",
    "Updater",
    "Writer",
    "batch_schema",
    "open_store",
    "open_updater",
    "open_writer",
    "parse_store",
    "sorted_along_sky",
]
