"""Rules in double precision for pairs of kinds of geometries, for whole columns.

Each says yes, no or neither: neither where rounding could decide.
"""

from __future__ import annotations

__all__ = ["BOX", "CIRCLE", "POINT", "POLYGON", "RULES", "Relation", "Verdict", "lies_in_box", "meets_box"]

from collections.abc import Callable
from typing import Literal

import numpy as np

from ._geometry import POINT_TAG, unit_vectors
from ._outlines import ON_SIDE, Simple

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
type Verdict = tuple[Bools, Bools]
type Relation = Literal["contains", "intersects"]
type Rule = Callable[[Floats, Floats], Verdict]

POINT, CIRCLE, POLYGON, BOX = POINT_TAG[0], ord("c"), ord("p"), ord("b")
"""First bytes of encodings."""

# Rounding of a determinant of three unit vectors; sphgeom computes exactly
# below the same bound.
_FLAT = 5e-15
# sphgeom takes squared chords as equal within 2.5e-15 and angles within 6e-8;
# ours add their own rounding.
_CHORD2 = 1e-14
_ANGLE = 1e-7


def _cross(a: Floats, b: Floats) -> Floats:
    # numpy's takes longer for a few rows than for a thousand.
    product = np.empty(np.broadcast_shapes(a.shape, b.shape))
    for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[..., y], b[..., z], out=product[..., x])
        product[..., x] -= a[..., z] * b[..., y]
    return product


def _before(vertices: Floats) -> Floats:
    # The vertex before each, around the polygon.
    return np.concatenate([vertices[:, -1:], vertices[:, :-1]], axis=1)


def _points(numbers: Floats) -> Floats:
    return unit_vectors(numbers[:, 0], numbers[:, 1])


def _vertices(numbers: Floats) -> Floats:
    return numbers.reshape(len(numbers), -1, 3)


def _normals(vertices: Floats) -> Floats:
    # Of the side that ends in each vertex, its length that of the side.  The
    # difference of close vertices is exact, which their product is not.
    before = _before(vertices)
    normals: Floats = 0.5 * _cross(before + vertices, vertices - before)
    return normals


def _sides(points: Floats, normals: Floats) -> Floats:
    # On which side of each great circle each point is: (rows, points, normals).
    sides: Floats = points @ np.swapaxes(normals, 1, 2)
    return sides


def _chords2(points: Floats, center: Floats) -> Floats:
    chords2: Floats = ((points - center) ** 2).sum(axis=-1)
    return chords2


def _columns(numbers: Floats) -> Floats:
    # x, y and z of each vertex, as columns: shape (3, vertices, rows).
    columns: Floats = np.ascontiguousarray(numbers.reshape(len(numbers), -1, 3).transpose(2, 1, 0))
    return columns


def _dot(a: Floats, b: Floats) -> Floats:
    product: Floats = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def _cross_columns(a: Floats, b: Floats) -> Floats:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _side_columns(vertices: Floats) -> tuple[Floats, Floats]:
    # The vertex before each, and the normal of the side between.
    before = np.concatenate([vertices[:, -1:], vertices[:, :-1]], axis=1)
    return before, 0.5 * _cross_columns(before + vertices, vertices - before)


def _border_chord2(center: Floats, vertices: Floats, before: Floats, normals: Floats) -> Floats:
    # From a center to the nearest point of a polygon's sides; all are columns.
    away = vertices - center
    nearest = _dot(away, away).min(axis=0)
    height = _dot(center, normals)
    sine2 = height * height / _dot(normals, normals)
    beside = 2.0 * sine2 / (1.0 + np.sqrt(np.maximum(1.0 - sine2, 0.0)))
    # The foot is on the side, between its ends, and not on the other half of
    # the great circle.
    between = (_dot(center, _cross_columns(normals, before)) > 0) & (
        _dot(center, _cross_columns(vertices, normals)) > 0
    )
    chord2: Floats = np.minimum(nearest, np.where(between, beside, 4.0).min(axis=0))
    return chord2


