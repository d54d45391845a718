"""Spherical polygons, convex or not, as regions of `lsst.sphgeom`."""

from __future__ import annotations

__all__ = ["polygon_region"]

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError

if TYPE_CHECKING:
    import lsst.sphgeom

type Points = np.ndarray[tuple[int, int], np.dtype[np.float64]]

# Splitting a concave polygon costs the square of its vertex count; 2000
# vertices take half a second.
_MAX_VERTICES = 2000

# Rounding of the unit vectors of vertices, with a margin.
_ROUNDING = 1e-15


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
        Raised if the line crosses itself, encloses nothing, does not fit
        into half of the sky, or has too many vertices.

    References
    ----------
    DALI 1.1, 3.3.7.
    """
    from lsst.sphgeom import ConvexPolygon, LonLat, UnionRegion, UnitVector3d

    if len(ra_deg) > _MAX_VERTICES:
        raise _refused(f"{len(ra_deg)} vertices; give at most {_MAX_VERTICES}")
    vertices = [UnitVector3d(LonLat.fromDegrees(ra, dec)) for ra, dec in zip(ra_deg, dec_deg, strict=True)]
    vectors = np.array([[v.x(), v.y(), v.z()] for v in vertices])
    plane, tolerance = _project(vectors, vertices)
    area = 0.5 * float(np.sum(_cross(plane, np.roll(plane, -1, axis=0))))
    sides = np.roll(plane, -1, axis=0) - plane
    if abs(area) <= tolerance * float(np.hypot(*sides.T).sum()):
        raise _refused("no area; give vertices that do not lie on one line, in order along the edge")
    if area < 0:
        plane, vertices = plane[::-1], vertices[::-1]
    crossing = _find_crossing(plane, tolerance)
    if crossing is not None:
        count = len(plane)
        first, second = sorted((i if area > 0 else count - 2 - i) % count + 1 for i in crossing)
        raise _refused(
            f"sides that cross or touch (those after vertices {first} and {second}); "
            "give vertices in order along the edge"
        )
    sides = np.roll(plane, -1, axis=0) - plane
    if np.all(_cross(np.roll(sides, 1, axis=0), sides) >= -tolerance):
        return ConvexPolygon(vertices)
    parts = [ConvexPolygon([vertices[i] for i in corner]) for corner in _triangles(plane, tolerance)]
    return UnionRegion(*parts)


def _refused(reason: str) -> UsageError:
    return UsageError(f"The polygon has {reason}", parameter="POLYGON")


def _project(vectors: Points, vertices: list[lsst.sphgeom.UnitVector3d]) -> tuple[Points, float]:
    # A gnomonic plane keeps great circles straight, so that all tests below
    # are those of plane geometry.  Coordinates are scaled to about unity;
    # the second value is their rounding error.
    from lsst.sphgeom import ConvexPolygon

    try:
        center3d = ConvexPolygon(vertices).getBoundingCircle().getCenter()
    except ValueError as err:
        # Raised for points on one great circle and for points that no
        # hemisphere holds.
        if np.linalg.matrix_rank(vectors, tol=1e-15) < 3:
            raise _refused(
                "no area; give vertices that do not lie on one line, in order along the edge"
            ) from err
        raise _refused("more than half of the sky around it; give a polygon within a hemisphere") from err
    center = np.array([center3d.x(), center3d.y(), center3d.z()])
    first = np.cross(center, np.eye(3)[np.argmin(np.abs(center))])
    first /= np.linalg.norm(first)
    second = np.cross(center, first)
    depth = vectors @ center
    if np.any(depth <= 1e-6):
        raise _refused("more than half of the sky around it; give a polygon within a hemisphere")
    plane = np.column_stack([vectors @ first / depth, vectors @ second / depth])
    scale = float(np.abs(plane).max())
    return plane / scale, _ROUNDING * max(1.0, 1.0 / scale)


def _cross(a: Points, b: Points) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    product: np.ndarray[tuple[int], np.dtype[np.float64]] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product


def _find_crossing(plane: Points, tolerance: float) -> tuple[int, int] | None:
    # Side i goes from vertex i to vertex i + 1.  Sides that share a vertex
    # may only meet there, which a fold back along the previous side breaks.
    count = len(plane)
    ends = np.roll(plane, -1, axis=0)
    for i in range(count - 1):
        others = np.arange(i + 1, count)
        a, b = plane[i], ends[i]
        c, d = plane[others], ends[others]
        side = np.broadcast_to(b - a, c.shape)
        c_side, d_side = _cross(c - a, side), _cross(d - a, side)
        a_side, b_side = _cross(a - c, d - c), _cross(b - c, d - c)
        apart = (c_side * d_side > 0) | (a_side * b_side > 0) | _boxes_apart(a, b, c, d)
        neighbour = (others == i + 1) | ((i == 0) & (others == count - 1))
        folded = (np.abs(c_side) + np.abs(d_side) <= tolerance) & ((d - c) @ (b - a) < 0)
        meets = (~apart & ~neighbour) | (neighbour & folded)
        if np.any(meets):
            return i, int(others[np.argmax(meets)])
    return None


def _boxes_apart(
    a: np.ndarray[tuple[int], np.dtype[np.float64]],
    b: np.ndarray[tuple[int], np.dtype[np.float64]],
    c: Points,
    d: Points,
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    low, high = np.minimum(a, b), np.maximum(a, b)
    apart: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.any(
        (np.maximum(c, d) < low) | (np.minimum(c, d) > high), axis=1
    )
    return apart


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
