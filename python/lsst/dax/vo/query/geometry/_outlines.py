"""Simple regions as their sides: on which side of each a point is, and where the sides run.

`lsst.sphgeom` tells exactly how circles, convex polygons and boxes lie to each
other, with the exception of a box and a polygon; of ellipses and of compound
regions it gives bounds.  What it does not tell is found out from the sides.
All numbers are radians, or lengths of chords, which for the small distances
that matter are the same.
"""

from __future__ import annotations

__all__ = ["ON_SIDE", "Curve", "Oval", "Shape", "Simple", "outline_of"]

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from lsst.sphgeom import Box, Circle, ConvexPolygon, Ellipse, LonLat, Region, UnitVector3d, Vector3d

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

ON_SIDE = 1e-14
"""What is as near to a side is on it: unit vectors are rounded by 2e-16, and
what is computed from them here by some ten times as much."""

# Of an arc: so that its chord tells its way.
_LONGEST = 1.5
# Ellipses so near to a half sphere are taken for one.
_HALF = 1e-12


@dataclass(frozen=True, slots=True)
class Curve:
    """A closed curve on the sphere, or an arc of it, with the inside on its left.

    Its points are ``middle + across * cos(t) + along * sin(t)``, which are
    unit vectors on a circle; on an oval they are to be normalized.
    """

    middle: Floats
    across: Floats
    along: Floats
    start: float
    """First value of ``t``."""

    length: float
    """How far ``t`` goes, up to a whole turn."""

    is_circle: bool

    def rays(self, t: Floats) -> Floats:
        """Return the directions of points, shape ``(n, 3)``."""
        found: Floats = self.middle + np.outer(np.cos(t), self.across) + np.outer(np.sin(t), self.along)
        return found

    def points(self, t: Floats) -> Floats:
        """Return points, shape ``(n, 3)``."""
        found = self.rays(t)
        return found if self.is_circle else found / np.linalg.norm(found, axis=1, keepdims=True)

    def places(self, points: Floats) -> Floats:
        """Return ``t`` of points of the curve, shape ``(n,)``."""
        if not self.is_circle:
            points = points / (points @ self.middle)[:, None]
        away = points - self.middle
        across2, along2 = (max(float(side @ side), 1e-300) for side in (self.across, self.along))
        t: Floats = np.arctan2(away @ self.along / along2, away @ self.across / across2)
        return t

    def quadric(self, rays: Floats) -> Floats:
        """Return what is 0 for rays through the curve, or opposite to it, shape ``(n,)``.

        A polynomial of the second degree, or of the first for a great circle.
        """
        across2, along2 = (max(float(side @ side), 1e-300) for side in (self.across, self.along))
        if not self.is_circle:
            value: Floats = (
                (rays @ self.middle) ** 2
                - (rays @ self.across / across2) ** 2
                - (rays @ self.along / along2) ** 2
            )
            return value
        axis = np.cross(self.across, self.along) / across2
        if not self.middle.any():
            value = rays @ axis
        else:
            # By the sine of the angle, which tells small ones apart.
            value = (np.cross(axis, rays) ** 2).sum(axis=1) - across2 * (rays**2).sum(axis=1)
        return value

    def lefts(self, t: Floats, points: Floats) -> Floats:
        """Return unit vectors that point to the left of points, shape ``(n, 3)``."""
        ahead = np.outer(-np.sin(t), self.across) + np.outer(np.cos(t), self.along)
        left: Floats = np.cross(points, ahead)
        left /= np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-300)
        return left

    def steps(self) -> Floats:
        """Return values of ``t`` that cut it into arcs whose chords tell their ways."""
        count = max(math.ceil(self.length / _LONGEST), 1)
        steps: Floats = self.start + np.linspace(0.0, self.length, count + 1)
        return steps


