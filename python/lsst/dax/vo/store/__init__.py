"""The ObsCore store, in DuckDB, PostgreSQL or Parquet files: open, write, replace."""

from ._encodings import EncodedRegions
from ._known import Changes
from ._layout import FORMAT_PREFIX, HIDDEN_COLUMNS, HIDDEN_SCHEMA, ID_COLUMNS, batch_schema
from ._live import LiveStore
from ._location import (
    FileLocation,
    LiveLocation,
    Location,
    OwnLocation,
    ParquetLocation,
    PostgresLocation,
    StoreLocation,
    parse_store,
)
from ._open import open_store, open_updater, open_writer, require_writable
from ._spool import sorted_along_sky
from ._store import Store, Updater, Writer

__all__ = [
    "FORMAT_PREFIX",
    "HIDDEN_COLUMNS",
    "HIDDEN_SCHEMA",
    "ID_COLUMNS",
    "Changes",
    "EncodedRegions",
    "FileLocation",
    "LiveLocation",
    "LiveStore",
    "Location",
    "OwnLocation",
    "ParquetLocation",
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
