"""Area and centroid of regions.

Both are integrals along the border: the sides of a polygon, a circle, and for
what is of several parts the arcs that no part covers.  Differences from one
point of the border keep small regions exact.
"""

from __future__ import annotations

__all__ = ["area", "centroid"]

import math
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from lsst.sphgeom import Box, Circle, Ellipse, Region

from ._arrangement import Arc, Tree, border_of, groups_of, leaves_of, tree_of
from ._geometry import POINT_TAG
from ._large import lengthen
from ._outlines import Floats, Oval
from ._rings import ring_of

_DEGREES2 = (180.0 / math.pi) ** 2
_SPHERE = 4.0 * math.pi
_BELOW_TURN = math.nextafter(360.0, 0.0)
# Gauss's places and weights: arcs are at most 1.5 long, where twenty are exact.
_PLACES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
# Arcs of an oval are cut into as many.
_PANELS = 16
# Directions that are tried, and how far from opposite is far enough.
_TRIALS = 100
_APART = 0.7
# An integral along the border that is so much less than the area says nothing
# of a direction: of the whole sky, or of a band around it.
_NOWHERE = 1e-12


def area(regions: pa.Array) -> pa.Array:
    """Compute areas.

    Parameters
    ----------
    regions
        Encodings, type ``binary``, without NULL.

    Returns
    -------
    areas : `pyarrow.Array`
        Square degrees, type ``double``; 0 for points and empty regions.

    Notes
    -----
    Exact to 1e-12 of the area, or to what the rounding of unit vectors (2e-16)
    makes of a side, if that is more: 1e-10 of the area of a region of one
    second of arc.  Where sides of two parts touch and are not the same, it is
    1e-9 square degrees.
    """
    values = [lengthen(value) for value in regions.to_pylist()]
    found = np.zeros(len(values))
    for rows, vertices in _polygons(values):
        found[rows] = np.abs(_fans(vertices))
    for row, value in enumerate(values):
        if value[:1] not in (b"p", POINT_TAG):
            found[row] = _area(tree_of(value))
    return pa.array(found * _DEGREES2)


def centroid(regions: pa.Array) -> pa.Array:
    """Compute centroids.

    Parameters
    ----------
    regions
        Encodings, type ``binary``, without NULL.

    Returns
    -------
    points : `pyarrow.Array`
        Longitude and latitude, degrees, type ``list<double>``: the direction
        of the mean of all unit vectors.  NULL where there is none, as for the
        whole sky.
    """
    values = [lengthen(value) for value in regions.to_pylist()]
    found = np.full((len(values), 2), np.nan)
    for rows, vertices in _polygons(values):
        found[rows] = _lon_lat(_means(vertices))
    for row, value in enumerate(values):
        if value[:1] == POINT_TAG:
            found[row] = np.frombuffer(value[1:], "<f8")
        elif value[:1] != b"p":
            found[row] = _lon_lat(_mean(tree_of(value))[None, :])[0]
    points = [None if math.isnan(lon) else [lon, lat] for lon, lat in found.tolist()]
    return pa.array(points, pa.list_(pa.float64()))


def _polygons(values: Sequence[bytes]) -> list[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats]]:
    # Convex polygons by their number of vertices.
    sizes: dict[int, list[int]] = {}
    for row, value in enumerate(values):
        if value[:1] == b"p":
            sizes.setdefault(len(value), []).append(row)
    groups: list[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats]] = []
    for size, rows in sizes.items():
        data = np.frombuffer(b"".join(values[row] for row in rows), np.uint8).reshape(-1, size)[:, 1:]
        groups.append(
            (np.array(rows, np.int64), np.ascontiguousarray(data).view("<f8").reshape(len(rows), -1, 3))
        )
    return groups


def _excess(apex: Floats, first: Floats, last: Floats) -> Floats:
    # Area of a triangle, positive to the left (Eriksson 1990).
    height = (apex * np.cross(first - apex, last - apex)).sum(axis=-1)
    base = 1.0 + (apex * first).sum(axis=-1) + (first * last).sum(axis=-1) + (last * apex).sum(axis=-1)
    found: Floats = 2.0 * np.arctan2(height, base)
    return found


def _fans(vertices: Floats) -> Floats:
    apex = vertices[:, :1]
    found: Floats = _excess(apex, vertices[:, 1:-1], vertices[:, 2:]).sum(axis=1)
    return found


