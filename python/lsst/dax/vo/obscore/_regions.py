"""Regions of the sky as ObsCore columns, in bulk.

Convex polygons, which nearly all regions are, are read from their encoded
bytes with numpy: 7 microseconds each, and 58 by decoding and describing one
after the other (ten thousand quadrilaterals).
"""

from __future__ import annotations

__all__ = ["REGION_COLUMNS", "describe_regions"]

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from lsst.sphgeom import ConvexPolygon, LonLat, Region

from ._outline import outline

REGION_COLUMNS: dict[str, pa.DataType] = {
    "s_ra": pa.float64(),
    "s_dec": pa.float64(),
    "s_fov": pa.float64(),
    "s_region": pa.string(),
    "_region": pa.binary(),
}
"""The columns that a region fills."""

# Encoding of a convex polygon: a byte for the type, 24 for each vertex.
_POLYGON = ConvexPolygon.TYPE_CODE
_VERTEX_BYTES = 24
# lsst.sphgeom widens bounding circles by twice the largest error of a squared
# chord length, so that they hold the polygon for certain.
_CHORD_ERROR = 5.0e-15
_DEGREES = 180.0 / math.pi


def describe_regions(encoded: Sequence[bytes | None]) -> dict[str, pa.Array]:
    """Describe regions by the columns of ObsCore.

    Parameters
    ----------
    encoded
        Encoded regions of any type; `None` where there is none.

    Returns
    -------
    columns : `dict` [`str`, `pyarrow.Array`]
        ``s_ra s_dec s_fov s_region`` and the encoded ``_region``, one value
        for each region, NULL without one.  Center and diameter are those of
        the bounding circle; NULL for polygons that have none, because two
        corners coincide.
    """
    size = len(encoded)
    numbers = np.full((3, size), np.nan)
    texts = np.full(size, None, object)
    polygons: dict[int, list[int]] = {}
    for index, content in enumerate(encoded):
        if content is None:
            continue
        if content[0] == _POLYGON:
            polygons.setdefault(len(content), []).append(index)
        else:
            numbers[:, index], texts[index] = _describe_one(Region.decode(content))
    for length, indices in polygons.items():
        content = b"".join(encoded[index] for index in indices)  # type: ignore[misc]
        table = np.frombuffer(content, np.uint8).reshape(-1, length)[:, 1:]
        vertices = np.ascontiguousarray(table).view("<f8").reshape(len(indices), -1, 3)
        numbers[:, indices] = _bounding_circles(vertices)
        texts[indices] = _polygon_texts(vertices)
    columns: dict[str, pa.Array] = {
        name: pa.array(values, pa.float64(), from_pandas=True)
        for name, values in zip(("s_ra", "s_dec", "s_fov"), numbers, strict=True)
    }
    columns["s_region"] = pa.array(texts, pa.string())
    columns["_region"] = pa.array(encoded, pa.binary())
    return columns


def _describe_one(region: Region) -> tuple[tuple[float, float, float], str | None]:
    circle = region.getBoundingCircle()
    if circle.isEmpty():
        return (math.nan, math.nan, math.nan), None
    center = LonLat(circle.getCenter())
    place = (center.getLon().asDegrees(), center.getLat().asDegrees())
    return (*place, 2 * circle.getOpeningAngle().asDegrees()), outline(region)


def _bounding_circles(vertices: np.ndarray) -> np.ndarray:
    """Return center and diameter, as `lsst.sphgeom` computes them.

    The center is the centroid of the area: the sum over the edges of the unit
    normal of their plane, times their length (J. E. Brock, The Centroid and
    Inertia Tensor for a Spherical Triangle, 1974).  The circle reaches the
    farthest vertex.
    """
    first = np.moveaxis(np.roll(vertices, 1, axis=1), 2, 0)
    second = np.moveaxis(vertices, 2, 0)
    # Twice the cross product, which keeps its direction for short edges.
    normal = _cross(second + first, second - first)
    with np.errstate(invalid="ignore", divide="ignore"):
        normal, norm = _normalize(normal)
        weighted = normal * _arctan2(0.5 * norm, _dot(first, second))
        # One edge after the other: a pairwise sum would round differently.
        center, _ = _normalize(np.cumsum(weighted, axis=2)[:, :, -1])
    chord = second - center[:, :, np.newaxis]
    squared = _dot(chord, chord).max(axis=1) + _CHORD_ERROR
    half = np.fromiter(map(math.asin, np.minimum(0.5 * np.sqrt(squared), 1.0).tolist()), float, len(squared))
    return np.stack([*_lon_lat(center), 2 * (2 * half * _DEGREES)])


def _polygon_texts(vertices: np.ndarray) -> np.ndarray:
    size, corners, _ = vertices.shape
    lon, lat = _lon_lat(vertices.reshape(-1, 3).T)
    numbers = np.stack([lon, lat], axis=1).reshape(size, 2 * corners)
    form = "POLYGON ICRS" + " %.6f" * (2 * corners)
    return np.array([form % tuple(row) for row in numbers.tolist()], object)


def _lon_lat(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y, z = vectors
    lon = _arctan2(y, x)
    lon = np.where(lon < 0.0, lon + 2 * math.pi, lon)
    lat = _arctan2(z, np.sqrt(x * x + y * y))
    return lon * _DEGREES, lat * _DEGREES


def _arctan2(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    # The C library's, which lsst.sphgeom calls: numpy's own differs in the
    # last bit on some processors.
    values = map(math.atan2, y.ravel().tolist(), x.ravel().tolist())
    return np.fromiter(values, float, y.size).reshape(y.shape)


def _normalize(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Scaled by the largest component, as lsst.sphgeom has it: tiny normals
    # do not underflow, and the last bits agree.
    largest = np.abs(vectors).max(axis=0)
    scaled = vectors / largest
    squares = np.sort(scaled * scaled, axis=0)
    norm = np.sqrt(1.0 + (squares[0] + squares[1]))
    return scaled / norm, norm * largest


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    product: np.ndarray = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
