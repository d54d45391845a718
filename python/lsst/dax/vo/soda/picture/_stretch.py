"""From values of pixels to brightness and colour."""

from __future__ import annotations

__all__ = [
    "Flags",
    "Floats",
    "Levels",
    "Scale",
    "balance",
    "drop_impossible",
    "find_scale",
    "to_color",
    "to_gray",
    "to_lupton",
]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ._options import COLOR_MAPS, LARGEST, Limits, Stretch, Values, Zscale

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
type Levels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
type Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

# Pixels that limits are found from, about: enough for the 99.8th percentile,
# a tenth of the time that a picture of 500² takes.
_SAMPLE = 100_000

# Part of the pixels between black and white, percent, where brightness is in
# proportion, or its root.
_PERCENTILES = {Stretch.LINEAR: (0.5, 99.5), Stretch.SQRT: (5.0, 99.8)}

# Sky is most of an astronomical image.  For asinh, black is a sigma of its
# noise below it, brightness is in proportion up to three above black, and
# white at least twenty above.  A logarithm is steepest at black, which is
# three sigma below the sky: nearer to it, noise would be black and white.
_BELOW = {Stretch.ASINH: 1.0, Stretch.LOG: 3.0}
_LINEAR, _ABOVE, _BRIGHTEST = 3.0, 20.0, 99.8

# Of log(1 + a x): with 1000 a third of the range is the sky.
_LOG = 100.0

# Sigma of a normal distribution for each median absolute deviation.
_SIGMA = 1.4826

# The softening is at least and at most these parts of the range: pixels of
# one value have no noise, and a LIMITS may be narrower than it.
_SOFTEST, _HARDEST = 1.0, 1e-3


# A range smaller than this part of the values is none.
_LEAST = 1e-7


@dataclass(frozen=True, slots=True)
class Scale:
    """What is black, what is white, and how soon brightness is no more in proportion."""

    low: float
    """Black."""

    high: float
    """White."""

    softening: float
    """Of asinh: where it turns from a line into a logarithm, above black."""


def drop_impossible(pixels: Floats) -> Floats:
    """Take away infinities and values that no image of the sky has.

    Parameters
    ----------
    pixels
        Values.

    Returns
    -------
    pixels : `numpy.ndarray`
        The same with NaN in their places.
    """
    with np.errstate(invalid="ignore"):
        good = np.abs(pixels) < LARGEST
    return pixels if good.all() else np.where(good, pixels, np.asarray(np.nan, dtype=pixels.dtype))


def balance(channels: Sequence[Floats]) -> list[Floats]:
    """Weigh three images so that their colours differ to the eye.

    Parameters
    ----------
    channels
        Red, green and blue.

    Returns
    -------
    channels : `list` [`numpy.ndarray`]
        Each multiplied by a number: the weights lie halfway (their geometric
        mean) between those that leave fluxes as they are and those that make
        the noise equal.  Fluxes as they are make nearly all galaxies orange,
        and the sky red where its noise is largest; equal noise makes them
        green and blue.
    """
    noises = [_sky_and_noise(_sample(channel))[1] for channel in channels]
    if min(noises) <= 0.0:
        return list(channels)
    mean = math.exp(sum(map(math.log, noises)) / len(noises))
    return [channel * math.sqrt(mean / noise) for channel, noise in zip(channels, noises, strict=True)]


def find_scale(pixels: Floats, limits: Limits | None, stretch: Stretch) -> Scale:
    """Find what is black and what is white.

    Parameters
    ----------
    pixels
        Values; NaN where there are none.
    limits
        What was asked for.
    stretch
        From values to brightness.

    Returns
    -------
    scale : `Scale`
        With ``low < high``, finite, also of an image of one value or of none.
    """
    values = _sample(pixels)
    sky, noise = _sky_and_noise(values)
    low, high = _find_limits(values, limits, stretch, sky, noise)
    # One value everywhere: middle grey.
    if not high - low > _LEAST * max(abs(low), abs(high), _LEAST):
        low, high = low - max(abs(low), 1.0), low + max(abs(low), 1.0)
    range_ = high - low
    softening = min(max(_LINEAR * noise, _HARDEST * range_), _SOFTEST * range_) if noise else 0.02 * range_
    return Scale(low, high, softening)


