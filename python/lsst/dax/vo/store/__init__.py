"""The ObsCore store: immutable DuckDB files in a folder, and a pointer that is swapped."""

from ._layout import HIDDEN_COLUMNS, HIDDEN_SCHEMA, batch_schema
from ._location import StoreLocation, parse_store
from .duckdb import Store, StoreWriter, open_store

__all__ = [
    "HIDDEN_COLUMNS",
    "HIDDEN_SCHEMA",
    "Store",
    "StoreLocation",
    "StoreWriter",
    "batch_schema",
    "open_store",
    "parse_store",
]
