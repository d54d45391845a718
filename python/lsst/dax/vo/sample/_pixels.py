"""From a catalogue to pixels: light, noise, and what goes wrong in a CCD."""

__all__ = ["PSF_SHAPE", "BandNoise", "ExposedPixels", "expose", "noise_of", "psf_kernel", "render"]

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._camera import PIXEL_SCALE_ARCSEC
from ._sky import BANDS, Profile, Sources

# Profiles as sums of Gaussians, so that convolving them with a PSF is adding
# variances: (share, variance in half-light radii squared), from Hogg & Lang
# 2013 (PASP 125, 719), tables 1 and 4.
_EXPONENTIAL = (
    np.array([2.34853813e-3, 3.07995260e-2, 2.23364214e-1, 1.17949102, 4.33873750, 5.99820770]),
    np.array([1.20078965e-3, 8.84526493e-3, 3.91463084e-2, 1.39976817e-1, 4.60962500e-1, 1.50159566]),
)
_DE_VAUCOULEURS = (
    np.array(
        [
            4.26347652e-2,
            2.40127183e-1,
            6.85907632e-1,
            1.51937350,
            2.83627243,
            4.46467501,
            5.72440830,
            5.60989349,
        ]
    ),
    np.array(
        [
            2.23759216e-4,
            1.00220099e-3,
            4.18731126e-3,
            1.69432589e-2,
            6.84850479e-2,
            2.87207080e-1,
            1.33320254,
            8.40215071,
        ]
    ),
)

PSF_SHAPE = ((0.80, 0.93), (0.17, 1.75), (0.03, 4.2))
"""Shares and widths of the Gaussians that make a star: a core, and the wings
that the atmosphere gives it."""

_FAINTEST = 0.06
"""Light below this part of the noise of a pixel is not drawn."""

_FULL_WELL_E = 90_000.0
_READ_NOISE_E = 8.0
_COSMIC_RAYS_PER_PIXEL = 6e-5
_EDGE = 3


@dataclass(frozen=True, slots=True)
class BandNoise:
    """How deep a visit of 30 s is."""

    njy_per_electron: float
    """Sensitivity."""

    sky_electrons: float
    """Sky in a pixel."""

    @property
    def sky_njy(self) -> float:
        """Noise of a pixel without a source."""
        return self.njy_per_electron * math.sqrt(self.sky_electrons + _READ_NOISE_E**2)


_NOISE = {
    "u": BandNoise(3.0, 110),
    "g": BandNoise(0.53, 510),
    "r": BandNoise(0.64, 640),
    "i": BandNoise(0.88, 1150),
    "z": BandNoise(1.2, 2100),
    "y": BandNoise(2.5, 3900),
}
"""Throughput and sky of the LSST, rounded."""


@dataclass(frozen=True, slots=True)
class ExposedPixels:
    """What one detector saw in one visit; arrays of shape ``(ny, nx)``."""

    raw: np.ndarray
    """Counts, with bias, sky, cosmic rays and saturation; `numpy.uint16`."""

    image: np.ndarray
    """Calibrated, sky subtracted, nJy; NaN where there is no pixel."""

    variance: np.ndarray
    """Its variance, nJy**2."""

    steady: np.ndarray
    """What it would be without noise and without the supernova, nJy."""

    bad: np.ndarray
    """Columns that do not work."""

    edge: np.ndarray
    """Rows and columns at the border that do not work."""

    cosmic_ray: np.ndarray
    """Hit by a cosmic ray (whose light is removed from ``image``)."""

    saturated: np.ndarray
    """Full of electrons."""

    detected: np.ndarray
    """Part of a source."""


def noise_of(band: str) -> BandNoise:
    """Return how deep a visit is.

    Parameters
    ----------
    band
        The band.

    Returns
    -------
    noise : `BandNoise`
    """
    return _NOISE[band]


def psf_sigma_px(seeing_arcsec: float) -> float:
    """Return the width of the Gaussian with the same width at half maximum.

    Parameters
    ----------
    seeing_arcsec
        Full width at half maximum.

    Returns
    -------
    sigma : `float`
        In pixels.
    """
    return seeing_arcsec / PIXEL_SCALE_ARCSEC / math.sqrt(8 * math.log(2))


