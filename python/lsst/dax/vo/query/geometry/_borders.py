"""The border of a union of polygons, such as a concave polygon, and a column.

What no part of the border is near to lies inside or outside as a whole, and
one of its points tells which.  The rest is compared with the sides that are
near it, which are few, however many the border has.
"""

from __future__ import annotations

__all__ = ["Border", "border_of_union"]

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ._arrangement import border_of, tree_of
from ._rings import ring_of
from ._rules import CIRCLE, POINT, POLYGON, Relation, Verdict
from ._sides import Floats, Ints, Side

# Polygons above each other whose border is looked for: it takes the square of
# their number.
_MOST_PARTS = 30
# Numbers of an intermediate array.
_MOST_NUMBERS = 600_000
# As in the rules for pairs.
_FLAT = 5e-15
_CHORD2 = 1e-14
# Circles are compared with that margin, which covers the rounding of angles.
_MARGIN = 1e-7
# As near to a side, in the plane, the side of a point is not certain.
_DOUBT = 1e-12


@dataclass(frozen=True, slots=True)
class Border:
    """Sides of great circles around a union of polygons, the inside on their left."""

    firsts: Floats
    lasts: Floats
    """Their ends, shape ``(sides, 3)``."""

    normals: Floats
    """Their unit normals."""

    middles: Floats
    halves: Floats
    """Circles around each: middle, and the chord to its ends."""

    frame: Floats
    """Rows are a middle of all, and two directions at right angles."""

    plane: Floats
    """Ends in the plane that touches the sphere there: first x, first y,
    last x, last y, shape ``(4, sides)``."""

    def judge(self, relation: Relation, other: Side, rows: Ints) -> Verdict:
        """Tell how points, circles and convex polygons lie to the union.

        Parameters
        ----------
        relation
            Whether they are inside, or meet it.
        other
            The column.
        rows
            Rows of it.

        Returns
        -------
        yes, no : `numpy.ndarray` [`bool`]
            What is certain; neither for other kinds.
        """
        yes, no = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        kinds, sizes = other.kinds()[rows], other.sizes()[rows]
        middles, radii = other.circles()
        middles, radii = middles[rows], radii[rows]
        step = max(1, _MOST_NUMBERS // len(self.firsts))
        for kind, size in {(int(kind), int(size)) for kind, size in zip(kinds, sizes, strict=True)}:
            if kind not in (POINT, CIRCLE, POLYGON):
                continue
            places = np.flatnonzero((kinds == kind) & (sizes == size) & (radii >= 0) & (radii < 1))
            for start in range(0, len(places), step):
                some = places[start : start + step]
                inside, outside = self._locate(middles[some])
                own, sides = self._near(middles[some], radii[some], kind)
                touched = np.bincount(own, minlength=len(some)) > 0
                yes[some], no[some] = inside & ~touched, outside & ~touched
                if len(own):
                    numbers = other.numbers(rows[some], size)
                    numbers = np.broadcast_to(numbers, (len(some), numbers.shape[1]))[own]
                    look = self._look_circles if kind == CIRCLE else self._look_polygons
                    crossing, clear = look(numbers, sides)
                    crossed = np.bincount(own, crossing, minlength=len(some)) > 0
                    cleared = touched & (np.bincount(own, ~clear, minlength=len(some)) == 0)
                    (yes if relation == "intersects" else no)[some[touched & crossed]] = True
                    yes[some[cleared & inside]] = True
                    no[some[cleared & outside]] = True
        return yes, no

    def _near(self, middles: Floats, radii: Floats, kind: int) -> tuple[Ints, Ints]:
        # Pairs of a circle and a side that it may touch: first by the widest
        # circle, then each by its own.  Angles are longer than chords.
        if kind == POINT:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        most = np.minimum(float(radii.max()) + self.halves + _MARGIN, 2.0)
        own, sides = np.nonzero(middles @ self.middles.T >= 1.0 - 0.5 * most**2 - 1e-15)
        apart = np.linalg.norm(middles[own] - self.middles[sides], axis=1)
        close = apart <= radii[own] + self.halves[sides] + _MARGIN
        return own[close], sides[close]

    def _look_polygons(self, numbers: Floats, sides: Ints) -> Verdict:
        # For pairs: whether a side passes through the inside, and whether it
        # is certainly apart.
        vertices = numbers.reshape(len(numbers), -1, 3)
        before = np.concatenate([vertices[:, -1:], vertices[:, :-1]], axis=1)
        normals = 0.5 * np.cross(before + vertices, vertices - before)
        across = np.einsum("nij,nj->ni", vertices, self.normals[sides])
        first = np.einsum("nij,nj->ni", normals, self.firsts[sides])
        last = np.einsum("nij,nj->ni", normals, self.lasts[sides])
        beyond = (np.maximum(first, last) < -_FLAT).any(axis=1)
        clear = beyond | (across > _FLAT).all(axis=1) | (across < -_FLAT).all(axis=1)
        within = (first > _FLAT).all(axis=1) | (last > _FLAT).all(axis=1)
        # Ends on different sides of each other, with the turns in one sense.
        signs = np.stack([np.roll(across, 1, axis=1), -across, -first, last])
        crossing = ((signs > _FLAT).all(axis=0) | (signs < -_FLAT).all(axis=0)).any(axis=1)
        return within | crossing, clear

    def _look_circles(self, numbers: Floats, sides: Ints) -> Verdict:
        center, radius2 = numbers[:, :3], numbers[:, 3]
        first, last, normal = self.firsts[sides], self.lasts[sides], self.normals[sides]
        ends2 = np.minimum(((center - first) ** 2).sum(axis=1), ((center - last) ** 2).sum(axis=1))
        sine = (center * normal).sum(axis=1)
        beside = 2.0 * sine**2 / (1.0 + np.sqrt(np.maximum(1.0 - sine**2, 0.0)))
        between = ((center * np.cross(normal, first)).sum(axis=1) > 0) & (
            (center * np.cross(last, normal)).sum(axis=1) > 0
        )
        near2 = np.minimum(ends2, np.where(between, beside, 4.0))
        return near2 < radius2 - _CHORD2, near2 > radius2 + _CHORD2

    def _locate(self, points: Floats) -> Verdict:
        # Whether the border is crossed an odd number of times on the way to
        # infinity; points behind the plane are outside.
        depth, *place = self.frame @ points.T
        ahead = depth > 1e-9
        x, y = (np.where(ahead, item, 0.0) / np.where(ahead, depth, 1.0) for item in place)
        first_x, first_y, last_x, last_y = self.plane
        rows, sides = np.nonzero((first_y > y[:, None]) != (last_y > y[:, None]))
        rise = last_y[sides] - first_y[sides]
        away = first_x[sides] + (y[rows] - first_y[sides]) * (last_x[sides] - first_x[sides]) / rise - x[rows]
        odd = (np.bincount(rows, away > 0, minlength=len(points)) % 2).astype(np.bool_)
        scale = _DOUBT * (1.0 + np.abs(x) + np.abs(y))
        doubt = np.bincount(rows, np.abs(away) <= scale[rows], minlength=len(points)) > 0
        heights = np.sort(first_y)
        doubt |= np.searchsorted(heights, y - scale) != np.searchsorted(heights, y + scale)
        return ahead & odd & ~doubt, ~ahead | (~odd & ~doubt)


@lru_cache(maxsize=16)
def border_of_union(encoding: bytes) -> Border | None:
    """Return the border of a union.

    Parameters
    ----------
    encoding
        Of the union.

    Returns
    -------
    border : `Border` or `None`
        `None` if it is not one of convex polygons within half of the sky.
    """
    tree = tree_of(encoding)
    if any(part.encoding[:1] != b"p" for part in tree.parts):
        return None
    ends = ring_of(tree)
    if ends is None:
        arcs = border_of(tree) if len(tree.parts) <= _MOST_PARTS else []
        if not arcs:
            return None
        ends = np.array([arc.curve.points(np.array([arc.start, arc.end])) for arc in arcs])
    firsts, lasts = ends[:, 0], ends[:, 1]
    middle = _unit((firsts + lasts).sum(axis=0)[None])[0]
    depth = ends @ middle
    if depth.min() < 0.01:
        return None
    across = _unit(np.cross(middle, np.eye(3)[np.argmin(np.abs(middle))])[None])[0]
    frame = np.array([middle, across, np.cross(middle, across)])
    flat = (ends @ frame[1:].T) / depth[:, :, None]
    middles = _unit(firsts + lasts)
    return Border(
        firsts,
        lasts,
        _unit(np.cross(firsts + lasts, lasts - firsts)),
        middles,
        np.linalg.norm(firsts - middles, axis=1),
        frame,
        flat.reshape(len(flat), 4).T,
    )


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
