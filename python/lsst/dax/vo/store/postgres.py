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

from __future__ import annotations

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

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, LiteralString, Self

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import errors, sql

from ..dali import Column
from ..errors import NotFoundError, TransientError, UsageError, VoError
from ..files import Scratch
from ._circles import bounding_circles
from ._copy import COPY_HEADER, COPY_TRAILER, encode_rows
from ._known import Changes, KnownRows
from ._layout import LAYOUT, batch_schema, columns_to_text
from ._location import PostgresLocation
from ._postgres_reading import (
    COLUMNS,
    FORMAT_PREFIX,
    FORMATTED,
    LAYOUT_NAME,
    SCIRCLE,
    SPOINT,
    TABLE,
    UNSORTED,
    Connection,
    PostgresStore,
    check_place,
    connect,
    explained,
    format_sql,
    has_place,
    open_store,
    properties_of,
    read_store,
    shown_columns,
    told_by,
)
from ._spool import Spool

# Share of rows that may lie behind those along the sky; each update adds some.
_MOST_UNSORTED = 0.1
# Rows whose fingerprints are fetched in one go.
_KNOWN_ROWS = 50_000
# How long a writer waits for readers of the view to end, in all, and each
# time: who comes behind it waits that long.
_SWAP_SECONDS = 60.0
_LOCK_MILLISECONDS = 500
_MOST_NAME_BYTES = 63 - len(FORMAT_PREFIX)
# Names and comment of tables that are ours to remove.
_MARK = "Table of an ObsCore store, made by lsst-dax-vo"
_TYPES = {
    pa.bool_(): "boolean",
    pa.uint8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "double precision",
    # Texts are ordered by their bytes, as in DuckDB; and LIKE 'a%' has an index.
    pa.string(): 'text COLLATE "C"',
    pa.binary(): "bytea",
    pa.binary(16): "uuid",
}
_CIRCLE = [pa.field(name, pa.float64()) for name in ("_lon", "_lat", "_radius")]
_ROW = pa.field("_row", pa.int64(), nullable=False)


