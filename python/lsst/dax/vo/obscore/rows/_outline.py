"""The ``s_region`` text of shapes that are no convex polygon.

ADQL's text form (form A: STC-S) knows circles and polygons.  Any other shape
is told as a polygon that encloses it; searches use the shape itself.
"""

from __future__ import annotations

__all__ = ["outline"]

import math
from collections.abc import Iterable

from lsst.sphgeom import (
    Box,
    Circle,
    CompoundRegion,
    ConvexPolygon,
    Ellipse,
    IntersectionRegion,
    LonLat,
    Region,
    UnitVector3d,
)

# Sides of the polygon around an ellipse: 1 / cos(pi / 48) - 1, it reaches
# 0.22 % further than the ellipse.
_SIDES = 48
# Longest side along a parallel: the polygon leaves it by less than 4 arcsec.
_STEP_RAD = math.radians(1.0)
# Beyond this, "inside" and "outside" of a polygon can be mixed up.
_WIDEST_RAD = math.radians(85.0)
_HALF_PI = math.pi / 2


def outline(region: Region) -> str | None:
    """Write the region text of ADQL.

    Parameters
    ----------
    region
        Any region of `lsst.sphgeom`.

    Returns
    -------
    text : `str` or `None`
        ``POLYGON ICRS …`` or ``CIRCLE ICRS …``, in degrees with six
        decimals: the shape itself for circles and convex polygons, an
        enclosing polygon for ellipses (0.22 % wider), boxes (4 arcsec) and
        compound regions (the hull of their parts; of an intersection, its
        smallest part), an enclosing circle for what is wider than a
        hemisphere.  `None` for an empty region.
    """
    circle = region.getBoundingCircle()
    if circle.isEmpty():
        return None
    if isinstance(region, Circle):
        return _circle_text(region)
    if circle.getOpeningAngle().asRadians() < _WIDEST_RAD:
        vertices = _vertices(region)
        if vertices:
            return _polygon_text(vertices)
    return _circle_text(circle)


def _vertices(region: Region) -> list[UnitVector3d]:
    """Return the corners of an enclosing polygon, counterclockwise."""
    match region:
        case ConvexPolygon():
            return list(region.getVertices())
        case Ellipse():
            return _ellipse_vertices(region)
        case Box():
            return _box_vertices(region)
        case Circle():
            return _ellipse_vertices(Ellipse(region))
        case IntersectionRegion():
            parts = [region.cloneOperand(i) for i in range(region.nOperands())]
            return _vertices(
                min(parts, key=lambda part: part.getBoundingCircle().getOpeningAngle().asRadians())
            )
        case CompoundRegion():
            parts = [region.cloneOperand(i) for i in range(region.nOperands())]
            corners = [vertex for part in parts for vertex in _vertices(part)]
            return list(ConvexPolygon(corners).getVertices())
    return []


def _ellipse_vertices(ellipse: Ellipse) -> list[UnitVector3d]:
    # On the plane that touches the sphere at its center, a spherical ellipse
    # is an ellipse and great circles are straight lines.
    first, second = (
        math.tan(angle.asRadians()) / math.cos(math.pi / _SIDES)
        for angle in (ellipse.getAlpha(), ellipse.getBeta())
    )
    matrix = ellipse.getTransformMatrix()
    major, minor, center = (matrix.getRow(i) for i in range(3))
    angles = [2 * math.pi * k / _SIDES for k in range(_SIDES)]
    return [
        UnitVector3d(center + major * (first * math.cos(angle)) + minor * (second * math.sin(angle)))
        for angle in angles
    ]


def _box_vertices(box: Box) -> list[UnitVector3d]:
    south, north = (box.getLat().getA().asRadians(), box.getLat().getB().asRadians())
    width = box.getLon().getSize().asRadians()
    if box.getLon().isFull() or width >= math.pi:
        # Around a pole: parallels alone are its boundary.
        if north >= _HALF_PI:
            return _parallel(0.0, 2 * math.pi, south, outward=-1)
        if south <= -_HALF_PI:
            return _parallel(2 * math.pi, 0.0, north, outward=1)
        return []
    west = box.getLon().getA().asRadians()
    return [
        *_parallel(west, west + width, south, outward=-1),
        *_parallel(west + width, west, north, outward=1),
    ]


def _parallel(start: float, stop: float, latitude: float, *, outward: int) -> list[UnitVector3d]:
    """Follow a parallel by great circles that do not cut into the box."""
    if abs(latitude) >= _HALF_PI:
        return [UnitVector3d(0.0, 0.0, math.copysign(1.0, latitude))]
    steps = max(1, math.ceil(abs(stop - start) / _STEP_RAD))
    step = (stop - start) / steps
    # Great circles bulge towards the nearer pole; where that is into the
    # box, their ends move out so that their middle touches the parallel.
    if latitude * outward < 0:
        latitude = math.atan(math.tan(latitude) * math.cos(step / 2))
    full = abs(stop - start) >= 2 * math.pi
    return [
        UnitVector3d(LonLat.fromRadians((start + k * step) % (2 * math.pi), latitude))
        for k in range(steps + (0 if full else 1))
    ]


def _polygon_text(vertices: Iterable[UnitVector3d]) -> str:
    numbers = (
        f"{angle.asDegrees():.6f}"
        for vertex in map(LonLat, vertices)
        for angle in (vertex.getLon(), vertex.getLat())
    )
    return f"POLYGON ICRS {' '.join(numbers)}"


def _circle_text(circle: Circle) -> str:
    center = LonLat(circle.getCenter())
    radius = min(circle.getOpeningAngle().asDegrees(), 180.0)
    return f"CIRCLE ICRS {center.getLon().asDegrees():.6f} {center.getLat().asDegrees():.6f} {radius:.6f}"
