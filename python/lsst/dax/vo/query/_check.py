"""Whether functions exist, values have the types they need, and groups are groups."""

from __future__ import annotations

__all__ = ["check", "check_functions"]

import math
import re
from collections.abc import Iterator, Sequence

from sqlglot import exp

from ._functions import AGGREGATES, FUNCTIONS
from ._passes import Context, error_at
from ._scope import nearest
from ._tokens import RESERVED_WORDS
from ._tree import constant_number, function_name, projections_of, strip_parens
from ._types import describe, kind_of, outputs_of, widest

_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_WORDS = {
    "number": "a number",
    "integer": "a whole number",
    "text": "a text",
    "region": "a region",
    "point": "a point",
    "circle": "a circle",
    "polygon": "a polygon",
    "box": "a box",
    "geometry": "a point or region",
    "other": "an array",
}
_PREDICATES = ("CONTAINS", "INTERSECTS")
_MOST_PREDICATES = 500
"""Each is written out as the test of a box and a function: 4 ms of planning."""

_FRAMES = ("", "ICRS", "UNKNOWNFRAME")
"""First words of coordinate systems that mean ICRS here."""

_NUMBER = re.compile(r"\s*([+-]?)((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")
_CASTABLE = {exp.DType.POINT, exp.DType.OBJECT, exp.DType.POLYGON}


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
    for node in tree.find_all(exp.Anonymous, exp.Cast):
        if isinstance(node, exp.Cast):
            if node.to.this in _CASTABLE:
                raise error_at(
                    context,
                    node,
                    "CAST makes no geometries here; write POINT(...), CIRCLE(...) or POLYGON(...)",
                )
            continue
        name = function_name(node) or ""
        shapes += name in _PREDICATES
        if shapes > _MOST_PREDICATES:
            raise error_at(
                context,
                node,
                f"A query has up to {_MOST_PREDICATES} CONTAINS and INTERSECTS here; "
                "ask for the places in several queries",
            )
        function = FUNCTIONS.get(name)
        if function is None:
            reason = (
                f"{name} of ADQL is not served" if name in RESERVED_WORDS else f"There is no function {name}"
            )
            raise error_at(context, node, f"{reason} here; {nearest(name, sorted(FUNCTIONS))}")
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
    for node in list(tree.walk(bfs=False)):
        _check_node(node, context)
    for select in tree.find_all(exp.Select):
        _check_groups(select, context)
    for column, output in zip(outputs_of(tree), projections_of(tree), strict=True):
        if kind_of(column) == "box":
            raise error_at(
                context, output, "A BOX can be searched with, not shown; select a POLYGON or its numbers"
            )
    return tree


def _check_node(node: exp.Expr, context: Context) -> None:
    match node:
        case exp.Anonymous():
            _check_call(node, context)
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            for side in (node.this, node.expression):
                _expect(side, "number", context)
        case exp.Neg():
            _expect(node.this, "number", context)
        case exp.DPipe():
            for side in (node.this, node.expression):
                _expect(side, "text", context)
        case exp.Like() | exp.ILike():
            for side in (node.this, node.expression):
                _expect(side, "text", context)
        case exp.Between():
            _check_compared((node.this, node.args["low"], node.args["high"]), context)
        case exp.In():
            _check_membership(node, context)
        case _ if isinstance(node, _COMPARED):
            _check_compared((node.this, node.expression), context)


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
            _expect(argument, takes[min(place, len(takes) - 1)], context, of=function.name)
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
    _check_sky(node, context)


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
    if kind == "null" or wanted in ("any", kind):
        fits = True
    elif wanted == "geometry":
        fits = kind in ("point", "circle", "polygon", "box", "region")
    elif wanted == "integer":
        fits = kind == "number" and column.datatype not in ("float", "double")
    else:
        fits = (
            wanted == "text"
            and kind in ("region", "number")
            and (kind == "region" or isinstance(node.parent, exp.DPipe))
        )
    if not fits:
        where = f"{of} takes {_WORDS[wanted]}" if of else f"Expected {_WORDS[wanted]}"
        raise error_at(context, node, f"{where}, {_shown(node)} is {_WORDS.get(kind, kind)}")


def _check_compared(sides: Sequence[exp.Expr], context: Context) -> None:
    for side, number in _make_comparable(sides, context):
        side.replace(number)


def _make_comparable(sides: Sequence[exp.Expr], context: Context) -> Iterator[tuple[exp.Expr, exp.Expr]]:
    # Texts to replace, and the numbers that they hold.
    kinds = [kind_of(describe(side)) for side in sides]
    for side, kind in zip(sides, kinds, strict=True):
        if kind in ("point", "circle", "polygon", "box", "other"):
            raise error_at(
                context,
                side,
                f"{_shown(side)} is {_WORDS[kind]} and is not compared; use CONTAINS or DISTANCE",
            )
    if "number" in kinds:
        other = sides[kinds.index("number")]
        for side, kind in zip(sides, kinds, strict=True):
            if kind in ("text", "region"):
                yield side, _read_number(side, other, context)


def _read_number(side: exp.Expr, other: exp.Expr, context: Context) -> exp.Expr:
    # calib_level = '1' is what tutorials write; databases take it, too.
    literal = strip_parens(side)
    if not isinstance(literal, exp.Literal):
        value = constant_number(other)
        advice = f"write '{value:g}' in quotes" if value is not None else "compare numbers with numbers"
        raise error_at(context, side, f"{_shown(side)} is a text and {_shown(other)} a number; {advice}")
    found = _NUMBER.fullmatch(str(literal.this))
    if found is None or math.isinf(float(found[2])):
        raise error_at(context, side, f"{_shown(other)} is a number; '{literal.this}' is none")
    number = exp.Literal.number(found[2])
    return exp.Neg(this=number) if found[1] == "-" else number


def _check_membership(node: exp.In, context: Context) -> None:
    query = node.args.get("query")
    if query is None:
        # Replaced one by one, twenty thousand texts take a minute.
        numbers: dict[int, exp.Expr] = {}
        for item in node.expressions:
            for side, number in _make_comparable((node.this, item), context):
                if side is node.this:
                    raise error_at(context, item, f"{_shown(side)} is a text; write {_shown(item)} in quotes")
                numbers[id(side)] = number
        if numbers:
            node.set("expressions", [numbers.get(id(item), item) for item in node.expressions])
        return
    columns = outputs_of(query.this)
    if len(columns) != 1:
        raise error_at(context, query, f"IN takes a query with one column, this one has {len(columns)}")
    if widest((describe(node.this), columns[0])) is None:
        raise error_at(
            context,
            node.this,
            f"{_shown(node.this)} and the column {columns[0].name!r} of the query differ in type",
        )


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


def _shown(node: exp.Expr) -> str:
    inner = strip_parens(node)
    if isinstance(inner, exp.Column):
        return str(inner.name)
    if isinstance(inner, exp.Literal):
        return f"'{inner.this}'" if inner.is_string else str(inner.this)
    name = function_name(inner)
    return f"{name}(...)" if name else "this expression"


def _count_words(fewest: int, most: int | None) -> str:
    if most is None:
        return f"{fewest} or more arguments"
    if fewest == most:
        return "no arguments" if most == 0 else f"{most} argument{'s' if most > 1 else ''}"
    return f"{fewest} to {most} arguments"
