"""The true shape of a region among the pixels of its box."""

from __future__ import annotations

__all__ = ["Coverage", "Outside", "coverage"]

import enum
from dataclasses import dataclass

import numpy as np

from ..dali import Interior, to_interior
from ._boundary import arcs_of
from ._box import PixelBox
from ._projection import Projection
from ._region import Region, SkyBox
from ._scan import crossings, neighbours
from ._trace import Trace, trace
from ._view import View, are_inside

type Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
type Whole = np.ndarray[tuple[int], np.dtype[np.int64]]

# Centers nearer to the traced edge than this, in pixels, are asked one by
# one; the trace itself is right to a fifth of it.
_UNSURE = 0.02

# Columns whose pixels are asked one by one, to find rows in which the trace
# is not the whole edge.
_CHECKED = 5


class Outside(enum.Enum):
    """What becomes of pixels in the box whose centers are outside of the region.

    The words of our own parameter OUTSIDE; SODA 1.0 leaves it open.
    """

    KEEP = "keep"
    """They stay as they are."""

    MASK = "mask"
    """They get the bit of the mask plane ``OUTSIDE_STENCIL``, as Rubin's own
    service names it."""

    NAN = "nan"
    """Their image and variance become NaN."""


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Which pixels of a box a region covers, and what becomes of the others."""

    inside: Bools
    """Whether the center of each pixel is inside, shape ``(height, width)``,
    first row first."""

    outside: Outside
    """What becomes of those that are not: `Outside.MASK` or `Outside.NAN`."""


def coverage(region: Region, projection: Projection | None, box: PixelBox) -> Bools:
    """Mark the pixels whose centers are inside a region.

    Parameters
    ----------
    region
        The region.
    projection
        The WCS, in parent pixel coordinates; needed for stencils only.
    box
        Pixels to ask, in the same coordinates.

    Returns
    -------
    inside : `numpy.ndarray` [`bool`], shape ``(height, width)``
        A center exactly on the edge counts as inside; one that is no place
        of the sky does not.

    Raises
    ------
    UsageError
        Raised if a polygon crosses itself or encloses nothing.

    Notes
    -----
    Exact at centers of pixels: scan lines through the traced edge decide
    about most, and the stencil itself about those that the edge passes
    closely.  Maps of the whole sky, whose pixels may be no place or one that
    they repeat, are asked pixel by pixel.
    """
    if isinstance(region, PixelBox | SkyBox):
        # These are boxes of whole pixels.
        return np.ones((box.height, box.width), dtype=np.bool_)
    if projection is None:
        raise ValueError("stencils need a projection")
    exact = _Exact(to_interior(region), projection, box)
    view = View.of(projection, box)
    edge = trace(arcs_of(region), view, is_far_needed=False)
    if view.is_plain and edge.is_whole_near:
        return _scanned(exact, edge)
    inside = np.empty((box.height, box.width), dtype=np.bool_)
    for row in range(box.height):
        inside[row] = exact.row(row)
    return inside


def _scanned(exact: _Exact, edge: Trace) -> Bools:
    # Each row begins as its first pixel is, and changes where the edge
    # crosses it: what is beyond the box needs no tracing.
    box = exact.box
    rows, columns = np.arange(box.height), np.unique(np.linspace(0, box.width - 1, _CHECKED).astype(np.int64))
    checked = exact.contains(np.repeat(rows, len(columns)), np.tile(columns, box.height))
    checked = checked.reshape(box.height, len(columns))
    changes = np.zeros((box.height, box.width + 1), dtype=np.bool_)
    row, column = crossings(edge, box)
    key, times = np.unique(row * (box.width + 1) + column, return_counts=True)
    changes.ravel()[key[times % 2 == 1]] = True
    changes[:, 0] = checked[:, 0]
    inside = np.logical_xor.accumulate(changes, axis=1)[:, :-1]
    row, column = neighbours(edge, box, _UNSURE)
    inside[row, column] = exact.contains(row, column)
    # A scan line through the end of a segment may miss it by rounding.
    for number in np.flatnonzero(np.any(inside[:, columns] != checked, axis=1)):
        inside[number] = exact.row(int(number))
    return inside


@dataclass(frozen=True, slots=True)
class _Exact:
    """Asks the region itself about single pixels."""

    interior: Interior
    projection: Projection
    box: PixelBox

    def row(self, number: int) -> Bools:
        width = self.box.width
        return self.contains(np.full(width, number), np.arange(width))

    def contains(self, row: Whole, column: Whole) -> Bools:
        points = np.column_stack([column + self.box.x0, row + self.box.y0]).astype(np.float64)
        return are_inside(self.interior, self.projection, points)
