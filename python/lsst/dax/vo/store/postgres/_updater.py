"""Changing single rows of a table."""

from __future__ import annotations

__all__ = ["PostgresUpdater"]

from contextlib import AbstractContextManager
from typing import override

import numpy as np
from psycopg import sql

from .._known import Course
from .._table_writer import KnowingUpdater
from ._connection import explained, format_sql
from ._copy import send_rows
from ._properties import PostgresStore, read_store
from ._writer import PostgresWriter

# Rows whose fingerprints are fetched in one go.
_KNOWN_ROWS = 50_000


class PostgresUpdater(KnowingUpdater, PostgresWriter):
    """Changes single rows of a table, in one transaction.

    A context manager; see `~lsst.dax.vo.store.Updater`.  If nothing has
    changed, the table stays.  When many rows have come behind those along the
    sky, it is made again from the rows that it has.
    """

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(self._location.schema, self._base.table)

    @override
    def _explained(self) -> AbstractContextManager[None]:
        return explained(self._location, writing=True)

    @override
    def _read_base(self) -> tuple[PostgresStore, bytes, np.ndarray]:
        self._base = read_store(self._connection, self._location)
        ((end,),) = self._connection.execute(
            format_sql("SELECT coalesce(max(_row) + 1, 0) FROM {}", self._table)
        ).fetchall()
        # Many rows in one value: a row at a time is slow.
        query = format_sql(
            "SELECT string_agg(uuid_send(_id) || int8send(_print), '') FROM {} WHERE _row BETWEEN %s AND %s",
            self._table,
        )
        content = bytearray()
        with self._connection.cursor(binary=True) as cursor:
            for start in range(0, end, _KNOWN_ROWS):
                ((piece,),) = cursor.execute(query, [start, start + _KNOWN_ROWS - 1]).fetchall()
                content += piece or b""
        rows = np.frombuffer(content, [("id", "V16"), ("print", ">i8")])
        return self._base, rows["id"].tobytes(), rows["print"].astype(np.int64)

    @override
    def _commit(self) -> None:
        match self._known.course:
            case Course.LEAVE:
                return
            case Course.PATCH:
                self._kept = self._base.formats
                self._patch()
            case Course.MERGE:
                self._kept = self._base.formats
                self._replace(self._merge)
            case Course.WRITE:
                super()._commit()

    def _patch(self) -> None:
        """Change the table itself: readers see it as it was until the end."""
        ordered = self._spool.read_sorted()
        with self._connection.transaction():
            self._send_outdated()
            self._connection.execute(
                format_sql("DELETE FROM {} WHERE _id IN (SELECT id FROM pg_temp.outdated)", self._table)
            )
            ((start, left),) = self._connection.execute(
                format_sql("SELECT coalesce(max(_row) + 1, 0), count(*) FROM {}", self._table)
            ).fetchall()
            count = self._send(self._table, ordered, start=start)
            self._connection.execute(format_sql("ANALYZE {}", self._table))
            self._tell(self._base.table, left + count, unsorted=self._known.unsorted)

    def _merge(self, made: sql.Identifier) -> int:
        """Fill a table with the rows that stay and the new ones, along the sky."""
        ordered = self._spool.read_sorted()
        self._send_outdated()
        fresh = sql.Identifier("pg_temp", "fresh")
        self._connection.execute(format_sql("CREATE TEMP TABLE fresh (LIKE {}) ON COMMIT DROP", made))
        self._send(fresh, ordered)
        order = sql.SQL(", ").join(map(sql.Identifier, self._shape.names[:-1]))
        self._connection.execute(
            format_sql(
                "INSERT INTO {made} ({order}, _row) "
                "SELECT {order}, row_number() OVER (ORDER BY _hpx NULLS LAST) - 1 FROM ("
                "SELECT {order} FROM {base} WHERE NOT EXISTS (SELECT FROM pg_temp.outdated WHERE id = _id) "
                "UNION ALL SELECT {order} FROM {fresh}) AS rows ORDER BY _hpx NULLS LAST",
                made=made,
                order=order,
                base=self._table,
                fresh=fresh,
            )
        )
        ((count,),) = self._connection.execute(format_sql("SELECT count(*) FROM {}", made)).fetchall()
        return int(count)

    def _send_outdated(self) -> None:
        self._connection.execute("CREATE TEMP TABLE outdated (id uuid) ON COMMIT DROP")
        outdated = sql.Identifier("pg_temp", "outdated")
        send_rows(self._connection, outdated, ["id"], [[self._known.outdated()]])
        # How many there are decides how they are joined.
        self._connection.execute("ANALYZE pg_temp.outdated")
