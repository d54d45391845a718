"""Geometry and casts of ADQL in the words of the engine.

============================  ==================================================
``vo_point(ra, dec)``         geometries as bytes: encodings of `lsst.sphgeom`
``vo_circle(ra, dec, r)``     regions, or a point; constants are folded to such
``vo_box(ra, dec, w, h)``     bytes, ``vo_blob('<hexadecimal>')``
``vo_polygon([ra, dec, …])``
``vo_contains(a, b)``         whether ``a`` lies in ``b``; unknown for NULL
``vo_intersects(a, b)``       whether they share a point
``vo_cone(ra, …, r, test)``   the test that a point is in a circle, with both
``vo_element(array, n)``      a number of a geometry that is shown, from 1 on
``vo_numbers(…)``             the numbers of one; NULL if any is
``vo_timestamp(text)``        a time in the form of DALI
``vo_text(value, n)``         its first characters
============================  ==================================================

A region column, ``s_region``, is text where it is shown; in a search it is
the exact region in the hidden column ``_region`` beside it, with the bounds
``_x0 … _z1`` of its unit vectors, whose test costs next to nothing and lets a
sorted table skip what is far away.  A point in a circle is a distance, so that
both ways of asking agree to the last bit.
"""

from __future__ import annotations

__all__ = ["lower"]

import operator
from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from ..errors import UsageError
from ._constants import Constant, fold_constant
from ._hidden import hidden_columns, hidden_prefix, overlap
from ._passes import Context, error_at
from ._tree import (
    call,
    constant_number,
    function_name,
    number_literal,
    strip_parens,
    without_parens,
)
from ._types import describe, kind_of

_PREDICATES = ("CONTAINS", "INTERSECTS")
_SWAPPED: dict[type[exp.Expr], type[exp.Binary]] = {
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
}

