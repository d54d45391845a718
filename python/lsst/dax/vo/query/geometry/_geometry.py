"""Geometry values as bytes: points, and regions of `lsst.sphgeom`.

A region is its own encoding by sphgeom; a point is a tag and two numbers,
longitude and latitude in degrees, from which COORD1 and COORD2 come back
unchanged.  Queries carry these bytes, as constants and as columns.
"""

from __future__ import annotations

__all__ = [
    "POINT_TAG",
    "box_of",
    "box_region",
    "circle_region",
    "decode",
    "encode_circles",
    "encode_point",
    "encode_points",
    "encode_region",
    "encode_shapes",
    "polygon_region",
    "unit_vectors",
]

import math
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lsst.sphgeom import Angle, Circle, ConvexPolygon, LonLat, Region, UnitVector3d

from ...dali import Polygon, to_region
from ...errors import UsageError

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Box = tuple[float, float, float, float, float, float]

POINT_TAG = b"."
"""First byte of a point; regions begin with one of sphgeom's letters."""

# What sphgeom takes for touching: circles up to 6e-8 radians apart, and a
# circle up to 5e-8 radians from a polygon.  A box must not rule that out.
_TOUCH = 1e-7
# Rounding of unit vectors, with a margin.
_ROUNDING = 1e-14


def encode_point(ra_deg: float, dec_deg: float) -> bytes:
    """Encode a point.

    Parameters
    ----------
    ra_deg, dec_deg
        ICRS; a longitude outside 0..360 is folded.

    Returns
    -------
    encoding : `bytes`

    Raises
    ------
    UsageError
        Raised if a number is not finite, or the latitude is out of bounds.
    """
    if not math.isfinite(ra_deg) or not abs(dec_deg) <= 90:
        raise UsageError(
            f"The point ({ra_deg}, {dec_deg}) is not on the sky; give longitude and latitude in degrees, "
            "the latitude within -90..90"
        )
    return POINT_TAG + struct.pack("<2d", _fold(ra_deg), dec_deg)


def encode_region(region: Region) -> bytes:
    """Encode a region.

    Parameters
    ----------
    region
        Any region of sphgeom.

    Returns
    -------
    encoding : `bytes`
    """
    encoding: bytes = region.encode()
    return encoding


def decode(encoding: bytes) -> tuple[float, float] | Region:
    """Decode a geometry.

    Parameters
    ----------
    encoding
        What one of the functions here made, or the store holds.

    Returns
    -------
    geometry : `tuple` [`float`, `float`] or `lsst.sphgeom.Region`
        A point as longitude and latitude, degrees.
    """
    if encoding[:1] == POINT_TAG:
        ra_deg, dec_deg = struct.unpack("<2d", encoding[1:])
        return ra_deg, dec_deg
    return Region.decode(encoding)


def box_of(encoding: bytes) -> Box:
    """Bound a geometry by a box of unit vectors.

    Parameters
    ----------
    encoding
        A point or region.

    Returns
    -------
    box : `tuple` [`float`, ...]
        ``x0, y0, z0, x1, y1, z1``.  What contains, meets or touches the
        geometry has a box that overlaps this one; that of an empty region
        overlaps none.
    """
    geometry = decode(encoding)
    if isinstance(geometry, tuple):
        vector = UnitVector3d(LonLat.fromDegrees(*geometry))
        place = (vector.x(), vector.y(), vector.z())
        x0, y0, z0 = (value - _ROUNDING for value in place)
        x1, y1, z1 = (value + _ROUNDING for value in place)
        return x0, y0, z0, x1, y1, z1
    box = geometry.getBoundingBox3d()
    if box.isEmpty():
        return 2.0, 2.0, 2.0, -2.0, -2.0, -2.0
    x, y, z = box.x(), box.y(), box.z()
    return (
        x.getA() - _TOUCH,
        y.getA() - _TOUCH,
        z.getA() - _TOUCH,
        x.getB() + _TOUCH,
        y.getB() + _TOUCH,
        z.getB() + _TOUCH,
    )


def circle_region(ra_deg: float, dec_deg: float, radius_deg: float) -> Region:
    """Make a circle.

    Parameters
    ----------
    ra_deg, dec_deg
        Center, ICRS.
    radius_deg
        Radius, 0 <= radius <= 180.

    Returns
    -------
    region : `lsst.sphgeom.Circle`

    Raises
    ------
    UsageError
        Raised if a number is out of bounds.
    """
    if not 0 <= radius_deg <= 180:
        raise UsageError(f"A circle has the radius {radius_deg}; give 0 to 180 degrees")
    return Circle(_vector(ra_deg, dec_deg), Angle.fromDegrees(radius_deg))


