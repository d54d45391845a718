"""User-defined functions that an engine without their words in SQL registers."""

from __future__ import annotations

__all__ = ["MOST_ORDER", "UDF_KERNELS", "healpix_center", "healpix_index"]

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._letters import lower, upper
from .geometry._kernels import SqlFunction

type _Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
type _Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

MOST_ORDER = 29
"""Highest order of HEALPix whose indexes have 63 bits."""

# Row and column of the lowest corner of each of the twelve base pixels
# (Gorski et al. 2005, 4.1: F1 and F2).
_ROW = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])
_COLUMN = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])
_SPREAD = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def healpix_index(order: pa.Array, lon_deg: pa.Array, lat_deg: pa.Array) -> pa.Array:
    """Find the HEALPix pixels of positions.

    Parameters
    ----------
    order
        Order of the pixels, 0 to `MOST_ORDER`; type ``int64``.
    lon_deg, lat_deg
        Degrees.

    Returns
    -------
    index : `pyarrow.Array`
        In the nested scheme; NULL where there is no such pixel.

    References
    ----------
    Gorski et al. 2005, 5.1.  Step by step what the SQL for PostgreSQL does,
    so that positions on the sides of pixels get the same ones.
    """
    orders, lon, lat = (np.asarray(item.fill_null(-1)) for item in (order, lon_deg, lat_deg))
    # As the C library has it, which databases call: that of numpy may differ
    # in the last bit.
    sine = np.asarray(pc.sin(pc.multiply(lat_deg, np.pi / 180.0)).fill_null(0))
    cosine = np.asarray(pc.cos(pc.multiply(lat_deg, np.pi / 180.0)).fill_null(0))
    known = np.logical_and.reduce([np.asarray(item.is_valid()) for item in (order, lon_deg, lat_deg)])
    good = known & (orders >= 0) & (orders <= MOST_ORDER) & np.isfinite(lon) & (np.abs(lat) <= 90)
    rows = np.flatnonzero(good)
    found = np.zeros(len(orders), np.int64)
    found[rows] = _index(orders[rows].astype(np.int64), lon[rows], sine[rows], cosine[rows])
    return pa.array(found, mask=~good)


def healpix_center(order: pa.Array, index: pa.Array) -> pa.Array:
    """Find the centers of HEALPix pixels.

    Parameters
    ----------
    order
        Order of the pixels, 0 to `MOST_ORDER`; type ``int64``.
    index
        In the nested scheme; type ``int64``.

    Returns
    -------
    points : `pyarrow.Array`
        Longitude and latitude in degrees; NULL where there is no such pixel.

    References
    ----------
    Gorski et al. 2005, 5.2.
    """
    orders, indexes = (np.asarray(item.fill_null(-1)).astype(np.int64) for item in (order, index))
    good = (orders >= 0) & (orders <= MOST_ORDER) & (indexes >= 0)
    good &= indexes < 12 * 4 ** np.clip(orders, 0, MOST_ORDER)
    rows = np.flatnonzero(good)
    order_rows, index_rows = orders[rows], indexes[rows]
    side = np.left_shift(1, order_rows)
    face = np.right_shift(index_rows, 2 * order_rows)
    within = index_rows & (side * side - 1)
    x, y = _gather(within), _gather(np.right_shift(within, 1))
    ring = _ROW[face] * side - x - y - 1
    polar = (ring < side) | (ring > 3 * side)
    fourth = np.where(ring < side, ring, np.where(polar, 4 * side - ring, side))
    # What the sine lacks to one, so that no digit of it is lost at a pole.
    missing = (fourth / side) ** 2 / 3
    sine = np.where(polar, np.where(ring < side, 1 - missing, missing - 1), (2 - ring / side) * 2 / 3)
    cosine = np.sqrt(np.where(polar, missing * (2 - missing), (1 - sine) * (1 + sine)))
    place = _COLUMN[face] * fourth + x - y
    place = np.where(place < 0, place + 8 * fourth, place)
    lon = 45.0 * place / fourth
    lat = np.asarray(pc.multiply(pc.atan2(pa.array(sine), pa.array(cosine)), 180.0 / np.pi))
    cells = np.zeros(2 * len(orders))
    cells[2 * rows], cells[2 * rows + 1] = lon, lat
    offsets = pa.array(np.arange(0, 2 * len(orders) + 1, 2, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(cells), mask=pa.array(~good))


def _index(order: _Ints, lon: _Floats, sine: _Floats, cosine: _Floats) -> _Ints:
    side = np.left_shift(1, order)
    # Longitude in quarters of the circle, 0 <= turn < 4.
    turn = lon / 90.0 - 4.0 * np.floor(lon / 360.0)
    turn = np.where((turn < 0) | (turn >= 4), 0.0, turn)
    height = np.abs(sine)
    quarter = np.floor(turn)
    part = turn - quarter
    # Around the equator: lines that rise and fall.
    middle = side * (0.5 + turn)
    slope = side * (sine * 0.75)
    rising = np.floor(middle - slope).astype(np.int64)
    falling = np.floor(middle + slope).astype(np.int64)
    up, down = np.right_shift(rising, order), np.right_shift(falling, order)
    belt = np.where(up == down, (up & 3) + 4, np.where(up < down, up & 3, (down & 3) + 8))
    belt_x, belt_y = falling & (side - 1), side - (rising & (side - 1)) - 1
    # Around the poles: 3 (1 - height) without a loss of digits.
    reach = side * (cosine * np.sqrt(3.0 / (1.0 + height)))
    first = np.minimum(np.floor(part * reach).astype(np.int64), side - 1)
    second = np.minimum(np.floor((1.0 - part) * reach).astype(np.int64), side - 1)
    north = sine >= 0
    cap = quarter.astype(np.int64) + np.where(north, 0, 8)
    cap_x, cap_y = np.where(north, side - second - 1, first), np.where(north, side - first - 1, second)
    around = height <= 2.0 / 3.0
    face = np.where(around, belt, cap)
    x, y = np.where(around, belt_x, cap_x), np.where(around, belt_y, cap_y)
    return np.left_shift(face, 2 * order) + _spread(x) + np.left_shift(_spread(y), 1)


def _spread(value: _Ints) -> _Ints:
    # A zero before each bit.
    for bits, mask in _SPREAD:
        value = (value | np.left_shift(value, bits)) & mask
    return value


def _gather(value: _Ints) -> _Ints:
    value = value & _SPREAD[-1][1]
    masks = [mask for _, mask in reversed(_SPREAD[:-1])] + [0xFFFFFFFF]
    for (bits, _), mask in zip(reversed(_SPREAD), masks, strict=True):
        value = (value | np.right_shift(value, bits)) & mask
    return value


UDF_KERNELS: tuple[SqlFunction, ...] = (
    SqlFunction("vo_healpix_index", healpix_index, ("long", "double", "double"), "long", nulls=True),
    SqlFunction("vo_healpix_center", healpix_center, ("long", "long"), "doubles", nulls=True),
    SqlFunction("vo_lower", lower, ("text",), "text", nulls=False),
    SqlFunction("vo_upper", upper, ("text",), "text", nulls=False),
)
"""What engines with functions of their own register beside those of geometry."""
