"""The edge of a stencil as arcs on the sky."""

from __future__ import annotations

__all__ = ["Arcs", "arcs_of"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..dali import Circle, Polygon, Range, Stencil

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Indices = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True, slots=True)
class Arcs:
    """Arcs of circles on the unit sphere.

    Great circles, small circles, parallels and meridians all have the form
    ``base + cos(phase) first + sin(phase) second``, so one expression, over
    arrays, follows the edge of every stencil.
    """

    base: Floats
    """Centers of the circles, shape ``(n, 3)``."""

    first: Floats
    """Vectors from the center at phase 0, shape ``(n, 3)``."""

    second: Floats
    """Vectors from the center at a quarter turn, shape ``(n, 3)``."""

    start: Floats
    """Phase at the beginning of each arc, radians, shape ``(n,)``."""

    extent: Floats
    """Length of each arc, radians of phase, shape ``(n,)``."""

    @property
    def length(self) -> Floats:
        """Lengths on the sky, radians, shape ``(n,)``."""
        return np.asarray(self.extent * np.sqrt(np.sum(self.first**2, axis=1)))

    def vectors(self, arc: Indices, t: Floats) -> Floats:
        """Return points on arcs, as unit vectors.

        Parameters
        ----------
        arc
            Which arc, for each point.
        t
            Where on it, from 0 (beginning) to 1 (end).

        Returns
        -------
        vectors : `numpy.ndarray`, shape ``(n, 3)``
        """
        phase = (self.start[arc] + t * self.extent[arc])[:, np.newaxis]
        return np.asarray(self.base[arc] + np.cos(phase) * self.first[arc] + np.sin(phase) * self.second[arc])

    def lonlat(self, arc: Indices, t: Floats) -> tuple[Floats, Floats]:
        """Return points on arcs, as longitudes and latitudes.

        Parameters
        ----------
        arc
            Which arc, for each point.
        t
            Where on it, from 0 (beginning) to 1 (end).

        Returns
        -------
        lon, lat : `numpy.ndarray`
            Radians, ICRS.
        """
        x, y, z = self.vectors(arc, t).T
        return np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def joined(cls, parts: Sequence[tuple[Floats, Floats, Floats, float, float]]) -> Self:
        """Make arcs from their values one by one.

        Parameters
        ----------
        parts
            ``(base, first, second, start, extent)`` of each arc.

        Returns
        -------
        arcs : `Arcs`
        """
        base, first, second, start, extent = zip(*parts, strict=True)
        return cls(np.array(base), np.array(first), np.array(second), np.array(start), np.array(extent))


def arcs_of(stencil: Stencil) -> Arcs:
    """Return the edge of a stencil.

    Parameters
    ----------
    stencil
        The stencil.

    Returns
    -------
    arcs : `Arcs`
        One arc for a circle, one for each side of a polygon, the two
        parallels and two meridians of a range.
    """
    match stencil:
        case Circle():
            return _circle(stencil)
        case Polygon():
            return _polygon(stencil)
        case Range():
            return _range(stencil)


def _circle(circle: Circle) -> Arcs:
    center = _unit(circle.ra_deg, circle.dec_deg)
    first = _perpendicular(center)
    second = np.cross(center, first)
    radius = np.radians(circle.radius_deg)
    return Arcs.joined(
        [(np.cos(radius) * center, np.sin(radius) * first, np.sin(radius) * second, 0.0, 2 * np.pi)]
    )


def _polygon(polygon: Polygon) -> Arcs:
    lon, lat = np.radians(polygon.ra_deg), np.radians(polygon.dec_deg)
    begin = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    end = np.roll(begin, -1, axis=0)
    normal = np.cross(begin, end)
    length = np.sqrt(np.sum(normal**2, axis=1))
    # Vertices may differ by less than their unit vectors tell.
    known = length > 0
    second = np.zeros_like(begin)
    second[known] = np.cross(normal[known] / length[known, np.newaxis], begin[known])
    extent = np.arctan2(length, np.sum(begin * end, axis=1))
    return Arcs(np.zeros_like(begin), begin, second, np.zeros(len(begin)), extent)


def _range(box: Range) -> Arcs:
    west, south, north = np.radians([box.ra_min_deg, box.dec_min_deg, box.dec_max_deg])
    # 0..360 is all the way round; any other pair goes eastward from the
    # first to the second.
    width = 360.0 if box.ra_max_deg - box.ra_min_deg >= 360 else (box.ra_max_deg - box.ra_min_deg) % 360
    pole = np.array([0.0, 0.0, 1.0])
    parts: list[tuple[Floats, Floats, Floats, float, float]] = []
    for lat in (south, north):
        radius = np.cos(lat)
        parts.append(
            (
                np.sin(lat) * pole,
                np.array([radius, 0.0, 0.0]),
                np.array([0.0, radius, 0.0]),
                float(west),
                float(np.radians(width)),
            )
        )
    if width < 360:
        parts.extend(
            (np.zeros(3), _unit(lon_deg, 0.0), pole, float(south), float(north - south))
            for lon_deg in (box.ra_min_deg, box.ra_max_deg)
        )
    return Arcs.joined(parts)


def _unit(lon_deg: float, lat_deg: float) -> Floats:
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _perpendicular(vector: Floats) -> Floats:
    result = np.cross(vector, np.eye(3)[np.argmin(np.abs(vector))])
    return np.asarray(result / np.linalg.norm(result))
