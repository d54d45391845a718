"""From pixels to the sky: of a detector in a visit, and of a tract."""

__all__ = ["fit_tan_sip", "outline", "tract_projection", "visit_projection"]

import math
from typing import Any

import astropy.wcs
import numpy as np
from lsst.images import Box, DetectorFrame, SkyFrame, SkyProjection, TractFrame, Transform
from lsst.images.cameras import CameraFrameSet
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

from ._camera import PIXEL_SCALE_ARCSEC

_SIP_ORDER = 3
_GRID = 15


def visit_projection(
    frames: CameraFrameSet, *, detector: int, visit: int, ra_deg: float, dec_deg: float, rotator_deg: float
) -> SkyProjection[DetectorFrame]:
    """Return the projection of a detector in a visit.

    Parameters
    ----------
    frames
        The camera's.
    detector, visit
        Their numbers.
    ra_deg, dec_deg
        Where the camera points, ICRS.
    rotator_deg
        How the focal plane is turned on the sky.

    Returns
    -------
    projection : `lsst.images.SkyProjection`
        Exact through the optics, and with an approximation that FITS headers
        can hold.
    """
    pixels = frames.detector(detector, visit=visit)
    field = frames.field_angle(visit)
    turn = math.radians(rotator_deg)
    # Field angles are radians; seen from inside, east is to the left.
    to_sky = _tan(
        ra_deg,
        dec_deg,
        np.degrees([[-math.cos(turn), math.sin(turn)], [math.sin(turn), math.cos(turn)]]),
        (0.0, 0.0),
    )
    exact = frames[pixels, field].then(
        Transform.from_fits_wcs(to_sky, field, SkyFrame.ICRS, x0=1, y0=1), remember_components=False
    )
    approximate = fit_tan_sip(exact, pixels.bbox)
    box = pixels.bbox
    return SkyProjection(
        exact, Transform.from_fits_wcs(approximate, pixels, SkyFrame.ICRS, x0=box.x.start, y0=box.y.start)
    )


def tract_projection(
    frame: TractFrame, *, ra_deg: float, dec_deg: float, x: float, y: float
) -> SkyProjection[TractFrame]:
    """Return the projection of a tract: gnomonic, north up.

    Parameters
    ----------
    frame
        The tract.
    ra_deg, dec_deg
        Point of tangency, ICRS.
    x, y
        Its pixel.

    Returns
    -------
    projection : `lsst.images.SkyProjection`
    """
    scale = PIXEL_SCALE_ARCSEC / 3600
    to_sky = _tan(ra_deg, dec_deg, np.diag([-scale, scale]), (x + 1, y + 1))
    return SkyProjection.from_fits_wcs(to_sky, frame)


def fit_tan_sip(to_sky: Transform[Any, SkyFrame], box: Box) -> astropy.wcs.WCS:
    """Fit the polynomials that FITS headers can hold.

    Parameters
    ----------
    to_sky
        Pixels to ICRS.
    box
        Pixels for which it shall hold.

    Returns
    -------
    approximation : `astropy.wcs.WCS`
        TAN-SIP, with the center of the box as its reference; its array begins
        where the box does.
    """
    x, y = (grid.ravel() for grid in np.meshgrid(_spread(box.x), _spread(box.y)))
    x0, y0 = (box.x.min + box.x.max) / 2, (box.y.min + box.y.max) / 2
    center = to_sky.apply_forward(x=x0, y=y0)
    sky = to_sky.apply_forward(x=x, y=y)
    plane = np.degrees(_gnomonic(sky.x, sky.y, float(center.x), float(center.y)))
    powers = [(p, q) for p in range(_SIP_ORDER + 1) for q in range(_SIP_ORDER + 1 - p) if p + q]
    # Pixels are divided by a length, so that all terms are of like size.
    length = max(box.x.size, box.y.size) / 2
    columns = np.stack([((x - x0) / length) ** p * ((y - y0) / length) ** q for p, q in powers], axis=1)
    terms = np.linalg.lstsq(columns, plane.T, rcond=None)[0]
    terms /= np.array([length ** (p + q) for p, q in powers])[:, np.newaxis]
    matrix = np.stack([terms[powers.index((1, 0))], terms[powers.index((0, 1))]], axis=1)
    distortion = np.zeros((2, _SIP_ORDER + 1, _SIP_ORDER + 1))
    for (p, q), term in zip(powers, terms, strict=True):
        if p + q > 1:
            distortion[:, p, q] = np.linalg.solve(matrix, term)
    reference = (x0 - box.x.start + 1, y0 - box.y.start + 1)
    wcs = _tan(math.degrees(center.x), math.degrees(center.y), matrix, reference)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.sip = astropy.wcs.Sip(distortion[0], distortion[1], None, None, reference)
    wcs.wcs.set()
    return wcs


def outline(projection: SkyProjection[Any], box: Box, *, padding: float = 0) -> ConvexPolygon:
    """Return the region on the sky of a box of pixels.

    Parameters
    ----------
    projection
        Pixels to ICRS.
    box
        The pixels, with their outer edges.
    padding
        Pixels added on each side.

    Returns
    -------
    region : `lsst.sphgeom.ConvexPolygon`
    """
    left, right = box.x.min - 0.5 - padding, box.x.max + 0.5 + padding
    bottom, top = box.y.min - 0.5 - padding, box.y.max + 0.5 + padding
    corners = projection.pixel_to_sky_transform.apply_forward(
        x=np.array([left, right, right, left]), y=np.array([bottom, bottom, top, top])
    )
    return ConvexPolygon.convexHull(
        [
            UnitVector3d(LonLat.fromRadians(float(ra), float(dec)))
            for ra, dec in zip(corners.x, corners.y, strict=True)
        ]
    )


def _tan(ra_deg: float, dec_deg: float, matrix: np.ndarray, reference: tuple[float, float]) -> Any:
    wcs = astropy.wcs.WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.crpix = reference
    wcs.wcs.cd = matrix
    return wcs


def _spread(interval: Any) -> np.ndarray:
    return np.linspace(interval.min - 0.5, interval.max + 0.5, _GRID)


def _gnomonic(ra: np.ndarray, dec: np.ndarray, ra0: float, dec0: float) -> np.ndarray:
    """Project onto the tangential plane; everything in radians."""
    cosine = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    return np.stack(
        [
            np.cos(dec) * np.sin(ra - ra0) / cosine,
            (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)) / cosine,
        ]
    )
