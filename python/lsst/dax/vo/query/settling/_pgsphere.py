"""Conditions by which pgSphere's indexes, and bounds of regions, say what may be near, and what is inside."""

from __future__ import annotations

__all__ = ["inside_of", "join_index", "near_constant", "point_out_cone", "point_out_region"]

import math

import numpy as np
from lsst.sphgeom import Circle, ConvexPolygon, UnionRegion
from sqlglot import exp

from .._catalog import OBSCORE_TABLE
from .._tree import call, constant_number, join_conditions, number_literal, quoted
from ..geometry._geometry import box_of, decode, encode_region
from ..lowering._hidden import hidden_columns, iter_tables, overlap
from ._settled import Made

# What sphgeom takes for touching, twice: a circle inside by less is asked about.
_MARGIN = 2e-7
# Wider circles are none of the index.
_MOST_RADIUS = 1.5
# Parts of a union that are looked for one by one; more are taken together.
_MOST_PARTS = 200
_ALIAS = "o"
_PLACE = ("s_ra", "s_dec")


def point_out_cone(node: exp.Anonymous, *, indexed: bool) -> None:
    """Put a test that a point is in a circle in the place of ``vo_cone``.

    Parameters
    ----------
    node
        The word; replaced.
    indexed
        Whether the table of datasets has ``_spoint``.
    """
    # A position of the table in a constant circle: its index tells what may
    # be there.
    *numbers, test = node.expressions
    ra, dec, *circle = numbers
    constants = [constant_number(number) for number in circle]
    if (
        indexed
        and isinstance(ra, exp.Column)
        and isinstance(dec, exp.Column)
        and (ra.name.lower(), dec.name.lower()) == _PLACE
        and ra.table == dec.table
        and _is_published(ra)
        and None not in constants
    ):
        longitude, latitude, radius = (math.radians(number or 0.0) for number in constants)
        if radius <= _MOST_RADIUS and abs(latitude) <= math.pi / 2:
            own = exp.Column(this=quoted("_spoint"), table=ra.args["table"].copy())
            near = (longitude % (2 * math.pi), latitude, radius + _MARGIN)
            index = call("vo_in_circle", own, *(number_literal(number) for number in near))
            test = exp.And(this=index, expression=test)
    node.replace(test)


def point_out_region(node: exp.Anonymous, column: exp.Expr, constant: bytes) -> None:
    """Add the test of an index beside a predicate of a region and a constant.

    Parameters
    ----------
    node
        The predicate, in its tree.
    column
        The region.
    constant
        Bytes of the shape.
    """
    # As above, for a region: beside the bare test of its bounds.
    circle = _around(constant)
    case = node.parent.parent if isinstance(node.parent, exp.If) else None
    both = case.parent if case is not None else None
    if (
        circle is None
        or not isinstance(both, exp.And)
        or not isinstance(column, exp.Column)
        or column.name != "_region"
        or not _is_published(column)
    ):
        return
    index = [
        exp.Column(this=quoted(name), table=column.args["table"].copy()) for name in ("_scircle", "_radius")
    ]
    both.set("this", exp.And(this=call("vo_near", *index, *circle), expression=both.this))


def near_constant(constant: bytes, *, indexed: bool) -> exp.Select:
    """Return a query for the distinct regions near a shape.

    Parameters
    ----------
    constant
        Bytes of the shape.
    indexed
        Whether the table of datasets has ``_scircle``.

    Returns
    -------
    query : `sqlglot.exp.Select`
        For one column, whatever the rows are that have them.
    """
    schema, _, name = OBSCORE_TABLE.partition(".")
    region, *bounds = hidden_columns("_", quoted(_ALIAS))
    places = []
    for part in _parts_of(constant):
        conditions = [overlap(bounds, [number_literal(end) for end in box_of(part)])]
        circle = _around(part) if indexed else None
        if circle is not None:
            index = [exp.Column(this=quoted(item), table=quoted(_ALIAS)) for item in ("_scircle", "_radius")]
            conditions.insert(0, call("vo_near", *index, *circle))
        places.append(exp.Paren(this=join_conditions(conditions, exp.And)))
    return exp.Select(
        expressions=[exp.Alias(this=region.copy(), alias=quoted("k0"))],
        from_=exp.From(
            this=exp.Table(this=quoted(name), db=quoted(schema), alias=exp.TableAlias(this=quoted(_ALIAS)))
        ),
        where=exp.Where(this=exp.Paren(this=join_conditions(places, exp.Or))),
    )


def _parts_of(constant: bytes) -> list[bytes]:
    # Those of a union, neighbours together where they are too many.
    region = decode(constant)
    if not isinstance(region, UnionRegion) or region.nOperands() < 2:
        return [constant]
    parts = [region.cloneOperand(place) for place in range(region.nOperands())]
    if len(parts) > _MOST_PARTS:
        centers = [part.getBoundingCircle().getCenter() for part in parts]

        def place_of(place: int) -> tuple[float, float]:
            return round(centers[place].z(), 1), math.atan2(centers[place].y(), centers[place].x())

        order = sorted(range(len(parts)), key=place_of)
        size = math.ceil(len(parts) / _MOST_PARTS)
        parts = [
            UnionRegion(*(parts[place] for place in order[start : start + size]))
            for start in range(0, len(order), size)
        ]
    return [encode_region(part) for part in parts]


