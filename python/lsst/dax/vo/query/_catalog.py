"""What queries may read: the published tables, and the tables about them."""

from __future__ import annotations

__all__ = [
    "FOREIGN_KEYS",
    "OBSCORE_TABLE",
    "TAP_SCHEMA",
    "Catalog",
    "Schema",
    "bare_name",
    "build_catalog",
    "tap_schema_rows",
]

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from ..dali import Column, ForeignKey, Table, arrow_type
from .adql._tokens import RESERVED_WORDS

OBSCORE_TABLE = "ivoa.ObsCore"
"""Name of the table of datasets, in the one spelling that is used everywhere."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One schema: a name before the dot."""

    name: str
    """Name, in the spelling that answers use."""

    description: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that queries may name."""

    schemas: tuple[Schema, ...]
    """The schemas, in order."""

    tables: tuple[Table, ...]
    """The tables, in order; what is not listed cannot be read."""

    def with_uploads(self, tables: Sequence[Table]) -> Catalog:
        """Add tables that came with a request, for its query alone.

        Parameters
        ----------
        tables
            Their names begin with ``TAP_UPLOAD.``; those of columns are as
            the file has them.

        Returns
        -------
        catalog : `Catalog`
            With schema ``TAP_UPLOAD`` in the end, if there are any; names
            that ADQL must quote come quoted.  TAP_SCHEMA does not tell of
            them.

        References
        ----------
        TAP 1.1, 2.7.6.
        """
        if not tables:
            return self
        named = (
            replace(table, columns=tuple(replace(item, name=_delimited(item.name)) for item in table.columns))
            for table in tables
        )
        return Catalog((*self.schemas, _UPLOADS), (*self.tables, *named))


def _text(name: str, description: str, *, principal: bool = True) -> Column:
    return Column(name, "char", description, arraysize="*", principal=principal, std=True)


def _integer(name: str, description: str, *, principal: bool = False) -> Column:
    return Column(name, "int", description, principal=principal, std=True)


def _table(name: str, description: str, *columns: Column) -> Table:
    return Table("TAP_SCHEMA", f"TAP_SCHEMA.{name}", columns, description)


TAP_SCHEMA: tuple[Table, ...] = (
    _table(
        "schemas",
        "Schemas of this service",
        _text("schema_name", "Name of the schema"),
        _text("utype", "Utype of the schema", principal=False),
        _text("description", "What the schema holds"),
        _integer("schema_index", "Order in which to show the schema"),
    ),
    _table(
        "tables",
        "Tables of this service",
        _text("schema_name", "Name of the schema, as in TAP_SCHEMA.schemas"),
        _text("table_name", "Name of the table, as queries write it"),
        _text("table_type", "table or view"),
        _text("utype", "Utype of the table", principal=False),
        _text("description", "What the table holds"),
        _integer("table_index", "Order in which to show the table"),
    ),
    _table(
        "columns",
        "Columns of the tables",
        _text("table_name", "Name of the table, as in TAP_SCHEMA.tables"),
        _text("column_name", "Name of the column, as queries write it"),
        _text("datatype", "VOTable datatype"),
        _text("arraysize", "VOTable arraysize; empty for one value"),
        _text("xtype", "DALI xtype", principal=False),
        _integer('"size"', "Length, where the arraysize has one"),
        _text("description", "What the column holds"),
        _text("utype", "Utype of the column", principal=False),
        _text("unit", "Unit, as VOUnits text"),
        _text("ucd", "UCD of the column"),
        _integer("indexed", "1 if searches on the column are fast, 0 if not", principal=True),
        _integer("principal", "1 if the column is of interest to most, 0 if not", principal=True),
        _integer("std", "1 if a standard defines the column, 0 if not", principal=True),
        _integer("column_index", "Order in which to show the column"),
    ),
    _table(
        "keys",
        "Foreign keys between the tables",
        _text("key_id", "Name of the key"),
        _text("from_table", "Name of the table that refers, as in TAP_SCHEMA.tables"),
        _text("target_table", "Name of the table referred to, as in TAP_SCHEMA.tables"),
        _text("description", "What the key means"),
        _text("utype", "Utype of the key", principal=False),
    ),
    _table(
        "key_columns",
        "Columns of the foreign keys",
        _text("key_id", "Name of the key, as in TAP_SCHEMA.keys"),
        _text("from_column", "Name of the column that refers"),
        _text("target_column", "Name of the column referred to"),
    ),
)
"""The tables about tables (TAP 1.1, 4)."""


def _key(number: int, from_table: str, from_column: str, target_table: str, target_column: str) -> ForeignKey:
    return ForeignKey(
        f"tap_schema_{number}",
        f"TAP_SCHEMA.{from_table}",
        f"TAP_SCHEMA.{target_table}",
        ((from_column, target_column),),
        f"Each {from_column} of {from_table} is a {target_column} of {target_table}",
    )


FOREIGN_KEYS: tuple[ForeignKey, ...] = (
    _key(1, "tables", "schema_name", "schemas", "schema_name"),
    _key(2, "columns", "table_name", "tables", "table_name"),
    _key(3, "keys", "from_table", "tables", "table_name"),
    _key(4, "keys", "target_table", "tables", "table_name"),
    _key(5, "key_columns", "key_id", "keys", "key_id"),
)
"""Foreign keys of the published tables (TAP 1.1, 4)."""

_SCHEMAS = (
    Schema("ivoa", "Tables that the IVOA defines: ObsCore 1.1"),
    Schema("TAP_SCHEMA", "Tables that describe the tables and columns of this service (TAP 1.1)"),
)
_UPLOADS = Schema("TAP_UPLOAD", "Tables that came with this request")
_REGULAR = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def build_catalog(columns: Sequence[Column]) -> Catalog:
    """Return the catalog of a service with one table of datasets.

    Parameters
    ----------
    columns
        Public columns of ``ivoa.ObsCore``.

    Returns
    -------
    catalog : `Catalog`
        That table and those of TAP_SCHEMA; names that ADQL must quote come
        quoted.
    """
    obscore = Table(
        "ivoa",
        OBSCORE_TABLE,
        tuple(replace(column, name=_adql_name(column.name)) for column in columns),
        "Datasets of this service: one row for each image or other product",
        "ivo://ivoa.net/std/ObsCore#core-1.1",
    )
    return Catalog(_SCHEMAS, (obscore, *TAP_SCHEMA))


def bare_name(name: str) -> str:
    """Return a name without the quotes that ADQL needs.

    Parameters
    ----------
    name
        Name as a catalog has it, for example ``"size"`` with its quotes.

    Returns
    -------
    name : `str`
        Name as the database and results have it.
    """
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def tap_schema_rows(catalog: Catalog) -> dict[str, pa.Table]:
    """Return the content of TAP_SCHEMA.

    Parameters
    ----------
    catalog
        What is published.

    Returns
    -------
    tables : `dict` [`str`, `pyarrow.Table`]
        By table name, for example ``columns``.

    References
    ----------
    TAP 1.1, 4.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {
        "schemas": [(item.name, None, item.description, index) for index, item in enumerate(catalog.schemas)],
        "tables": [
            (item.schema, item.name, "table", item.utype, item.description, index)
            for index, item in enumerate(catalog.tables)
        ],
        "columns": [
            (
                table.name,
                item.name,
                item.datatype,
                item.arraysize,
                item.xtype,
                _size(item.arraysize),
                item.description,
                item.utype,
                item.unit,
                item.ucd,
                int(item.indexed),
                int(item.principal),
                int(item.std),
                index,
            )
            for table in catalog.tables
            for index, item in enumerate(table.columns)
        ],
        "keys": [
            (key.key_id, key.from_table, key.target_table, key.description, None) for key in FOREIGN_KEYS
        ],
        "key_columns": [(key.key_id, *pair) for key in FOREIGN_KEYS for pair in key.columns],
    }
    return {
        table.name.partition(".")[2]: pa.table(
            {
                bare_name(column.name): pa.array(cells, arrow_type(column))
                for column, cells in zip(
                    table.columns, zip(*rows[table.name.partition(".")[2]], strict=True), strict=True
                )
            }
        )
        for table in TAP_SCHEMA
    }


def _size(arraysize: str | None) -> int | None:
    # TAP 1.1, 4.3: the number in a one-dimensional arraysize.
    digits = (arraysize or "").rstrip("*")
    return int(digits) if digits.isdigit() else None


def _adql_name(name: str) -> str:
    return name if name.startswith('"') else _delimited(name)


def _delimited(name: str) -> str:
    if _REGULAR.fullmatch(name) and name.upper() not in RESERVED_WORDS:
        return name
    return '"{}"'.format(name.replace('"', '""'))
