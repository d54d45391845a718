"""SQL of PostgreSQL.

Predicates on geometries have no words here: the engine puts what it has found
out about them in their place before a tree is written.
"""

from __future__ import annotations

__all__ = ["UNSUPPORTED", "render"]

from collections.abc import Callable, Sequence

from sqlglot import exp

from ...errors import QueryError, UnsupportedError
from .._functions import FUNCTIONS
from .._tree import function_name

UNSUPPORTED = frozenset({"vo_contains", "vo_intersects", "vo_point", "vo_circle", "vo_box", "vo_polygon"})
"""Words of `lower` that the engine must have replaced."""

_MOST_NODES = 500_000
"""Parts of a statement, as for DuckDB."""

_NAMES = {
    "CEILING": "ceil",
    "LOG": "ln",
    "POWER": "power",
    "TRUNCATE": "trunc",
}
"""Functions whose names are not those of ADQL in lower case."""


def _numeric(node: exp.Expr) -> exp.Expr:
    return exp.Cast(this=node, to=exp.DataType(this=exp.DType.DECIMAL))


def _double(node: exp.Expr) -> exp.Expr:
    return exp.Cast(this=node, to=exp.DataType(this=exp.DType.DOUBLE))


def _decimal(name: str) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    # PostgreSQL has places after the point for decimals alone, and rounds
    # doubles to even.
    def spell(arguments: Sequence[exp.Expr]) -> exp.Expr:
        value, *places = arguments
        return _double(exp.Anonymous(this=name, expressions=[_numeric(value), *places]))

    return spell


def _modulo(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this="mod", expressions=[_numeric(item) for item in arguments])


def _random(_: Sequence[exp.Expr]) -> exp.Expr:
    # ADQL 2.1, 2.3: the argument of RAND has no meaning here.
    return exp.Anonymous(this="random")


def _blob(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this="decode", expressions=[*arguments, exp.Literal.string("hex")])


