"""Distances, areas and corners in the words that all databases have."""

from __future__ import annotations

__all__ = ["area", "ball_bounds", "box_corners", "distance", "possible_radius"]

import math
from collections.abc import Sequence

import pyarrow as pa
from sqlglot import exp

from .._tree import call, constant_number, function_name, number_literal, without_parens
from ..geometry import _areas
from ..geometry._geometry import box_region
from ._operands import Operand, constant_bytes, is_known

# In lower case, functions are those of the engine, which need not look whether
# their arguments are within bounds: here they are.

# Keeps the argument of ASIN below one whatever the rounding; it takes 4e-16
# of a distance away.
_BELOW_ONE = 1 - 4e-16
_TOUCH = 1e-7
_ROUNDING = 1e-14
# Longitudes may be any number, and none that is not finite.
_LONGITUDE_LATITUDE = ((-1e300, 1e300), (-90.0, 90.0))
_SQUARE_DEGREES = math.degrees(1) ** 2


def distance(numbers: Sequence[exp.Expr]) -> exp.Expr:
    """Return the distance of two points.

    Parameters
    ----------
    numbers
        Longitude and latitude of each, degrees; copied.

    Returns
    -------
    angle : `sqlglot.exp.Expr`
        Degrees, by the haversine formula, which keeps small distances exact.
    """
    ra1, dec1, ra2, dec2 = (without_parens(number) for number in numbers)

    def half_sine(a: exp.Expr, b: exp.Expr) -> exp.Expr:
        return _square(_half_sine(exp.Sub(this=a.copy(), expression=b.copy())))

    square = exp.Add(
        this=half_sine(dec1, dec2),
        expression=_times(_times(_cosine(dec1), _cosine(dec2)), half_sine(ra1, ra2)),
    )
    sine = _times(call("sqrt", square), number_literal(_BELOW_ONE))
    return call("DEGREES", exp.Paren(this=_times(number_literal(2), call("asin", sine))))


def possible_radius(point: Sequence[exp.Expr], circle: Sequence[exp.Expr]) -> exp.Expr:
    """Return the radius of a circle that may hold a point.

    Parameters
    ----------
    point
        Longitude and latitude, degrees; copied.
    circle
        Those of the center, and the radius, degrees; copied.

    Returns
    -------
    radius : `sqlglot.exp.Expr`
        NULL where there is no such point or circle, which NaN as a number
        that is larger than all would hide.
    """
    bounds = [*_LONGITUDE_LATITUDE, *_LONGITUDE_LATITUDE, (0, 180)]
    # CASE around the whole test would keep databases from computing once what
    # the distance has several times.
    tests = [
        _within(number, low, high)
        for number, (low, high) in zip([*point, *circle], bounds, strict=True)
        if not _is_possible(number, low, high)
    ]
    radius = circle[2].copy()
    return _if(tests, radius) if tests else radius


def _is_possible(number: exp.Expr, low: float, high: float) -> bool:
    value = constant_number(number)
    if value is not None:
        return low <= value <= high
    # Centers that the engine computes are on the sky.
    made = number.expressions[0] if function_name(number) == "vo_element" else None
    return function_name(made) in ("vo_centroid", "vo_healpix_center")


def area(item: Operand, node: exp.Expr) -> exp.Expr:
    """Return the area of a geometry.

    Parameters
    ----------
    item
        The geometry.
    node
        What it was made from.

    Returns
    -------
    area : `sqlglot.exp.Expr`
        Square degrees; NULL for a shape that cannot be.
    """
    if item.is_constant:
        (found,) = _areas.area(pa.array([constant_bytes(item)], pa.binary())).to_pylist()
        return number_literal(found)
    if isinstance(item.shape, exp.Cast):
        return exp.Cast(this=exp.Null(), to=exp.DataType(this=exp.DType.DOUBLE))
    match item.kind:
        case "point":
            return _if([is_known(node)], number_literal(0))
        case "circle":
            # 2 pi (1 - cos r), without a loss of digits.
            size = _times(number_literal(4 * math.pi * _SQUARE_DEGREES), _square(_half_sine(item.numbers[2])))
            return _if([is_known(node), _within(item.numbers[2], 0, 180)], size)
        case "box":
            width, height = item.numbers[2:]
            sine = _times(_half_sine(width), _half_sine(height))
            size = _times(number_literal(4 * _SQUARE_DEGREES), call("asin", sine))
            return _if([is_known(node), *(_within(side, 0, 180) for side in (width, height))], size)
    return call("vo_area", item.shape)


