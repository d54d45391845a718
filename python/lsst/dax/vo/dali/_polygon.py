"""Spherical polygons, convex or not, of either winding."""

from __future__ import annotations

__all__ = ["FlatPolygon", "polygon_region"]

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from ..errors import UsageError

if TYPE_CHECKING:
    import lsst.sphgeom

type Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
type Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]
type Points = np.ndarray[tuple[int, int], np.dtype[np.float64]]
type Indices = np.ndarray[tuple[int], np.dtype[np.intp]]

# Whether sides cross takes the square of their number in the worst case: 0.6 s
# for as many as these.
_MAX_VERTICES = 10_000

# Splitting a concave polygon costs the square of its vertex count; 2000
# vertices take half a second.
_MAX_REGION_VERTICES = 2000

# Pairs that are tested in one go, so that memory stays small.
_CHUNK = 500_000

# Rounding of the unit vectors of vertices, with a margin.
_ROUNDING = 1e-15

_NO_AREA = "no area; give vertices that do not lie on one line, in order along the edge"


@dataclass(frozen=True, slots=True, eq=False)
class FlatPolygon:
    """The smaller side of a closed line of great-circle arcs, in a plane.

    A gnomonic plane keeps great circles straight, so that all tests are
    those of plane geometry.
    """

    axes: Points
    """Unit vectors along x and y of the plane, and to its origin on the sky,
    shape ``(3, 3)``."""

    scale: float
    """What coordinates were divided by, to be about unity."""

    vertices: Points
    """Counterclockwise, shape ``(n, 2)``."""

    order: Indices
    """Number of each vertex among those that were given."""

    tolerance: float
    """Rounding error of coordinates."""

    @classmethod
    def of(cls, ra_deg: tuple[float, ...], dec_deg: tuple[float, ...]) -> Self:
        """Lay a polygon into a plane, and check it.

        Parameters
        ----------
        ra_deg, dec_deg
            Vertices in order, of either winding, ICRS degrees; neighbours
            differ.

        Returns
        -------
        polygon : `FlatPolygon`

        Raises
        ------
        UsageError
            Raised if the line crosses itself, encloses nothing, does not
            fit into half of the sky, or has too many vertices.

        References
        ----------
        DALI 1.1, 3.3.7.
        """
        if len(ra_deg) > _MAX_VERTICES:
            raise _refused(f"{len(ra_deg)} vertices; give at most {_MAX_VERTICES}")
        vectors = _unit_vectors(np.radians(ra_deg), np.radians(dec_deg))
        axes = _plane_of(vectors)
        plane = _project(vectors, axes)
        scale = float(np.abs(plane).max())
        if scale == 0:
            # Vertices nearer to one another than numbers can tell.
            raise _refused(_NO_AREA)
        plane, tolerance = plane / scale, _ROUNDING * max(1.0, 1.0 / scale)
        area = 0.5 * float(np.sum(_cross(plane, np.roll(plane, -1, axis=0))))
        sides = np.roll(plane, -1, axis=0) - plane
        if abs(area) <= tolerance * float(np.hypot(*sides.T).sum()):
            raise _refused(_NO_AREA)
        order = np.arange(len(plane))
        if area < 0:
            plane, order = plane[::-1], order[::-1]
        crossing = _find_crossing(plane, tolerance)
        if crossing is not None:
            count = len(plane)
            first, second = sorted((i if area > 0 else count - 2 - i) % count + 1 for i in crossing)
            raise _refused(
                f"sides that cross or touch (those after vertices {first} and {second}); "
                "give vertices in order along the edge"
            )
        return cls(axes, scale, plane, order, tolerance)

    @property
    def is_convex(self) -> bool:
        """Whether no corner points inward."""
        sides = np.roll(self.vertices, -1, axis=0) - self.vertices
        return bool(np.all(_cross(np.roll(sides, 1, axis=0), sides) >= -self.tolerance))

    def contains(self, lon: Floats, lat: Floats) -> Bools:
        """Tell which places are inside.

        Parameters
        ----------
        lon, lat
            Radians.

        Returns
        -------
        inside : `numpy.ndarray` [`bool`]
            Those on the edge are.

        Notes
        -----
        A ray along x to each point crosses the edge an odd number of times.
        Points are sorted by y, so that each side is asked only about those
        that it can meet.
        """
        vectors = _unit_vectors(lon, lat)
        front = np.flatnonzero(vectors @ self.axes[2] > 0)
        points = _project(vectors[front], self.axes) / self.scale
        order = np.argsort(points[:, 1])
        points, front = points[order], front[order]
        begin, end = self.vertices, np.roll(self.vertices, -1, axis=0)
        first, last = np.minimum(begin, end) - self.tolerance, np.maximum(begin, end) + self.tolerance
        low = np.searchsorted(points[:, 1], first[:, 1], "left")
        high = np.searchsorted(points[:, 1], last[:, 1], "right")
        crossings = np.zeros(len(points), dtype=np.int64)
        on_edge = np.zeros(len(points), dtype=np.bool_)
        for side, point in _pairs(low, high):
            a, b, p = begin[side], end[side], points[point]
            turn = _cross(b - a, p - a)
            # Half open, so that a vertex belongs to one of its sides.
            upward = (a[:, 1] <= p[:, 1]) & (p[:, 1] < b[:, 1]) & (turn > 0)
            downward = (b[:, 1] <= p[:, 1]) & (p[:, 1] < a[:, 1]) & (turn < 0)
            crossings += np.bincount(point[upward | downward], minlength=len(points))
            within = (first[side, 0] <= p[:, 0]) & (p[:, 0] <= last[side, 0])
            on_edge[point[within & (np.abs(turn) <= self.tolerance * np.hypot(*(b - a).T))]] = True
        inside = np.zeros(len(lon), dtype=np.bool_)
        inside[front] = (crossings % 2 == 1) | on_edge
        return inside