def psf_kernel(seeing_arcsec: float, radius: int) -> np.ndarray:
    """Draw a star in the middle of a pixel.

    Parameters
    ----------
    seeing_arcsec
        Full width at half maximum.
    radius
        Pixels on each side of the middle.

    Returns
    -------
    kernel : `numpy.ndarray`
        Sum 1.
    """
    offset = np.arange(-radius, radius + 1)
    sigma = psf_sigma_px(seeing_arcsec)
    kernel = np.zeros((offset.size, offset.size))
    for share, width in PSF_SHAPE:
        line = np.exp(-0.5 * (offset / (width * sigma)) ** 2)
        kernel += share * np.outer(line, line) / line.sum() ** 2
    return kernel / kernel.sum()


def render(
    sources: Sources, projection: Any, shape: tuple[int, int], *, band: str, seeing_arcsec: float
) -> np.ndarray:
    """Draw a catalogue, without noise.

    Parameters
    ----------
    sources
        The catalogue.
    projection
        An `lsst.images.SkyProjection`; pixel 0, 0 is the first one drawn.
    shape
        Rows and columns.
    band
        Which fluxes.
    seeing_arcsec
        Full width at half maximum of a star.

    Returns
    -------
    light : `numpy.ndarray`
        nJy in each pixel.
    """
    flux = sources.flux_njy[:, BANDS.index(band)]
    threshold = _FAINTEST * noise_of(band).sky_njy
    to_pixel = projection.sky_to_pixel_transform
    xy = to_pixel.apply_forward(x=np.radians(sources.ra_deg), y=np.radians(sources.dec_deg))
    x, y = np.asarray(xy.x), np.asarray(xy.y)
    jacobian = _pixels_per_arcsec(projection, shape)
    light = np.zeros(shape)
    sigma2 = psf_sigma_px(seeing_arcsec) ** 2
    reach = 200
    near = (x > -reach) & (x < shape[1] + reach) & (y > -reach) & (y < shape[0] + reach)
    for index in np.flatnonzero(near):
        shares, covariances = _gaussians(sources, int(index), jacobian, sigma2)
        _add(light, float(x[index]), float(y[index]), flux[index] * shares, covariances, threshold)
    return light


def _pixels_per_arcsec(projection: Any, shape: tuple[int, int]) -> np.ndarray:
    """Return the matrix from arcseconds east and north to pixels, mid-image."""
    x0, y0 = shape[1] / 2, shape[0] / 2
    to_sky = projection.pixel_to_sky_transform
    sky = to_sky.apply_forward(x=np.array([x0 - 5, x0 + 5, x0, x0]), y=np.array([y0, y0, y0 - 5, y0 + 5]))
    east = np.array([sky.x[1] - sky.x[0], sky.x[3] - sky.x[2]]) * math.cos(float(sky.y.mean()))
    north = np.array([sky.y[1] - sky.y[0], sky.y[3] - sky.y[2]])
    arcsec = np.degrees(np.stack([east, north])) * 3600 / 10
    inverse: np.ndarray = np.linalg.inv(arcsec)
    return inverse


