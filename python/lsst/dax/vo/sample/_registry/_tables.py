"""Rows into a registry's own tables, many at a time, past the registry."""

__all__ = ["BulkLoader", "open_loader"]

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv
import sqlalchemy

_CACHE_KIB = 1_000_000

# Indexes of a table, without those that constraints need.
_SQLITE_INDEXES = """
SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL
"""
_POSTGRES_INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = ANY(%s::regclass[])
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


class BulkLoader(Protocol):
    """Appends rows to tables, of which nobody else may know yet."""

    def append(self, table: sqlalchemy.Table, rows: pa.Table) -> None:
        """Append rows.

        Parameters
        ----------
        table
            A table of the registry.
        rows
            Columns of its names, in any order.
        """


@contextmanager
def open_loader(engine: sqlalchemy.Engine, tables: Sequence[sqlalchemy.Table]) -> Iterator[BulkLoader]:
    """Open tables for bulk loading; their indexes are built at the end.

    Parameters
    ----------
    engine
        The registry's own: of SQLite, or of PostgreSQL through psycopg.
    tables
        The tables that will get rows.
    """
    if engine.dialect.name == "sqlite":
        with _open_sqlite(str(engine.url.database), tables) as loader:
            yield loader
    else:
        with _open_postgres(engine, tables) as loader:
            yield loader


class _SqliteLoader:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def append(self, table: sqlalchemy.Table, rows: pa.Table) -> None:
        self._cursor.adbc_ingest(table.name, rows, mode="append")


@contextmanager
def _open_sqlite(path: str, tables: Sequence[sqlalchemy.Table]) -> Iterator[BulkLoader]:
    import adbc_driver_sqlite.dbapi

    with adbc_driver_sqlite.dbapi.connect(path, autocommit=True) as connection, connection.cursor() as cursor:
        # A file that is not complete is not kept: nothing needs to be safe.
        for setting in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "threads=2"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        indexes = []
        for table in tables:
            cursor.execute(_SQLITE_INDEXES, (table.name,))
            indexes += cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        connection.adbc_connection.set_autocommit(False)
        yield _SqliteLoader(cursor)
        for _, text in indexes:
            cursor.execute(text)
        connection.adbc_connection.commit()


class _PostgresLoader:
    def __init__(self, cursor: Any, format_table: Callable[[sqlalchemy.Table], str]) -> None:
        self._cursor = cursor
        self._format_table = format_table

    def append(self, table: sqlalchemy.Table, rows: pa.Table) -> None:
        names = ", ".join(f'"{name}"' for name in rows.column_names)
        text = io.BytesIO()
        pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=False))
        target = f"{self._format_table(table)} ({names})"
        with self._cursor.copy(f"COPY {target} FROM STDIN (FORMAT csv)") as copy:
            copy.write(text.getvalue())


@contextmanager
def _open_postgres(engine: sqlalchemy.Engine, tables: Sequence[sqlalchemy.Table]) -> Iterator[BulkLoader]:
    format_table = engine.dialect.identifier_preparer.format_table
    with engine.begin() as connection:
        raw: Any = connection.connection.driver_connection
        with raw.cursor() as cursor:
            cursor.execute("SET LOCAL maintenance_work_mem = '512MB'")
            # Foreign keys hold; a superuser may have them not looked up for
            # each row.
            if cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()[0]:
                cursor.execute("SET LOCAL session_replication_role = replica")
            names = [format_table(table) for table in tables]
            indexes = cursor.execute(_POSTGRES_INDEXES, (names,)).fetchall()
            for name, _ in indexes:
                cursor.execute(f"DROP INDEX {name}")
            yield _PostgresLoader(cursor, format_table)
            for _, text in indexes:
                cursor.execute(text)
            for name in names:
                cursor.execute(f"ANALYZE {name}")
