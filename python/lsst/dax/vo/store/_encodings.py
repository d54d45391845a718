"""Encodings of regions by `lsst.sphgeom`, taken apart many at once.

Nearly all regions are convex polygons, and most others circles: their numbers
are read from the bytes with numpy, without decoding one after the other.
"""

from __future__ import annotations

__all__ = ["EncodedRegions"]

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from lsst.sphgeom import Circle, ConvexPolygon

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]

# One byte for the type, then numbers: x, y, z of each vertex, at least three;
# x, y, z, squared chord length and opening angle.
_POLYGON, _CIRCLE = ConvexPolygon.TYPE_CODE, Circle.TYPE_CODE
_VERTEX_BYTES = 24
_CIRCLE_BYTES = 41


class EncodedRegions:
    """Regions, told apart by what their encodings are.

    Parameters
    ----------
    regions
        Encodings, type ``binary``; NULL where there is none.
    """

    def __init__(self, regions: pa.Array) -> None:
        self._data, self._offsets = _buffers(regions)
        self._sizes = np.diff(self._offsets)
        valid: Mask = np.asarray(regions.is_valid())
        self.empty: Mask = valid & (self._sizes == 0)
        """Where there are no bytes, which is no encoding."""
        self.filled: Mask = valid & ~self.empty
        """Where there are bytes."""
        kinds = np.zeros(len(regions), np.uint8)
        kinds[self.filled] = self._data[self._offsets[:-1][self.filled]]
        self.polygons: Mask = (
            (kinds == _POLYGON) & (self._sizes % _VERTEX_BYTES == 1) & (self._sizes > 3 * _VERTEX_BYTES)
        )
        """Where `iter_polygons` finds one."""
        self.circles: Mask = (kinds == _CIRCLE) & (self._sizes == _CIRCLE_BYTES)
        """Where `read_circles` finds one."""

    def iter_polygons(self) -> Iterator[tuple[np.ndarray, Floats]]:
        """Yield convex polygons, those with as many vertices at a time.

        Yields
        ------
        rows : `numpy.ndarray` [`int`], shape ``(n,)``
            Where they are.
        vertices : `numpy.ndarray`, shape ``(n, k, 3)``
            Their vertices, unit vectors if they are not damaged.
        """
        for size in np.unique(self._sizes[self.polygons]).tolist():
            rows = np.flatnonzero(self.polygons & (self._sizes == size))
            yield rows, self._numbers(rows, size).reshape(len(rows), -1, 3)

    def read_circles(self) -> tuple[np.ndarray, Floats, Floats]:
        """Return all circles.

        Returns
        -------
        rows : `numpy.ndarray` [`int`], shape ``(n,)``
            Where they are.
        centers : `numpy.ndarray`, shape ``(n, 3)``
            Their centers, unit vectors.
        radii : `numpy.ndarray`, shape ``(n,)``
            Their opening angles in radians; negative for an empty circle.
        """
        rows = np.flatnonzero(self.circles)
        numbers = self._numbers(rows, _CIRCLE_BYTES) if len(rows) else np.empty((0, 5))
        return rows, numbers[:, :3], numbers[:, 4]

    def _numbers(self, rows: np.ndarray, size: int) -> Floats:
        """Return the numbers of encodings of one size."""
        first, last = int(self._offsets[rows[0]]), int(self._offsets[rows[-1]]) + size
        if last - first == len(rows) * size:
            # Side by side, as nearly always: nothing is gathered.
            parts = self._data[first:last].reshape(-1, size)[:, 1:]
        else:
            parts = self._data[self._offsets[rows].astype(np.int64)[:, None] + np.arange(1, size)]
        numbers: Floats = np.ascontiguousarray(parts).view("<f8")
        return numbers


def _buffers(regions: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    if not len(regions):
        return np.empty(0, np.uint8), np.zeros(1, np.int32)
    _, offsets, data = regions.buffers()
    ends = np.frombuffer(offsets, np.int32)[regions.offset : regions.offset + len(regions) + 1]
    return np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8), ends
