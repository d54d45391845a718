"""The tables of a service."""

from __future__ import annotations

__all__ = ["ForeignKey", "write_table_description", "write_tableset"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from .._table import Column, Table

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACES = (
    ' xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0"'
    ' xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://www.ivoa.net/xml/VOSITables/v1.0 http://www.ivoa.net/xml/VOSITables/v1.0'
    ' http://www.ivoa.net/xml/VODataService/v1.1 http://www.ivoa.net/xml/VODataService/v1.1"'
)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns that refer to those of another table."""

    key_id: str
    """Name, unique in TAP_SCHEMA."""

    from_table: str
    """Qualified name of the table that refers."""

    target_table: str
    """Qualified name of the table referred to."""

    columns: tuple[tuple[str, str], ...]
    """Pairs of column names: referring, referred to."""

    description: str = ""
    """One sentence."""


def write_tableset(
    tables: Sequence[Table],
    *,
    keys: Sequence[ForeignKey] = (),
    schemas: Sequence[tuple[str, str]] = (),
    detail: Literal["min", "max"] = "max",
) -> bytes:
    """Write the document of ``/tables``.

    Parameters
    ----------
    tables
        The published tables; names are written as they are, so names that
        ADQL must quote come quoted.
    keys
        Foreign keys of these tables.
    schemas
        Names and descriptions of schemas.
    detail
        ``min`` leaves the columns out.

    Returns
    -------
    document : `bytes`
        Schemas in the order of their first table.

    References
    ----------
    VOSI 1.1, 6; VODataService 1.1, 3.3.
    """
    about = dict(schemas)
    parts = [_DECLARATION, f"<vosi:tableset{_NAMESPACES}>\n"]
    for schema in dict.fromkeys(table.schema for table in tables):
        parts += ["<schema>", _element("name", schema), _element("description", about.get(schema)), "\n"]
        for table in tables:
            if table.schema == schema:
                parts += ['<table type="table">', *_render_table(table, keys, detail), "</table>\n"]
        parts.append("</schema>\n")
    return "".join([*parts, "</vosi:tableset>\n"]).encode()


def write_table_description(table: Table, *, keys: Sequence[ForeignKey] = ()) -> bytes:
    """Write the document of ``/tables/{name}``.

    Parameters
    ----------
    table
        The table.
    keys
        Foreign keys; those of other tables are left out.

    Returns
    -------
    document : `bytes`

    References
    ----------
    VOSI 1.1, 6.
    """
    content = "".join(_render_table(table, keys, "max"))
    return f'{_DECLARATION}<vosi:table{_NAMESPACES} type="table">{content}</vosi:table>\n'.encode()


def _render_table(table: Table, keys: Sequence[ForeignKey], detail: str) -> Iterable[str]:
    # The order of elements is that of the schema, here and below.
    yield _element("name", table.name)
    yield _element("description", table.description)
    yield _element("utype", table.utype)
    if detail == "min":
        return
    yield "\n"
    yield from map(_render_column, table.columns)
    for key in keys:
        if key.from_table == table.name:
            yield f"<foreignKey>{_element('targetTable', key.target_table)}"
            for names in key.columns:
                source, target = map(_element, ("fromColumn", "targetColumn"), names)
                yield f"<fkColumn>{source}{target}</fkColumn>"
            yield f"{_element('description', key.description)}</foreignKey>\n"


def _render_column(column: Column) -> str:
    type_attributes = "".join(
        f" {name}={quoteattr(value)}"
        for name, value in (("arraysize", column.arraysize), ("extendedType", column.xtype))
        if value is not None
    )
    return "".join(
        [
            f'<column std="{str(column.std).lower()}">',
            _element("name", column.name),
            _element("description", column.description),
            _element("unit", column.unit),
            _element("ucd", column.ucd),
            _element("utype", column.utype),
            f'<dataType xsi:type="vs:VOTableType"{type_attributes}>{column.datatype}</dataType>',
            "<flag>indexed</flag>" if column.indexed else "",
            "<flag>principal</flag>" if column.principal else "",
            "</column>\n",
        ]
    )


def _element(tag: str, text: str | None) -> str:
    # The schema has types without an empty value: no text, no element.
    return f"<{tag}>{escape(text)}</{tag}>" if text else ""
