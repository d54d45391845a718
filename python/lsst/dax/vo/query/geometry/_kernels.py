"""Functions of SQL on geometries, which engines register.

A geometry is its encoding (see ``_geometry.py``): all take and give columns of
Arrow.
"""

from __future__ import annotations

__all__ = ["SQL_FUNCTIONS", "SqlFunction", "area", "centroid", "contains", "intersects"]

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from ._areas import area, centroid
from ._geometry import box_region, encode_circles, encode_points, encode_shapes, polygon_region
from ._regions import encode_texts
from ._relate import contains, intersects


@dataclass(frozen=True, slots=True)
class SqlFunction:
    """A function of SQL that engines register."""

    name: str
    """Its name in SQL."""

    function: Callable[..., pa.Array]
    """From one Arrow array for each argument, all of one length, to another."""

    takes: tuple[str, ...]
    """Types of the arguments: ``blob double doubles bool text long``, of
    which ``doubles`` is a list."""

    gives: str
    """Type of the result, in the same words."""

    nulls: bool
    """Whether it sees NULLs; otherwise any NULL makes the result NULL."""


def _boxes(ra_deg: pa.Array, dec_deg: pa.Array, width_deg: pa.Array, height_deg: pa.Array) -> pa.Array:
    return encode_shapes(box_region, ra_deg, dec_deg, width_deg, height_deg)


def _polygons(numbers: pa.Array) -> pa.Array:
    return encode_shapes(polygon_region, numbers)


SQL_FUNCTIONS: tuple[SqlFunction, ...] = (
    SqlFunction("vo_contains", contains, ("blob", "blob"), "bool", nulls=False),
    SqlFunction("vo_intersects", intersects, ("blob", "blob"), "bool", nulls=False),
    # NULL for numbers that make no shape.
    SqlFunction("vo_point", encode_points, ("double", "double"), "blob", nulls=True),
    SqlFunction("vo_circle", encode_circles, ("double", "double", "double"), "blob", nulls=True),
    SqlFunction("vo_box", _boxes, ("double", "double", "double", "double"), "blob", nulls=True),
    SqlFunction("vo_polygon", _polygons, ("doubles",), "blob", nulls=True),
    SqlFunction("vo_region", encode_texts, ("text",), "blob", nulls=True),
    SqlFunction("vo_area", area, ("blob",), "double", nulls=False),
    # NULL for what has no middle, as the whole sky.
    SqlFunction("vo_centroid", centroid, ("blob",), "doubles", nulls=False),
)
"""What engines with functions of their own register for geometry."""
