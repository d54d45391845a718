"""Whether functions exist, values have the types they need, and groups are groups."""

from __future__ import annotations

__all__ = ["check", "check_functions"]

from collections.abc import Iterator

from sqlglot import exp

from .._passes import Context, error_at
from .._tree import constant_number, function_name, put, strip_parens
from .._udfs import MOST_ORDER
from ._casts import HAS_DIGITS
from ._compare import WORDS, check_compared, check_membership, read_time, shown
from ._expressions import WRITTEN_IN
from ._functions import AGGREGATES, FUNCTIONS
from ._names import nearest
from ._tokens import RESERVED_WORDS
from ._types import describe, is_time, kind_of, remembering, widest
from ._units import FACTOR, conversion_factor

_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_ORDERED = ("IVO_HEALPIX_INDEX", "IVO_HEALPIX_CENTER")
_LONG = ("CONTAINS", "INTERSECTS", "DISTANCE", *_ORDERED)
_MOST_LONG = 500
"""Each is written out as the test of a box and a function, or as a formula: 4 ms
of planning."""

_CASTABLE = {exp.DType.POINT, exp.DType.OBJECT, exp.DType.POLYGON}
_FRAMES = ("", "ICRS", "UNKNOWNFRAME")
"""First words of coordinate systems that mean ICRS here."""


def check_functions(tree: exp.Query, context: Context) -> exp.Query:
    """Check that all functions are served, and their counts of arguments.

    Parameters
    ----------
    tree
        As `parse_adql` makes it.
    context
        The query; no catalog is needed.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The same, unchanged.

    Raises
    ------
    QueryError
        Raised for functions that are not in `FUNCTIONS`.
    """
    shapes = 0
    for node in tree.find_all(exp.Anonymous):
        name = function_name(node) or ""
        shapes += name in _LONG
        if shapes > _MOST_LONG:
            raise error_at(
                context,
                node,
                f"A query has up to {_MOST_LONG} CONTAINS, INTERSECTS, DISTANCE and HEALPix functions here; "
                "ask for the places in several queries",
            )
        function = FUNCTIONS.get(name)
        if function is None:
            where = "in ADQL" if name in RESERVED_WORDS else "here"
            raise error_at(
                context, node, f"There is no function {name} {where}; {nearest(name, sorted(FUNCTIONS))}"
            )
        count = len(node.expressions)
        if count < function.fewest or (function.most is not None and count > function.most):
            raise error_at(
                context, node, f"{name} takes {_count_words(function.fewest, function.most)}, {count} given"
            )
    return tree


def check(tree: exp.Query, context: Context) -> exp.Query:
    """Check types, and what stands beside aggregates.

    Parameters
    ----------
    tree
        As `resolve` leaves it; numbers that stand in quotes beside numeric
        columns become numbers.
    context
        Query and catalog.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The same.

    Raises
    ------
    QueryError
        Raised for values that do not fit.
    """
    with remembering():
        for node in list(tree.walk(bfs=False)):
            _check_node(node, context)
    for select in tree.find_all(exp.Select):
        _check_groups(select, context)
    return tree


def _check_node(node: exp.Expr, context: Context) -> None:
    match node:
        case exp.Anonymous():
            _check_call(node, context)
        case exp.Cast():
            _check_cast(node, context)
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            for side in (node.this, node.expression):
                _expect(side, "number", context)
        case exp.Neg():
            _expect(node.this, "number", context)
        case exp.DPipe():
            for side in (node.this, node.expression):
                _expect(side, "text", context)
                _make_text(side)
        case exp.Like() | exp.ILike():
            for side in (node.this, node.expression):
                _expect(side, "text", context)
        case exp.Between():
            check_compared((node.this, node.args["low"], node.args["high"]), context)
        case exp.In():
            check_membership(node, context)
        case _ if isinstance(node, _COMPARED):
            check_compared((node.this, node.expression), context)