def join_index(first: Made, second: Made) -> exp.Expr | None:
    """Return the test of an index for a point or circle of one table and a region of another.

    Parameters
    ----------
    first, second
        Both geometries.

    Returns
    -------
    condition : `sqlglot.exp.Expr` or `None`
        `None` if there is none.
    """
    for made, other in ((first, second), (second, first)):
        column = other.keys[0] if other.is_region else None
        if (
            made.name not in ("vo_point", "vo_circle")
            or not isinstance(column, exp.Column)
            or column.name != "_region"
            or not _is_published(column)
        ):
            continue
        longitude, latitude, *radius = (call("RADIANS", item.copy()) for item in made.keys)
        margin = number_literal(_MARGIN)
        own = [
            exp.Column(this=quoted(item), table=column.args["table"].copy())
            for item in ("_scircle", "_radius")
        ]
        if not radius:
            return call("vo_near", *own, longitude, latitude, margin)
        reach = exp.Add(this=radius[0], expression=margin)
        usual = exp.Between(this=reach.copy(), low=margin.copy(), high=number_literal(_MOST_RADIUS))
        limited = exp.Case(ifs=[exp.If(this=usual, true=reach.copy())], default=margin.copy())
        near = call("vo_near", *own, longitude, latitude, limited)
        wide = exp.GT(this=reach, expression=number_literal(_MOST_RADIUS))
        return exp.Paren(this=exp.Or(this=near, expression=wide))
    return None


def inside_of(column: exp.Expr, constant: bytes, *, exactly: bool) -> exp.Expr | None:
    """Return a test by which a region certainly lies inside a shape.

    Parameters
    ----------
    column
        The region.
    constant
        Bytes of the shape.
    exactly
        Whether sphgeom itself has to see it.

    Returns
    -------
    condition : `sqlglot.exp.Expr` or `None`
        `None` if bounds tell nothing.
    """
    # Whether the box of a region lies in a ball around a point of a shape that
    # meets the sphere inside of the shape.
    circle = _within(constant)
    if circle is None or not isinstance(column, exp.Column):
        return None
    (x, y, z), radius = circle
    chord2 = 4 * math.sin(radius / 2) ** 2
    _, *bounds = hidden_columns(column.name.removesuffix("region"), column.args["table"])
    squares = [
        call("vo_square", bounds[axis], bounds[axis + 3], number_literal(center))
        for axis, center in enumerate((x, y, z))
    ]
    total = exp.Add(this=exp.Add(this=squares[0], expression=squares[1]), expression=squares[2])
    inside: exp.Expr = exp.LTE(this=total, expression=number_literal(chord2))
    if exactly:
        # Of other shapes sphgeom itself may not see that they lie inside.
        inside = exp.And(this=inside, expression=call("vo_is_plain", column.copy()))
    return exp.Paren(this=inside)


def _is_published(node: exp.Column) -> bool:
    # Whether it is a column of a published table, and of no subquery.
    select = node.parent_select
    while select is not None:
        for table in iter_tables(select):
            if table.alias_or_name == node.table:
                return isinstance(table, exp.Table) and table.args.get("db") is not None
        select = select.parent_select
    return False


def _around(constant: bytes) -> tuple[exp.Expr, exp.Expr, exp.Expr] | None:
    geometry = decode(constant)
    if isinstance(geometry, tuple):
        ra_deg, dec_deg = geometry
        numbers = math.radians(ra_deg), math.radians(dec_deg), 0.0
    else:
        circle = geometry.getBoundingCircle()
        center, radius = circle.getCenter(), circle.getOpeningAngle().asRadians()
        if not 0 <= radius <= _MOST_RADIUS:
            return None
        longitude = math.atan2(center.y(), center.x()) % (2 * math.pi)
        numbers = longitude, math.atan2(center.z(), math.hypot(center.x(), center.y())), radius
    longitude, latitude, radius = numbers
    return number_literal(longitude), number_literal(latitude), number_literal(radius + _MARGIN)


def _within(constant: bytes) -> tuple[tuple[float, float, float], float] | None:
    geometry = decode(constant)
    if isinstance(geometry, Circle):
        center = geometry.getCenter()
        x, y, z = center.x(), center.y(), center.z()
        radius = geometry.getOpeningAngle().asRadians()
    elif isinstance(geometry, ConvexPolygon):
        vertices = np.array([(v.x(), v.y(), v.z()) for v in geometry.getVertices()])
        middle = vertices.sum(axis=0)
        middle /= np.linalg.norm(middle)
        normals = np.cross(np.roll(vertices, 1, axis=0), vertices)
        sines = normals @ middle / np.linalg.norm(normals, axis=1)
        x, y, z = map(float, middle)
        radius = float(np.arcsin(np.clip(sines.min(), -1, 1)))
    else:
        return None
    radius = min(radius, 3.0) - _MARGIN
    return ((x, y, z), radius) if radius > 0 else None
