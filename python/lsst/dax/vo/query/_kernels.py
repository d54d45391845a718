"""Contains and intersects, for whole columns of geometries at once.

Each pair of kinds has a rule in double precision that says yes, no or neither:
it says neither where rounding could decide.  Those pairs, and all pairs with a
box, an ellipse or a compound region, are decided by `lsst.sphgeom` itself, so
that every answer is sphgeom's, with one exception: a union lies inside what
holds each of its parts, also where no single part of the other holds them all.
"""

from __future__ import annotations

__all__ = ["contains", "intersects"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from lsst.sphgeom import CONTAINS, DISJOINT, LonLat, Region, UnionRegion, UnitVector3d

from ._geometry import POINT_TAG, decode, encode_region, unit_vectors

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
type Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
type Verdict = tuple[Bools, Bools]
type Relation = Literal["contains", "intersects"]

_POINT, _CIRCLE, _POLYGON, _UNION = POINT_TAG[0], ord("c"), ord("p"), ord("u")
# Rounding of a determinant of three unit vectors; sphgeom computes exactly
# below the same bound.
_FLAT = 5e-15
# sphgeom takes squared chords as equal within 2.5e-15 and angles within 6e-8;
# ours add their own rounding.
_CHORD2 = 1e-14
_ANGLE = 1e-7
# Numbers of an intermediate array: what a cache holds.
_MOST_NUMBERS = 200_000


def contains(inner: pa.Array, outer: pa.Array) -> pa.Array:
    """Tell which geometries lie wholly inside others.

    Parameters
    ----------
    inner, outer
        Encodings, type ``binary``, without NULL, of equal length.

    Returns
    -------
    inside : `pyarrow.Array`
        Booleans; the boundary counts as inside.
    """
    return pa.array(_relate("contains", _Side.from_arrow(inner), _Side.from_arrow(outer)))


def intersects(first: pa.Array, second: pa.Array) -> pa.Array:
    """Tell which geometries have a point in common.

    Parameters
    ----------
    first, second
        As for `contains`.

    Returns
    -------
    meets : `pyarrow.Array`
        Booleans; with a point, whether the other contains it.
    """
    return pa.array(_relate("intersects", _Side.from_arrow(first), _Side.from_arrow(second)))


@dataclass(frozen=True, slots=True)
class _Side:
    """One argument, as it lies in memory."""

    data: np.ndarray[tuple[int], np.dtype[np.uint8]]
    offsets: Ints
    """Of each value, and the end of the last."""
    constant: bool
    """Whether all values are the first."""

    @classmethod
    def from_arrow(cls, values: pa.Array | pa.ChunkedArray) -> _Side:
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
        _, offset_buffer, data_buffer = values.buffers()
        count = len(values)
        offsets = np.frombuffer(offset_buffer, np.int32)[values.offset : values.offset + count + 1]
        data = np.frombuffer(data_buffer if data_buffer is not None else b"", np.uint8)
        return cls(data, offsets.astype(np.int64), _is_constant(data, offsets))

    @classmethod
    def repeat(cls, encoding: bytes, count: int) -> _Side:
        offsets = np.zeros(count + 1, np.int64)
        offsets[1:] = len(encoding)
        return cls(np.frombuffer(encoding, np.uint8), offsets, True)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def kind(self) -> Ints:
        starts = self.offsets[:1] if self.constant else self.offsets[:-1]
        kinds = self.data[starts].astype(np.int64)
        return np.broadcast_to(kinds, len(self))

    def size(self) -> Ints:
        if self.constant:
            return np.broadcast_to(self.offsets[1:2] - self.offsets[:1], len(self))
        return np.diff(self.offsets)

    def value(self, row: int) -> bytes:
        row = 0 if self.constant else row
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def numbers(self, rows: Ints, size: int) -> Floats:
        # All of one kind and size: shape (rows, numbers), or one row for all.
        starts = self.offsets[:1] if self.constant else self.offsets[rows]
        first, last = int(starts[0]), int(starts[-1]) + size
        if last - first == len(starts) * size:
            # Side by side, as most often: nothing is gathered.
            parts = np.ascontiguousarray(self.data[first:last].reshape(-1, size)[:, 1:])
        else:
            parts = self.data[starts[:, None] + np.arange(1, size)]
        numbers: Floats = parts.view("<f8")
        return numbers


def _is_constant(
    data: np.ndarray[tuple[int], np.dtype[np.uint8]], offsets: np.ndarray[tuple[int], np.dtype[np.int32]]
) -> bool:
    if len(offsets) < 2:
        return False
    size = int(offsets[1] - offsets[0])
    if offsets[-1] - offsets[0] != size * (len(offsets) - 1) or np.any(np.diff(offsets) != size):
        return False
    values = data[offsets[0] : offsets[-1]].reshape(-1, size)
    return bool(np.array_equal(values[-1], values[0]) and np.all(values == values[0]))


def _relate(relation: Relation, a: _Side, b: _Side) -> Bools:
    count = len(a)
    answers: Bools = np.zeros(count, np.bool_)
    if count == 0:
        return answers
    for side, other in ((a, b), (b, a)):
        if side.constant and not other.constant:
            found = _relate_constant(relation, side, other, is_first=side is a)
            if found is not None:
                return found
    a_kind, a_size, b_kind, b_size = a.kind(), a.size(), b.kind(), b.size()
    keys = np.stack([a_kind, a_size, b_kind, b_size], axis=1)
    if (keys == keys[0]).all():
        groups: Iterator[tuple[Ints, Ints]] = iter([(keys[0], np.arange(count))])
    else:
        unique, inverse = np.unique(keys, axis=0, return_inverse=True)
        groups = ((key, np.flatnonzero(inverse.ravel() == i)) for i, key in enumerate(unique))
    for (first_kind, first_size, second_kind, second_size), rows in groups:
        rule = _RULES[relation].get((int(first_kind), int(second_kind)))
        if rule is None:
            answers[rows] = _ask_sphgeom(relation, a, b, rows)
            continue
        step = max(1, _MOST_NUMBERS * 576 // int(first_size * second_size))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            with np.errstate(divide="ignore", invalid="ignore"):
                yes, no = rule(a.numbers(part, int(first_size)), b.numbers(part, int(second_size)))
            answers[part] = yes
            open_rows = part[~(np.broadcast_to(yes | no, part.shape))]
            if len(open_rows):
                answers[open_rows] = _ask_sphgeom(relation, a, b, open_rows)
    return answers


def _relate_constant(relation: Relation, side: _Side, other: _Side, *, is_first: bool) -> Bools | None:
    encoding = side.value(0)
    kind = encoding[0]
    if kind == _UNION and relation == "contains" and not is_first and np.any(other.kind() == _UNION):
        # The parts of the inner union may lie in different parts of this one.
        return None
    if kind == _UNION:
        # The parts as whole columns: a union lies inside where all of them
        # do; otherwise one is enough, which is sphgeom's own rule.
        union: Any = UnionRegion.decode(encoding)
        parts = [encode_region(union.cloneOperand(i)) for i in range(union.nOperands())]
        sides = [_Side.repeat(part, len(other)) for part in parts]
        found = [_relate(relation, *((part, other) if is_first else (other, part))) for part in sides]
        together = np.logical_and if relation == "contains" and is_first else np.logical_or
        answers: Bools = together.reduce(found) if found else np.zeros(len(other), np.bool_)
        return answers
    if kind == _POINT or (relation == "contains" and is_first) or np.any(other.kind() != _POINT):
        return None
    region: Any = decode(encoding)
    ra_deg, dec_deg = other.numbers(np.arange(len(other)), 17).T
    inside: Bools = region.contains(*unit_vectors(ra_deg, dec_deg).T)
    return inside


def _ask_sphgeom(relation: Relation, a: _Side, b: _Side, rows: Ints) -> list[bool]:
    first = decode(a.value(0)) if a.constant else None
    second = decode(b.value(0)) if b.constant else None
    return [
        _ask(
            relation,
            decode(a.value(row)) if first is None else first,
            decode(b.value(row)) if second is None else second,
        )
        for row in rows.tolist()
    ]


def _ask(relation: Relation, a: tuple[float, float] | Region, b: tuple[float, float] | Region) -> bool:
    if isinstance(b, tuple):
        # A region lies inside a point never, but it may meet one.
        if isinstance(a, tuple):
            return a == b
        return relation == "intersects" and bool(a.contains(UnitVector3d(LonLat.fromDegrees(*b))))
    if isinstance(a, tuple):
        return bool(b.contains(UnitVector3d(LonLat.fromDegrees(*a))))
    if relation == "contains":
        if isinstance(a, UnionRegion):
            # sphgeom asks for one part of b that holds all of a, so that a
            # union would not lie in itself.
            return a.nOperands() > 0 and all(
                bool(b.relate(a.cloneOperand(i)) & CONTAINS) for i in range(a.nOperands())
            )
        return bool(b.relate(a) & CONTAINS)
    return not a.relate(b) & DISJOINT


def _points(numbers: Floats) -> Floats:
    return unit_vectors(numbers[:, 0], numbers[:, 1])


def _vertices(numbers: Floats) -> Floats:
    return numbers.reshape(len(numbers), -1, 3)


def _normals(vertices: Floats) -> Floats:
    # Of the side that ends in each vertex, its length that of the side.  The
    # difference of close vertices is exact, which their product is not.
    before = np.roll(vertices, 1, axis=1)
    normals: Floats = 0.5 * np.cross(before + vertices, vertices - before)
    return normals


def _sides(points: Floats, normals: Floats) -> Floats:
    # On which side of each great circle each point is: (rows, points, normals).
    sides: Floats = points @ np.swapaxes(normals, 1, 2)
    return sides


def _chords2(points: Floats, center: Floats) -> Floats:
    chords2: Floats = ((points - center) ** 2).sum(axis=-1)
    return chords2


def _border_chord2(center: Floats, vertices: Floats, normals: Floats) -> Floats:
    # From a center to the nearest point of a polygon's sides.
    before = np.roll(vertices, 1, axis=1)
    place = center[:, None, :]
    nearest = _chords2(vertices, place).min(axis=1)
    length = np.linalg.norm(normals, axis=2)
    sine = np.abs((place * normals).sum(axis=2)) / length
    beside = 2.0 * sine**2 / (1.0 + np.sqrt(np.maximum(1.0 - sine**2, 0.0)))
    # The foot is on the side, between its ends, and not on the other half of
    # the great circle.
    between = ((place * np.cross(normals, before)).sum(axis=2) > 0) & (
        (place * np.cross(vertices, normals)).sum(axis=2) > 0
    )
    chord2: Floats = np.minimum(nearest, np.where(between, beside, 4.0).min(axis=1))
    return chord2


def _same_point(a: Floats, b: Floats) -> Verdict:
    yes = (a == b).all(axis=1)
    return yes, ~yes


def _point_in_circle(a: Floats, b: Floats) -> Verdict:
    chord2 = _chords2(_points(a), b[:, :3])
    slack = 4e-15 * np.sqrt(chord2) + 1e-30
    usual = (b[:, 3] >= 0) & (b[:, 3] < 4)
    return usual & (chord2 < b[:, 3] - slack), usual & (chord2 > b[:, 3] + slack)


def _point_in_polygon(a: Floats, b: Floats) -> Verdict:
    sides = _sides(_points(a)[:, None, :], _normals(_vertices(b)))[:, 0, :]
    return (sides > _FLAT).all(axis=1), (sides < -_FLAT).any(axis=1)


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
    vertices = _vertices(b)
    normals = _normals(vertices)
    center = a[:, :3]
    sides = _sides(center[:, None, :], normals)[:, 0, :]
    border = _border_chord2(center, vertices, normals)
    usual = _are_usual(a)
    yes = usual & (sides > _FLAT).all(axis=1) & (border > a[:, 3] + _CHORD2)
    no = usual & ((sides < -_FLAT).any(axis=1) | (border < a[:, 3] - _CHORD2))
    return yes, no


def _circle_meets_polygon(a: Floats, b: Floats) -> Verdict:
    vertices = _vertices(b)
    normals = _normals(vertices)
    center = a[:, :3]
    sides = _sides(center[:, None, :], normals)[:, 0, :]
    border = _border_chord2(center, vertices, normals)
    usual = _are_usual(a)
    yes = usual & ((sides > _FLAT).all(axis=1) | (border < a[:, 3] - _CHORD2))
    no = usual & (sides < -_FLAT).any(axis=1) & (border > a[:, 3] + _CHORD2)
    return yes, no


def _polygon_in_circle(a: Floats, b: Floats) -> Verdict:
    chords2 = _chords2(_vertices(a), b[:, None, :3])
    radius2 = b[:, 3:4]
    usual = _are_usual(b)
    return usual & (chords2 < radius2 - _CHORD2).all(axis=1), usual & (chords2 > radius2 + _CHORD2).any(
        axis=1
    )


def _polygon_in_polygon(a: Floats, b: Floats) -> Verdict:
    sides = _sides(_vertices(a), _normals(_vertices(b)))
    return (sides > _FLAT).all(axis=(1, 2)), (sides < -_FLAT).any(axis=(1, 2))


def _polygon_meets_polygon(a: Floats, b: Floats) -> Verdict:
    a_vertices, b_vertices = _vertices(a), _vertices(b)
    a_sides = _sides(a_vertices, _normals(b_vertices))
    b_sides = np.swapaxes(_sides(b_vertices, _normals(a_vertices)), 1, 2)
    inside = (a_sides > _FLAT).all(axis=2).any(axis=1) | (b_sides > _FLAT).all(axis=1).any(axis=1)
    outside = (a_sides < -_FLAT).any(axis=2).all(axis=1) & (b_sides < -_FLAT).any(axis=1).all(axis=1)
    # Sides cross where the ends of each are on different sides of the other,
    # with the turns in one sense (the other one is their antipodes).
    signs = np.stack(
        [np.roll(a_sides, 1, axis=1), -a_sides, b_sides, -np.roll(b_sides, 1, axis=2)],
        axis=0,
    )
    least, most = signs.min(axis=0), signs.max(axis=0)
    crossing = ((least > _FLAT) | (most < -_FLAT)).any(axis=(1, 2))
    apart = ((least < -_FLAT) & (most > _FLAT)).all(axis=(1, 2))
    return inside | crossing, outside & apart


def _swapped(rule: Callable[[Floats, Floats], Verdict]) -> Callable[[Floats, Floats], Verdict]:
    return lambda a, b: rule(b, a)


_RULES: dict[Relation, dict[tuple[int, int], Callable[[Floats, Floats], Verdict]]] = {
    "contains": {
        (_POINT, _POINT): _same_point,
        (_POINT, _CIRCLE): _point_in_circle,
        (_POINT, _POLYGON): _point_in_polygon,
        (_CIRCLE, _CIRCLE): _circle_in_circle,
        (_CIRCLE, _POLYGON): _circle_in_polygon,
        (_POLYGON, _CIRCLE): _polygon_in_circle,
        (_POLYGON, _POLYGON): _polygon_in_polygon,
    },
    "intersects": {
        (_POINT, _POINT): _same_point,
        (_POINT, _CIRCLE): _point_in_circle,
        (_POINT, _POLYGON): _point_in_polygon,
        (_CIRCLE, _POINT): _swapped(_point_in_circle),
        (_CIRCLE, _CIRCLE): _circle_meets_circle,
        (_CIRCLE, _POLYGON): _circle_meets_polygon,
        (_POLYGON, _POINT): _swapped(_point_in_polygon),
        (_POLYGON, _CIRCLE): _swapped(_circle_meets_polygon),
        (_POLYGON, _POLYGON): _polygon_meets_polygon,
    },
}
"""For each pair of kinds, what is certain: yes, no.  What is neither is asked of sphgeom."""
