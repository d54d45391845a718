"""Geometries of ADQL as operands: what gives their bytes, bounds and numbers."""

from __future__ import annotations

__all__ = ["Operand", "constant_bytes", "coordinates", "element", "is_known", "operand"]

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from ...errors import UsageError
from .._passes import Context, error_at
from .._tree import call, constant_number, function_name, join_conditions, number_literal, strip_parens
from ..adql._types import describe, kind_of
from ..geometry._areas import centroid
from ._carry import hidden_prefix
from ._constants import Constant, fold_constant, fold_region
from ._hidden import hidden_columns

_COUNTS = {"point": 2, "circle": 3}


@dataclass(frozen=True, slots=True)
class Operand:
    """One geometry in an expression."""

    kind: str
    """``point circle polygon box region``."""

    shape: exp.Expr
    """Gives its bytes."""

    bounds: tuple[exp.Expr, ...] | None = None
    """Bounds of its unit vectors, where they are known without computing."""

    numbers: tuple[exp.Expr, ...] = ()
    """Coordinates of a point or circle, and sizes of a box."""

    is_constant: bool = False
    """Whether it is the same for all rows."""


def operand(node: exp.Expr, context: Context) -> Operand:
    """Look at a geometry.

    Parameters
    ----------
    node
        A value whose type is a geometry or region, or NULL.
    context
        Query and catalog.

    Returns
    -------
    operand : `Operand`
        Made of copies, and of nodes that are used up.

    Raises
    ------
    QueryError
        Raised for shapes that enclose nothing or cross themselves, and for
        regions that a subquery has lost.
    """
    node = strip_parens(node)
    kind = kind_of(describe(node))
    name = function_name(node) or ""
    if kind == "null":
        return Operand("region", exp.Cast(this=exp.Null(), to=exp.DataType(this=exp.DType.BLOB)))
    if name in ("CENTROID", "IVO_HEALPIX_CENTER"):
        pair = coordinates(node, context)
        return Operand("point", call("vo_point", *(item.copy() for item in pair)), None, pair)
    if name:
        return _made_operand(name, node, kind, context)
    if kind == "region":
        return _region_operand(node, context)
    # A subquery, an upload or a cast has the array of numbers that it shows.
    if kind == "polygon":
        return Operand(kind, call("vo_polygon", node.copy()))
    numbers = tuple(element(node, place) for place in range(1, _COUNTS[kind] + 1))
    return Operand(kind, call(f"vo_{kind}", *(number.copy() for number in numbers)), None, numbers)


def _made_operand(name: str, node: exp.Expr, kind: str, context: Context) -> Operand:
    arguments = list(node.expressions)
    numbers = [constant_number(item) for item in arguments]
    constant: Constant | None = None
    try:
        if name == "REGION":
            constant = fold_region(str(strip_parens(arguments[0]).this))
            numbers = []
        elif all(number is not None for number in numbers):
            constant = fold_constant(name, [number for number in numbers if number is not None])
    except UsageError as err:
        raise error_at(context, node, str(err)) from err
    if constant is not None:
        return Operand(
            kind,
            constant.literal,
            tuple(number_literal(bound) for bound in constant.bounds),
            tuple(number_literal(number) for number in numbers if number is not None),
            is_constant=True,
        )
    copies = [item.copy() for item in arguments]
    if name == "POLYGON":
        return Operand(kind, call("vo_polygon", exp.Array(expressions=copies)))
    return Operand(kind, call(f"vo_{name.lower()}", *copies), None, tuple(arguments))


def _region_operand(node: exp.Expr, context: Context) -> Operand:
    prefix = hidden_prefix(node, context) if isinstance(node, exp.Column) else None
    if prefix is None or not isinstance(node, exp.Column):
        return Operand("region", call("vo_region", node.copy()))
    region, *bounds = hidden_columns(prefix, node.args["table"])
    return Operand("region", region, tuple(bounds))


def constant_bytes(item: Operand) -> bytes:
    """Return the bytes of a constant.

    Parameters
    ----------
    item
        A geometry that is constant.

    Returns
    -------
    encoding : `bytes`
    """
    return bytes.fromhex(str(item.shape.expressions[0].this))


def coordinates(node: exp.Expr, context: Context) -> tuple[exp.Expr, exp.Expr]:
    """Return longitude and latitude of a point.

    Parameters
    ----------
    node
        A point, or NULL.
    context
        Query and catalog.

    Returns
    -------
    numbers : `tuple` [`sqlglot.exp.Expr`, `sqlglot.exp.Expr`]
    """
    point = strip_parens(node)
    match function_name(point):
        case "POINT":
            longitude, latitude = point.expressions
            return longitude.copy(), latitude.copy()
        case "CENTROID":
            return _centroid(operand(point.expressions[0], context), point.expressions[0])
        case "IVO_HEALPIX_CENTER":
            center = call("vo_healpix_center", *(item.copy() for item in point.expressions))
            return element(center, 1), element(center, 2)
    if isinstance(point, exp.Null):
        return exp.Null(), exp.Null()
    return element(point, 1), element(point, 2)


def _centroid(item: Operand, node: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    if item.kind in ("point", "circle", "box"):
        # Each of them is symmetric about its center.
        longitude, latitude, *sizes = item.numbers
        if all(constant_number(size) is not None for size in sizes):
            return longitude.copy(), latitude.copy()
        known = is_known(node)
        first, second = (
            exp.Case(ifs=[exp.If(this=known.copy(), true=number.copy())]) for number in (longitude, latitude)
        )
        return first, second
    if item.is_constant:
        (found,) = centroid(pa.array([constant_bytes(item)], pa.binary())).to_pylist()
        if found is None:
            return exp.Null(), exp.Null()
        return number_literal(found[0]), number_literal(found[1])
    if isinstance(item.shape, exp.Cast):
        return exp.Null(), exp.Null()
    center = call("vo_centroid", item.shape)
    return element(center, 1), element(center, 2)


def is_known(node: exp.Expr) -> exp.Expr:
    """Return the test that a geometry is not NULL.

    Parameters
    ----------
    node
        A geometry.

    Returns
    -------
    condition : `sqlglot.exp.Expr`
    """
    node = strip_parens(node)
    parts: Sequence[exp.Expr] = node.expressions if function_name(node) is not None else [node]
    tests = [exp.Not(this=exp.Is(this=part.copy(), expression=exp.Null())) for part in parts]
    return join_conditions(tests, exp.And)


def element(node: exp.Expr, place: int) -> exp.Expr:
    """Return a number of a geometry that is an array.

    Parameters
    ----------
    node
        The geometry; copied.
    place
        From 1 on.

    Returns
    -------
    number : `sqlglot.exp.Expr`
    """
    return call("vo_element", node.copy(), exp.Literal.number(place))
