"""Scan lines: which points of a grid a polyline encloses, and which it passes."""

from __future__ import annotations

__all__ = ["crossings", "neighbours"]

import numpy as np

from ._box import PixelBox
from ._trace import Trace

type Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
type Whole = np.ndarray[tuple[int], np.dtype[np.int64]]


def crossings(edge: Trace, box: PixelBox) -> tuple[Whole, Whole]:
    """Find where an edge crosses the rows of a box.

    Parameters
    ----------
    edge
        The edge.
    box
        Pixels, whose centers have whole coordinates.

    Returns
    -------
    row, column : `numpy.ndarray`
        Of each crossing: its row, and the first column at or behind it; both
        counted from the first of the box, the column from 0 to its width.
    """
    (x0, y0), (x1, y1) = edge.begin.T, edge.end.T
    # Half open, so that a row through a vertex crosses one side of it.
    first, last = np.ceil(np.minimum(y0, y1)), np.ceil(np.maximum(y0, y1)) - 1
    segment, row = _steps(first, last, box.y0, box.y1)
    x = x0[segment] + (row - y0[segment]) * ((x1 - x0)[segment] / (y1 - y0)[segment])
    column = np.clip(np.ceil(x), box.x0, box.x1 + 1).astype(np.int64)
    return row - box.y0, column - box.x0


def neighbours(edge: Trace, box: PixelBox, distance: float) -> tuple[Whole, Whole]:
    """Find the pixels whose centers an edge passes closely.

    Parameters
    ----------
    edge
        The edge.
    box
        Pixels, whose centers have whole coordinates.
    distance
        How closely, at most a third of a pixel.

    Returns
    -------
    row, column : `numpy.ndarray`
        At least all centers at that distance, counted from the first of the
        box; some more than once.
    """
    reach = np.abs(edge.end - edge.begin)
    flat = reach[:, 0] > reach[:, 1]
    found = []
    for axis, chosen in ((1, ~flat), (0, flat)):
        # Along the longer side there is one center to ask for each step.
        begin, end = edge.begin[chosen], edge.end[chosen]
        (a0, b0), (a1, b1) = (points[:, [axis, 1 - axis]].T for points in (begin, end))
        low, high = (box.y0, box.y1) if axis == 1 else (box.x0, box.x1)
        first, last = np.ceil(np.minimum(a0, a1) - distance), np.floor(np.maximum(a0, a1) + distance)
        segment, a = _steps(first, last, low, high)
        length = (a1 - a0)[segment]
        t = np.clip((a - a0[segment]) / np.where(length == 0, 1.0, length), 0.0, 1.0)
        b = b0[segment] + t * (b1 - b0)[segment]
        nearest = np.rint(b)
        low, high = (box.x0, box.x1) if axis == 1 else (box.y0, box.y1)
        close = (np.abs(b - nearest) <= 1.5 * distance) & (nearest >= low) & (nearest <= high)
        pair = (a[close], nearest[close].astype(np.int64))
        found.append(pair if axis == 1 else pair[::-1])
    rows, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows - box.y0, columns - box.x0


def _steps(first: Floats, last: Floats, low: int, high: int) -> tuple[Whole, Whole]:
    # Each whole number from first to last of each segment, within limits.
    first, last = np.clip(first, low, high + 1), np.clip(last, low - 1, high)
    count = np.maximum(last - first + 1, 0).astype(np.int64)
    segment = np.repeat(np.arange(len(count)), count)
    offset = np.arange(len(segment)) - np.repeat(np.cumsum(count) - count, count)
    return segment, first[segment].astype(np.int64) + offset
