"""The inside of a shape: as a region of `lsst.sphgeom`, or to be asked about places."""

from __future__ import annotations

__all__ = ["Interior", "to_interior", "to_region"]

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ._shape import Circle, Polygon, Range, Stencil

if TYPE_CHECKING:
    import lsst.sphgeom
    import numpy as np

    type Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
    type Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Interior(Protocol):
    """The inside of a shape, to be asked about many places."""

    def contains(self, lon: Floats, lat: Floats, /) -> Bools:
        """Tell which places are inside; those on the edge are.

        Parameters
        ----------
        lon, lat
            Radians, ICRS.

        Returns
        -------
        inside : `numpy.ndarray` [`bool`]
        """


def to_region(stencil: Stencil) -> lsst.sphgeom.Region:
    """Return a shape as a region of `lsst.sphgeom`.

    Parameters
    ----------
    stencil
        The shape.

    Returns
    -------
    region : `lsst.sphgeom.Region`
        `~lsst.sphgeom.Circle`, `~lsst.sphgeom.Box`, `~lsst.sphgeom.ConvexPolygon`
        or, for a concave polygon, a `~lsst.sphgeom.UnionRegion` of triangles.

    Raises
    ------
    UsageError
        Raised if a polygon crosses itself or encloses nothing.
    """
    from lsst.sphgeom import Angle, Box, LonLat, UnitVector3d
    from lsst.sphgeom import Circle as SphCircle

    match stencil:
        case Circle():
            center = UnitVector3d(LonLat.fromDegrees(stencil.ra_deg, stencil.dec_deg))
            return SphCircle(center, Angle.fromDegrees(stencil.radius_deg))
        case Range():
            return Box.fromDegrees(
                stencil.ra_min_deg, stencil.dec_min_deg, stencil.ra_max_deg, stencil.dec_max_deg
            )
        case Polygon():
            from ._polygon import polygon_region

            return polygon_region(stencil.ra_deg, stencil.dec_deg)


def to_interior(stencil: Stencil) -> Interior:
    """Return what tells which places a shape holds.

    Parameters
    ----------
    stencil
        The shape.

    Returns
    -------
    interior : `Interior`
        The same inside as that of `to_region`, in less time for polygons of
        many vertices, and for more of them.

    Raises
    ------
    UsageError
        Raised if a polygon crosses itself or encloses nothing.
    """
    return _flat(stencil) if isinstance(stencil, Polygon) else _RegionInterior(to_region(stencil))


# One polygon is asked about many times, for the boxes and shapes in many
# images; checking one of 10,000 vertices takes 50 ms and more.
@functools.lru_cache(maxsize=16)
def _flat(polygon: Polygon) -> Interior:
    from ._polygon import FlatPolygon

    return FlatPolygon.of(polygon.ra_deg, polygon.dec_deg)


@dataclass(frozen=True, slots=True)
class _RegionInterior:
    region: lsst.sphgeom.Region

    def contains(self, lon: Floats, lat: Floats) -> Bools:
        inside: Bools = self.region.contains(lon, lat)  # type: ignore[assignment]
        return inside