@dataclass(frozen=True, slots=True)
class Simple:
    """The common part of some caps of the sphere.

    A circle is one cap, a convex polygon the common part of half spheres, a
    box that of two half spheres and two caps around the poles; where it is
    wider than half a turn, one of the two half spheres is enough.
    """

    axes: Floats
    """Middles of the caps, shape ``(caps, 3)``."""

    cosines: Floats
    """Cosines of their radii, shape ``(caps,)``."""

    chords: Floats
    """The chord from the middle of a cap, or of the rest of the sphere if that
    is smaller, to its side; NaN for half spheres."""

    curves: tuple[Curve, ...]
    """The sides of the region."""

    is_wide: bool
    """Whether one of the first two caps is enough."""

    spot: Floats
    """A point of the region."""

    middle: Floats
    """Middle of a circle around the region."""

    radius: float
    """Radius of that circle."""

    def signed(self, points: Floats) -> Floats:
        """Return how far points are inside; negative outside."""
        heights = self._heights(points)
        if self.is_wide:
            heights = np.concatenate([np.maximum(heights[:1], heights[1:2]), heights[2:]])
        found: Floats = heights.min(axis=0, initial=4.0)
        return found

    def is_beside(self, points: Floats, towards: Floats) -> Bools:
        """Return whether what is right beside points, in a direction, is inside."""
        heights = self._heights(points)
        inside = heights > 0
        cap, place = np.nonzero(np.abs(heights) <= ON_SIDE)
        inside[cap, place] = (self.axes[cap] * towards[place]).sum(axis=1) > 0
        if self.is_wide:
            inside = np.concatenate([inside[:1] | inside[1:2], inside[2:]])
        found: Bools = inside.all(axis=0)
        return found

    def _heights(self, points: Floats) -> Floats:
        heights: Floats = self.axes @ points.T
        for cap in np.flatnonzero(~np.isnan(self.chords)):
            sign = 1.0 if self.cosines[cap] >= 0 else -1.0
            apart = np.linalg.norm(points - sign * self.axes[cap], axis=1)
            heights[cap] = sign * (self.chords[cap] - apart)
        return heights


@dataclass(frozen=True, slots=True)
class Oval:
    """A cone with an elliptic cut, or the rest of the sphere around it."""

    frame: Floats
    """Rows are its long axis, its short axis and its middle."""

    slopes: tuple[float, float]
    """Cotangents of its half axes."""

    sign: float
    """1 inside of the cone, -1 for the rest of the sphere."""

    curves: tuple[Curve, ...]
    spot: Floats
    middle: Floats
    radius: float

    def signed(self, points: Floats) -> Floats:
        """Return how far points near the side are inside; negative outside."""
        found: Floats = self._climb(points)[0]
        return found

    def is_beside(self, points: Floats, towards: Floats) -> Bools:
        """Return whether what is right beside points, in a direction, is inside."""
        signed, slope = self._climb(points)
        found: Bools = np.where(np.abs(signed) <= ON_SIDE, (slope * towards).sum(axis=1) > 0, signed > 0)
        return found

    def _climb(self, points: Floats) -> tuple[Floats, Floats]:
        x, y, z = self.frame @ points.T
        a, b = self.slopes
        root = np.sqrt((a * x) ** 2 + (b * y) ** 2)
        safe = np.maximum(root, 1e-300)
        slope = self.sign * np.stack([-(a**2) * x / safe, -(b**2) * y / safe, np.ones_like(z)], axis=1)
        slope = slope @ self.frame
        slope -= (slope * points).sum(axis=1, keepdims=True) * points
        return self.sign * (z - root) / np.maximum(np.linalg.norm(slope, axis=1), 1e-300), slope


type Shape = Simple | Oval


@lru_cache(maxsize=4096)
def outline_of(encoding: bytes) -> Shape | None:
    """Return the sides of a simple region.

    Parameters
    ----------
    encoding
        Of a circle, convex polygon, box or ellipse.

    Returns
    -------
    shape : `Simple` or `Oval` or `None`
        `None` for an empty region.
    """
    region = Region.decode(encoding)
    if _is_empty(region):
        return None
    around = region.getBoundingCircle()
    middle, radius = _numbers(around.getCenter()), around.getOpeningAngle().asRadians()
    match region:
        case Circle():
            shape: Shape = _circle(middle, region.getSquaredChordLength())
        case ConvexPolygon():
            shape = _polygon(np.array([_numbers(vertex) for vertex in region.getVertices()]))
        case Box():
            shape = _box(region)
        case Ellipse():
            shape = _ellipse(region)
        case _:
            raise AssertionError(f"{type(region).__name__} is not a simple region")
    return replace(shape, middle=middle, radius=radius)


def _is_empty(region: Region) -> bool:
    # sphgeom says so of all polygons, and of small ellipses.
    match region:
        case ConvexPolygon():
            return False
        case Ellipse():
            return bool(region.getAlpha().asRadians() < 0)
    return bool(region.isEmpty())


def _simple(
    axes: Sequence[Floats],
    cosines: Sequence[float],
    chords: Sequence[float],
    curves: Sequence[Curve],
    spot: Floats,
    *,
    is_wide: bool = False,
) -> Simple:
    return Simple(
        np.array(axes, float).reshape(-1, 3),
        np.array(cosines, float),
        np.array(chords, float),
        tuple(curves),
        is_wide,
        spot,
        spot,
        math.pi,
    )


