"""What a table of a store holds: public columns, hidden ones, properties."""

from __future__ import annotations

__all__ = [
    "FORMAT_PREFIX",
    "HIDDEN_COLUMNS",
    "HIDDEN_SCHEMA",
    "ID_COLUMNS",
    "LAYOUT",
    "batch_schema",
    "columns_from_text",
    "columns_to_text",
    "sql_type",
]

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict

import pyarrow as pa

from ..dali import Column, arrow_type
from ..errors import UsageError

LAYOUT = 2
"""Version of the layout; a change that an older reader would misread raises it."""

HIDDEN_SCHEMA = pa.schema(
    [
        pa.field("_repo", pa.string(), nullable=False),
        pa.field("_id", pa.binary(16), nullable=False),
        pa.field("_region", pa.binary()),
        pa.field("_print", pa.int64(), nullable=False),
    ]
)
"""What the rows given to a writer hold besides the public columns.

``_repo`` is the label of the repository, ``_id`` the bytes of the dataset's
UUID, ``_region`` the encoding of its region by `lsst.sphgeom`, NULL without
one, ``_print`` the fingerprint of what is behind the row.
"""

HIDDEN_COLUMNS: dict[str, str] = {
    "_repo": "VARCHAR",
    "_id": "UUID",
    "_region": "BLOB",
    "_print": "BIGINT",
    "_x0": "DOUBLE",
    "_y0": "DOUBLE",
    "_z0": "DOUBLE",
    "_x1": "DOUBLE",
    "_y1": "DOUBLE",
    "_z1": "DOUBLE",
    "_hpx": "BIGINT",
}
"""Name and SQL type of each hidden column of a table; no public name begins with ``_``."""

FORMAT_PREFIX = "_format_"
"""Before the name of a column: in a table, the column of its formats."""

ID_COLUMNS = ("obs_publisher_did", "access_url")
"""Columns whose texts name the dataset itself, so that all of them differ."""

_SQL_TYPES = {
    "boolean": "BOOLEAN",
    "char": "VARCHAR",
    "double": "DOUBLE",
    "float": "REAL",
    "int": "INTEGER",
    "long": "BIGINT",
    "short": "SMALLINT",
    "unicodeChar": "VARCHAR",
    "unsignedByte": "UTINYINT",
}


def sql_type(column: Column) -> str:
    """Return the SQL type of a public column.

    Parameters
    ----------
    column
        The column.

    Returns
    -------
    name : `str`
        As DuckDB spells it.

    Raises
    ------
    UsageError
        Raised if the datatype has none.
    """
    name = _SQL_TYPES.get(column.datatype)
    if name is None:
        raise UsageError(
            f"Column {column.name!r} has the datatype {column.datatype!r}; "
            f"give one of {', '.join(sorted(_SQL_TYPES))}"
        )
    return name if name == "VARCHAR" or column.arraysize is None else f"{name}[]"


def batch_schema(columns: Sequence[Column], *, formatted: Collection[str] = ()) -> pa.Schema:
    """Return the schema of the rows that a writer takes.

    Parameters
    ----------
    columns
        The public columns.
    formatted
        Of the columns in `ID_COLUMNS`, those whose texts are formats: the
        dataset's own UUID belongs in the place of ``{id}``.

    Returns
    -------
    schema : `pyarrow.Schema`
        The public columns, then those of `HIDDEN_SCHEMA`.  Texts of which
        many rows have the same are dictionaries.

    Raises
    ------
    UsageError
        Raised if a name is repeated, in any case, or is one of a hidden column.
    """
    seen: set[str] = set()
    for column in columns:
        sql_type(column)
        name = column.name.lower()
        if name.startswith("_") or name in seen:
            why = "begins with '_'" if name.startswith("_") else "is there twice"
            raise UsageError(f"The name of column {column.name!r} {why}; give each column a name of its own")
        seen.add(name)
    return pa.schema([*(_field(column, formatted) for column in columns), *HIDDEN_SCHEMA])


def _field(column: Column, formatted: Collection[str]) -> pa.Field:
    kind = arrow_type(column)
    own = column.name == "s_region" or (column.name in ID_COLUMNS and column.name not in formatted)
    return pa.field(column.name, pa.dictionary(pa.int32(), kind) if kind == pa.string() and not own else kind)


def columns_to_text(columns: Sequence[Column]) -> str:
    """Write the metadata of columns.

    Parameters
    ----------
    columns
        The columns.

    Returns
    -------
    text : `str`
        JSON; what has its default value is left out.
    """
    return json.dumps([{key: value for key, value in asdict(column).items() if value} for column in columns])


def columns_from_text(text: str) -> tuple[Column, ...]:
    """Read what `columns_to_text` wrote.

    Parameters
    ----------
    text
        JSON.

    Returns
    -------
    columns : `tuple` [`Column`, ...]
    """
    return tuple(Column(**item) for item in json.loads(text))
