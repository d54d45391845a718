"""The ObsCore store, in a folder of DuckDB files or in PostgreSQL: open, write, replace."""

from ._encodings import EncodedRegions
from ._known import Changes
from ._layout import HIDDEN_COLUMNS, HIDDEN_SCHEMA, ID_COLUMNS, batch_schema
from ._live import LiveStore
from ._location import LiveLocation, PostgresLocation, StoreLocation, parse_store
from ._open import open_store, open_updater, open_writer, require_writable
from ._spool import sorted_along_sky
from ._store import Store, Updater, Writer

__all__ = [
    "HIDDEN_COLUMNS",
    "HIDDEN_SCHEMA",
    "ID_COLUMNS",
    "Changes",
    "EncodedRegions",
    "LiveLocation",
    "LiveStore",
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
    "require_writable",
    "sorted_along_sky",
]
