"""An image as the stencil code sees it: where it lies, and exact inverses."""

from __future__ import annotations

__all__ = ["TOLERANCE", "View", "are_inside", "rim_of"]

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..dali import Interior
from ._box import PixelBox
from ._projection import Projection

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

TOLERANCE = 0.002
"""How far, in pixels, a point may be from where it maps back to."""

# Without a scale, half an arcsecond is that of most cameras.
_USUAL_SCALE = 2.5e-6

# Points along each side of the image from which its extent is taken.
_RIM = 9

_ALL_AROUND = math.pi

# Steps of Newton's method; one or two are enough for the inverses that files
# hold.
_CORRECTIONS = 4


@dataclass(frozen=True, slots=True)
class View:
    """A box of pixels, its WCS, and the cap of sky that holds it."""

    projection: Projection
    """The WCS, in parent pixel coordinates."""

    image: PixelBox
    """The pixels."""

    scale: float
    """Side of the pixel in the middle, radians."""

    center: Floats
    """Unit vector to the middle, shape ``(3,)``."""

    radius: float
    """Angle around the center in which all pixels lie, radians; half a turn
    for maps of most of the sky."""

    is_plain: bool
    """Whether all pixels are places on the sky, each its own, as far as the
    outer ones tell: maps of the whole sky have blank corners, and some
    repeat a part of it."""

    @classmethod
    def of(cls, projection: Projection, image: PixelBox) -> Self:
        """Look at a box of pixels.

        Parameters
        ----------
        projection
            The WCS.
        image
            The pixels.

        Returns
        -------
        view : `View`
        """
        x, y = 0.5 * (image.x0 + image.x1), 0.5 * (image.y0 + image.y1)
        rim = rim_of(image, _RIM)
        lon, lat = projection.to_sky(
            np.concatenate([[x, x + 1.0, x], rim[:, 0]]), np.concatenate([[y, y, y + 1.0], rim[:, 1]])
        )
        steps = _offsets(lon[1:3], lat[1:3], np.repeat(lon[0], 2), np.repeat(lat[0], 2))
        scale = math.sqrt(abs(steps[0, 0] * steps[1, 1] - steps[0, 1] * steps[1, 0]))
        with np.errstate(invalid="ignore"):
            vectors = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        center = vectors[0]
        radius = float(np.arccos(np.clip(vectors[3:] @ center, -1.0, 1.0)).max())
        # The margin is for rims that bulge between the points.
        radius = 1.1 * radius + 2 * scale
        is_plain = math.isfinite(radius) and _maps_back(projection, rim, lon[3:], lat[3:])
        return cls(
            projection,
            image,
            scale if math.isfinite(scale) and scale > 0 else _USUAL_SCALE,
            center,
            radius if is_plain and radius < 0.25 * math.pi else _ALL_AROUND,
            is_plain,
        )

    def is_near(self, vectors: Floats, margin: Floats) -> Bools:
        """Tell which points are in the cap of the image.

        Parameters
        ----------
        vectors
            Unit vectors, shape ``(n, 3)``.
        margin
            Angle by which each may be outside, radians.

        Returns
        -------
        near : `numpy.ndarray` [`bool`]
        """
        if self.radius == _ALL_AROUND:
            return np.ones(len(vectors), dtype=np.bool_)
        # By chords: an arc cosine is blind to small angles.
        chord = np.sqrt(np.sum((vectors - self.center) ** 2, axis=1))
        return np.asarray(chord <= 2 * np.sin(0.5 * np.minimum(self.radius + margin, math.pi)))

    def to_pixel(self, lon: Floats, lat: Floats) -> Floats:
        """Map sky to pixels, and only where the pixels map back.

        Parameters
        ----------
        lon, lat
            Radians.

        Returns
        -------
        points : `numpy.ndarray`, shape ``(n, 2)``
            x and y; NaN where a point has no image.

        Notes
        -----
        Distortion polynomials have approximate inverses (SIP's AP and BP are
        off by tenths of a pixel in some files), and projections may fold the
        far side of the sky over the near one.  So each point is mapped back,
        moved by Newton's method until it agrees, and dropped if it does not.
        """
        x, y = self.projection.to_pixel(lon, lat)
        points = np.column_stack([x, y])
        with np.errstate(invalid="ignore"):
            points[~np.all(np.abs(points) < 1e15, axis=1)] = np.nan
        error = self._separation(points, lon, lat)
        for _ in range(_CORRECTIONS):
            wrong = np.flatnonzero(self._is_off(error) & np.isfinite(points[:, 0]))
            if not len(wrong):
                break
            points[wrong] = self._improved(points[wrong], lon[wrong], lat[wrong])
            error[wrong] = self._separation(points[wrong], lon[wrong], lat[wrong])
        points[self._is_off(error)] = np.nan
        return points

    def sides(self, x: float, y: float) -> tuple[float, float]:
        """Measure a pixel on the sky.

        Parameters
        ----------
        x, y
            Where.

        Returns
        -------
        along_x, along_y : `float`
            Length of its sides, radians; those of the pixel in the middle
            of the image where its own cannot be measured, as at the edge
            of a map of the whole sky.
        """
        lon, lat = self.projection.to_sky(
            np.array([x - 0.5, x, x + 0.5, x]), np.array([y, y - 0.5, y, y + 0.5])
        )
        along_x, along_y = np.hypot(*_offsets(lon[2:], lat[2:], lon[:2], lat[:2]).T)
        if not (along_x > 0 and along_y > 0):
            return self.scale, self.scale
        return float(along_x), float(along_y)

    def _is_off(self, error: Floats) -> Bools:
        # NaN is off.
        return np.asarray(~(np.hypot(*error.T) <= TOLERANCE * self.scale))

    def _separation(self, points: Floats, lon: Floats, lat: Floats) -> Floats:
        back = self.projection.to_sky(points[:, 0], points[:, 1])
        return _offsets(back[0], back[1], lon, lat)

    def _improved(self, points: Floats, lon: Floats, lat: Floats) -> Floats:
        here = self._separation(points, lon, lat)
        right = self._separation(points + np.array([0.5, 0.0]), lon, lat) - here
        up = self._separation(points + np.array([0.0, 0.5]), lon, lat) - here
        determinant = right[:, 0] * up[:, 1] - right[:, 1] * up[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            dx = (here[:, 0] * up[:, 1] - here[:, 1] * up[:, 0]) / determinant
            dy = (right[:, 0] * here[:, 1] - right[:, 1] * here[:, 0]) / determinant
        step = -0.5 * np.column_stack([dx, dy])
        moved = points + step
        # A step of more than a thousand pixels is no correction.
        moved[~(np.hypot(*step.T) < 1000)] = np.nan
        return moved


def are_inside(interior: Interior, projection: Projection, points: Floats) -> Bools:
    """Tell which points of an image are inside of a stencil.

    Parameters
    ----------
    interior
        The inside of the stencil.
    projection
        The WCS.
    points
        x and y, shape ``(n, 2)``.

    Returns
    -------
    inside : `numpy.ndarray` [`bool`]
        Those that are no place of the sky are not.
    """
    inside = np.zeros(len(points), dtype=np.bool_)
    if not len(points):
        # AST does not take empty sets of points.
        return inside
    lon, lat = projection.to_sky(points[:, 0], points[:, 1])
    # Damaged mappings give latitudes beyond the poles; the poles themselves
    # may be so by rounding.
    with np.errstate(invalid="ignore"):
        known = np.isfinite(lon) & (np.abs(lat) <= 0.5 * math.pi + 1e-9)
    inside[known] = interior.contains(lon[known], np.clip(lat[known], -0.5 * math.pi, 0.5 * math.pi))
    return inside


def rim_of(image: PixelBox, count: int) -> Floats:
    """Return points along the outer edges of an image's pixels.

    Parameters
    ----------
    image
        The image.
    count
        Number of points along each side, less along sides of few pixels.

    Returns
    -------
    points : `numpy.ndarray`, shape ``(n, 2)``
        x and y; all four corners are among them.
    """
    columns = np.linspace(image.x0 - 0.5, image.x1 + 0.5, min(count, 2 * image.width + 1))
    rows = np.linspace(image.y0 - 0.5, image.y1 + 0.5, min(count, 2 * image.height + 1))
    sides = [np.column_stack([columns, np.full(len(columns), y)]) for y in (rows[0], rows[-1])]
    sides += [np.column_stack([np.full(len(rows), x), rows]) for x in (columns[0], columns[-1])]
    return np.concatenate(sides)


def _maps_back(projection: Projection, points: Floats, lon: Floats, lat: Floats) -> bool:
    # Inverses of distortions may be a few pixels off, repetitions are at
    # other places altogether.
    back = np.column_stack(projection.to_pixel(lon, lat))
    tolerance = 10.0 + 0.1 * np.ptp(points, axis=0)
    return bool(np.all(np.abs(back - points) <= tolerance))


def _offsets(lon: Floats, lat: Floats, from_lon: Floats, from_lat: Floats) -> Floats:
    # Components along east and north at the starting point; for points far
    # apart only their being large matters.
    with np.errstate(invalid="ignore", over="ignore"):
        delta = lon - from_lon
        haversine = np.sin(0.5 * delta) ** 2
        east = np.cos(lat) * np.sin(delta)
        north = np.sin(lat - from_lat) + 2 * np.sin(from_lat) * np.cos(lat) * haversine
        behind = np.sin(lat) * np.sin(from_lat) + np.cos(lat) * np.cos(from_lat) * np.cos(delta) < 0
    return np.column_stack([np.where(behind, 10.0, east), np.where(behind, 10.0, north)])