def _means(vertices: Floats) -> Floats:
    # Half the integral of x cross dx: that of each side is its normal times
    # its length, here less that of its chord, which is seen from a vertex.
    start = vertices[:, :1]
    first, last = vertices, np.roll(vertices, -1, axis=1)
    normals = np.cross(first + last, last - first)
    sines = np.linalg.norm(normals, axis=-1, keepdims=True) / 2.0
    angles = np.arctan2(sines, (first * last).sum(axis=-1, keepdims=True))
    bulges = _less_sine(angles) * normals / np.maximum(2.0 * sines, 1e-300)
    chords = np.cross(_away(first, start), _away(last, start))
    found: Floats = 0.5 * (chords + bulges).sum(axis=1)
    return found


def _away(points: Floats, start: Floats) -> Floats:
    # The difference of two unit vectors, so deep below the plane that touches
    # the sphere as it has to be; their rounding would tilt small regions.
    away = points - start
    depth = 0.5 * (away * away).sum(axis=-1, keepdims=True)
    found: Floats = away - ((away * start).sum(axis=-1, keepdims=True) + depth) * start
    return found


def _less_sine(angle: Floats) -> Floats:
    # angle - sin(angle), of which the difference is nothing for small ones.
    square = angle**2
    series = angle * square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72)))
    found: Floats = np.where(np.abs(angle) < 0.1, series, angle - np.sin(angle))
    return found


def _lon_lat(vectors: Floats) -> Floats:
    x, y, z = vectors.T
    size = np.linalg.norm(vectors, axis=1)
    lon = np.degrees(np.arctan2(y, x))
    lon = np.where(lon < 0, np.minimum(lon + 360.0, _BELOW_TURN), lon)
    lat = np.degrees(np.arctan2(z, np.hypot(x, y)))
    points: Floats = np.where((size > 0)[:, None], np.stack([lon, lat], axis=1), np.nan)
    return points


def _area(tree: Tree) -> float:
    if tree.kind == "leaf":
        return _simple_area(tree)
    if ring_of(tree) is not None:
        return sum(map(_area, tree.parts))
    groups = groups_of(tree) if tree.kind == "any" else [tree]
    if len(groups) > 1:
        # Each from near by, which keeps small ones exact.
        return sum(map(_area, groups))
    border = border_of(tree)
    # The integral leaves whole spheres open: the parts tell how many.
    parts = [_area(part) for part in tree.parts]
    if tree.kind == "any":
        least, most = max(parts, default=0.0), min(sum(parts), _SPHERE)
    else:
        least, most = 0.0, min(parts, default=_SPHERE)
    if not border:
        # Nothing has an inside, or all of the sphere is inside.
        is_whole = least > 0 if tree.kind == "any" else most >= _SPHERE
        return _SPHERE if is_whole else 0.0
    apex = _apex(border)
    found = sum(_arc_area(arc, apex) for arc in border)
    middle = 0.5 * (least + most)
    return float(np.clip(found + _SPHERE * round((middle - found) / _SPHERE), least, most))


def _simple_area(leaf: Tree) -> float:
    shape = leaf.shape
    if shape is None:
        return 0.0
    if isinstance(shape, Oval):
        return _oval_area(shape)
    region = Region.decode(leaf.encoding)
    match region:
        case Circle():
            return math.pi * min(float(region.getSquaredChordLength()), 4.0)
        case Ellipse():
            return math.pi * float(Circle.squaredChordLengthFor(region.getAlpha()))
        case Box():
            south, north = region.getLat().getA().asRadians(), region.getLat().getB().asRadians()
            return (
                2.0
                * float(region.getLon().getSize().asRadians())
                * math.cos(0.5 * (south + north))
                * math.sin(0.5 * (north - south))
            )
    vertices = np.array([curve.across for curve in shape.curves])
    return float(_fans(vertices[None])[0])


def _oval_area(shape: Oval) -> float:
    def zones(angles: Floats) -> Floats:
        # One less the cosine of the angle from the middle to the side.
        square = (shape.slopes[0] * np.cos(angles)) ** 2 + (shape.slopes[1] * np.sin(angles)) ** 2
        root = np.sqrt(1.0 + square)
        zone: Floats = 1.0 / (root * (root + np.sqrt(square)))
        return zone

    found = _turn(zones)
    return found if shape.sign > 0 else _SPHERE - found


def _turn(value: Callable[[Floats], Floats]) -> float:
    # Of a whole turn, by equal steps, which is exact soon; more of them until
    # it stays.
    before, count = math.inf, 64
    while True:
        found = 2.0 * math.pi * float(value(np.linspace(0.0, 2.0 * math.pi, count, endpoint=False)).mean())
        if abs(found - before) <= 1e-15 * abs(found) or count >= 2**20:
            return found
        before, count = found, 2 * count


