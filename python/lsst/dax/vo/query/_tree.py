"""Trees of queries: stock nodes of sqlglot, and where in the text they stand.

Functions of ADQL are ``Anonymous`` nodes with their name in upper case,
aggregates too; what a database calls them is known to its dialect alone.
"""

from __future__ import annotations

__all__ = [
    "blob_literal",
    "call",
    "constant_number",
    "function_name",
    "join_conditions",
    "mark",
    "number_literal",
    "place_of",
    "projections_of",
    "put",
    "quoted",
    "strip_parens",
    "without_parens",
]

import math
from collections.abc import Callable, Sequence

from sqlglot import exp

_START = "start"
_END = "end"


def mark[Node: exp.Expr](node: Node, start: int, end: int) -> Node:
    """Note where in the text a node stands.

    Parameters
    ----------
    node
        The node.
    start, end
        Offsets of its first character and of the one behind its last.

    Returns
    -------
    node : `sqlglot.exp.Expr`
        The same.
    """
    node.meta[_START] = start
    node.meta[_END] = end
    return node


def place_of(node: exp.Expr) -> tuple[int | None, int | None]:
    """Return where in the text a node stands.

    Parameters
    ----------
    node
        The node.

    Returns
    -------
    place : `tuple` [`int` or `None`, `int` or `None`]
        As given to `mark`; that of its first part that has one.
    """
    for part in node.walk(bfs=False):
        if _START in part.meta:
            return part.meta[_START], part.meta[_END]
    return None, None


def put(node: exp.Expr, new: exp.Expr) -> None:
    """Put a node in the place of another one.

    Parameters
    ----------
    node
        What goes.
    new
        What comes.

    Notes
    -----
    As `sqlglot.exp.Expr.replace`, which numbers again all that stands beside
    the node: to replace each of sixty thousand numbers in a list takes two
    minutes.
    """
    parent, key, index = node.parent, node.arg_key, node.index
    if parent is None or key is None or index is None:
        node.replace(new)
        return
    # Of an argument that there is not, this forgets the hashes alone that the
    # parents have of themselves.
    parent.set("", None)
    parent.args[key][index] = new
    new.parent, new.arg_key, new.index = parent, key, index
    if node is not new:
        node.parent = node.arg_key = node.index = None


def quoted(name: str) -> exp.Identifier:
    """Return a name that no dialect folds.

    Parameters
    ----------
    name
        The name.

    Returns
    -------
    identifier : `sqlglot.exp.Identifier`
    """
    return exp.Identifier(this=name, quoted=True)


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """Return a function call.

    Parameters
    ----------
    name
        Name in upper case for a function of ADQL, in lower case for one of
        the engine.
    *arguments
        Its arguments.

    Returns
    -------
    call : `sqlglot.exp.Anonymous`
    """
    return exp.Anonymous(this=name, expressions=list(arguments))


def function_name(node: exp.Expr | None) -> str | None:
    """Return the name of a function call.

    Parameters
    ----------
    node
        Any node.

    Returns
    -------
    name : `str` or `None`
        `None` for what is no call.
    """
    return str(node.this) if isinstance(node, exp.Anonymous) else None


def number_literal(value: float) -> exp.Expr:
    """Return a number exactly as it is.

    Parameters
    ----------
    value
        Finite number.

    Returns
    -------
    literal : `sqlglot.exp.Expr`
        A literal with an exponent, which all dialects read as a double.
    """
    text = repr(abs(float(value)))
    literal = exp.Literal.number(text if "e" in text else f"{text}e0")
    return exp.Neg(this=literal) if value < 0 else literal


def blob_literal(data: bytes) -> exp.Anonymous:
    """Return bytes as a constant.

    Parameters
    ----------
    data
        The bytes.

    Returns
    -------
    literal : `sqlglot.exp.Anonymous`
        ``vo_blob('<hexadecimal>')``, which each dialect spells its own way.
    """
    return call("vo_blob", exp.Literal.string(data.hex()))


def projections_of(query: exp.Expr) -> list[exp.Expr]:
    """Return the select list that names the outputs of a query.

    Parameters
    ----------
    query
        A query; of combined ones, the first tells.

    Returns
    -------
    projections : `list` [`sqlglot.exp.Expr`]
    """
    while not isinstance(query, exp.Select):
        query = query.this
    return list(query.expressions)


def strip_parens(node: exp.Expr) -> exp.Expr:
    """Return what stands inside parentheses.

    Parameters
    ----------
    node
        Any node.

    Returns
    -------
    node : `sqlglot.exp.Expr`
    """
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def without_parens(node: exp.Expr) -> exp.Expr:
    """Return a copy that can stand next to any operator.

    Parameters
    ----------
    node
        Any value.

    Returns
    -------
    node : `sqlglot.exp.Expr`
        Operations come in parentheses, all else as it is.
    """
    copy = node.copy()
    return exp.Paren(this=copy) if isinstance(copy, exp.Binary | exp.Neg | exp.Connector) else copy


def join_conditions(parts: Sequence[exp.Expr], kind: type[exp.Connector]) -> exp.Expr:
    """Connect conditions by AND or OR.

    Parameters
    ----------
    parts
        One or more conditions.
    kind
        `sqlglot.exp.And` or `sqlglot.exp.Or`.

    Returns
    -------
    condition : `sqlglot.exp.Expr`
        As balanced a tree as there can be: a thousand conditions are ten
        levels deep.
    """
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return kind(this=join_conditions(parts[:middle], kind), expression=join_conditions(parts[middle:], kind))


_OPERATIONS: dict[type[exp.Expr], Callable[[float, float], float]] = {
    exp.Add: lambda a, b: a + b,
    exp.Sub: lambda a, b: a - b,
    exp.Mul: lambda a, b: a * b,
    exp.Div: lambda a, b: a / b,
}


def constant_number(node: exp.Expr) -> float | None:
    """Evaluate numbers and what is computed from them alone.

    Parameters
    ----------
    node
        A value.

    Returns
    -------
    number : `float` or `None`
        `None` for all but numbers, signs, parentheses and ``+ - * /``.
    """
    match node:
        case exp.Literal() if not node.is_string:
            return float(node.this)
        case exp.Paren():
            return constant_number(node.this)
        case exp.Neg():
            inner = constant_number(node.this)
            return None if inner is None else -inner
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            left, right = constant_number(node.this), constant_number(node.expression)
            if left is None or right is None or (right == 0 and isinstance(node, exp.Div)):
                return None
            try:
                value = _OPERATIONS[type(node)](left, right)
            except OverflowError:
                return None
            return value if math.isfinite(value) else None
    return None
