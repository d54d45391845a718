"""Boxes and sort keys of many regions at once.

The box of a region holds the unit vectors of all its points; it is
conservative, so that a search may leave out whatever the box rules out.
"""

from __future__ import annotations

__all__ = ["SkyBounds", "bound_regions"]

from dataclasses import dataclass

import hpgeom
import numpy as np
import pyarrow as pa
from lsst.sphgeom import Region

from ..errors import UsageError

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_POLYGON, _CIRCLE = ord("p"), ord("c")
# Rounding of unit vectors, with a margin; sphgeom pads as much.
_PAD = 1e-14
# The finest order whose pixel numbers fit into 64 bits.
_NSIDE = 2**29


@dataclass(frozen=True, slots=True)
class SkyBounds:
    """Where some regions are; all NaN and -1 for a row without one."""

    low: Floats
    """Least x, y, z, shape ``(n, 3)``."""

    high: Floats
    """Greatest x, y, z, shape ``(n, 3)``."""

    pixel: np.ndarray[tuple[int], np.dtype[np.int64]]
    """Nested HEALPix pixel of the middle, shape ``(n,)``."""


def bound_regions(regions: pa.Array) -> SkyBounds:
    """Compute boxes and sort keys.

    Parameters
    ----------
    regions
        Encodings by `lsst.sphgeom`, type ``binary``.

    Returns
    -------
    bounds : `SkyBounds`

    Raises
    ------
    UsageError
        Raised if a value is no encoding of a region.
    """
    count = len(regions)
    low, high, middle = (np.full((count, 3), np.nan) for _ in range(3))
    valid = np.asarray(regions.is_valid())
    _, offset_buffer, data_buffer = regions.buffers()
    if count and valid.any():
        offsets = np.frombuffer(offset_buffer, np.int32)[regions.offset : regions.offset + count + 1]
        data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
        sizes = np.diff(offsets)
        if np.any(sizes[valid] == 0):
            raise _refused()
        kinds = np.zeros(count, np.uint8)
        kinds[valid] = data[offsets[:-1][valid]]
        plain = (kinds == _POLYGON) & (sizes % 24 == 1) & (sizes > 72)
        for size in np.unique(sizes[plain]):
            rows = np.flatnonzero(plain & (sizes == size))
            vertices = _floats(data, offsets, rows, int(size)).reshape(len(rows), -1, 3)
            low[rows], high[rows], middle[rows] = _bound_polygons(vertices)
        circles = (kinds == _CIRCLE) & (sizes == 41)
        if circles.any():
            rows = np.flatnonzero(circles)
            low[rows], high[rows], middle[rows] = _bound_circles(_floats(data, offsets, rows, 41))
        for row in np.flatnonzero(valid & ~plain & ~circles):
            low[row], high[row], middle[row] = _bound_any(regions[int(row)].as_py())
    return SkyBounds(low, high, _pixels(middle))


def _floats(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, size: int) -> Floats:
    # All encodings of one size, without their type byte.  Most often they are
    # the whole column, side by side: then nothing is gathered.
    first, last = int(offsets[rows[0]]), int(offsets[rows[-1]]) + size
    if last - first == len(rows) * size:
        parts = np.ascontiguousarray(data[first:last].reshape(-1, size)[:, 1:])
    else:
        parts = data[offsets[rows].astype(np.int64)[:, None] + np.arange(1, size)]
    numbers: Floats = parts.view("<f8")
    return numbers


def _bound_polygons(vertices: Floats) -> tuple[Floats, Floats, Floats]:
    # A point of a convex polygon is q / |q| with q in the convex hull of the
    # vertices, and 1 >= |q| >= q . c >= the least v . c, for any unit vector
    # c.  For a detector of 0.2 degrees this is wider than the least box by
    # one second of arc, and needs no look at the edges.
    middle = vertices.sum(axis=1)
    norm = np.linalg.norm(middle, axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = middle / norm
        depth = np.einsum("kni,ki->kn", vertices, middle).min(axis=1, keepdims=True) - _PAD
        least, most = vertices.min(axis=1) - _PAD, vertices.max(axis=1) + _PAD
        low = np.where(least < 0, least / depth, least)
        high = np.where(most > 0, most / depth, most)
    # Vertices that no hemisphere around c holds bound nothing.
    wide = ~(depth > 1e-6)
    low = np.where(wide, -1.0, np.maximum(low, -1.0))
    high = np.where(wide, 1.0, np.minimum(high, 1.0))
    return low, high, middle


def _bound_circles(parts: Floats) -> tuple[Floats, Floats, Floats]:
    # The angle from an axis goes from angle - radius to angle + radius; its
    # cosine by the sum rule, since arccos loses half of the digits near 0.
    center, radius = parts[:, :3], parts[:, 4:5]
    beside = np.sqrt(np.maximum((center**2).sum(axis=1, keepdims=True) - center**2, 0.0))
    angle = np.arctan2(beside, center)
    along, across = center * np.cos(radius), beside * np.sin(radius)
    low = np.where(angle + radius >= np.pi, -1.0, along - across - _PAD)
    high = np.where(angle <= radius, 1.0, along + across + _PAD)
    # A negative radius is sphgeom's empty circle.
    empty = ~(radius[:, 0] >= 0)
    low[empty], high[empty] = np.nan, np.nan
    return low, high, np.where(empty[:, None], np.nan, center)


def _bound_any(encoding: bytes) -> tuple[Floats, Floats, Floats]:
    try:
        region = Region.decode(encoding)
    except (RuntimeError, ValueError) as err:
        raise _refused() from err
    box = region.getBoundingBox3d()
    nothing = np.full(3, np.nan)
    if box.isEmpty():
        return nothing, nothing, nothing
    axes = (box.x(), box.y(), box.z())
    low = np.array([axis.getA() for axis in axes]) - _PAD
    high = np.array([axis.getB() for axis in axes]) + _PAD
    center = region.getBoundingCircle().getCenter()
    return low, high, np.array([center.x(), center.y(), center.z()])


def _pixels(middle: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    pixels = np.full(len(middle), -1, np.int64)
    known = ~np.isnan(middle).any(axis=1)
    if known.any():
        pixels[known] = hpgeom.vector_to_pixel(_NSIDE, *middle[known].T, nest=True)
    return pixels


def _refused() -> UsageError:
    return UsageError(
        "A region is no encoding of lsst.sphgeom; give Region.encode(), or NULL without a region"
    )
