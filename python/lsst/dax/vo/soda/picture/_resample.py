"""Pixels of an image at the places of another grid."""

from __future__ import annotations

__all__ = ["Grid", "Pixels", "positions", "resample"]

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._box import PixelBox
from .._projection import Floats, Mapping, Projection

type Pixels = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]

# The projection is asked at every 16th pixel first, and between them closer
# until a straight line is right to this many pixels.
_STEP = 16
_TOLERANCE = 0.02

# Positions so close to whole pixels are those pixels: images of one patch
# have one grid, and keep their values.
_WHOLE = 1e-3


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels of a picture, as places on the sky."""

    width: int
    """Columns."""

    height: int
    """Rows."""

    to_sky: Mapping
    """Pixel x and y, of which (1, 1) is the center of the lower left one, to
    longitude and latitude, radians."""


def positions(grid: Grid, projection: Projection) -> tuple[Floats, Floats]:
    """Find where the pixels of a picture lie in an image.

    Parameters
    ----------
    grid
        The picture.
    projection
        WCS of the image.

    Returns
    -------
    x, y : `numpy.ndarray`
        Parent pixel coordinates, shape ``(height, width)``; NaN where the
        sky has no place in the image.
    """
    step = _STEP
    while True:
        x, y, error = _interpolated(grid, projection, step)
        # NaN: an edge of the map; only the finest grid has it right.
        if step == 1 or error <= _TOLERANCE:
            return x, y
        step //= 2


def resample(pixels: Pixels, box: PixelBox, x: Floats, y: Floats) -> Pixels:
    """Interpolate an image, linearly in both directions.

    Parameters
    ----------
    pixels
        Its values, shape ``(height, width)``.
    box
        Their place in the parent image.
    x, y
        Where values are wanted, parent pixel coordinates.

    Returns
    -------
    values : `numpy.ndarray`
        Of the shape of ``x``; NaN outside the image, and where one of the
        four pixels around has no value.
    """
    x, y = x - box.x0, y - box.y0
    near_x, near_y = np.rint(x), np.rint(y)
    with np.errstate(invalid="ignore"):
        inside = (np.abs(x - (box.width - 1) / 2) <= box.width / 2) & (
            np.abs(y - (box.height - 1) / 2) <= box.height / 2
        )
        is_whole = np.all((np.abs(x - near_x) < _WHOLE) & (np.abs(y - near_y) < _WHOLE) | ~inside)
    column = np.clip(np.where(inside, near_x, 0), 0, box.width - 1).astype(np.intp)
    row = np.clip(np.where(inside, near_y, 0), 0, box.height - 1).astype(np.intp)
    if is_whole:
        return np.where(inside, pixels[row, column], np.nan)
    # The outer half of a pixel at the rim has no neighbour: it counts alone.
    x, y = (
        np.clip(np.where(inside, x, 0), 0, box.width - 1),
        np.clip(np.where(inside, y, 0), 0, box.height - 1),
    )
    left = np.minimum(x.astype(np.intp), max(box.width - 2, 0))
    below = np.minimum(y.astype(np.intp), max(box.height - 2, 0))
    right, above = np.minimum(left + 1, box.width - 1), np.minimum(below + 1, box.height - 1)
    share_x, share_y = x - left, y - below
    lower = _between(pixels[below, left], pixels[below, right], share_x)
    upper = _between(pixels[above, left], pixels[above, right], share_x)
    return np.where(inside, _between(lower, upper, share_y), np.nan)


def _between(first: Pixels, second: Pixels, share: Floats) -> Pixels:
    # A neighbour without a value does not count where it has no share.
    mixed = first * (1.0 - share) + second * share
    return np.where(share == 0.0, first, np.where(share == 1.0, second, mixed))


def _interpolated(grid: Grid, projection: Projection, step: int) -> tuple[Floats, Floats, float]:
    columns, rows = _nodes(grid.width, step), _nodes(grid.height, step)
    node_x, node_y = _exact(grid, projection, columns, rows)
    if step == 1:
        return node_x, node_y, 0.0
    # The worst places of a straight line between nodes are halfway.
    half_x, half_y = (columns[:-1] + columns[1:]) / 2, (rows[:-1] + rows[1:]) / 2
    true_x, true_y = _exact(grid, projection, half_x, half_y)
    error = np.hypot(_middle(node_x) - true_x, _middle(node_y) - true_y).max(initial=0.0)
    x, y = (_spread(_spread(nodes, rows, grid.height).T, columns, grid.width).T for nodes in (node_x, node_y))
    return x, y, float(error)


def _nodes(length: int, step: int) -> Floats:
    return np.unique(np.append(np.arange(1.0, length, step), float(length)))


def _exact(grid: Grid, projection: Projection, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
    x, y = (nodes.ravel() for nodes in np.meshgrid(columns, rows))
    lon, lat = grid.to_sky(x, y)
    first, second = projection.to_pixel(lon, lat)
    return first.reshape(len(rows), len(columns)), second.reshape(len(rows), len(columns))


def _middle(nodes: Floats) -> Floats:
    return (nodes[:-1, :-1] + nodes[1:, :-1] + nodes[:-1, 1:] + nodes[1:, 1:]) / 4


def _spread(nodes: Floats, at: Floats, length: int) -> Floats:
    # Along the first axis.
    if len(at) == 1:
        return np.repeat(nodes, length, axis=0)
    wanted = np.arange(1.0, length + 1)
    first = np.clip(np.searchsorted(at, wanted, side="right") - 1, 0, len(at) - 2)
    share = ((wanted - at[first]) / (at[first + 1] - at[first]))[:, None]
    return nodes[first] * (1.0 - share) + nodes[first + 1] * share