class PostgresWriter:
    """Writes a table and puts it in the place of the one before.

    A context manager; see `~lsst.dax.vo.store.Writer`.  Rows are collected
    and sorted in a temporary folder, and go to the database in the end.  Who
    may read the table before may read the new one.

    Parameters
    ----------
    location
        Where the store is, or will be.
    columns
        The public columns, in order.
    properties
        What to tell about the table, names and values.
    formatted
        Columns whose texts keep ``{id}`` in the place of the dataset's UUID:
        the table holds these formats.

    Raises
    ------
    UsageError
        Raised if a column has a type or name that the store cannot hold.
    """

    def __init__(
        self,
        location: PostgresLocation,
        columns: Sequence[Column],
        properties: Mapping[str, str],
        *,
        formatted: Collection[str] = (),
    ) -> None:
        self.schema = batch_schema(columns, formatted=formatted)
        """What `write` takes."""
        for name in self.schema.names:
            if len(name.encode()) > _MOST_NAME_BYTES:
                raise UsageError(
                    f"The name of column {name!r} is too long for PostgreSQL; "
                    f"give at most {_MOST_NAME_BYTES} bytes"
                )
        self._location = location
        self._columns = tuple(columns)
        self._formatted = tuple(sorted(formatted))
        self._properties = dict(properties)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(explained(self._location, writing=True))
            self._connection = stack.enter_context(contextlib.closing(connect(self._location)))
            self._connection.autocommit = True
            # The session holds the right to write, and loses it with its process.
            key = f"lsst-dax-vo {self._location.schema}.{self._location.table}"
            ((taken,),) = self._connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key]
            ).fetchall()
            if not taken:
                raise TransientError(
                    f"The store {self._location} is being written by another process; "
                    "try again when it is done"
                )
            check_place(self._connection, self._location)
            _sweep(self._connection, self._location)
            scratch = Scratch()
            stack.callback(scratch.remove)
            self._spool = Spool(
                scratch.path / "rows", self.schema, lambda: explained(self._location, writing=True)
            )
            stack.callback(self._spool.close)
            self._check_dependents()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The stack also says what is wrong, in our words.
        with self._stack:
            if kind is None:
                self._commit()

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows.

        Parameters
        ----------
        batch
            Rows with the columns of `schema`, in any order; strings may be
            encoded by dictionaries or not.

        Raises
        ------
        UsageError
            Raised if a column is missing or of another type, or the disk is
            full.
        """
        self._spool.write(batch)

    def _commit(self) -> None:
        ordered = self._spool.read_sorted()
        self._replace(lambda made: self._copy(made, ordered, freeze=True))

    def _replace(self, fill: Callable[[sql.Identifier], int]) -> None:
        """Make a table, have it filled, and put it into its place."""
        location, connection = self._location, self._connection
        table = f"{location.table}_{uuid.uuid4().hex}"
        made = sql.Identifier(location.schema, table)
        with connection.transaction():
            connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
            connection.execute(format_sql("CREATE SCHEMA IF NOT EXISTS {}", sql.Identifier(location.schema)))
            _require_pgsphere(connection, location)
            connection.execute(_declare(made, self._spool.schema, self._formatted))
            count = fill(made)
            _index(connection, made, self.schema)
            connection.execute(format_sql("COMMENT ON TABLE {} IS {}", made, sql.Literal(_MARK)))
            connection.execute(format_sql("ANALYZE {}", made))
            self._tell(table, count)
            _swap(connection, location, table, self._shown(made))
        # The new table counts, whatever becomes of the old one.
        with contextlib.suppress(psycopg.Error, VoError):
            _sweep(connection, location)

    def _shown(self, made: sql.Identifier) -> sql.Composed:
        """Return the query that is the view on a table."""
        hidden = [name for name in self._spool.schema.names if name.startswith("_")]
        shown = [
            *shown_columns(self._columns, self._formatted),
            *map(sql.Identifier, [*hidden, _ROW.name]),
            format_sql("{} AS _scircle", sql.SQL(SCIRCLE)),
        ]
        if has_place(self.schema):
            shown.append(format_sql("{} AS _spoint", sql.SQL(SPOINT)))
        return format_sql("SELECT {} FROM {}", sql.SQL(", ").join(shown), made)

    def _check_dependents(self) -> None:
        """Refuse other columns of a view that others need, before the work."""
        connection, location = self._connection, self._location
        dependents = _dependents_on(connection, location)
        if not dependents:
            return
        table, view = sql.Identifier("pg_temp", "probe"), sql.Identifier("pg_temp", "probe_shown")
        # What the view would be like, the database knows best.
        with connection.transaction(force_rollback=True):
            connection.execute(_declare(table, self._spool.schema, self._formatted))
            connection.execute(format_sql("CREATE VIEW {} AS {}", view, self._shown(table)))
            wanted = _columns_of(connection, "pg_temp", "probe_shown")
        there = _columns_of(connection, location.schema, location.table)
        if wanted[: len(there)] != there:
            raise _needed(location, dependents)

    @property
    def _order(self) -> list[str]:
        """All columns of the table, in the order in which they are sent."""
        made = [*self._spool.schema, *_CIRCLE, _ROW]
        return [FORMAT_PREFIX + item.name if item.name in self._formatted else item.name for item in made]

    def _copy(
        self,
        made: sql.Identifier,
        ordered: Iterator[pa.RecordBatch],
        *,
        start: int = 0,
        freeze: bool = False,
    ) -> int:
        """Send rows, which are numbered from ``start`` on, and count them."""
        # Rows of a table that the same transaction made need no later care.
        statement = format_sql(
            "COPY {} ({}) FROM STDIN WITH (FORMAT BINARY, FREEZE {})",
            made,
            sql.SQL(", ").join(map(sql.Identifier, self._order)),
            sql.SQL("ON" if freeze else "OFF"),
        )
        number = start
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(COPY_HEADER)
            for batch in ordered:
                circles = bounding_circles(batch["_region"])
                hidden = [pa.array(circles[:, axis], from_pandas=True) for axis in range(3)]
                rows = pa.array(np.arange(number, number + batch.num_rows))
                full = pa.RecordBatch.from_arrays([*batch.columns, *hidden, rows], names=self._order)
                for piece in encode_rows(full):
                    copy.write(piece)
                number += batch.num_rows
            copy.write(COPY_TRAILER)
        return number - start

    def _tell(self, table: str, count: int, *, unsorted: int = 0) -> None:
        told = self._properties | {
            "rows": str(count),
            COLUMNS: columns_to_text(self._columns),
            LAYOUT_NAME: str(LAYOUT),
            FORMATTED: json.dumps(self._formatted),
            UNSORTED: str(unsorted),
            TABLE: table,
        }
        _tell(self._connection, self._location, told)


class PostgresUpdater(PostgresWriter):
    """Changes single rows of a table, in one transaction.

    A context manager; see `~lsst.dax.vo.store.Updater`.  If nothing has
    changed, the table stays.  When many rows have come behind those along the
    sky, it is made again from the rows that it has.
    """

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            with explained(self._location, writing=True):
                self._base = read_store(self._connection, self._location)
                self._known = KnownRows(*self._read_known(), same_form=self._same_form)
        except BaseException:
            self.__exit__(UsageError, None, None)
            raise
        return self

    @property
    def changes(self) -> Changes:
        """What has changed."""
        return self._known.changes

    def find_fresh(self, ids: bytes, prints: pa.Array) -> np.ndarray:
        """Tell which datasets have no row, or another one than they should.

        Parameters
        ----------
        ids
            UUIDs of datasets, 16 bytes each.
        prints
            Their fingerprints.

        Returns
        -------
        fresh : `numpy.ndarray` [`bool`]
            Whether the row of each is to be written.
        """
        return self._known.find_fresh(ids, prints)

    @property
    def _same_form(self) -> bool:
        return self._base.columns == self._columns and self._base.formatted == self._formatted

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(self._location.schema, self._base.table)

    def _read_known(self) -> tuple[bytes, np.ndarray]:
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
        return rows["id"].tobytes(), rows["print"].astype(np.int64)

    def _commit(self) -> None:
        told = {name: value for name, value in self._base.properties.items() if name != "rows"}
        changes = self.changes
        if self._same_form and not changes and told == self._properties:
            return
        behind = self._base.unsorted + changes.added + changes.changed
        if not self._same_form or not changes.kept:
            super()._commit()
        elif behind > _MOST_UNSORTED * (changes.kept + changes.added + changes.changed):
            self._replace(self._merge)
        else:
            self._patch(unsorted=behind)

    def _patch(self, *, unsorted: int) -> None:
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
            count = self._copy(self._table, ordered, start=start)
            self._connection.execute(format_sql("ANALYZE {}", self._table))
            self._tell(self._base.table, left + count, unsorted=unsorted)

    def _merge(self, made: sql.Identifier) -> int:
        """Fill a table with the rows that stay and the new ones, along the sky."""
        ordered = self._spool.read_sorted()
        self._send_outdated()
        fresh = sql.Identifier("pg_temp", "fresh")
        self._connection.execute(format_sql("CREATE TEMP TABLE fresh (LIKE {}) ON COMMIT DROP", made))
        self._copy(fresh, ordered)
        order = sql.SQL(", ").join(map(sql.Identifier, self._order[:-1]))
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
        content = self._known.outdated()
        ids = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), len(content) // 16, [None, pa.py_buffer(content)]
        )
        self._connection.execute("CREATE TEMP TABLE outdated (id uuid) ON COMMIT DROP")
        with (
            self._connection.cursor() as cursor,
            cursor.copy("COPY pg_temp.outdated FROM STDIN WITH (FORMAT BINARY)") as copy,
        ):
            copy.write(COPY_HEADER)
            for piece in encode_rows(pa.RecordBatch.from_arrays([ids], names=["id"])):
                copy.write(piece)
            copy.write(COPY_TRAILER)
        # How many there are decides how they are joined.
        self._connection.execute("ANALYZE pg_temp.outdated")


def _sweep(connection: Connection, location: PostgresLocation) -> None:
    # Tables that were still being read when they were replaced.
    found = connection.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE nspname = %s AND relkind = 'r' AND relname ~ %s AND obj_description(pg_class.oid) = %s",
        [location.schema, "_[0-9a-f]{32}$", _MARK],
    ).fetchall()
    try:
        current = read_store(connection, location).table
    except NotFoundError:
        current = None
    except UsageError:
        # Damaged; the next table will make it whole.
        return
    for (name,) in found:
        if name != current and name[:-33] == location.table:
            with (
                contextlib.suppress(
                    errors.LockNotAvailable, errors.InsufficientPrivilege, errors.DependentObjectsStillExist
                ),
                connection.transaction(),
            ):
                _wait_for_locks_at_most(connection)
                dropped = sql.Identifier(location.schema, name)
                connection.execute(format_sql("DROP TABLE IF EXISTS {}", dropped))


def _wait_for_locks_at_most(connection: Connection) -> None:
    connection.execute(format_sql("SET LOCAL lock_timeout = {}", sql.Literal(_LOCK_MILLISECONDS)))


def _require_pgsphere(connection: Connection, location: PostgresLocation) -> None:
    ((there,),) = connection.execute("SELECT to_regtype('scircle') IS NOT NULL").fetchall()
    if there:
        return
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION pg_sphere")
    except psycopg.Error as err:
        raise UsageError(
            f"The database of the store {location} has no pgSphere: {told_by(err, location)}; "
            "have it installed and run CREATE EXTENSION pg_sphere as the database's administrator"
        ) from err


def _declare(made: sql.Identifier, schema: pa.Schema, formatted: Collection[str]) -> sql.Composed:
    parts: list[sql.Composable] = []
    for item in (*schema, *_CIRCLE, _ROW):
        kind = _sql_type(item.type)
        null = "" if item.nullable else " NOT NULL"
        parts.append(
            format_sql(
                "{} {}",
                sql.Identifier(FORMAT_PREFIX + item.name if item.name in formatted else item.name),
                sql.SQL(kind + null),
            )
        )
    return format_sql("CREATE TABLE {} ({})", made, sql.SQL(", ").join(parts))


def _sql_type(kind: pa.DataType) -> LiteralString:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return f"{_TYPES[kind.value_type]}[]" if pa.types.is_list(kind) else _TYPES[kind]


def _index(connection: Connection, made: sql.Identifier, schema: pa.Schema) -> None:
    statements: list[LiteralString] = [
        "CREATE UNIQUE INDEX ON {} (_row)",
        "CREATE INDEX ON {} (_id)",
        f"CREATE INDEX ON {{}} USING gist (({SCIRCLE}))",
        "CREATE INDEX ON {} (_row) WHERE _radius > 1.57",
        # Next to nothing, since rows near each other on the sky lie together;
        # for searches that do not know the circles: of subqueries, and joins.
        "CREATE INDEX ON {} USING brin (_x0, _y0, _z0, _x1, _y1, _z1) WITH (pages_per_range = 32)",
    ]
    if has_place(schema):
        statements.append(f"CREATE INDEX ON {{}} USING gist (({SPOINT}))")
    for statement in statements:
        connection.execute(format_sql(statement, made))


def _tell(connection: Connection, location: PostgresLocation, told: Mapping[str, str]) -> None:
    properties = properties_of(location)
    connection.execute(
        format_sql("CREATE TABLE IF NOT EXISTS {} (name text PRIMARY KEY, value text NOT NULL)", properties)
    )
    connection.execute(format_sql("DELETE FROM {}", properties))
    with connection.cursor() as cursor:
        cursor.executemany(format_sql("INSERT INTO {} VALUES (%s, %s)", properties), list(told.items()))


def _swap(connection: Connection, location: PostgresLocation, table: str, query: sql.Composed) -> None:
    # Readers of the view make it wait; each wait is short, so that who comes
    # behind it waits no longer than that.
    view = sql.Identifier(location.schema, location.table)
    made = sql.Identifier(location.schema, table)
    grants = _grants_on(connection, location)
    end = time.monotonic() + _SWAP_SECONDS
    while True:
        try:
            with connection.transaction():
                _wait_for_locks_at_most(connection)
                try:
                    # Others may have views on ours.
                    with connection.transaction():
                        connection.execute(format_sql("CREATE OR REPLACE VIEW {} AS {}", view, query))
                except errors.InvalidTableDefinition:
                    # It has other columns.
                    connection.execute(format_sql("DROP VIEW {}", view))
                    connection.execute(format_sql("CREATE VIEW {} AS {}", view, query))
        except errors.DependentObjectsStillExist as err:
            raise _needed(location, _dependents_on(connection, location)) from err
        except errors.LockNotAvailable as err:
            if time.monotonic() > end:
                raise TransientError(
                    f"The store {location} cannot be replaced now: somebody has been reading its view "
                    f"{location.table!r} for {_SWAP_SECONDS:.0f} s; try again later"
                ) from err
            time.sleep(_LOCK_MILLISECONDS / 1000)
        else:
            break
    for role in grants:
        grantee = sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
        for thing in (view, made):
            connection.execute(format_sql("GRANT SELECT ON {} TO {}", thing, grantee))


def _needed(location: PostgresLocation, dependents: Sequence[str]) -> UsageError:
    return UsageError(
        f"The store {location} cannot get other columns: {', '.join(dependents)} in its database "
        f"{'depends' if len(dependents) == 1 else 'depend'} on its view {location.table!r}; drop what does, "
        "and make it again afterwards, or give another table in the URL: ?table=…"
    )


def _dependents_on(connection: Connection, location: PostgresLocation) -> list[str]:
    # Other views are there by their rules; functions and columns may also
    # need the type of its rows.
    return [
        name
        for (name,) in connection.execute(
            "SELECT DISTINCT coalesce('view ' || ev_class::regclass::text, "
            "pg_describe_object(d.classid, d.objid, d.objsubid)) "
            "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "JOIN pg_type AS t ON t.oid = c.reltype JOIN pg_depend AS d "
            "ON (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid) "
            "OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)) "
            "LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid "
            "WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'v' AND d.deptype = 'n' "
            "AND r.ev_class IS DISTINCT FROM c.oid ORDER BY 1",
            [location.schema, location.table],
        ).fetchall()
    ]


def _columns_of(connection: Connection, schema: str, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT attname, atttypid, atttypmod, attcollation FROM pg_attribute "
        "WHERE attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND attnum > 0 ORDER BY attnum",
        [schema, table],
    ).fetchall()


def _grants_on(connection: Connection, location: PostgresLocation) -> list[str | None]:
    # Who may read the view may read what takes its place.
    return [
        role
        for (role,) in connection.execute(
            "SELECT DISTINCT CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END "
            "FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace, aclexplode(relacl) "
            "WHERE nspname = %s AND relname = %s AND privilege_type = 'SELECT' AND grantee <> relowner",
            [location.schema, location.table],
        ).fetchall()
    ]
