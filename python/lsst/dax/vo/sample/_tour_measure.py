"""Find and measure on small images: enough for the tour, no more."""

__all__ = ["Peak", "find_peak", "gather", "local_affine", "measure_flux"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Peak:
    """A place where an image differs from nothing."""

    ra_deg: float
    """Right ascension, ICRS."""

    dec_deg: float
    """Declination, ICRS."""

    significance: float
    """Signal over noise, negative where the source became fainter."""


def find_peak(
    image: np.ndarray, variance: np.ndarray, wcs: Any, *, half_width: int = 2, edge: int = 8
) -> Peak:
    """Find the most significant place of a difference image.

    Parameters
    ----------
    image, variance
        Pixels and their variance, shape ``(ny, nx)``; NaN where unknown.
    wcs
        An `astropy.wcs.WCS` of these pixels.
    half_width
        Pixels added up on either side of the center.
    edge
        Pixels left out at the border.

    Returns
    -------
    peak : `Peak`
    """
    good = np.isfinite(image) & np.isfinite(variance) & (variance > 0)
    signal = _box_sum(np.where(good, image, 0), half_width)
    noise = np.sqrt(_box_sum(np.where(good, variance, 0), half_width))
    complete = _box_sum(good.astype(float), half_width) == (2 * half_width + 1) ** 2
    ratio = np.divide(signal, noise, out=np.zeros_like(signal), where=complete & (noise > 0))
    ratio[:edge], ratio[-edge:], ratio[:, :edge], ratio[:, -edge:] = 0, 0, 0, 0
    y, x = np.unravel_index(np.argmax(np.abs(ratio)), ratio.shape)
    # Center of light of the pixels around, in the sign of the difference.
    rows, columns = np.mgrid[y - half_width : y + half_width + 1, x - half_width : x + half_width + 1]
    weight = np.clip(image[rows, columns] * np.sign(ratio[y, x]), 0, None)
    ra, dec = wcs.pixel_to_world_values(np.average(columns, weights=weight), np.average(rows, weights=weight))
    return Peak(float(ra), float(dec), float(ratio[y, x]))


def gather(peaks: Sequence[Peak], *, within_arcsec: float) -> list[Peak]:
    """Return those peaks that lie together, the largest such group.

    Parameters
    ----------
    peaks
        Peaks of several images of one field.
    within_arcsec
        How near to one another they are.

    Returns
    -------
    group : `list` [`Peak`]
        Empty when there are no peaks.
    """
    ra = np.array([peak.ra_deg for peak in peaks])
    dec = np.array([peak.dec_deg for peak in peaks])
    groups = (
        [
            other
            for other, near in zip(
                peaks,
                np.hypot((ra - peak.ra_deg) * np.cos(np.radians(peak.dec_deg)), dec - peak.dec_deg) * 3600
                <= within_arcsec,
                strict=True,
            )
            if near
        ]
        for peak in peaks
    )
    return max(groups, key=len, default=[])


def measure_flux(
    image: np.ndarray, variance: np.ndarray, *, x: float, y: float, radius_px: float
) -> tuple[float, float]:
    """Measure a flux in a circle, above the median of a ring around it.

    Parameters
    ----------
    image, variance
        Pixels and their variance, shape ``(ny, nx)``.
    x, y
        Center, in pixels of these arrays.
    radius_px
        Radius of the circle; the ring reaches from twice to three times it.

    Returns
    -------
    flux, error : `float`
        In the unit of the image; NaN when a pixel of the circle is missing.
    """
    rows, columns = np.indices(image.shape)
    distance = np.hypot(columns - x, rows - y)
    inside = distance <= radius_px
    ring = (distance > 2 * radius_px) & (distance <= 3 * radius_px) & np.isfinite(image)
    sky = float(np.median(image[ring])) if ring.any() else 0.0
    return float((image[inside] - sky).sum()), float(np.sqrt(variance[inside].sum()))


def local_affine(wcs: Any, *, ra_deg: float, dec_deg: float) -> np.ndarray:
    """Return pixels to offsets on the sky, linear around a point.

    Parameters
    ----------
    wcs
        An `astropy.wcs.WCS`.
    ra_deg, dec_deg
        The point, ICRS.

    Returns
    -------
    matrix : `numpy.ndarray`, shape ``(2, 3)``
        Of ``(x, y, 1)``: arcseconds east and north of the point.
    """
    x, y = (float(value) for value in wcs.world_to_pixel_values(ra_deg, dec_deg))
    ra, dec = wcs.pixel_to_world_values([x, x + 1, x], [y, y, y + 1])
    east = (np.asarray(ra) - ra[0] + 180) % 360 - 180
    jacobian = np.array([east * np.cos(np.radians(dec_deg)), np.asarray(dec) - dec[0]])[:, 1:] * 3600
    return np.column_stack([jacobian, -jacobian @ [x, y]])


def _box_sum(values: np.ndarray, half_width: int) -> np.ndarray:
    """Add up a square around each pixel, by cumulative sums."""
    size = 2 * half_width + 1
    padded = np.pad(values.astype(float), ((half_width + 1, half_width), (half_width + 1, half_width)))
    total = padded.cumsum(axis=0).cumsum(axis=1)
    summed: np.ndarray = (
        total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    )
    return summed
