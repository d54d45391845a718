"""What a value is: its type, and the metadata that it keeps of a column."""

from __future__ import annotations

__all__ = [
    "as_shown",
    "column_of",
    "describe",
    "is_time",
    "kind_of",
    "note_column",
    "outputs_of",
    "remembering",
    "set_outputs",
    "widest",
]

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from sqlglot import exp

from ...dali import Column
from .._tree import function_name
from ._functions import FUNCTIONS

_COLUMN = "column"
_OUTPUTS = "outputs"

_NUMBERS = ("unsignedByte", "short", "int", "long", "float", "double")
"""Numeric types, each of which holds all before it (nearly, for float)."""

_SHAPES = {
    "point": Column("", "double", arraysize="2", xtype="point", unit="deg", ucd="pos.eq", ref="icrs"),
    "circle": Column("", "double", arraysize="3", xtype="circle", unit="deg", ucd="pos.outline", ref="icrs"),
    "polygon": Column(
        "", "double", arraysize="*", xtype="polygon", unit="deg", ucd="pos.outline", ref="icrs"
    ),
    # Not a type of DALI: a box is shown as the polygon that it is.
    "box": Column("", "double", arraysize="*", xtype="box"),
}
_REGION = Column("", "char", arraysize="*", xtype="adql:REGION", ucd="pos.outline", ref="icrs")
_TEXT = Column("", "char", arraysize="*")
_NOTHING = Column("", "char", arraysize="*", xtype="null")
_CASTS = {
    exp.DType.SMALLINT: "short",
    exp.DType.INT: "int",
    exp.DType.BIGINT: "long",
    exp.DType.FLOAT: "float",
    exp.DType.DOUBLE: "double",
}
_CAST_SHAPES = {
    exp.DType.POINT: _SHAPES["point"],
    exp.DType.OBJECT: _SHAPES["circle"],
    exp.DType.POLYGON: _SHAPES["polygon"],
}
_NARROW = {"unsignedByte": "short", "unicodeChar": "char"}
"""Types of columns that expressions do not have, and what they have instead."""
_MOST_INT = 2**31 - 1
_MOST_LONG = 2**63 - 1


def note_column(node: exp.Column, column: Column) -> exp.Column:
    """Note the metadata of a resolved column.

    Parameters
    ----------
    node
        The column in the tree.
    column
        Its metadata.

    Returns
    -------
    node : `sqlglot.exp.Column`
        The same.
    """
    node.meta[_COLUMN] = column
    return node


_remembered: ContextVar[dict[int, tuple[exp.Expr, Column]] | None] = ContextVar("described", default=None)


def column_of(node: exp.Expr) -> Column | None:
    """Return the metadata of a resolved column.

    Parameters
    ----------
    node
        Any node.

    Returns
    -------
    column : `~lsst.dax.vo.dali.Column` or `None`
        `None` for what is no column.
    """
    found = node.meta.get(_COLUMN)
    return found if isinstance(found, Column) else None


def set_outputs(query: exp.Query, columns: Sequence[Column]) -> None:
    """Note what a resolved query gives, in it and in what it is made of.

    Parameters
    ----------
    query
        The query.
    columns
        One for each column of its result.
    """
    query.meta[_OUTPUTS] = tuple(columns)
    if isinstance(query, exp.SetOperation):
        set_outputs(query.this, columns)
        set_outputs(query.expression, columns)
    elif isinstance(query, exp.Subquery):
        set_outputs(query.this, columns)


def outputs_of(query: exp.Expr) -> tuple[Column, ...]:
    """Return what a resolved query gives.

    Parameters
    ----------
    query
        The query.

    Returns
    -------
    columns : `tuple` [`~lsst.dax.vo.dali.Column`, ...]
    """
    found: tuple[Column, ...] = query.meta[_OUTPUTS]
    return found


def kind_of(column: Column) -> str:
    """Return the kind of a value, as functions ask for it.

    Parameters
    ----------
    column
        Its metadata.

    Returns
    -------
    kind : `str`
        ``number text region point circle polygon box null`` or ``other``.
    """
    xtype = (column.xtype or "").lower()
    if xtype in ("null", *_SHAPES):
        return xtype
    if xtype in ("adql:region", "shape"):
        return "region"
    if column.arraysize is None and column.datatype in _NUMBERS:
        return "number"
    return "text" if column.datatype in ("char", "unicodeChar") else "other"


def is_time(column: Column) -> bool:
    """Whether a value is a time, which is a text in the form of DALI.

    Parameters
    ----------
    column
        Its metadata.

    Returns
    -------
    found : `bool`
    """
    return (column.xtype or "").lower() in ("timestamp", "adql:timestamp")


def as_shown(column: Column) -> Column:
    """Return what answers declare of a value.

    Parameters
    ----------
    column
        Its metadata.

    Returns
    -------
    column : `~lsst.dax.vo.dali.Column`
        A box is the polygon of its corners there.
    """
    return replace(_SHAPES["polygon"], name=column.name) if kind_of(column) == "box" else column