def polygon_region(ra_deg: tuple[float, ...], dec_deg: tuple[float, ...]) -> lsst.sphgeom.Region:
    """Return the smaller side of a closed line of great-circle arcs.

    Parameters
    ----------
    ra_deg, dec_deg
        Vertices in order, of either winding, ICRS degrees; neighbours differ.

    Returns
    -------
    region : `lsst.sphgeom.Region`
        A `~lsst.sphgeom.ConvexPolygon`, or a `~lsst.sphgeom.UnionRegion` of
        triangles when the polygon is concave.

    Raises
    ------
    UsageError
        Raised as by `FlatPolygon.of`.
    """
    from lsst.sphgeom import ConvexPolygon, LonLat, UnionRegion, UnitVector3d

    if len(ra_deg) > _MAX_REGION_VERTICES:
        raise _refused(f"{len(ra_deg)} vertices; give at most {_MAX_REGION_VERTICES}")
    flat = FlatPolygon.of(ra_deg, dec_deg)
    vertices = [UnitVector3d(LonLat.fromDegrees(ra_deg[i], dec_deg[i])) for i in flat.order]
    if flat.is_convex:
        return ConvexPolygon(vertices)
    parts = [
        ConvexPolygon([vertices[i] for i in corner]) for corner in _triangles(flat.vertices, flat.tolerance)
    ]
    return UnionRegion(*parts)


def _refused(reason: str) -> UsageError:
    return UsageError(f"The polygon has {reason}", parameter="POLYGON")


def _unit_vectors(lon: Floats, lat: Floats) -> Points:
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _project(vectors: Points, axes: Points) -> Points:
    plane: Points = (vectors @ axes[:2].T) / (vectors @ axes[2])[:, np.newaxis]
    return plane


def _plane_of(vectors: Points) -> Points:
    # The mean of the vertices sees most polygons whole; where it does not,
    # the middle of their hull does, if any point does.
    center = vectors.sum(axis=0)
    length = float(np.linalg.norm(center))
    if length < 0.1 * len(vectors) or np.any(vectors @ (center / length) < 0.1):
        center = _hull_center(vectors)
    center = center / np.linalg.norm(center)
    first = np.cross(center, np.eye(3)[np.argmin(np.abs(center))])
    first /= np.linalg.norm(first)
    if np.any(vectors @ center <= 1e-6):
        raise _refused("more than half of the sky around it; give a polygon within a hemisphere")
    return np.array([first, np.cross(center, first), center])


def _hull_center(vectors: Points) -> Floats:
    from lsst.sphgeom import ConvexPolygon, UnitVector3d

    try:
        center = ConvexPolygon([UnitVector3d(*vector) for vector in vectors]).getBoundingCircle().getCenter()
    except ValueError as err:
        # Raised for points on one great circle and for points that no
        # hemisphere holds.
        if np.linalg.matrix_rank(vectors, tol=1e-15) < 3:
            raise _refused(_NO_AREA) from err
        raise _refused("more than half of the sky around it; give a polygon within a hemisphere") from err
    return np.array([center.x(), center.y(), center.z()])