def ball_bounds(numbers: Sequence[exp.Expr]) -> tuple[exp.Expr, ...]:
    """Return the bounds of the unit vectors of a point or circle.

    Parameters
    ----------
    numbers
        Longitude and latitude, and the radius of a circle, degrees; copied.

    Returns
    -------
    bounds : `tuple` [`sqlglot.exp.Expr`, ...]
        x, y, z of the lower and the upper end; NULL where there is no such
        shape.
    """
    ra, dec, *radius = (without_parens(number) for number in numbers)
    places = (_within(part, *ends) for part, ends in zip((ra, dec), _LONGITUDE_LATITUDE, strict=True))
    known = [*places, *(_within(size, 0, 180) for size in radius)]
    if radius:
        # No chord is longer than its arc; sphgeom takes for touching what is
        # as near as that.
        reach: exp.Expr = exp.Paren(
            this=exp.Add(this=call("RADIANS", radius[0]), expression=number_literal(_TOUCH))
        )
    else:
        reach = number_literal(_ROUNDING)
    place = (_times(_cosine(dec), _cosine(ra)), _times(_cosine(dec), _sine(ra)), _sine(dec))
    return tuple(
        _if([test.copy() for test in known], kind(this=axis.copy(), expression=reach.copy()))
        for kind in (exp.Sub, exp.Add)
        for axis in place
    )


def box_corners(numbers: Sequence[exp.Expr]) -> list[exp.Expr]:
    """Return the corners of a box.

    Parameters
    ----------
    numbers
        Longitude and latitude of the center, width and height, degrees.

    Returns
    -------
    corners : `list` [`sqlglot.exp.Expr`]
        Longitude and latitude of each in turn, degrees.

    References
    ----------
    ADQL 2.1, 4.2.9.
    """
    values = [constant_number(number) for number in numbers]
    if None not in values:
        vertices = box_region(*(value or 0.0 for value in values)).getVertices()  # type: ignore[attr-defined]
        return [
            number_literal(angle)
            for vertex in vertices
            for angle in (
                math.degrees(math.atan2(vertex.y(), vertex.x())) % 360,
                math.degrees(math.asin(max(-1.0, min(1.0, vertex.z())))),
            )
        ]
    ra, dec, width, height = (without_parens(number) for number in numbers)
    across, along = (call("TAN", _half(side)) for side in (width, height))
    corners: list[exp.Expr] = []
    for east, north in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        # In a frame whose first axis points to the meridian of the center.
        rise = _times(number_literal(north), along.copy())
        out = exp.Paren(this=exp.Sub(this=_cosine(dec), expression=_times(rise, _sine(dec))))
        side = _times(number_literal(east), across.copy())
        up = exp.Paren(this=exp.Add(this=_sine(dec), expression=_times(rise.copy(), _cosine(dec))))
        reach = call("sqrt", exp.Add(this=_square(out), expression=_square(side)))
        turned = call("DEGREES", call("ATAN2", side.copy(), out.copy()))
        longitude = exp.Paren(this=exp.Add(this=ra.copy(), expression=turned))
        turns = call("FLOOR", exp.Div(this=longitude.copy(), expression=number_literal(360)))
        folded = exp.Sub(this=longitude, expression=_times(number_literal(360), turns))
        corners += [folded, call("DEGREES", call("ATAN2", up, reach))]
    return corners


def _times(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return exp.Mul(this=left, expression=right)


def _square(value: exp.Expr) -> exp.Expr:
    return call("power", value.copy(), number_literal(2))


def _half(angle: exp.Expr) -> exp.Expr:
    return exp.Div(this=call("RADIANS", angle.copy()), expression=number_literal(2))


def _half_sine(angle: exp.Expr) -> exp.Expr:
    return call("SIN", _half(angle))


def _sine(angle: exp.Expr) -> exp.Expr:
    return call("SIN", call("RADIANS", angle.copy()))


def _cosine(angle: exp.Expr) -> exp.Expr:
    return call("COS", call("RADIANS", angle.copy()))


def _within(value: exp.Expr, low: float, high: float) -> exp.Expr:
    return exp.Between(this=without_parens(value), low=number_literal(low), high=number_literal(high))


def _if(conditions: Sequence[exp.Expr], value: exp.Expr) -> exp.Expr:
    return exp.Case(ifs=[exp.If(this=exp.and_(*conditions, copy=False), true=value)])
