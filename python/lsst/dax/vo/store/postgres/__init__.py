"""The store in PostgreSQL: a new table for each export, and a view on the one that counts.

In the schema of the store are

``obscore_<hexadecimal>``
    The tables: the one that counts, and perhaps one before it that somebody
    was still reading when it was replaced.
``obscore_properties``
    What the writer told, the metadata of the columns, and the name of the
    table that counts.  Readers of ours go by it, and keep their table.
``obscore``
    A view on that table, for everybody else, with the circle ``_scircle``
    around each region and the position ``_spoint`` in pgSphere's types.

A table is made, filled, indexed and put into its place in one transaction, so
that a reader sees the old one or the new one, whatever is killed when, and
nothing is left behind.  Its rows lie along the sky; an index on the circles
finds what may meet a shape, and ``_region`` decides.
"""

from ._connection import connect, explained
from ._properties import PostgresStore, open_store, read_store
from ._shape import SCIRCLE, SPOINT, shown_columns
from ._updater import PostgresUpdater
from ._writer import PostgresWriter

__all__ = [
    "SCIRCLE",
    "SPOINT",
    "PostgresStore",
    "PostgresUpdater",
    "PostgresWriter",
    "connect",
    "explained",
    "open_store",
    "read_store",
    "shown_columns",
]