def to_gray(pixels: Floats, scale: Scale, stretch: Stretch) -> Levels:
    """Turn values into levels of grey.

    Parameters
    ----------
    pixels
        Values, shape ``(height, width)``.
    scale
        Black and white.
    stretch
        From values to brightness.

    Returns
    -------
    levels : `numpy.ndarray`
        Of the same shape, 0 where there is no value.
    """
    from astropy.visualization import AsinhStretch, LinearStretch, LogStretch, SqrtStretch

    range_ = scale.high - scale.low
    function = {
        Stretch.ASINH: AsinhStretch(scale.softening / range_),
        Stretch.LINEAR: LinearStretch(),
        Stretch.LOG: LogStretch(_LOG),
        Stretch.SQRT: SqrtStretch(),
        Stretch.ZSCALE: LinearStretch(),
    }[stretch]
    # NaN is not less than anything: np.fmax and np.fmin take the number.
    share = np.fmin(np.fmax((pixels - scale.low) * (1.0 / range_), 0.0), 1.0)
    return np.asarray(np.rint(255.0 * function(share, clip=False)), dtype=np.uint8)


def to_color(pixels: Floats, scale: Scale, stretch: Stretch, color_map: str) -> Levels:
    """Turn values into false colours.

    Parameters
    ----------
    pixels
        Values, shape ``(height, width)``.
    scale
        The first and the last colour.
    stretch
        From values to brightness.
    color_map
        One of `~lsst.dax.vo.soda.picture.COLOR_MAPS`.

    Returns
    -------
    levels : `numpy.ndarray`
        Shape ``(height, width, 3)``.
    """
    return _colors(color_map)[to_gray(pixels, scale, stretch)]


def to_lupton(channels: Sequence[Floats], scales: Sequence[Scale]) -> Levels:
    """Make a picture of three images whose colours do not depend on brightness.

    Parameters
    ----------
    channels
        Red, green and blue, each of shape ``(height, width)``.
    scales
        Black and white of each.

    Returns
    -------
    levels : `numpy.ndarray`
        Shape ``(height, width, 3)``; black where one of the three has no value.

    References
    ----------
    Lupton et al. 2004, PASP 116, 133.
    """
    from astropy.visualization import LuptonAsinhStretch, ManualInterval, make_lupton_rgb

    # Of the intensity, the mean of the three.
    white = sum(scale.high - scale.low for scale in scales) / len(scales)
    softening = sum(scale.softening for scale in scales) / len(scales)
    # The library's two parameters, chosen so that intensity I has brightness
    # asinh(I / softening) / asinh(white / softening).
    q = 10.0 * math.sinh(0.1 * math.asinh(white / softening))
    known = np.logical_and.reduce([np.isfinite(channel) for channel in channels])
    red, green, blue = (
        np.where(known, channel, scale.low) for channel, scale in zip(channels, scales, strict=True)
    )
    with np.errstate(invalid="ignore"):
        levels = make_lupton_rgb(
            red,
            green,
            blue,
            interval=[ManualInterval(vmin=scale.low, vmax=None) for scale in scales],
            stretch_object=LuptonAsinhStretch(stretch=q * softening, Q=q),
        )
    return np.asarray(levels, dtype=np.uint8)


def _sample(pixels: Floats) -> Floats:
    """Return values of some pixels, those without any left out."""
    step = max(1, pixels.size // _SAMPLE)
    # Not the same columns of every row.
    while step > 1 and math.gcd(step, pixels.shape[-1]) > 1:
        step += 1
    values = pixels.ravel()[::step]
    return values[np.isfinite(values)].astype(np.float64)


def _sky_and_noise(values: Floats) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    sky = float(np.median(values))
    return sky, _SIGMA * float(np.median(np.abs(values - sky)))


def _find_limits(
    values: Floats, limits: Limits | None, stretch: Stretch, sky: float, noise: float
) -> tuple[float, float]:
    if isinstance(limits, Values):
        return limits.low, limits.high
    if not len(values):
        return 0.0, 1.0
    if isinstance(limits, Zscale) or (limits is None and stretch is Stretch.ZSCALE):
        from astropy.visualization import ZScaleInterval

        low, high = ZScaleInterval().get_limits(values)
    elif limits is None and stretch in _BELOW:
        low = sky - _BELOW[stretch] * noise
        high = max(np.percentile(values, _BRIGHTEST), sky + _ABOVE * noise)
    else:
        between = _PERCENTILES.get(stretch, _PERCENTILES[Stretch.LINEAR])
        if limits is not None:
            between = 50.0 - limits.percent / 2, 50.0 + limits.percent / 2
        low, high = np.percentile(values, between)
    return float(low), float(high)


@cache
def _colors(name: str) -> Levels:
    from cmap import Colormap

    return np.rint(255.0 * np.asarray(Colormap(COLOR_MAPS[name]).lut(256))[:, :3]).astype(np.uint8)
