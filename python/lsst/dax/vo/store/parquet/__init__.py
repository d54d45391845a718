"""The store in Parquet files: one for each table, in a folder or in a bucket.

A table is sorted along the sky, as one of DuckDB is, and cut into small row
groups, so that a search by place reads few of them.  Filters of Bloom tell in
which of them an identifier is.
"""

from ._reading import ParquetStore, Watch, open_store, watch_store
from ._writing import ParquetUpdater, ParquetWriter

__all__ = ["ParquetStore", "ParquetUpdater", "ParquetWriter", "Watch", "open_store", "watch_store"]