def _gaussians(
    sources: Sources, index: int, jacobian: np.ndarray, sigma2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return shares and covariances, in pixels, of a source behind the air."""
    psf_share = np.array([share for share, _ in PSF_SHAPE])
    psf_variance = sigma2 * np.array([width**2 for _, width in PSF_SHAPE])
    round_psf = psf_variance[:, np.newaxis, np.newaxis] * np.eye(2)
    match sources.profile[index]:
        case Profile.EXPONENTIAL:
            share, variance = _EXPONENTIAL
        case Profile.DE_VAUCOULEURS:
            share, variance = _DE_VAUCOULEURS
        case _:
            return psf_share, round_psf
    angle = sources.angle_rad[index]
    axes = np.array([[math.sin(angle), math.cos(angle)], [math.cos(angle), -math.sin(angle)]])
    radii = sources.radius_arcsec[index] * np.array([1.0, sources.axis_ratio[index]])
    onto_pixels = jacobian @ (axes * radii)
    form = onto_pixels @ onto_pixels.T
    shares = np.outer(share / share.sum(), psf_share).ravel()
    covariances = variance[:, np.newaxis, np.newaxis, np.newaxis] * form + round_psf
    return shares, covariances.reshape(-1, 2, 2)


def _add(
    light: np.ndarray, x: float, y: float, fluxes: np.ndarray, covariances: np.ndarray, threshold: float
) -> None:
    determinant = np.linalg.det(covariances)
    height = fluxes / (2 * np.pi * np.sqrt(determinant))
    # Each Gaussian reaches to where it falls below the threshold.
    widest = np.sqrt(np.linalg.eigvalsh(covariances)[:, 1])
    radius = widest * np.sqrt(2 * np.log(np.maximum(height / threshold, 1.0)))
    rows, columns = light.shape
    for h, covariance, det, r in zip(height, covariances, determinant, radius, strict=True):
        x0, x1 = max(0, math.ceil(x - r)), min(columns, math.floor(x + r) + 1)
        y0, y1 = max(0, math.ceil(y - r)), min(rows, math.floor(y + r) + 1)
        if r <= 0 or x0 >= x1 or y0 >= y1:
            continue
        dx, dy = np.arange(x0, x1) - x, np.arange(y0, y1) - y
        # exp(-q/2) of a quadratic form is a product, but for its cross term.
        along_x = np.exp(-0.5 * covariance[1, 1] / det * dx**2)
        along_y = np.exp(-0.5 * covariance[0, 0] / det * dy**2)
        part = h * along_y[:, np.newaxis] * along_x
        if covariance[0, 1] != 0:
            part *= np.exp(covariance[0, 1] / det * np.outer(dy, dx))
        light[y0:y1, x0:x1] += part


def expose(steady: np.ndarray, supernova: np.ndarray, *, band: str, seed: list[int]) -> ExposedPixels:
    """Let light fall on a detector, and reduce what it saw.

    Parameters
    ----------
    steady, supernova
        Light of what is constant and of what is not, nJy in each pixel.
    band
        The band.
    seed
        The last number tells the detector, whose bad columns stay.

    Returns
    -------
    pixels : `ExposedPixels`
    """
    rng = np.random.default_rng(seed)
    noise = noise_of(band)
    light = (steady + supernova) / noise.njy_per_electron
    mean = light + noise.sky_electrons
    variance = mean + _READ_NOISE_E**2
    electrons = mean + np.sqrt(variance) * rng.standard_normal(light.shape)
    saturated = _bleed(electrons)
    cosmic_ray, charge = _cosmic_rays(light.shape, rng)
    gain = 1.6
    raw = np.clip(np.minimum(electrons + charge, _FULL_WELL_E) / gain + 1000, 0, 65535)
    bad = np.zeros(light.shape, dtype=bool)
    # Of one width and of two, on either side: the middle, where the targets
    # are, is spared.
    where = np.random.default_rng([seed[0], seed[-1], 7]).integers(15, light.shape[1] // 5, 2)
    bad[:, where[0]] = True
    bad[:, light.shape[1] - where[1] : light.shape[1] - where[1] + 2] = True
    raw[bad] = 65535
    edge = np.ones(light.shape, dtype=bool)
    edge[_EDGE:-_EDGE, _EDGE:-_EDGE] = False
    image = noise.njy_per_electron * (np.minimum(electrons, _FULL_WELL_E) - noise.sky_electrons)
    image[bad | edge] = np.nan
    calibrated = noise.njy_per_electron**2 * variance
    calibrated[bad | edge] = np.nan
    return ExposedPixels(
        raw=np.round(raw).astype(np.uint16),
        image=image.astype(np.float32),
        variance=calibrated.astype(np.float32),
        steady=steady,
        bad=bad,
        edge=edge,
        cosmic_ray=cosmic_ray & ~bad & ~edge,
        saturated=saturated,
        detected=light > 1.5 * np.sqrt(noise.sky_electrons),
    )


def _bleed(electrons: np.ndarray) -> np.ndarray:
    """Let charge above the full well run along its column, in place."""
    over = electrons > _FULL_WELL_E
    saturated = over.copy()
    for column in np.flatnonzero(over.any(axis=0)):
        rows = np.flatnonzero(over[:, column])
        excess = float((electrons[rows, column] - _FULL_WELL_E).sum())
        electrons[rows, column] = _FULL_WELL_E
        down, up = rows[0] - 1, rows[-1] + 1
        while excess > 0 and (down >= 0 or up < len(electrons)):
            for row in (down, up):
                if 0 <= row < len(electrons):
                    excess -= _FULL_WELL_E - electrons[row, column]
                    electrons[row, column] = _FULL_WELL_E
                    saturated[row, column] = True
            down, up = down - 1, up + 1
    return saturated


def _cosmic_rays(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw straight tracks; return which pixels, and how many electrons."""
    charge = np.zeros(shape)
    for _ in range(rng.poisson(_COSMIC_RAYS_PER_PIXEL * shape[0] * shape[1])):
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        length, angle = rng.exponential(9) + 1, rng.uniform(0, np.pi)
        along = np.arange(0, length, 0.25)
        column = np.floor(x + along * math.cos(angle)).astype(int)
        row = np.floor(y + along * math.sin(angle)).astype(int)
        inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
        np.add.at(charge, (row[inside], column[inside]), rng.uniform(400, 2500))
    return charge > 0, charge
