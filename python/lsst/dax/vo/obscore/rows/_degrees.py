"""Texts of many regions at once: degrees with six decimals, as ``%.6f``."""

from __future__ import annotations

__all__ = ["polygon_texts"]

import numpy as np

# Sign, three digits, point and six digits, after a blank.
_WIDTH = 12
_POINT = 5
_HEAD = np.frombuffer(b"POLYGON ICRS", np.uint8)
# The three digits of each number below a thousand.
_DIGITS = np.frombuffer("".join(f"{number:03d}" for number in range(1000)).encode(), np.uint8).reshape(-1, 3)
# The product with a million is wrong by less than this share of a unit.
_UNSURE = 1e-6


def polygon_texts(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write polygons in the region text of ADQL.

    Parameters
    ----------
    degrees
        Longitude and latitude of each vertex in turn, shape ``(n, 2 * k)``,
        between -360 and 360.

    Returns
    -------
    content : `numpy.ndarray` [`uint8`]
        The texts, one after the other, each as ``"POLYGON ICRS"`` and
        ``" %.6f"`` for each number make it.
    lengths : `numpy.ndarray` [`int64`], shape ``(n,)``
        Length of each text.
    """
    rows, numbers = degrees.shape
    text = np.empty((rows, len(_HEAD) + numbers * _WIDTH), np.uint8)
    kept = np.ones(text.shape, bool)
    text[:, : len(_HEAD)] = _HEAD
    fields = text[:, len(_HEAD) :].reshape(rows, numbers, _WIDTH)
    shown = kept[:, len(_HEAD) :].reshape(rows, numbers, _WIDTH)
    millionths = _millionths(degrees)
    whole, rest = np.divmod(millionths, 1_000_000)
    fields[:, :, 0] = ord(" ")
    fields[:, :, 1] = ord("-")
    fields[:, :, 2:_POINT] = _DIGITS[whole]
    fields[:, :, _POINT] = ord(".")
    fields[:, :, 6:9] = _DIGITS[rest // 1000]
    fields[:, :, 9:] = _DIGITS[rest % 1000]
    shown[:, :, 1] = np.signbit(degrees)
    shown[:, :, 2] = whole >= 100
    shown[:, :, 3] = whole >= 10
    return text[kept], kept.sum(axis=1)


def _millionths(degrees: np.ndarray) -> np.ndarray:
    """Round to millionths, halves and all, as the exact decimal number does."""
    scaled = np.abs(degrees) * 1e6
    rounded = np.rint(scaled)
    # So near to a half that the error of the product may decide.
    unsure = np.abs(np.abs(scaled - rounded) - 0.5) < _UNSURE
    millionths = rounded.astype(np.uint32)
    if unsure.any():
        exact = [int(f"{abs(value):.6f}".replace(".", "")) for value in degrees[unsure].tolist()]
        millionths[unsure] = exact
    return millionths