def _check_call(node: exp.Expr, context: Context) -> None:
    function = FUNCTIONS[function_name(node) or ""]
    for frame in node.meta.get("frames", ()):
        words = str(frame.this).upper().split() if isinstance(frame, exp.Literal) else []
        if (words[0] if words else "") not in _FRAMES:
            raise error_at(
                context,
                frame,
                f"The coordinate system {frame.this!r} is not served; give positions in 'ICRS'",
            )
    takes = function.takes
    for place, argument in enumerate(node.expressions):
        if not isinstance(argument, exp.Star):
            of = node.meta.get(WRITTEN_IN, function.name)
            _expect(argument, takes[min(place, len(takes) - 1)], context, of=of)
    if function.name == "COALESCE" and widest([describe(item) for item in node.expressions]) is None:
        raise error_at(context, node, "COALESCE takes values of one type")
    if function.name in AGGREGATES:
        inner = next(
            (
                item
                for item in node.find_all(exp.Anonymous)
                if item is not node and function_name(item) in AGGREGATES
            ),
            None,
        )
        if inner is not None:
            raise error_at(context, inner, f"{function_name(inner)} cannot stand inside {function.name}")
    if function.name == "MOD":
        # Of whole numbers or not: databases have two ways.
        node.meta[HAS_DIGITS] = any(
            describe(item).datatype in ("float", "double") for item in node.expressions
        )
    if function.name == "IN_UNIT":
        value, unit = node.expressions
        node.meta[FACTOR] = conversion_factor(value, strip_parens(unit), context)
    if function.name in _ORDERED:
        order = constant_number(node.expressions[0])
        if order is not None and not 0 <= order <= MOST_ORDER:
            raise error_at(context, node.expressions[0], f"The order {order:g} is not within 0..{MOST_ORDER}")
    _check_sky(node, context)


def _check_cast(node: exp.Cast, context: Context) -> None:
    # ADQL 2.1, 4.7.1: what becomes what.
    column = describe(node.this)
    kind = kind_of(column)
    if node.to.this in _CASTABLE:
        fits, accepted = kind in ("null", "text"), "a text such as '12.3 45.6'"
    elif node.to.this == exp.DType.TIMESTAMP:
        fits, accepted = kind in ("null", "text"), "a text such as '2026-01-31T12:00:00'"
        literal = strip_parens(node.this)
        if isinstance(literal, exp.Literal) and literal.is_string:
            literal.set("this", read_time(literal, context).this)
    else:
        fits, accepted = kind in ("null", "number", "text", "region"), "a number or text"
        node.meta[HAS_DIGITS] = column.datatype in ("float", "double")
    if not fits:
        raise error_at(
            context, node.this, f"This CAST takes {accepted}, {shown(node.this)} is {WORDS.get(kind, kind)}"
        )


def _make_text(node: exp.Expr) -> None:
    # As a CAST does, so that all databases write numbers in one way.
    column = describe(node)
    if kind_of(column) == "number":
        cast = exp.Cast(to=exp.DataType(this=exp.DType.VARCHAR))
        cast.meta[HAS_DIGITS] = column.datatype in ("float", "double")
        put(node, cast)
        cast.set("this", node)


def _check_sky(node: exp.Expr, context: Context) -> None:
    name = function_name(node)
    pairs = {"POINT": 2, "CIRCLE": 2, "BOX": 2, "DISTANCE": 4, "POLYGON": len(node.expressions)}
    for latitude in node.expressions[1 : pairs.get(name or "", 0) : 2]:
        value = constant_number(latitude)
        if value is not None and abs(value) > 90:
            raise error_at(context, latitude, f"The latitude {value} is not within -90..90 degrees")
    sizes = {"CIRCLE": ("radius",), "BOX": ("width", "height")}.get(name or "", ())
    for argument, word in zip(node.expressions[2:], sizes, strict=False):
        value = constant_number(argument)
        if value is not None and not 0 <= value <= 180:
            raise error_at(context, argument, f"The {word} {value} is not within 0..180 degrees")