def _in_steps(rows: int, quick: Verdict, rest: Callable[[np.ndarray], Verdict]) -> Verdict:
    # What a cheap test has left open is looked at closely.
    yes, no = (np.broadcast_to(part, rows).copy() for part in quick)
    left = np.flatnonzero(~(yes | no))
    if len(left):
        yes[left], no[left] = rest(left)
    return yes, no


def _take(values: Floats, rows: np.ndarray) -> Floats:
    return values if len(values) == 1 else values[rows]


def _same_point(a: Floats, b: Floats) -> Verdict:
    yes = (a == b).all(axis=1)
    return yes, ~yes


def _point_in_circle(a: Floats, b: Floats) -> Verdict:
    chord2 = _chords2(_points(a), b[:, :3])
    slack = 4e-15 * np.sqrt(chord2) + 1e-30
    usual = (b[:, 3] >= 0) & (b[:, 3] < 4)
    return usual & (chord2 < b[:, 3] - slack), usual & (chord2 > b[:, 3] + slack)


def _point_in_polygon(a: Floats, b: Floats) -> Verdict:
    _, normals = _side_columns(_columns(b))
    sides = _dot(_points(a).T[:, None, :], normals)
    least = sides.min(axis=0)
    return least > _FLAT, least < -_FLAT


def _circle_in_circle(a: Floats, b: Floats) -> Verdict:
    slack = b[:, 4] - a[:, 4] - _distance(a, b)
    usual = _are_usual(a) & _are_usual(b)
    return usual & (slack > _ANGLE), usual & (slack < -_ANGLE)


def _circle_meets_circle(a: Floats, b: Floats) -> Verdict:
    slack = a[:, 4] + b[:, 4] - _distance(a, b)
    usual = _are_usual(a) & _are_usual(b)
    return usual & (slack > _ANGLE), usual & (slack < -_ANGLE)


def _distance(a: Floats, b: Floats) -> Floats:
    angle: Floats = 2.0 * np.arcsin(np.minimum(0.5 * np.sqrt(_chords2(a[:, :3], b[:, :3])), 1.0))
    return angle


def _are_usual(circles: Floats) -> Bools:
    # Neither empty nor more than half of the sky, whose inside is not convex.
    usual: Bools = (circles[:, 3] >= 0) & (circles[:, 3] < 2)
    return usual


def _circle_in_polygon(a: Floats, b: Floats) -> Verdict:
    vertices = _columns(b)
    before, normals = _side_columns(vertices)
    center = a[:, :3].T[:, None, :]
    least = _dot(center, normals).min(axis=0)
    border = _border_chord2(center, vertices, before, normals)
    usual = _are_usual(a)
    yes = usual & (least > _FLAT) & (border > a[:, 3] + _CHORD2)
    no = usual & ((least < -_FLAT) | (border < a[:, 3] - _CHORD2))
    return yes, no


def _circle_meets_polygon(a: Floats, b: Floats) -> Verdict:
    # A vertex inside is enough, and most often there is one.
    if len(a) > 1:
        return _circle_meets_polygon_closely(a, b)
    cosines = b[:, :3] @ a[0, :3]
    for start in range(3, b.shape[1], 3):
        np.maximum(cosines, b[:, start : start + 3] @ a[0, :3], out=cosines)
    # Of unit vectors, whose lengths are rounded.
    inside = _are_usual(a) & (2.0 - 2.0 * cosines < a[:, 3] - 10 * _CHORD2)
    nothing = np.zeros(1, np.bool_)
    return _in_steps(len(b), (inside, nothing), lambda rows: _circle_meets_polygon_closely(a, b[rows]))