def box_region(ra_deg: float, dec_deg: float, width_deg: float, height_deg: float) -> Region:
    """Make a box of four great circles around a cross.

    Parameters
    ----------
    ra_deg, dec_deg
        Center of the cross, ICRS.
    width_deg, height_deg
        Whole lengths of its arms, along the parallel and the meridian of the
        center; more than 0 and less than 180.

    Returns
    -------
    region : `lsst.sphgeom.ConvexPolygon`

    Raises
    ------
    UsageError
        Raised if a number is out of bounds.

    References
    ----------
    ADQL 2.1, 4.2.9: the sides cut the ends of the arms at right angles.
    """
    if not (0 < width_deg < 180 and 0 < height_deg < 180):
        raise UsageError(
            f"A box has the sides {width_deg} and {height_deg}; give more than 0 and less than 180 degrees"
        )
    center = _vector(ra_deg, dec_deg)
    place = np.array([center.x(), center.y(), center.z()])
    ra = math.radians(ra_deg)
    east = np.array([-math.sin(ra), math.cos(ra), 0.0])
    north = np.cross(place, east)
    # In the plane that touches the sphere at the center, great circles are
    # straight, so that the box is a rectangle there.
    across = math.tan(math.radians(width_deg / 2)) * east
    along = math.tan(math.radians(height_deg / 2)) * north
    corners = [place - across - along, place + across - along, place + across + along, place - across + along]
    return ConvexPolygon([UnitVector3d(*map(float, corner)) for corner in corners])


def polygon_region(numbers: Sequence[float]) -> Region:
    """Make a polygon.

    Parameters
    ----------
    numbers
        Longitude and latitude of each vertex in turn, ICRS degrees.

    Returns
    -------
    region : `lsst.sphgeom.Region`
        The smaller side of the line, which may be concave.

    Raises
    ------
    UsageError
        Raised if there are fewer than three vertices, or the line crosses
        itself or encloses nothing.
    """
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    for pair in pairs:
        encode_point(*pair)
    folded = [(_fold(ra_deg), dec_deg) for ra_deg, dec_deg in pairs]
    distinct = [vertex for i, vertex in enumerate(folded) if vertex != folded[i - 1]]
    if len(numbers) % 2 or len(distinct) < 3:
        raise UsageError("A polygon has too few numbers; give three or more pairs of longitude and latitude")
    return to_region(Polygon(tuple(ra for ra, _ in distinct), tuple(dec for _, dec in distinct)))


def unit_vectors(ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return the unit vectors of points.

    Parameters
    ----------
    ra_deg, dec_deg
        Shape ``(n,)``.

    Returns
    -------
    vectors : `numpy.ndarray`, shape ``(n, 3)``
    """
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(ra) * np.cos(dec), np.sin(ra) * np.cos(dec), np.sin(dec)], axis=-1)


def encode_points(ra_deg: pa.Array, dec_deg: pa.Array) -> pa.Array:
    """Encode many points.

    Parameters
    ----------
    ra_deg, dec_deg
        Degrees, type ``double``.

    Returns
    -------
    encodings : `pyarrow.Array`
        NULL where there is no such point.
    """
    ra, dec = _numbers(ra_deg), _numbers(dec_deg)
    good = np.isfinite(ra) & (np.abs(dec) <= 90)
    records = np.zeros(len(ra), [("tag", "S1"), ("ra", "<f8"), ("dec", "<f8")])
    records["tag"] = POINT_TAG
    records["ra"] = np.mod(ra, 360.0, where=good, out=np.zeros_like(ra))
    records["dec"] = dec
    return _pack(records, good)


def encode_circles(ra_deg: pa.Array, dec_deg: pa.Array, radius_deg: pa.Array) -> pa.Array:
    """Encode many circles.

    Parameters
    ----------
    ra_deg, dec_deg, radius_deg
        Degrees, type ``double``.

    Returns
    -------
    encodings : `pyarrow.Array`
        NULL where there is no such circle.
    """
    ra, dec, radius = _numbers(ra_deg), _numbers(dec_deg), _numbers(radius_deg)
    good = np.isfinite(ra) & (np.abs(dec) <= 90) & (radius >= 0) & (radius <= 180)
    angle = np.radians(np.where(good, radius, 0.0))
    records = np.zeros(len(ra), [("tag", "S1"), ("center", "<f8", 3), ("chord2", "<f8"), ("angle", "<f8")])
    records["tag"] = b"c"
    records["center"] = unit_vectors(np.where(good, ra, 0.0), np.where(good, dec, 0.0))
    records["chord2"] = np.where(angle >= np.pi, 4.0, 4.0 * np.sin(0.5 * angle) ** 2)
    records["angle"] = angle
    return _pack(records, good)


def encode_shapes(make: Callable[..., Region], *columns: pa.Array) -> pa.Array:
    """Encode many regions, one after the other.

    Parameters
    ----------
    make
        From one value of each column to a region.
    *columns
        The values.

    Returns
    -------
    encodings : `pyarrow.Array`
        NULL where there is no such region.
    """
    encodings: list[bytes | None] = []
    for values in zip(*(column.to_pylist() for column in columns), strict=True):
        parts = values[0] if isinstance(values[0], list) else values
        try:
            encodings.append(None if parts is None or None in parts else encode_region(make(*values)))
        except UsageError:
            encodings.append(None)
    return pa.array(encodings, pa.binary())


def _vector(ra_deg: float, dec_deg: float) -> UnitVector3d:
    encode_point(ra_deg, dec_deg)
    return UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))


def _fold(ra_deg: float) -> float:
    return ra_deg % 360.0


def _numbers(column: pa.Array) -> Floats:
    values: Floats = np.asarray(column, dtype=np.float64)
    return values


def _pack(
    records: np.ndarray[tuple[int], np.dtype[np.void]], good: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> pa.Array:
    size = records.dtype.itemsize
    fixed = pa.Array.from_buffers(pa.binary(size), len(records), [None, pa.py_buffer(records.tobytes())])
    packed = fixed.cast(pa.binary())
    return packed if good.all() else pc.if_else(pa.array(good), packed, None)