def _circle(center: Floats, chord2: float) -> Simple:
    if chord2 >= 4.0:
        return _simple([], [], [], [], center)
    cosine = 1.0 - 0.5 * chord2
    sine = math.sqrt(chord2 * (1.0 - 0.25 * chord2))
    across = np.cross(center, np.eye(3)[np.argmin(np.abs(center))])
    across /= np.linalg.norm(across)
    along = np.cross(center, across)
    curve = Curve(cosine * center, sine * across, sine * along, 0.0, 2 * math.pi, is_circle=True)
    return _simple([center], [cosine], [math.sqrt(chord2 if cosine >= 0 else 4.0 - chord2)], [curve], center)


def _polygon(vertices: Floats) -> Simple:
    ends = np.roll(vertices, -1, axis=0)
    # The difference of close vertices is exact, which their product is not.
    normals = np.cross(vertices + ends, ends - vertices)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    curves = [
        Curve(
            np.zeros(3),
            first,
            np.cross(normal, first),
            0.0,
            2.0 * math.atan2(float(np.linalg.norm(last - first)), float(np.linalg.norm(last + first))),
            is_circle=True,
        )
        for first, last, normal in zip(vertices, ends, normals, strict=True)
    ]
    count = len(vertices)
    return _simple(list(normals), [0.0] * count, [math.nan] * count, curves, vertices[0])


def _box(region: Box) -> Simple:
    south, north = region.getLat().getA().asRadians(), region.getLat().getB().asRadians()
    west, east = region.getLon().getA().asRadians(), region.getLon().getB().asRadians()
    whole = region.getLon().isFull()
    width = 2 * math.pi if whole else (east - west) % (2 * math.pi)
    axes, cosines, chords, curves = [], [], [], []
    if not whole:
        # The eastern side goes north, the western one south.
        for longitude, sign in ((west, 1.0), (east, -1.0)):
            axes.append(sign * np.array([-math.sin(longitude), math.cos(longitude), 0.0]))
            cosines.append(0.0)
            chords.append(math.nan)
            equator = np.array([math.cos(longitude), math.sin(longitude), 0.0])
            start = south if sign < 0 else -north
            up = np.array([0.0, 0.0, -sign])
            curves.append(Curve(np.zeros(3), equator, up, start, north - south, is_circle=True))
    half = math.pi / 2
    for latitude, sign, beyond in ((south, 1.0, south > -half), (north, -1.0, north < half)):
        if not beyond:
            continue
        pole = np.array([0.0, 0.0, sign])
        # From the pole inside to the parallel, by the nearer pole.
        cosine = sign * math.sin(latitude)
        axes.append(pole)
        cosines.append(cosine)
        chords.append(2.0 * math.sin(0.5 * (half - abs(latitude))))
        first, forward = np.array([1.0, 0.0, 0.0]), np.array([0.0, sign, 0.0])
        start = west if sign > 0 else -(west + width)
        sine = math.cos(latitude)
        curves.append(Curve(cosine * pole, sine * first, sine * forward, start, width, is_circle=True))
    spot = _numbers(UnitVector3d(LonLat.fromRadians(west + width / 2, 0.5 * (south + north))))
    return _simple(axes, cosines, chords, curves, spot, is_wide=not whole and width > math.pi)


def _ellipse(region: Ellipse) -> Shape:
    alpha, beta = region.getAlpha().asRadians(), region.getBeta().asRadians()
    center = _numbers(region.getCenter())
    if alpha >= math.pi or alpha == beta or abs(alpha - math.pi / 2) < _HALF:
        return _circle(center, Circle.squaredChordLengthFor(region.getAlpha()))
    matrix = region.getTransformMatrix()
    frame = np.array([_numbers(matrix.getRow(row)) for row in range(3)])
    sign = 1.0 if alpha < math.pi / 2 else -1.0
    # The smaller cone is around the middle or opposite to it.
    frame[2] *= sign
    frame[1] = np.cross(frame[2], frame[0])
    slopes = abs(1.0 / math.tan(alpha)), abs(1.0 / math.tan(beta))
    curve = Curve(
        frame[2],
        frame[0] / slopes[0],
        sign * frame[1] / slopes[1],
        0.0,
        2 * math.pi,
        is_circle=False,
    )
    return Oval(frame, slopes, sign, (curve,), center, center, math.pi)


def _numbers(vector: UnitVector3d | Vector3d) -> Floats:
    return np.array([vector.x(), vector.y(), vector.z()])