def widest(columns: Sequence[Column]) -> str | None:
    """Return the datatype that holds several.

    Parameters
    ----------
    columns
        Metadata of one or more values; those of NULL do not count.

    Returns
    -------
    datatype : `str` or `None`
        `None` where there is none, as for a number and a text.
    """
    known = [column for column in columns if kind_of(column) != "null"] or [_TEXT]
    if all(kind_of(column) == "number" for column in known):
        return max((column.datatype for column in known), key=_NUMBERS.index)
    kinds = {"text" if kind_of(column) == "region" else kind_of(column) for column in known}
    return known[0].datatype if len(kinds) == 1 else None


@contextmanager
def remembering() -> Iterator[None]:
    """Let `describe` look at each value once, while a tree stays what it means.

    Otherwise a sum of 150 values is described from each of its signs, and what
    stands before IN once for each value behind it.
    """
    token = _remembered.set({})
    try:
        yield
    finally:
        _remembered.reset(token)


def describe(node: exp.Expr) -> Column:
    """Return the metadata of a value.

    Parameters
    ----------
    node
        A value of a resolved tree.

    Returns
    -------
    column : `~lsst.dax.vo.dali.Column`
        That of a column for the column itself, with whatever operations and
        functions leave of it; without a name for all but columns.
    """
    column = column_of(node)
    if column is not None:
        return column
    known = _remembered.get()
    if known is None:
        return _derive_column(node)
    # With the node itself: as long as it is kept, no other one has its number.
    if id(node) not in known:
        known[id(node)] = node, _derive_column(node)
    return known[id(node)][1]


def _derive_column(node: exp.Expr) -> Column:
    match node:
        case exp.Paren() | exp.Alias():
            return describe(node.this)
        case exp.Neg(this=exp.Literal(this=digits)) if digits == str(_MOST_LONG + 1):
            return Column("", "long")
        case exp.Neg():
            return _derive(describe(node.this))
        case exp.Literal():
            return _TEXT if node.is_string else Column("", _literal_type(str(node.this)))
        case exp.Null():
            return _NOTHING
        case exp.DPipe():
            return _TEXT
        case exp.Cast():
            return _cast_column(node)
        case exp.Distinct():
            return describe(node.expressions[0])
        case exp.Add() | exp.Sub() | exp.Mul():
            left, right = describe(node.this), describe(node.expression)
            same = left.unit == right.unit and not isinstance(node, exp.Mul)
            datatype = widest((left, right)) or "double"
            return Column("", _NARROW.get(datatype, datatype), unit=left.unit if same else None)
        case exp.Anonymous():
            return _describe_call(node)
    return Column("", "double")


def _describe_call(node: exp.Expr) -> Column:
    function = FUNCTIONS[function_name(node) or ""]
    if function.gives in _SHAPES:
        return _SHAPES[function.gives]
    if function.gives == "region":
        return _REGION
    arguments = [describe(item) for item in node.expressions if not isinstance(item, exp.Star)]
    first = arguments[0] if arguments else Column("", "double")
    ucd = _derive_ucd(first.ucd, function.ucd)
    match function.gives:
        case "same":
            return replace(_derive(first), ucd=ucd or first.ucd)
        case "sum":
            datatype = "double" if first.datatype in ("float", "double") else "long"
        case "widest":
            chosen = next((item for item in arguments if kind_of(item) != "null"), first)
            datatype = widest(arguments) or first.datatype
            return replace(_derive(chosen), datatype=_NARROW.get(datatype, datatype))
        case other:
            datatype = other
    unit = first.unit if function.unit == "same" else function.unit
    if function.name == "IN_UNIT":
        unit = str(node.expressions[1].name)
    return Column("", datatype, arraysize="*" if datatype == "char" else None, unit=unit, ucd=ucd)


def _derive(column: Column) -> Column:
    # What is made of a column's values is not that column any more.
    return replace(
        column,
        name="",
        datatype=_NARROW.get(column.datatype, column.datatype),
        # A text that is computed of regions is none.
        xtype=None if kind_of(column) == "region" else column.xtype,
        utype=None,
        principal=False,
        indexed=False,
        std=False,
        xml_id=None,
    )


def _derive_ucd(own: str | None, rule: str | None) -> str | None:
    if rule == "same":
        return own
    if rule is None or not rule.startswith("+"):
        return rule
    # stat.max and its like are never the first word; the main column of a
    # concept is not one that is computed.
    words = [word for word in (own or "").split(";") if word not in ("", "meta.main", rule[1:])]
    return ";".join([*words, rule[1:]]) if words else None


def _literal_type(text: str) -> str:
    if not text.isdigit():
        return "double"
    size = int(text.lstrip("0")[:25] or "0")
    if size <= _MOST_INT:
        return "int"
    return "long" if size <= _MOST_LONG else "double"


def _cast_column(node: exp.Cast) -> Column:
    target = node.to.this
    if target in _CAST_SHAPES:
        return _CAST_SHAPES[target]
    source = describe(node.this)
    if target == exp.DType.TIMESTAMP:
        return replace(_derive(source) if kind_of(source) == "text" else _TEXT, xtype="timestamp")
    datatype = _CASTS.get(target)
    if datatype is None:
        return _TEXT
    # The same quantity in fewer or more digits.
    return (
        replace(_derive(source), datatype=datatype) if kind_of(source) == "number" else Column("", datatype)
    )
