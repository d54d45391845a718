"""Floats from the whole numbers that stand for them (FITS 4.0, 10.2)."""

from __future__ import annotations

__all__ = ["dither_row", "unquantized"]

from functools import cache
from typing import Any

import numpy as np

from ._layout import Layout

type Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

# Of dithering method 2: stands for an exact zero.
_ZERO = -2147483646

_RANDOMS = 10_000


@cache
def _randoms() -> Array:
    # FITS 4.0, appendix I: the "minimal standard" generator, seed 1.
    seeds = np.empty(_RANDOMS)
    seed = 1
    for i in range(_RANDOMS):
        seed = 16807 * seed % 2147483647
        seeds[i] = seed
    return (seeds / 2147483647.0).astype(np.float32)


def unquantized(
    whole: Array, layout: Layout, index: Array, at: Array, scale: Array, zero: Array, blank: Array | None
) -> Array:
    """Turn whole numbers into the floats that they stand for.

    Parameters
    ----------
    whole
        Numbers of one or more tiles, shape ``(tiles, pixels)``.
    layout
        What the header says of the tiles.
    index
        Numbers of the tiles, from 0.
    at
        Places of the pixels in their tile, the same for all tiles.
    scale, zero
        Step and zero point of each tile.
    blank
        Value that stands for no value, of each tile, if any.

    Returns
    -------
    values : `numpy.ndarray`
        Of the same shape, native.

    Notes
    -----
    Of the pixels that are wanted only: cfitsio's function, which astropy
    has, makes those of whole tiles, and takes 2.4 ns for each pixel; this
    takes 5 to 7.
    """
    values = whole.astype(np.float64)
    if layout.dither is not None:
        values -= _randoms()[_dither_places(layout, index, at)]
        values += 0.5
    # Of a damaged table, scales may be anything.
    with np.errstate(over="ignore", invalid="ignore"):
        values *= scale[:, None]
        values += zero[:, None]
        result = values.astype(np.float32) if layout.bitpix == -32 else values
    if layout.dither == 2:
        result[whole == _ZERO] = 0.0
    if blank is not None:
        missing = whole == blank[:, None]
        if np.any(missing):
            result[missing] = np.nan
    return result


def dither_row(layout: Layout, index: int) -> int:
    """Return the number from which cfitsio takes a tile's random numbers.

    Parameters
    ----------
    layout
        What the header says of the tiles.
    index
        Number of the tile, from 0.

    Returns
    -------
    row : `int`
        From 1; never less, as it may be by a damaged seed.
    """
    return (index + layout.seed - 1) % _RANDOMS + 1


def _dither_places(layout: Layout, index: Array, at: Array) -> Array:
    # Each tile begins at a random place of the first 500 and goes on from
    # there; at the end of the table, it jumps to such a place again.
    seeds = (index + layout.seed - 1) % _RANDOMS
    starts = (_randoms()[seeds] * np.float32(500)).astype(np.int64)
    places: Array = starts[:, None] + at
    for i in np.flatnonzero(places.max(axis=1) >= _RANDOMS):
        seed = int(seeds[i])
        while np.any(over := places[i] >= _RANDOMS):
            seed = (seed + 1) % _RANDOMS
            places[i][over] += int(_randoms()[seed] * np.float32(500)) - _RANDOMS
    return places
