"""Which values are compared: numbers that stand in quotes, times in any form."""

from __future__ import annotations

__all__ = ["WORDS", "check_compared", "check_membership", "read_time", "shown"]

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlglot import exp

from .._passes import Context, error_at
from .._tree import constant_number, function_name, put, strip_parens
from ._types import describe, is_time, kind_of, outputs_of, widest

WORDS = {
    "number": "a number",
    "integer": "a whole number",
    "text": "a text",
    "constant": "a text in quotes",
    "time": "a time",
    "ordered": "a number or text",
    "region": "a region",
    "point": "a point",
    "circle": "a circle",
    "polygon": "a polygon",
    "box": "a box",
    "geometry": "a point or region",
    "other": "an array",
}
"""What messages call the kinds of values."""

_NUMBER = re.compile(r"\s*([+-]?)((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")
# DALI 1.1, 3.3.3; a blank for the T, and Z for the UTC that it is anyway, are
# what people write.
_TIME = re.compile(
    r"\s*([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(\.[0-9]{1,6})?[0-9]*)?)?Z?\s*"
)


def check_compared(sides: Sequence[exp.Expr], context: Context) -> None:
    """Check that values can be compared.

    Parameters
    ----------
    sides
        The values.  Numbers in quotes beside numbers lose their quotes, and
        times come in one form.
    context
        Query and catalog.

    Raises
    ------
    QueryError
        Raised for values that are not compared.
    """
    for side, value in _make_comparable(sides, context):
        put(side, value)
        if isinstance(value, exp.Cast):
            value.set("this", side)


def check_membership(node: exp.In, context: Context) -> None:
    """Check the values of IN.

    Parameters
    ----------
    node
        The condition; its values as for `check_compared`.
    context
        Query and catalog.

    Raises
    ------
    QueryError
        Raised for values that are not compared.
    """
    query = node.args.get("query")
    if query is None:
        _check_list(node, context)
        return
    columns = outputs_of(query.this)
    if len(columns) != 1:
        raise error_at(context, query, f"IN takes a query with one column, this one has {len(columns)}")
    if widest((describe(node.this), columns[0])) is None:
        raise error_at(
            context,
            node.this,
            f"{shown(node.this)} and the column {columns[0].name!r} of the query differ in type",
        )


def read_time(literal: exp.Expr, context: Context) -> exp.Expr:
    """Bring a time into the form that all times have.

    Parameters
    ----------
    literal
        A text in quotes.
    context
        Query and catalog.

    Returns
    -------
    literal : `sqlglot.exp.Expr`
        ``YYYY-MM-DDThh:mm:ss``, with six digits behind that if they are not
        zero: texts of that form are in the order of their times.

    Raises
    ------
    QueryError
        Raised if it is no time.
    """
    found = _TIME.fullmatch(str(literal.this))
    if found is not None:
        date, minutes, seconds, fraction = found.groups()
        text = f"{date}T{minutes or '00:00'}:{seconds or '00'}"
        digits = (fraction or ".")[1:].ljust(6, "0")
        try:
            datetime.fromisoformat(text)
        except ValueError:
            found = None
        else:
            return exp.Literal.string(text if digits == "000000" else f"{text}.{digits}")
    raise error_at(context, literal, f"'{literal.this}' is no time; write it as in '2026-01-31T12:00:00'")


def _check_list(node: exp.In, context: Context) -> None:
    # Replaced one by one, twenty thousand texts take a minute.
    values: dict[int, exp.Expr] = {}
    left = node.this
    for item in node.expressions:
        for side, value in _make_comparable((left, item), context):
            if side is item:
                values[id(side)] = value
            elif isinstance(value, exp.Cast):
                value.set("this", side)
                node.set("this", value)
                left = value
            else:
                raise error_at(context, item, f"{shown(side)} is a text; write {shown(item)} in quotes")
    if values:
        replaced = []
        for item in node.expressions:
            value = values.get(id(item), item)
            if isinstance(value, exp.Cast) and value is not item:
                value.set("this", item)
            replaced.append(value)
        node.set("expressions", replaced)


def _make_comparable(sides: Sequence[exp.Expr], context: Context) -> Iterator[tuple[exp.Expr, exp.Expr]]:
    # Values to replace, and what by; a cast still lacks what it casts.
    columns = [describe(side) for side in sides]
    kinds = [kind_of(column) for column in columns]
    for side, kind in zip(sides, kinds, strict=True):
        if kind in ("point", "circle", "polygon", "box", "other"):
            raise error_at(
                context,
                side,
                f"{shown(side)} is {WORDS[kind]} and is not compared; use CONTAINS or DISTANCE",
            )
    if "number" in kinds:
        other = sides[kinds.index("number")]
        for side, kind in zip(sides, kinds, strict=True):
            if kind in ("text", "region"):
                yield side, _read_number(side, other, context)
    elif any(map(is_time, columns)):
        for side, kind in zip(sides, kinds, strict=True):
            literal = strip_parens(side)
            if isinstance(literal, exp.Literal):
                yield side, read_time(literal, context)
            elif kind == "text" and not isinstance(literal, exp.Cast):
                yield side, exp.Cast(to=exp.DataType(this=exp.DType.TIMESTAMP))


def _read_number(side: exp.Expr, other: exp.Expr, context: Context) -> exp.Expr:
    # calib_level = '1' is what tutorials write; databases take it, too.
    literal = strip_parens(side)
    if not isinstance(literal, exp.Literal):
        value = constant_number(other)
        advice = f"write '{value:g}' in quotes" if value is not None else "compare numbers with numbers"
        raise error_at(context, side, f"{shown(side)} is a text and {shown(other)} a number; {advice}")
    found = _NUMBER.fullmatch(str(literal.this))
    if found is None or math.isinf(float(found[2])):
        raise error_at(context, side, f"{shown(other)} is a number; '{literal.this}' is none")
    number = exp.Literal.number(found[2])
    return exp.Neg(this=number) if found[1] == "-" else number


def shown(node: exp.Expr) -> str:
    """Name a value in a message.

    Parameters
    ----------
    node
        The value.

    Returns
    -------
    text : `str`
    """
    inner = strip_parens(node)
    if isinstance(inner, exp.Column):
        return str(inner.name)
    if isinstance(inner, exp.Literal):
        return f"'{inner.this}'" if inner.is_string else str(inner.this)
    name = function_name(inner)
    return f"{name}(...)" if name else "this expression"
