"""Regions of the sky as ObsCore columns, in bulk.

Convex polygons, which nearly all regions are, are read from their encoded
bytes with numpy: 1.1 microseconds each, and 58 by decoding and describing one
after the other (ten thousand quadrilaterals).
"""

from __future__ import annotations

__all__ = ["REGION_COLUMNS", "describe_regions"]

import math
from collections.abc import Sequence

import erfa
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lsst.sphgeom import (
    Circle,
    CompoundRegion,
    ConvexPolygon,
    Ellipse,
    LonLat,
    Region,
    UnitVector3d,
    Vector3d,
)

from ...store import EncodedRegions
from ._degrees import polygon_texts
from ._outline import outline

REGION_COLUMNS: dict[str, pa.DataType] = {
    "s_ra": pa.float64(),
    "s_dec": pa.float64(),
    "s_fov": pa.float64(),
    "s_region": pa.string(),
    "_region": pa.binary(),
}
"""The columns that a region fills."""

# Of the squared length of a vertex; lsst.sphgeom's are right to the last bits.
_NOT_A_UNIT = 1e-6
# lsst.sphgeom widens bounding circles by twice the largest error of a squared
# chord length, so that they hold the polygon for certain.
_CHORD_ERROR = 5.0e-15
_DEGREES = 180.0 / math.pi


def describe_regions(encoded: pa.Array) -> tuple[dict[str, pa.Array], np.ndarray]:
    """Describe regions by the columns of ObsCore.

    Parameters
    ----------
    encoded
        Encoded regions of any type (``binary``); NULL where there is none.

    Returns
    -------
    columns : `dict` [`str`, `pyarrow.Array`]
        ``s_ra s_dec s_fov s_region`` and the encoded ``_region``, one value
        for each region, NULL without one.  Center and diameter are those of
        the bounding circle; NULL for polygons that have none, because two
        corners coincide.
    damaged : `numpy.ndarray` [`int64`]
        Places of what is no encoding of a region; NULL in all columns.
    """
    size = len(encoded)
    regions = EncodedRegions(encoded)
    damaged = regions.empty.copy()
    numbers = np.full((3, size), np.nan)
    pieces: list[tuple[np.ndarray, pa.Array]] = []
    for rows, vertices in regions.iter_polygons():
        wrong = ~(np.abs((vertices * vertices).sum(axis=2) - 1.0) < _NOT_A_UNIT).all(axis=1)
        if wrong.any():
            damaged[rows[wrong]] = True
            rows, vertices = rows[~wrong], vertices[~wrong]
        if len(rows):
            numbers[:, rows], texts = _describe_polygons(vertices)
            pieces.append((rows, texts))
    others = np.flatnonzero(regions.filled & ~regions.polygons)
    if len(others):
        texts_of_others: list[str | None] = []
        for row in others.tolist():
            try:
                region = Region.decode(encoded[row].as_py())
                damaged[row] = not _is_sound(region)
                numbers[:, row], text = (math.nan, None) if damaged[row] else _describe_one(region)
            except (RuntimeError, ValueError):
                damaged[row], text = True, None
            texts_of_others.append(text)
        pieces.append((others, pa.array(texts_of_others, pa.string())))
    columns: dict[str, pa.Array] = {
        name: pa.array(values, pa.float64(), from_pandas=True)
        for name, values in zip(("s_ra", "s_dec", "s_fov"), numbers, strict=True)
    }
    columns["s_region"] = _scatter(pieces, size)
    nothing = pa.scalar(None, pa.binary())
    columns["_region"] = pc.if_else(pa.array(~damaged), encoded, nothing) if damaged.any() else encoded
    return columns, np.flatnonzero(damaged)


def _scatter(pieces: Sequence[tuple[np.ndarray, pa.Array]], size: int) -> pa.Array:
    """Put texts into their rows."""
    if len(pieces) == 1 and len(pieces[0][0]) == size:
        return pieces[0][1]
    places = np.full(size, -1, np.int64)
    start = 0
    for rows, texts in pieces:
        places[rows] = np.arange(start, start + len(texts))
        start += len(texts)
    every = pa.concat_arrays([texts for _, texts in pieces]) if pieces else pa.array([], pa.string())
    return every.take(pa.array(places, mask=places < 0))


def _describe_polygons(vertices: np.ndarray) -> tuple[np.ndarray, pa.Array]:
    size, corners, _ = vertices.shape
    lon, lat = _lon_lat(vertices)
    content, lengths = polygon_texts(np.stack([lon, lat], axis=2).reshape(size, 2 * corners))
    ends = np.zeros(size + 1, np.int32)
    np.cumsum(lengths, out=ends[1:])
    texts = pa.StringArray.from_buffers(size, pa.py_buffer(ends), pa.py_buffer(content))
    return _bounding_circles(vertices), texts


def _is_sound(region: Region) -> bool:
    """Tell whether the numbers of a region can be those of one."""
    units: Sequence[UnitVector3d | Vector3d]
    match region:
        case CompoundRegion():
            return all(_is_sound(part) for part in region)
        case Circle():
            units, angles = [region.getCenter()], [region.getOpeningAngle()]
        case Ellipse():
            matrix, angles = region.getTransformMatrix(), [region.getAlpha(), region.getBeta()]
            units = [matrix.getRow(row) for row in range(3)]
        case ConvexPolygon():
            units, angles = region.getVertices(), []
        case _:
            # An empty box has no numbers.
            return True
    vectors = np.array([(unit.x(), unit.y(), unit.z()) for unit in units])
    sound = np.abs((vectors**2).sum(axis=1) - 1.0) < _NOT_A_UNIT
    return bool(sound.all()) and not any(math.isnan(angle.asRadians()) for angle in angles)


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
        weighted = normal * _angle(0.5 * norm, _dot(first, second))
        # One edge after the other: a pairwise sum would round differently.
        center = weighted[:, :, 0]
        for edge in range(1, weighted.shape[2]):
            center = center + weighted[:, :, edge]
        center, _ = _normalize(center)
    chord = second - center[:, :, np.newaxis]
    squared = _dot(chord, chord).max(axis=1) + _CHORD_ERROR
    half = np.fromiter(map(math.asin, np.minimum(0.5 * np.sqrt(squared), 1.0).tolist()), float, len(squared))
    return np.stack([*_lon_lat(np.ascontiguousarray(center.T)), 2 * (2 * half * _DEGREES)])


def _lon_lat(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # ERFA has the formulas of lsst.sphgeom, and calls the C library's atan2
    # as it does: numpy's own differs in the last bit on some processors.
    lon, lat = erfa.ufunc.c2s(vectors)
    lon = np.where(lon < 0.0, lon + 2 * math.pi, lon)
    return lon * _DEGREES, lat * _DEGREES


def _angle(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the C library's ``atan2(y, x)``."""
    angle: np.ndarray = erfa.ufunc.c2s(np.stack([x, y, np.zeros_like(x)], axis=-1))[0]
    return angle


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