def _circle_meets_polygon_closely(a: Floats, b: Floats) -> Verdict:
    vertices = _columns(b)
    away = vertices - a[:, :3].T[:, None, :]
    apart2 = _dot(away, away)
    # No point of a polygon is farther from its first vertex than all others are.
    usual = _are_usual(a)
    inside = usual & (apart2.min(axis=0) < a[:, 3] - _CHORD2)
    spread = vertices[:, 1:] - vertices[:, :1]
    reach = np.sqrt(_dot(spread, spread).max(axis=0))
    far = usual & (reach < 1.0) & (np.sqrt(apart2[0]) > np.sqrt(np.abs(a[:, 3])) + reach + _ANGLE)

    def look(rows: np.ndarray) -> Verdict:
        some = vertices if vertices.shape[2] == 1 else vertices[:, :, rows]
        circles = _take(a, rows)
        center, radius2, usual = circles[:, :3].T[:, None, :], circles[:, 3], _are_usual(circles)
        before, normals = _side_columns(some)
        least = _dot(center, normals).min(axis=0)
        border = _border_chord2(center, some, before, normals)
        yes = usual & ((least > _FLAT) | (border < radius2 - _CHORD2))
        no = usual & (least < -_FLAT) & (border > radius2 + _CHORD2)
        return yes, no

    return _in_steps(max(len(a), len(b)), (inside, far), look)


def _polygon_in_circle(a: Floats, b: Floats) -> Verdict:
    away = _columns(a) - b[:, :3].T[:, None, :]
    most = _dot(away, away).max(axis=0)
    usual = _are_usual(b)
    return usual & (most < b[:, 3] - _CHORD2), usual & (most > b[:, 3] + _CHORD2)


def _polygon_in_polygon(a: Floats, b: Floats) -> Verdict:
    sides = _sides(_vertices(a), _normals(_vertices(b)))
    return (sides > _FLAT).all(axis=(1, 2)), (sides < -_FLAT).any(axis=(1, 2))


def _polygon_meets_polygon(a: Floats, b: Floats) -> Verdict:
    a_vertices, b_vertices = _vertices(a), _vertices(b)
    a_sides = _sides(a_vertices, _normals(b_vertices))
    b_sides = np.swapaxes(_sides(b_vertices, _normals(a_vertices)), 1, 2)
    inside = (a_sides > _FLAT).all(axis=2).any(axis=1) | (b_sides > _FLAT).all(axis=1).any(axis=1)
    # A side with all of the other polygon beyond it.
    beyond = (a_sides < -_FLAT).all(axis=1).any(axis=1) | (b_sides < -_FLAT).all(axis=2).any(axis=1)

    def look(rows: np.ndarray) -> Verdict:
        some_a, some_b = a_sides[rows], b_sides[rows]
        outside = (some_a < -_FLAT).any(axis=2).all(axis=1) & (some_b < -_FLAT).any(axis=1).all(axis=1)
        # Sides cross where the ends of each are on different sides of the
        # other, with the turns in one sense (the other one is their antipodes).
        signs = np.stack(
            [np.roll(some_a, 1, axis=1), -some_a, some_b, -np.roll(some_b, 1, axis=2)],
            axis=0,
        )
        least, most = signs.min(axis=0), signs.max(axis=0)
        crossing = ((least > _FLAT) | (most < -_FLAT)).any(axis=(1, 2))
        apart = ((least < -_FLAT) & (most > _FLAT)).all(axis=(1, 2))
        return crossing, outside & apart

    return _in_steps(len(a_sides), (inside, beyond & ~inside), look)


