"""Geometry and casts of ADQL in the words of the engine.

============================  ==================================================
``vo_point(ra, dec)``         geometries as bytes: encodings of `lsst.sphgeom`
``vo_circle(ra, dec, r)``     regions, or a point; constants are folded to such
``vo_box(ra, dec, w, h)``     bytes, ``vo_blob('<hexadecimal>')``
``vo_polygon([ra, dec, …])``
``vo_region(text)``           from the STC-S text of a table that came along
``vo_contains(a, b)``         whether ``a`` lies in ``b``; unknown for NULL
``vo_intersects(a, b)``       whether they share a point
``vo_cone(ra, …, r, test)``   the test that a point is in a circle, with both
``vo_area(region)``           square degrees
``vo_centroid(region)``       longitude and latitude, an array
``vo_element(array, n)``      a number of a geometry that is shown, from 1 on
``vo_numbers(…)``             the numbers of one; NULL if any is
``vo_parse(text, kind)``      the numbers of a geometry in the form of DALI
``vo_first(value)``           an aggregate: any of the values
``vo_healpix_center(o, i)``   longitude and latitude, an array
``vo_timestamp(text)``        a time in the form of DALI
``vo_fmod(a, b)``             the remainder of doubles
``vo_digits(number)``         a number as a text, without a point behind which is nothing
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

from sqlglot import exp

from .._passes import Context, error_at
from .._tree import call, constant_number, function_name, number_literal, put, without_parens
from ..adql._casts import HAS_DIGITS
from ..adql._units import FACTOR
from ._carry import aggregate_hidden
from ._hidden import overlap
from ._measures import area, ball_bounds, box_corners, distance, possible_radius
from ._operands import Operand, coordinates, is_known, operand

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
_MOST_PARTS = 400
"""Nodes of the arguments of a distance, once those inside are written out."""

_MOST_BOUNDED = 40
"""Nodes of a point or circle whose bounds are computed: they repeat it."""

_TEXTS = (exp.DType.CHAR, exp.DType.VARCHAR)
_SHAPES = {exp.DType.POINT: "POINT", exp.DType.OBJECT: "CIRCLE", exp.DType.POLYGON: "POLYGON"}


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
        _replace_call(node, context)
    for node in list(tree.find_all(exp.Anonymous)):
        # What is left is shown: DALI 1.1 has geometries as numbers.
        match function_name(node):
            case "POINT" | "CIRCLE" | "POLYGON":
                put(node, call("vo_numbers", *(item.copy() for item in node.expressions)))
            case "BOX":
                operand(node, context)
                put(node, call("vo_numbers", *box_corners(node.expressions)))
            case "CENTROID":
                put(node, call("vo_numbers", *coordinates(node, context)))
            case "IVO_HEALPIX_CENTER":
                node.set("this", "vo_healpix_center")
            case "REGION":
                put(node, node.expressions[0])
    for cast in reversed(list(tree.find_all(exp.Cast, bfs=True))):
        _replace_cast(cast)
    for select in tree.find_all(exp.Select):
        aggregate_hidden(select)
    return tree


def _replace_call(node: exp.Anonymous, context: Context) -> None:
    arguments = node.expressions
    match function_name(node):
        case "CONTAINS" | "INTERSECTS":
            _replace_predicate(node, context)
        case "DISTANCE":
            _check_size(node, context)
            angle = distance(arguments)
            put(node, angle)
            _mark_cone(angle, arguments)
        case "COORD1":
            put(node, without_parens(coordinates(arguments[0], context)[0]))
        case "COORD2":
            put(node, without_parens(coordinates(arguments[0], context)[1]))
        case "AREA":
            _check_size(node, context)
            put(node, area(operand(arguments[0], context), arguments[0]))
        case "COORDSYS":
            frame = exp.If(this=is_known(arguments[0]), true=exp.Literal.string("ICRS"))
            put(node, exp.Case(ifs=[frame]))
        case "REGION" | "CENTROID":
            # Also what is only shown must be a region.
            operand(node if node.this == "REGION" else arguments[0], context)
        case "MOD" if node.meta.get(HAS_DIGITS):
            node.set("this", "vo_fmod")
        case "IN_UNIT":
            factor = number_literal(node.meta[FACTOR])
            put(node, exp.Paren(this=exp.Mul(this=without_parens(arguments[0]), expression=factor)))


def _mark_cone(angle: exp.Expr, numbers: list[exp.Expr]) -> None:
    # A distance that is to be less than a constant is a circle like another.
    place = angle
    while isinstance(place.parent, exp.Paren):
        place = place.parent
    comparison = place.parent
    kind = type(comparison)
    if comparison is None or kind not in _SWAPPED:
        return
    if comparison.this is place:
        radius = comparison.args["expression"]
    else:
        radius, kind = comparison.this, _SWAPPED[kind]
    size = constant_number(radius)
    pairs = sorted((numbers[:2], numbers[2:]), key=_is_fixed)
    if kind not in (exp.LT, exp.LTE) or size is None or not 0 <= size <= 180:
        return
    if [_is_fixed(pair) for pair in pairs] == [False, True]:
        cone = call("vo_cone", *(number.copy() for pair in pairs for number in pair), radius.copy())
        put(comparison, exp.Paren(this=cone))
        cone.append("expressions", comparison)


def _is_fixed(numbers: list[exp.Expr]) -> bool:
    return all(constant_number(number) is not None for number in numbers)


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
            put(comparison, found if wanted else exp.Not(this=found))
            return
    put(node, exp.Cast(this=found, to=exp.DataType(this=exp.DType.INT)))


def _truth(kind: type[exp.Expr], value: float | None) -> bool | None:
    # Which of 1 and 0 the comparison lets through, if just one.
    if value is None:
        return None
    passes = _COMPARISONS[kind]
    one, zero = passes(1, value), passes(0, value)
    return one if one != zero else None


def _predicate(node: exp.Expr, context: Context) -> exp.Expr:
    name = function_name(node)
    first, second = (operand(item, context) for item in node.expressions)
    if name == "INTERSECTS" and second.kind == "point":
        # ADQL 2.1, 4.2.11: with a point it is CONTAINS.
        first, second = second, first
    if first.kind == "point" and first.numbers and second.kind == "circle" and second.numbers:
        _check_size(node, context)
        angle = distance([*first.numbers, *second.numbers[:2]])
        inside = exp.LTE(this=angle, expression=possible_radius(first.numbers, second.numbers))
        numbers = (*first.numbers, *second.numbers)
        return exp.Paren(this=call("vo_cone", *(number.copy() for number in numbers), inside))
    contains = name == "CONTAINS" or first.kind == "point"
    exact = call("vo_contains" if contains else "vo_intersects", first.shape, second.shape)
    bounds = [_bounds(*pair) for pair in ((first, second), (second, first))]
    if bounds[0] is None or bounds[1] is None or not _has_column(first, second):
        return exact
    near = overlap(bounds[0], bounds[1])
    # The bare test lets a table skip whole stretches.  CASE keeps the exact
    # one for what is near, whatever order the database puts conditions into;
    # both are unknown where there is no region.
    nearby = exp.Case(ifs=[exp.If(this=near.copy(), true=exact)])
    return exp.Paren(this=exp.And(this=near, expression=nearby))


def _bounds(own: Operand, other: Operand) -> tuple[exp.Expr, ...] | None:
    # In a join, bounds leave out most pairs.  A region of the same row is
    # where its position is, as a rule.
    if own.bounds is not None or own.kind not in ("point", "circle") or other.bounds is None:
        return own.bounds
    regions = {item.table for bound in other.bounds for item in bound.find_all(exp.Column)}
    tables = {item.table for number in own.numbers for item in number.find_all(exp.Column)}
    size = sum(1 for number in own.numbers for _ in number.walk())
    if not regions or not tables or regions & tables or size > _MOST_BOUNDED:
        return None
    return ball_bounds(own.numbers)


def _has_column(*operands: Operand) -> bool:
    return any(isinstance(bound, exp.Column) for item in operands for bound in item.bounds or ())


def _replace_cast(node: exp.Cast) -> None:
    # Lengths, times and digits, which databases have in different ways.
    value, target = node.this.copy(), node.to.this
    if target in _SHAPES:
        put(node, call("vo_parse", value, exp.Literal.string(_SHAPES[target])))
    elif target == exp.DType.TIMESTAMP:
        put(node, call("vo_timestamp", value))
    elif target in _TEXTS:
        if node.meta.get(HAS_DIGITS):
            value = call("vo_digits", value)
        length = node.to.expressions[0].this.copy() if node.to.expressions else None
        if target == exp.DType.CHAR and length is None:
            # SQL92, 6.1: without a length it is one.
            length = exp.Literal.number(1)
        if length is not None:
            put(node, call("vo_text", value, length))
        elif node.meta.get(HAS_DIGITS):
            put(node, value)
