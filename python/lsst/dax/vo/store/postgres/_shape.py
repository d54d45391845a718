"""The shape of a table: its columns, what is computed of them, and its indexes."""

from __future__ import annotations

__all__ = ["SCIRCLE", "SPOINT", "TableShape", "has_place", "shown_columns"]

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import LiteralString

import pyarrow as pa
from psycopg import sql

from ...dali import Column
from .._layout import FORMAT_PREFIX
from ._connection import format_sql

# Not columns: COPY has no binary form of pgSphere's types.  The view has these
# expressions, and there are indexes on them.  pgSphere's circles end at 90
# degrees; wider ones have an index of their own.
SCIRCLE: LiteralString = "CASE WHEN _radius <= 1.57 THEN scircle(spoint(_lon, _lat), _radius) END"
"""The circle around a region, in a table."""

SPOINT: LiteralString = (
    "CASE WHEN s_ra BETWEEN -1e6 AND 1e6 AND s_dec BETWEEN -90 AND 90 "
    "THEN spoint(radians(s_ra), radians(s_dec)) END"
)
"""The position of a row, in a table that has columns for it."""

_PLACE = ("s_ra", "s_dec")
_CIRCLE = [pa.field(name, pa.float64()) for name in ("_lon", "_lat", "_radius")]
_ROW = pa.field("_row", pa.int64(), nullable=False)
_TYPES: dict[pa.DataType, LiteralString] = {
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
_INDEXES: list[LiteralString] = [
    "CREATE UNIQUE INDEX ON {} (_row)",
    "CREATE INDEX ON {} (_id)",
    f"CREATE INDEX ON {{}} USING gist (({SCIRCLE}))",
    "CREATE INDEX ON {} (_row) WHERE _radius > 1.57",
    # Next to nothing, since rows near each other on the sky lie together;
    # for searches that do not know the circles: of subqueries, and joins.
    "CREATE INDEX ON {} USING brin (_x0, _y0, _z0, _x1, _y1, _z1) WITH (pages_per_range = 32)",
]
# What people search for beside places.  The indexes of 8.5 million rows take 20
# seconds; without them a search reads all rows, which takes some.
_SEARCHED = (("lsst_visit",), ("lsst_tract", "lsst_patch"))
_INDEX_OF_PLACES: LiteralString = f"CREATE INDEX ON {{}} USING gist (({SPOINT}))"


@dataclass(frozen=True, slots=True)
class TableShape:
    """What a table is made with."""

    columns: tuple[Column, ...]
    """The public columns, in order."""

    formatted: tuple[str, ...]
    """Those of which the table holds formats."""

    schema: pa.Schema
    """Of the rows along the sky, with box and sort key."""

    MOST_NAME_BYTES = 63 - len(FORMAT_PREFIX)
    """How long a column's name can be."""

    @property
    def names(self) -> list[str]:
        """All columns, in the order in which they are sent: circle and number of the row come last."""
        return [self._name(item) for item in self._fields()]

    def declare(self, table: sql.Identifier) -> sql.Composed:
        """Return what makes a table.

        Parameters
        ----------
        table
            Its name.

        Returns
        -------
        statement : `psycopg.sql.Composed`
        """
        parts = [
            format_sql(
                "{} {}",
                sql.Identifier(self._name(item)),
                sql.SQL(_sql_type(item.type) + ("" if item.nullable else " NOT NULL")),
            )
            for item in self._fields()
        ]
        return format_sql("CREATE TABLE {} ({})", table, sql.SQL(", ").join(parts))

    def index(self, table: sql.Identifier) -> list[sql.Composed]:
        """Return what makes the indexes of a table.

        Parameters
        ----------
        table
            Its name.

        Returns
        -------
        statements : `list` [`psycopg.sql.Composed`]
        """
        statements = [*_INDEXES, _INDEX_OF_PLACES] if has_place(self.schema) else _INDEXES
        searched = [
            format_sql("CREATE INDEX ON {} ({})", table, sql.SQL(", ").join(map(sql.Identifier, names)))
            for names in _SEARCHED
            if set(names) <= set(self.schema.names)
        ]
        return [format_sql(statement, table) for statement in statements] + searched

    def show(self, table: sql.Identifier) -> sql.Composed:
        """Return the query that is the view on a table.

        Parameters
        ----------
        table
            Its name.

        Returns
        -------
        query : `psycopg.sql.Composed`
        """
        hidden = [name for name in self.schema.names if name.startswith("_")]
        shown = [
            *shown_columns(self.columns, self.formatted),
            *map(sql.Identifier, [*hidden, _ROW.name]),
            format_sql("{} AS _scircle", sql.SQL(SCIRCLE)),
        ]
        if has_place(self.schema):
            shown.append(format_sql("{} AS _spoint", sql.SQL(SPOINT)))
        return format_sql("SELECT {} FROM {}", sql.SQL(", ").join(shown), table)

    def _fields(self) -> list[pa.Field]:
        return [*self.schema, *_CIRCLE, _ROW]

    def _name(self, item: pa.Field) -> str:
        return FORMAT_PREFIX + item.name if item.name in self.formatted else str(item.name)


def shown_columns(columns: Sequence[Column], formatted: Collection[str]) -> list[sql.Composable]:
    """Return what selects the public columns from a table.

    Parameters
    ----------
    columns
        The public columns.
    formatted
        Those of which the table holds formats.

    Returns
    -------
    expressions : `list` [`psycopg.sql.Composable`]
        One for each column, with its name.
    """
    return [
        format_sql(
            "replace({}, '{{id}}', _id::text) AS {}",
            sql.Identifier(FORMAT_PREFIX + column.name),
            sql.Identifier(column.name),
        )
        if column.name in formatted
        else sql.Identifier(column.name)
        for column in columns
    ]


def has_place(schema: pa.Schema) -> bool:
    """Tell whether rows have positions.

    Parameters
    ----------
    schema
        Of the rows.

    Returns
    -------
    answer : `bool`
    """
    return all(name in schema.names and schema.field(name).type == pa.float64() for name in _PLACE)


def _sql_type(kind: pa.DataType) -> LiteralString:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return f"{_TYPES[kind.value_type]}[]" if pa.types.is_list(kind) else _TYPES[kind]