def _cross(a: Points, b: Points) -> Floats:
    product: Floats = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product


def _pairs(low: Indices, high: Indices) -> Iterator[tuple[Indices, Indices]]:
    # Each row number with each number from low to high of that row, in
    # chunks.
    count = np.maximum(high - low, 0)
    total = np.cumsum(count)
    begin = 0
    while begin < len(count):
        before = total[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, before + _CHUNK, "right")))
        part = count[begin:end]
        row = np.repeat(np.arange(begin, end), part)
        yield row, low[row] + np.arange(len(row)) - np.repeat(total[begin:end] - part - before, part)
        begin = end


def _find_crossing(plane: Points, tolerance: float) -> tuple[int, int] | None:
    # Side i goes from vertex i to vertex i + 1.  Along one axis, sorted, a
    # side can meet only those that begin before it ends.
    ends = np.roll(plane, -1, axis=0)
    low, high = np.minimum(plane, ends), np.maximum(plane, ends)
    sorts = []
    for axis in (0, 1):
        order = np.argsort(low[:, axis])
        last = np.searchsorted(low[order, axis], high[order, axis], "right")
        sorts.append((int(last.sum()), 1 - axis, order, last))
    _, other, order, last = min(sorts, key=lambda sort: sort[0])
    for row, column in _pairs(np.arange(1, len(order) + 1), last):
        i, j = order[row], order[column]
        near = (low[i, other] <= high[j, other]) & (low[j, other] <= high[i, other])
        first, second = np.minimum(i[near], j[near]), np.maximum(i[near], j[near])
        meets = _meets(plane, ends, first, second, tolerance)
        if np.any(meets):
            # Of 10,000 vertices at random a quarter of all pairs cross: one
            # is enough to tell.
            return min(zip(first[meets].tolist(), second[meets].tolist(), strict=True))
    return None


def _meets(plane: Points, ends: Points, first: Indices, second: Indices, tolerance: float) -> Bools:
    # Sides that share a vertex may only meet there, which a fold back along
    # the previous side breaks.
    a, b, c, d = plane[first], ends[first], plane[second], ends[second]
    c_side, d_side = _cross(c - a, b - a), _cross(d - a, b - a)
    a_side, b_side = _cross(a - c, d - c), _cross(b - c, d - c)
    apart = (c_side * d_side > 0) | (a_side * b_side > 0)
    neighbour = (second == first + 1) | ((first == 0) & (second == len(plane) - 1))
    along = np.sum((d - c) * (b - a), axis=1)
    folded = (np.abs(c_side) + np.abs(d_side) <= tolerance) & (along < 0)
    meets: Bools = (~apart & ~neighbour) | (neighbour & folded)
    return meets


def _triangles(plane: Points, tolerance: float) -> Iterator[tuple[int, int, int]]:
    # Ear clipping: a counterclockwise corner with no other vertex in its
    # triangle can be cut off; a simple polygon always has two of them.
    left = list(range(len(plane)))
    at = 0
    skipped = 0
    while len(left) > 3 and skipped < len(left):
        corner = (left[at - 1], left[at], left[(at + 1) % len(left)])
        turn = _turn(plane, corner)
        flat = abs(turn) <= tolerance
        if flat or (turn > 0 and not _holds_vertex(plane, corner, left)):
            if not flat:
                yield corner
            del left[at]
            at = max(at - 1, 0) % len(left)
            skipped = 0
        else:
            at = (at + 1) % len(left)
            skipped += 1
    if len(left) == 3 and _turn(plane, (left[0], left[1], left[2])) > tolerance:
        yield left[0], left[1], left[2]


def _turn(plane: Points, corner: tuple[int, int, int]) -> float:
    a, b, c = plane[list(corner)]
    return float((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]))


def _holds_vertex(plane: Points, corner: tuple[int, int, int], left: list[int]) -> bool:
    points = plane[[i for i in left if i not in corner]]
    inside = np.ones(len(points), dtype=bool)
    for start, end in zip(corner, (*corner[1:], corner[0]), strict=True):
        a, b = plane[start], plane[end]
        inside &= (b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0]) >= 0
    return bool(np.any(inside))