def meets_box(numbers: Floats, box: Simple) -> Bools:
    """Tell which polygons have a point in common with a box between meridians and parallels.

    Parameters
    ----------
    numbers
        Vertices of polygons, shape ``(n, 3 * vertices)``.
    box
        The box.

    Returns
    -------
    meets : `numpy.ndarray` [`bool`], shape ``(n,)``
        What touches it within `ON_SIDE` meets it.

    Notes
    -----
    Whoever walks along the sides of a polygon in the box comes to a vertex or
    leaves the box: one of these points is in it.  Otherwise the box is inside
    of the polygon, or outside.
    """
    vertices = _vertices(numbers)
    count = vertices.shape[1]
    meets = (box.signed(vertices.reshape(-1, 3)) >= -2 * ON_SIDE).reshape(-1, count).any(axis=1)
    left = np.flatnonzero(~meets)
    if not len(left):
        return meets
    vertices = vertices[left]
    normals = _normals(vertices)
    meets[left] = ((normals @ box.spot) >= -ON_SIDE * np.linalg.norm(normals, axis=2)).all(axis=1)
    first, last = _before(vertices).reshape(-1, 3), vertices.reshape(-1, 3)
    units = normals.reshape(-1, 3)
    units = units / np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-300)
    along = _cross(units, first)
    length = np.arctan2((last * along).sum(axis=1), (last * first).sum(axis=1))
    for axis, cosine in zip(box.axes, box.cosines, strict=True):
        # a cos(t) + b sin(t) = cosine where the side, or its great circle,
        # crosses; where it does not, its nearest point is as good.
        a, b = first @ axis, along @ axis
        size = np.hypot(a, b)
        ratio = np.divide(cosine, size, out=np.ones_like(size), where=size > 0)
        nearest, turn = np.arctan2(b, a), np.arccos(np.clip(ratio, -1.0, 1.0))
        for t in (nearest - turn, nearest + turn):
            t = np.where(t < -ON_SIDE, t + 2 * np.pi, np.where(t > np.pi, t - 2 * np.pi, t))
            on_side = (t >= -ON_SIDE) & (t <= length + ON_SIDE)
            rows = np.flatnonzero(on_side)
            if len(rows):
                points = np.cos(t[rows])[:, None] * first[rows] + np.sin(t[rows])[:, None] * along[rows]
                inside = box.signed(points) >= -2 * ON_SIDE
                meets[left[rows[inside] // count]] = True
    return meets


def lies_in_box(numbers: Floats, box: Simple) -> Verdict:
    """Tell which polygons lie inside of a box between meridians and parallels.

    Parameters
    ----------
    numbers, box
        As for `meets_box`.

    Returns
    -------
    yes, no : `numpy.ndarray` [`bool`]
        What is certain: a vertex is outside, or the circle around the polygon
        is inside of all that makes the box.
    """
    vertices = _vertices(numbers)
    heights = box.signed(vertices.reshape(-1, 3)).reshape(vertices.shape[:2])
    no = (heights < -2 * ON_SIDE).any(axis=1)
    middles = vertices.sum(axis=1)
    middles /= np.maximum(np.linalg.norm(middles, axis=1, keepdims=True), 1e-300)
    away = vertices - middles[:, None, :]
    reach = np.sqrt((away * away).sum(axis=2).max(axis=1))
    # The chord of the circle is less than its angle, by no more than a tenth.
    angles = np.arccos(np.clip(box.axes @ middles.T, -1.0, 1.0))
    inside = angles + 1.1 * reach + _ANGLE < np.arccos(np.clip(box.cosines, -1.0, 1.0))[:, None]
    if box.is_wide:
        inside = np.concatenate([inside[:1] | inside[1:2], inside[2:]])
    return (reach < 1.0) & inside.all(axis=0) & ~no, no


def _swapped(rule: Rule) -> Rule:
    return lambda a, b: rule(b, a)


RULES: dict[Relation, dict[tuple[int, int], Rule]] = {
    "contains": {
        (POINT, POINT): _same_point,
        (POINT, CIRCLE): _point_in_circle,
        (POINT, POLYGON): _point_in_polygon,
        (CIRCLE, CIRCLE): _circle_in_circle,
        (CIRCLE, POLYGON): _circle_in_polygon,
        (POLYGON, CIRCLE): _polygon_in_circle,
        (POLYGON, POLYGON): _polygon_in_polygon,
    },
    "intersects": {
        (POINT, POINT): _same_point,
        (POINT, CIRCLE): _point_in_circle,
        (POINT, POLYGON): _point_in_polygon,
        (CIRCLE, POINT): _swapped(_point_in_circle),
        (CIRCLE, CIRCLE): _circle_meets_circle,
        (CIRCLE, POLYGON): _circle_meets_polygon,
        (POLYGON, POINT): _swapped(_point_in_polygon),
        (POLYGON, CIRCLE): _swapped(_circle_meets_polygon),
        (POLYGON, POLYGON): _polygon_meets_polygon,
    },
}
"""For each pair of kinds, what is certain: yes, no."""
