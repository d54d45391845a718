"""SQL of DuckDB."""

from __future__ import annotations

__all__ = ["render"]

from collections.abc import Callable, Sequence

from sqlglot import exp

from ...errors import QueryError
from .._functions import FUNCTIONS
from .._tree import function_name

_MOST_NODES = 500_000
"""Parts of a statement.  A query of 200 000 characters, all of it searches by
place, has some 440 000; a distance from a distance from a distance doubles
with each."""

_MOST_GROUPS = 16
"""Groups of AND in one OR, or the reverse, that the database may look into.
It compares each with all others for what they have in common: for a thousand
that takes seconds, which no limit of time can interrupt."""


def _drop_arguments(name: str) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    return lambda _: exp.Anonymous(this=name)


def _blob(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this="unhex", expressions=list(arguments))


def _cone(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return arguments[-1]


def _element(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this="list_extract", expressions=list(arguments))


def _numbers(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # An array with an empty place would be no geometry.
    double = exp.DataType(this=exp.DType.DOUBLE)
    cells = [exp.Cast(this=item, to=double.copy()) for item in arguments]
    known = [exp.Not(this=exp.Is(this=item.copy(), expression=exp.Null())) for item in arguments]
    return exp.Case(ifs=[exp.If(this=exp.and_(*known, copy=False), true=exp.Array(expressions=cells))])


def _timestamp(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # Times are text in the table; DALI 1.1 (3.3.3) has no zeros at their end.
    time = exp.Cast(this=arguments[0], to=exp.DataType(this=exp.DType.TIMESTAMP))
    text = exp.Anonymous(this="strftime", expressions=[time, exp.Literal.string("%Y-%m-%dT%H:%M:%S.%f")])
    zeros = (exp.Literal.string(".000000"), exp.Literal.string(""))
    return exp.Anonymous(this="replace", expressions=[text, *zeros])


def _text(arguments: Sequence[exp.Expr]) -> exp.Expr:
    value, length = arguments
    text = exp.Cast(this=value, to=exp.DataType(this=exp.DType.VARCHAR))
    return exp.Anonymous(this="left", expressions=[text, length])


_SPECIAL: dict[str, Callable[[Sequence[exp.Expr]], exp.Expr]] = {
    # ADQL 2.1, 2.3: the argument of RAND has no meaning here.
    "RAND": _drop_arguments("random"),
    "vo_blob": _blob,
    "vo_cone": _cone,
    "vo_element": _element,
    "vo_numbers": _numbers,
    "vo_text": _text,
    "vo_timestamp": _timestamp,
}


def render(tree: exp.Query) -> str:
    """Write a planned tree as SQL of DuckDB.

    Parameters
    ----------
    tree
        The tree of a `~lsst.dax.vo.query.Plan`.

    Returns
    -------
    sql : `str`

    Raises
    ------
    QueryError
        Raised if the statement would be too large.
    """
    if sum(1 for _ in tree.walk()) > _MOST_NODES:
        raise QueryError(
            "The query is too large when it is written out; "
            "give fewer values, or nest fewer DISTANCE functions"
        )
    tree = tree.copy()
    for node in reversed(list(tree.find_all(exp.Anonymous, exp.Literal))):
        if isinstance(node, exp.Literal):
            _write_number(node)
        else:
            _spell(node)
    _close_groups(tree)
    return str(tree.sql(dialect="duckdb", comments=False))


def _close_groups(tree: exp.Query) -> None:
    # In COALESCE(x, NULL), which is x, the database takes x as it is.
    found: dict[int, list[exp.Connector]] = {}
    for node in tree.find_all(exp.And, exp.Or):
        around = _above(node, exp.Paren)
        if isinstance(around, exp.Connector | exp.Not) and type(around) is not type(node):
            top = _above(node, exp.Paren, exp.Not, exp.And, exp.Or)
            found.setdefault(id(top), []).append(node)
    for nodes in found.values():
        if len(nodes) > _MOST_GROUPS:
            for node in nodes:
                closed = exp.Coalesce(expressions=[exp.Null()])
                node.replace(closed)
                closed.set("this", node)


def _above(node: exp.Expr, *kinds: type[exp.Expr]) -> exp.Expr | None:
    above = node.parent
    while isinstance(above, kinds):
        above = above.parent
    return above


def _spell(node: exp.Expr) -> None:
    name = function_name(node) or ""
    arguments = list(node.expressions)
    if name in _SPECIAL:
        node.replace(_SPECIAL[name](arguments))
    elif name in FUNCTIONS:
        node.set("this", FUNCTIONS[name].duckdb)


def _write_number(node: exp.Literal) -> None:
    # 1.5 is a decimal in DuckDB; with an exponent it is a double.
    text = str(node.this)
    if node.is_string or "e" in text.lower():
        return
    if "." in text or len(text) > 18:
        node.set("this", f"{text}e0")