def _cone(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return arguments[-1]


def _element(arguments: Sequence[exp.Expr]) -> exp.Expr:
    array, place = arguments
    return exp.Bracket(this=exp.Paren(this=array), expressions=[place], offset=1)


def _numbers(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # An array with an empty place would be no geometry.
    known = [exp.Not(this=exp.Is(this=item.copy(), expression=exp.Null())) for item in arguments]
    array = exp.Array(expressions=[_double(item) for item in arguments])
    return exp.Case(ifs=[exp.If(this=exp.and_(*known, copy=False), true=array)])


def _timestamp(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # Times are text in the table; DALI 1.1 (3.3.3) has no zeros at their end.
    time = exp.Cast(this=arguments[0], to=exp.DataType(this=exp.DType.TIMESTAMP))
    form = exp.Literal.string('YYYY-MM-DD"T"HH24:MI:SS.US')
    text = exp.Anonymous(this="to_char", expressions=[time, form])
    zeros = (exp.Literal.string(".000000"), exp.Literal.string(""))
    return exp.Anonymous(this="replace", expressions=[text, *zeros])


def _text(arguments: Sequence[exp.Expr]) -> exp.Expr:
    value, length = arguments
    text = exp.Cast(this=value, to=exp.DataType(this=exp.DType.TEXT))
    return exp.Anonymous(this="left", expressions=[text, length])


def _in(arguments: Sequence[exp.Expr]) -> exp.Expr:
    keys, *lists = arguments
    if len(lists) == 1:
        return exp.EQ(this=keys.expressions[0], expression=exp.Anonymous(this="ANY", expressions=lists))
    rows = exp.Select(
        expressions=[exp.Star()],
        from_=exp.From(this=exp.Table(this=exp.Anonymous(this="unnest", expressions=lists))),
    )
    return exp.In(this=keys, query=exp.Subquery(this=rows))


def _is_plain(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # The first byte of a circle or convex polygon, or of the text of one.
    kind = exp.Anonymous(this="get_byte", expressions=[*arguments, exp.Literal.number(0)])
    return exp.In(this=kind, expressions=[exp.Literal.number(ord(letter)) for letter in "cpP"])


def _around(longitude: exp.Expr, latitude: exp.Expr, reach: exp.Expr) -> exp.Expr:
    place = exp.Anonymous(this="spoint", expressions=[longitude, latitude])
    return exp.Anonymous(this="scircle", expressions=[place, reach])


def _in_circle(arguments: Sequence[exp.Expr]) -> exp.Expr:
    own, *circle = arguments
    return exp.ArrayContainedBy(this=own, expression=_around(*circle))


def _near(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # Circles wider than pgSphere's are near to everything.
    own, radius, *circle = arguments
    wide = exp.GT(this=radius, expression=exp.Literal.number("1.57"))
    near = exp.ArrayOverlaps(this=own, expression=_around(*circle))
    return exp.Paren(this=exp.Or(this=near, expression=wide))


def _square(arguments: Sequence[exp.Expr]) -> exp.Expr:
    low, high, center = arguments
    distances = [
        exp.Anonymous(this="abs", expressions=[exp.Sub(this=end, expression=exp.Paren(this=center.copy()))])
        for end in (low, high)
    ]
    farthest = exp.Anonymous(this="greatest", expressions=distances)
    return exp.Anonymous(this="power", expressions=[farthest, exp.Literal.number(2)])


_SPECIAL: dict[str, Callable[[Sequence[exp.Expr]], exp.Expr]] = {
    "MOD": _modulo,
    "RAND": _random,
    "ROUND": _decimal("round"),
    "TRUNCATE": _decimal("trunc"),
    "vo_blob": _blob,
    "vo_cone": _cone,
    "vo_element": _element,
    "vo_in": _in,
    "vo_in_circle": _in_circle,
    "vo_is_plain": _is_plain,
    "vo_near": _near,
    "vo_numbers": _numbers,
    "vo_square": _square,
    "vo_text": _text,
    "vo_timestamp": _timestamp,
}


def render(tree: exp.Expr) -> str:
    """Write a planned tree, or a part of one, as SQL of PostgreSQL.

    Parameters
    ----------
    tree
        The tree of a `~lsst.dax.vo.query.Plan`, without predicates on
        geometries.

    Returns
    -------
    sql : `str`

    Raises
    ------
    QueryError
        Raised if the statement would be too large.
    UnsupportedError
        Raised for predicates on geometries.
    """
    if sum(1 for _ in tree.walk()) > _MOST_NODES:
        raise QueryError(
            "The query is too large when it is written out; "
            "give fewer values, or nest fewer DISTANCE functions"
        )
    # So that the root, too, can be replaced.
    root = exp.Paren(this=tree.copy())
    for node in reversed(list(root.find_all(exp.Anonymous, exp.Literal, exp.Like, exp.ILike))):
        match node:
            case exp.Literal():
                _write_number(node)
            case exp.Like() | exp.ILike():
                # In ADQL no character escapes another.
                escaped = exp.Escape(expression=exp.Literal.string(""))
                node.replace(escaped)
                escaped.set("this", node)
            case _:
                _spell(node)
    return str(root.this.sql(dialect="postgres", comments=False))


def _spell(node: exp.Expr) -> None:
    name = function_name(node) or ""
    if name in UNSUPPORTED:
        raise UnsupportedError(f"There is no SQL of PostgreSQL for {name}; the engine answers it")
    if name in _SPECIAL:
        node.replace(_SPECIAL[name](list(node.expressions)))
    elif name in FUNCTIONS:
        node.set("this", _NAMES.get(name, name.lower()))


def _write_number(node: exp.Literal) -> None:
    # 1.5 and 1.5e0 are decimals in PostgreSQL.
    text = str(node.this)
    if not node.is_string and ("." in text or "e" in text.lower() or len(text) > 18):
        node.replace(_double(exp.Literal.number(text)))