def _mean(tree: Tree) -> Floats:
    # The integral of unit vectors, or a point of what has no inside.
    if tree.encoding[:1] == b"c" and tree.shape is not None:
        return tree.shape.spot if tree.shape.curves else np.zeros(3)
    if ring_of(tree) is not None:
        pieces = [np.frombuffer(part.encoding[1:], "<f8").reshape(1, -1, 3) for part in tree.parts]
        whole: Floats = np.sum([_means(piece)[0] for piece in pieces], axis=0)
        return whole
    groups = groups_of(tree) if tree.kind == "any" else [tree]
    border = border_of(tree)
    size = _area(tree)
    if border and len(groups) > 1:
        total: Floats = np.sum([_mean(group) for group in groups], axis=0)
        return total
    if border:
        origin = border[0].curve.points(np.array([border[0].start]))[0]
        found: Floats = np.sum([_arc_mean(arc, origin) for arc in border], axis=0)
        return found if np.linalg.norm(found) > _NOWHERE * size else np.zeros(3)
    spots = [leaf.shape.spot for leaf in leaves_of(tree) if leaf.shape is not None]
    spot: Floats = np.sum(spots, axis=0) if spots and size == 0 and tree.kind != "all" else np.zeros(3)
    return spot


def _apex(border: Sequence[Arc]) -> Floats:
    # A point that is opposite to no end of an arc: one of the border if that
    # does, which keeps small regions exact.
    ends = np.concatenate([arc.curve.points(np.array([arc.start, arc.end])) for arc in border])
    turns = np.arange(_TRIALS) * 2.4
    heights = (np.arange(_TRIALS) + 0.5) / _TRIALS * 2.0 - 1.0
    around = np.sqrt(1.0 - heights**2)
    spread = np.stack([around * np.cos(turns), around * np.sin(turns), heights], axis=1)
    for trials in (ends[:1], spread):
        apart = np.linalg.norm(trials[:, None, :] + ends, axis=2).min(axis=1)
        if apart.max() > _APART:
            break
    apex: Floats = trials[int(apart.argmax())]
    return apex


def _arc_area(arc: Arc, apex: Floats) -> float:
    # Between two sides from the apex: a triangle, and what is between its
    # third side and the arc.
    first, last = arc.curve.points(np.array([arc.start, arc.end]))
    triangle = float(_excess(apex, first, last))
    if not arc.curve.is_circle:
        return triangle + _along_oval(
            arc, lambda x, dx: (np.cross(x - first, dx) @ first) / (1.0 + x @ first)
        )
    sine2 = float((arc.curve.across**2).sum())
    turn = arc.end - arc.start
    # Signed along the axis around which the curve turns to the left.
    axis = np.cross(arc.curve.across, arc.curve.along) / sine2
    cosine = float(arc.curve.middle @ axis)
    half = 0.5 * abs(turn)
    angles = half * _PLACES
    root = np.sqrt(cosine**2 * np.cos(angles) ** 2 + sine2 * math.cos(half) ** 2)
    beyond = cosine * sine2 * np.sin(half - angles) * np.sin(half + angles) / (root * (np.cos(angles) + root))
    return triangle + math.copysign(half * float(_WEIGHTS @ beyond), turn * cosine)


def _arc_mean(arc: Arc, origin: Floats) -> Floats:
    first, last = arc.curve.points(np.array([arc.start, arc.end]))
    chord = 0.5 * np.cross(_away(first, origin), _away(last, origin))
    turn = arc.end - arc.start
    if arc.curve.is_circle:
        normal = np.cross(arc.curve.across, arc.curve.along)
        found: Floats = chord + 0.5 * float(_less_sine(np.array(turn))) * normal
        return found

    def component(axis: int) -> Callable[[Floats, Floats], Floats]:
        return lambda x, dx: 0.5 * np.cross(x - first, dx)[:, axis]

    whole: Floats = chord + np.array([_along_oval(arc, component(axis)) for axis in range(3)])
    return whole


def _along_oval(arc: Arc, value: Callable[[Floats, Floats], Floats]) -> float:
    # Of a function of points and how they move.
    edges = np.linspace(arc.start, arc.end, _PANELS + 1)
    half = 0.5 * (edges[1:] - edges[:-1])
    t = (0.5 * (edges[1:] + edges[:-1])[:, None] + np.outer(half, _PLACES)).ravel()
    curve = arc.curve
    raw = curve.rays(t)
    speed = np.outer(-np.sin(t), curve.across) + np.outer(np.cos(t), curve.along)
    size = np.linalg.norm(raw, axis=1, keepdims=True)
    points = raw / size
    speed -= (speed * points).sum(axis=1, keepdims=True) * points
    return float(value(points, speed / size) @ np.outer(half, _WEIGHTS).ravel())
