"""Circles around many regions at once, for the spatial index of a database."""

from __future__ import annotations

__all__ = ["bounding_circles"]

import numpy as np
import pyarrow as pa
from lsst.sphgeom import Region

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_POLYGON, _CIRCLE = ord("p"), ord("c")
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
    count = len(regions)
    center, radius = np.full((count, 3), np.nan), np.full(count, np.nan)
    valid = np.asarray(regions.is_valid())
    if valid.any():
        _, offset_buffer, data_buffer = regions.buffers()
        offsets = np.frombuffer(offset_buffer, np.int32)[regions.offset : regions.offset + count + 1]
        data = np.frombuffer(data_buffer, np.uint8)
        sizes = np.diff(offsets)
        kinds = np.zeros(count, np.uint8)
        kinds[valid] = data[offsets[:-1][valid]]
        plain = (kinds == _POLYGON) & (sizes % 24 == 1) & (sizes > 72)
        for size in np.unique(sizes[plain]):
            rows = np.flatnonzero(plain & (sizes == size))
            vertices = _numbers(data, offsets, rows, int(size)).reshape(len(rows), -1, 3)
            center[rows], radius[rows] = _around_polygons(vertices)
        circles = (kinds == _CIRCLE) & (sizes == 41)
        if circles.any():
            rows = np.flatnonzero(circles)
            numbers = _numbers(data, offsets, rows, 41)
            center[rows], radius[rows] = numbers[:, :3], numbers[:, 4]
        for row in np.flatnonzero(valid & ~circles & ~(plain & (radius < np.pi / 2))):
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


def _numbers(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, size: int) -> Floats:
    # All encodings of one size, without their type byte.
    numbers: Floats = data[offsets[rows].astype(np.int64)[:, None] + np.arange(1, size)].view("<f8")
    return numbers


def _around_polygons(vertices: Floats) -> tuple[Floats, Floats]:
    # A circle of less than 90 degrees is convex: it holds a polygon if it
    # holds the vertices.  Others are left to sphgeom.
    middle = vertices.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    chord2 = ((vertices - middle[:, None, :]) ** 2).sum(axis=2).max(axis=1)
    radius = 2.0 * np.arcsin(np.minimum(0.5 * np.sqrt(chord2), 1.0))
    return middle, np.where(np.isfinite(radius), radius, np.pi)