def _expect(node: exp.Expr, wanted: str, context: Context, *, of: str = "") -> None:
    column = describe(node)
    kind = kind_of(column)
    if column.datatype == "unsignedByte" and kind == "number" and wanted in ("number", "integer"):
        # Sums of two do not fit, and databases know it too late.
        small = exp.Cast(to=exp.DataType(this=exp.DType.SMALLINT))
        put(node, small)
        small.set("this", node)
    literal = strip_parens(node)
    is_text = isinstance(literal, exp.Literal) and literal.is_string
    match wanted:
        case "constant":
            fits = is_text
        case _ if kind == "null" or wanted in ("any", kind):
            fits = True
        case "geometry":
            fits = kind in ("point", "circle", "polygon", "box", "region")
        case "integer":
            fits = kind == "number" and column.datatype not in ("float", "double")
        case "ordered":
            fits = kind in ("number", "text", "region")
        case "text":
            fits = kind == "region" or (kind == "number" and isinstance(node.parent, exp.DPipe))
        case "time":
            fits = is_text or is_time(column)
            if is_text:
                literal.set("this", read_time(literal, context).this)
        case _:
            fits = False
    if not fits:
        where = f"{of} takes {WORDS[wanted]}" if of else f"Expected {WORDS[wanted]}"
        advice = ""
        if wanted == "time" and kind == "text":
            advice = "; write CAST(... AS TIMESTAMP)"
        elif wanted == "point" and kind in ("circle", "polygon", "box", "region"):
            advice = f"; write CENTROID({shown(node)})"
        raise error_at(context, node, f"{where}, {shown(node)} is {WORDS.get(kind, kind)}{advice}")


def _check_groups(select: exp.Select, context: Context) -> None:
    for key in ("where", "group"):
        for found in _calls(select.args.get(key)):
            raise error_at(
                context, found, f"{function_name(found)} cannot stand in {key.upper()}; use HAVING"
            )
    for join in select.find_all(exp.Join):
        if join.parent_select is select:
            for found in _calls(join.args.get("on")):
                raise error_at(context, found, f"{function_name(found)} cannot stand in ON")
    group = select.args.get("group")
    order = select.args.get("order")
    having = select.args.get("having")
    outputs: list[exp.Expr] = [item.this for item in select.expressions]
    ordered: list[exp.Expr] = [item.this for item in order.expressions] if order is not None else []
    held = [having.this] if having is not None else []
    if group is None and not held and not any(True for item in (*outputs, *ordered) for _ in _calls(item)):
        return
    keys = frozenset(strip_parens(key) for key in group.expressions) if group is not None else frozenset()
    own = _aliases_of(select)
    for item in (*outputs, *held, *ordered):
        loose = _ungrouped(item, keys, own)
        if loose is not None:
            raise error_at(
                context,
                loose,
                f"{loose.name!r} is neither in GROUP BY nor inside an aggregate such as MIN or COUNT",
            )


def _ungrouped(node: exp.Expr, keys: frozenset[exp.Expr], own: frozenset[str]) -> exp.Expr | None:
    if function_name(node) in AGGREGATES or isinstance(node, exp.Query) or strip_parens(node) in keys:
        return None
    if isinstance(node, exp.Column):
        return node if node.table in own else None
    for child in node.iter_expressions():
        found = _ungrouped(child, keys, own)
        if found is not None:
            return found
    return None


def _aliases_of(select: exp.Select) -> frozenset[str]:
    return frozenset(
        item.alias_or_name
        for item in select.find_all(exp.Table, exp.Subquery)
        if item.parent_select is select
    )


def _calls(node: exp.Expr | None) -> Iterator[exp.Expr]:
    # Aggregates of this query, not of those inside it.
    if node is None or isinstance(node, exp.Query):
        return
    if function_name(node) in AGGREGATES:
        yield node
        return
    for child in node.iter_expressions():
        yield from _calls(child)


def _count_words(fewest: int, most: int | None) -> str:
    if most is None:
        return f"{fewest} or more arguments"
    if fewest == most:
        return "no arguments" if most == 0 else f"{most} argument{'s' if most > 1 else ''}"
    return f"{fewest} to {most} arguments"
