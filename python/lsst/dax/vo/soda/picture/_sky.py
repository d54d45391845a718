"""The picture's place on the sky: a tangent plane."""

from __future__ import annotations

__all__ = ["TangentPlane", "fit_plane", "north_plane"]

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._box import PixelBox
from .._projection import Floats, Projection
from .._provenance import Card

# Points along each axis that a plane is fitted to.
_FIT = 9


@dataclass(frozen=True, slots=True)
class TangentPlane:
    """A gnomonic (TAN) WCS of a picture.

    Pixels count as in FITS: (1, 1) is the center of the lower left one.
    """

    lon_deg: float
    """Right ascension of the tangent point, ICRS."""

    lat_deg: float
    """Its declination."""

    x: float
    """Its column."""

    y: float
    """Its row."""

    cd: tuple[tuple[float, float], tuple[float, float]]
    """Degrees for each pixel, as FITS's CDi_j."""

    width: int
    """Columns of the picture."""

    height: int
    """Rows of the picture."""

    def to_sky(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Map pixels of the picture to the sky.

        Parameters
        ----------
        x, y
            Pixel coordinates as in FITS.

        Returns
        -------
        lon, lat : `numpy.ndarray`
            Radians, ICRS.
        """
        (a, b), (c, d) = self.cd
        xi = np.radians(a * (x - self.x) + b * (y - self.y))
        eta = np.radians(c * (x - self.x) + d * (y - self.y))
        lon, lat = math.radians(self.lon_deg), math.radians(self.lat_deg)
        # FITS WCS (Calabretta & Greisen 2002, 5.1.3), solved for the sky.
        depth = math.cos(lat) - eta * math.sin(lat)
        return (
            np.mod(lon + np.arctan2(xi, depth), 2.0 * math.pi),
            np.arctan2(math.sin(lat) + eta * math.cos(lat), np.hypot(xi, depth)),
        )

    def cards(self) -> Iterator[Card]:
        """Write it as FITS has it.

        Yields
        ------
        card : `Card`
            All of the WCS, in degrees and ICRS; not the size.
        """
        yield "RADESYS", "ICRS", ""
        yield "CTYPE1", "RA---TAN", ""
        yield "CTYPE2", "DEC--TAN", ""
        yield "CUNIT1", "deg", ""
        yield "CUNIT2", "deg", ""
        yield "CRVAL1", self.lon_deg, ""
        yield "CRVAL2", self.lat_deg, ""
        yield "CRPIX1", self.x, ""
        yield "CRPIX2", self.y, ""
        for row, values in enumerate(self.cd, start=1):
            for column, value in enumerate(values, start=1):
                yield f"CD{row}_{column}", value, ""


def fit_plane(projection: Projection, box: PixelBox) -> TangentPlane | None:
    """Fit a tangent plane to an image.

    Parameters
    ----------
    projection
        WCS of the image.
    box
        Its pixels.

    Returns
    -------
    plane : `TangentPlane` or `None`
        Of the box as it lies, its center kept exactly; `None` where the
        center has no place on the sky, or the map no single scale.
    """
    center_x, center_y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    lon, lat = (float(value[0]) for value in projection.to_sky(np.array([center_x]), np.array([center_y])))
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return None
    # At least a pixel on each side: a box of one pixel has a scale, too.
    half_x, half_y = max(box.width, 3) / 2 - 0.5, max(box.height, 3) / 2 - 0.5
    x, y = (
        grid.ravel()
        for grid in np.meshgrid(np.linspace(-half_x, half_x, _FIT), np.linspace(-half_y, half_y, _FIT))
    )
    xi, eta = _to_plane(*projection.to_sky(center_x + x, center_y + y), lon, lat)
    known = np.isfinite(xi) & np.isfinite(eta)
    if np.count_nonzero(known) < 3:
        return None
    steps = np.column_stack([x[known], y[known]])
    found, _, rank, _ = np.linalg.lstsq(steps, np.column_stack([xi[known], eta[known]]), rcond=None)
    if rank < 2:
        return None
    cd = np.degrees(found.T)
    return TangentPlane(
        math.degrees(lon) % 360.0,
        math.degrees(lat),
        center_x - box.x0 + 1,
        center_y - box.y0 + 1,
        ((float(cd[0, 0]), float(cd[0, 1])), (float(cd[1, 0]), float(cd[1, 1]))),
        box.width,
        box.height,
    )


def north_plane(plane: TangentPlane, projection: Projection, box: PixelBox) -> TangentPlane:
    """Turn a tangent plane so that north is up and east left.

    Parameters
    ----------
    plane
        Plane of the image as it lies.
    projection
        WCS of the image.
    box
        Its pixels.

    Returns
    -------
    plane : `TangentPlane`
        Of the same tangent point and square pixels of the same area, large
        enough to hold every corner of the image.
    """
    (a, b), (c, d) = plane.cd
    scale = math.sqrt(abs(a * d - b * c))
    corners_x = np.array([box.x0 - 0.5, box.x1 + 0.5] * 2)
    corners_y = np.repeat([box.y0 - 0.5, box.y1 + 0.5], 2)
    lon, lat = math.radians(plane.lon_deg), math.radians(plane.lat_deg)
    xi, eta = _to_plane(*projection.to_sky(corners_x, corners_y), lon, lat)
    known = np.isfinite(xi) & np.isfinite(eta)
    # Where a corner has no place, as beyond a map of the whole sky, the
    # diagonal is room enough; distortions do not make a picture larger than
    # four times the image.
    diagonal = math.hypot(box.width, box.height)
    low = np.full(2, -diagonal / 2)
    high = np.full(2, diagonal / 2)
    if np.all(known):
        west, north = np.degrees(-xi) / scale, np.degrees(eta) / scale
        low = np.clip([west.min(), north.min()], -diagonal, 0.0)
        high = np.clip([west.max(), north.max()], 0.0, diagonal)
    # A whole number of pixels; thousandths are noise of the projection.
    size = np.maximum(np.ceil(high - low - 1e-3), 1.0)
    first = (low + high - size) / 2 + 0.5
    return TangentPlane(
        plane.lon_deg,
        plane.lat_deg,
        float(1.0 - first[0]),
        float(1.0 - first[1]),
        ((-scale, 0.0), (0.0, scale)),
        int(size[0]),
        int(size[1]),
    )


def _to_plane(lon: Floats, lat: Floats, lon0: float, lat0: float) -> tuple[Floats, Floats]:
    toward = np.sin(lat) * math.sin(lat0) + np.cos(lat) * math.cos(lat0) * np.cos(lon - lon0)
    # The other half of the sky has no place on the plane.
    toward = np.where(toward > 1e-6, toward, np.nan)
    xi = np.cos(lat) * np.sin(lon - lon0) / toward
    eta = (np.sin(lat) * math.cos(lat0) - np.cos(lat) * math.sin(lat0) * np.cos(lon - lon0)) / toward
    return xi, eta