_COMPARISONS: dict[type[exp.Expr], Callable[[float, float], bool]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
# Keeps the argument of ASIN below one whatever the rounding; it takes 4e-16
# of a distance away.
_BELOW_ONE = 1 - 4e-16
_MOST_PARTS = 400
"""Nodes of the arguments of a distance, once those inside are written out."""


@dataclass(frozen=True, slots=True)
class _Operand:
    """One side of a geometric predicate."""

    kind: str
    """``point circle polygon box region``."""

    shape: exp.Expr
    """Gives its bytes."""

    bounds: tuple[exp.Expr, ...] | None
    """Bounds of its unit vectors, where they are known without computing."""

    numbers: tuple[exp.Expr, ...] = ()
    """Coordinates of a point or circle."""


def lower(tree: exp.Query, context: Context) -> exp.Query:
    """Put geometry into the words of the engine.

    Parameters
    ----------
    tree
        As `check` leaves it.
    context
        Query and catalog.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The same; without functions of ADQL on geometries.

    Raises
    ------
    QueryError
        Raised for shapes that enclose nothing or cross themselves, and for
        regions that a subquery has lost.

    References
    ----------
    ADQL 2.1, 4.2.
    """
    # Innermost first: coordinates may be computed from other geometries.
    for node in reversed(list(tree.find_all(exp.Anonymous, bfs=True))):
        name = function_name(node)
        if name in _PREDICATES:
            _replace_predicate(node, context)
        elif name == "DISTANCE":
            _check_size(node, context)
            node.replace(_distance(node.expressions))
        elif name in ("COORD1", "COORD2"):
            node.replace(_coordinate(node))
    for cast in list(tree.find_all(exp.Cast)):
        _replace_cast(cast)
    for node in list(tree.find_all(exp.Anonymous)):
        # What is left is shown: DALI 1.1 has geometries as numbers.
        if function_name(node) in ("POINT", "CIRCLE", "POLYGON"):
            node.replace(_as_numbers(node))
    return tree


def _check_size(node: exp.Expr, context: Context) -> None:
    # The formula has each latitude twice, so that distances inside distances
    # would double in size with each.
    if sum(1 for _ in zip(node.walk(), range(_MOST_PARTS), strict=False)) == _MOST_PARTS:
        raise error_at(
            context, node, "The coordinates of this DISTANCE are computed from too much; use a subquery"
        )


def _replace_predicate(node: exp.Expr, context: Context) -> None:
    found = _predicate(node, context)
    place = node
    while isinstance(place.parent, exp.Paren):
        place = place.parent
    comparison = place.parent
    kind = type(comparison)
    if comparison is not None and kind in _SWAPPED:
        other = comparison.args["expression"] if comparison.this is place else comparison.this
        value = constant_number(other)
        if comparison.this is not place:
            kind = _SWAPPED[kind]
        wanted = _truth(kind, value)
        if wanted is not None:
            comparison.replace(found if wanted else exp.Not(this=found))
            return
    node.replace(exp.Cast(this=found, to=exp.DataType(this=exp.DType.INT)))


def _truth(kind: type[exp.Expr], value: float | None) -> bool | None:
    # Which of 1 and 0 the comparison lets through, if just one.
    if value is None:
        return None
    passes = _COMPARISONS[kind]
    one, zero = passes(1, value), passes(0, value)
    return one if one != zero else None


def _predicate(node: exp.Expr, context: Context) -> exp.Expr:
    name = function_name(node)
    first, second = (_operand(item, context) for item in node.expressions)
    if name == "INTERSECTS" and second.kind == "point":
        # ADQL 2.1, 4.2.11: with a point it is CONTAINS.
        first, second = second, first
    if first.kind == "point" and first.numbers and second.kind == "circle" and second.numbers:
        _check_size(node, context)
        angle = _distance([*first.numbers, *second.numbers[:2]])
        inside = exp.LTE(this=angle, expression=second.numbers[2].copy())
        numbers = (*first.numbers, *second.numbers)
        return exp.Paren(this=call("vo_cone", *(number.copy() for number in numbers), inside))
    contains = name == "CONTAINS" or first.kind == "point"
    exact = call("vo_contains" if contains else "vo_intersects", first.shape, second.shape)
    if first.bounds is None or second.bounds is None or not _has_column(first, second):
        return exact
    near = overlap(first.bounds, second.bounds)
    # The bare test lets a table skip whole stretches.  CASE keeps the exact
    # one for what is near, whatever order the database puts conditions into;
    # both are unknown where there is no region.
    nearby = exp.Case(ifs=[exp.If(this=near.copy(), true=exact)])
    return exp.Paren(this=exp.And(this=near, expression=nearby))


def _has_column(*operands: _Operand) -> bool:
    return any(isinstance(bound, exp.Column) for item in operands for bound in item.bounds or ())


def _operand(node: exp.Expr, context: Context) -> _Operand:
    node = strip_parens(node)
    kind = kind_of(describe(node))
    if isinstance(node, exp.Column):
        return _column_operand(node, kind, context)
    if kind == "null":
        return _Operand("region", exp.Cast(this=exp.Null(), to=exp.DataType(this=exp.DType.BLOB)), None)
    name = function_name(node) or ""
    arguments = list(node.expressions)
    numbers = [constant_number(item) for item in arguments]
    constant: Constant | None = None
    if all(number is not None for number in numbers):
        try:
            constant = fold_constant(name, [number for number in numbers if number is not None])
        except UsageError as err:
            raise error_at(context, node, str(err)) from err
    if constant is not None:
        return _Operand(
            kind,
            constant.literal,
            tuple(number_literal(bound) for bound in constant.bounds),
            tuple(number_literal(number) for number in numbers if number is not None),
        )
    copies = [item.copy() for item in arguments]
    if name == "POLYGON":
        shape = call("vo_polygon", exp.Array(expressions=copies))
    else:
        shape = call(f"vo_{name.lower()}", *copies)
    return _Operand(kind, shape, None, tuple(arguments) if name in ("POINT", "CIRCLE") else ())


def _column_operand(node: exp.Column, kind: str, context: Context) -> _Operand:
    if kind == "region":
        region, *bounds = hidden_columns(hidden_prefix(node, context), node.args["table"])
        return _Operand(kind, region, tuple(bounds))
    # A geometry that a subquery made is the array of numbers that it shows.
    if kind == "polygon":
        return _Operand(kind, call("vo_polygon", node.copy()), None)
    count = 2 if kind == "point" else 3
    numbers = tuple(_element(node, place) for place in range(1, count + 1))
    return _Operand(kind, call(f"vo_{kind}", *(number.copy() for number in numbers)), None, numbers)


def _element(node: exp.Expr, place: int) -> exp.Expr:
    return call("vo_element", node.copy(), exp.Literal.number(place))


def _coordinate(node: exp.Expr) -> exp.Expr:
    place = 1 if function_name(node) == "COORD1" else 2
    point = strip_parens(node.expressions[0])
    if function_name(point) == "POINT":
        return without_parens(point.expressions[place - 1])
    if isinstance(point, exp.Null):
        return exp.Null()
    return _element(point, place)


def _distance(numbers: list[exp.Expr]) -> exp.Expr:
    # The haversine formula keeps small distances exact.
    ra1, dec1, ra2, dec2 = (without_parens(number) for number in numbers)

    def half_sine(a: exp.Expr, b: exp.Expr) -> exp.Expr:
        angle = call("RADIANS", exp.Sub(this=a.copy(), expression=b.copy()))
        sine = call("SIN", exp.Div(this=angle, expression=number_literal(2)))
        return call("POWER", sine, number_literal(2))

    cosines = exp.Mul(
        this=call("COS", call("RADIANS", dec1.copy())), expression=call("COS", call("RADIANS", dec2.copy()))
    )
    square = exp.Add(
        this=half_sine(dec1, dec2), expression=exp.Mul(this=cosines, expression=half_sine(ra1, ra2))
    )
    sine = exp.Mul(this=call("SQRT", square), expression=number_literal(_BELOW_ONE))
    return call("DEGREES", exp.Paren(this=exp.Mul(this=number_literal(2), expression=call("ASIN", sine))))


def _replace_cast(node: exp.Cast) -> None:
    # Lengths and times, which databases take in different ways (ADQL 2.1, 4.7).
    if node.to.this == exp.DType.TIMESTAMP:
        node.replace(call("vo_timestamp", node.this.copy()))
    elif node.to.expressions:
        node.replace(call("vo_text", node.this.copy(), node.to.expressions[0].this.copy()))


def _as_numbers(node: exp.Expr) -> exp.Expr:
    return call("vo_numbers", *(item.copy() for item in node.expressions))
