"""Circles around many regions at once, for the spatial index of a database."""

from __future__ import annotations

__all__ = ["bounding_circles"]

import numpy as np
import pyarrow as pa
from lsst.sphgeom import Region

from ._encodings import EncodedRegions, Floats

# What sphgeom takes for touching (6e-8 radians), and what a database that
# computes with 1e-9 may miss.
_TOUCH = 1.2e-7


def bounding_circles(regions: pa.Array) -> Floats:
    """Compute circles that hold regions.

    Parameters
    ----------
    regions
        Encodings by `lsst.sphgeom`, type ``binary``.

    Returns
    -------
    circles : `numpy.ndarray`, shape ``(n, 3)``
        Longitude, latitude and radius in radians, a little too wide, so that
        what touches a region touches its circle.  NaN for a row without a
        region, and for an empty one.
    """
    encoded = EncodedRegions(regions)
    center, radius = np.full((len(regions), 3), np.nan), np.full(len(regions), np.nan)
    for rows, vertices in encoded.iter_polygons():
        center[rows], radius[rows] = _around_polygons(vertices)
    rows, centers, radii = encoded.read_circles()
    center[rows], radius[rows] = centers, radii
    for row in np.flatnonzero(encoded.filled & ~encoded.circles & ~(encoded.polygons & (radius < np.pi / 2))):
        circle = Region.decode(regions[int(row)].as_py()).getBoundingCircle()
        place = circle.getCenter()
        center[row] = place.x(), place.y(), place.z()
        radius[row] = circle.getOpeningAngle().asRadians()
    # A negative radius is sphgeom's empty circle.
    radius = np.where(radius >= 0, np.minimum(radius + _TOUCH, np.pi), np.nan)
    longitude = np.arctan2(center[:, 1], center[:, 0]) % (2 * np.pi)
    latitude = np.arctan2(center[:, 2], np.hypot(center[:, 0], center[:, 1]))
    found: Floats = np.stack([longitude, latitude, radius], axis=1)
    found[np.isnan(radius)] = np.nan
    return found


def _around_polygons(vertices: Floats) -> tuple[Floats, Floats]:
    # A circle of less than 90 degrees is convex: it holds a polygon if it
    # holds the vertices.  Others are left to sphgeom.
    middle = vertices.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    chord2 = ((vertices - middle[:, None, :]) ** 2).sum(axis=2).max(axis=1)
    radius = 2.0 * np.arcsin(np.minimum(0.5 * np.sqrt(chord2), 1.0))
    return middle, np.where(np.isfinite(radius), radius, np.pi)
