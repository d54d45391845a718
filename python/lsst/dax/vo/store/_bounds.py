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
from ._encodings import EncodedRegions, Floats

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
    encoded = EncodedRegions(regions)
    if encoded.empty.any():
        raise _refused()
    low, high, middle = (np.full((len(regions), 3), np.nan) for _ in range(3))
    for rows, vertices in encoded.iter_polygons():
        low[rows], high[rows], middle[rows] = _bound_polygons(vertices)
    rows, centers, radii = encoded.read_circles()
    low[rows], high[rows], middle[rows] = _bound_circles(centers, radii[:, None])
    for row in np.flatnonzero(encoded.filled & ~encoded.polygons & ~encoded.circles):
        low[row], high[row], middle[row] = _bound_any(regions[int(row)].as_py())
    return SkyBounds(low, high, _pixels(middle))


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


def _bound_circles(center: Floats, radius: Floats) -> tuple[Floats, Floats, Floats]:
    # The angle from an axis goes from angle - radius to angle + radius; its
    # cosine by the sum rule, since arccos loses half of the digits near 0.
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
