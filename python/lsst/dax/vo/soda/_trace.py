"""Follow the edge of a stencil through a WCS.

The edge is halved where it bends, until a polyline is within two
thousandths of a pixel of it; where that can change neither the box nor what
the image sees, it is left coarse.
"""

from __future__ import annotations

__all__ = ["Trace", "trace"]

from dataclasses import dataclass
from typing import Self

import numpy as np

from ._boundary import Arcs
from ._box import PixelBox
from ._view import TOLERANCE, View

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

# Each halving divides the distance by four, so smooth edges a million pixels
# long need fifteen; what is left after twenty-four is a tear in the
# projection.
_MAX_ROUNDS = 24

# Far from the image, where distortions are extrapolated, edges may be folded
# in endless ways: there, a thousand pieces have to do.
_MAX_SEGMENTS = 50_000
_MAX_FAR_SEGMENTS = 1_000

_FIRST_POINTS = 128


@dataclass(frozen=True, slots=True)
class Trace:
    """The edge of a stencil as segments in pixel coordinates."""

    begin: Floats
    """Beginnings of segments, shape ``(n, 2)``, x and y."""

    end: Floats
    """Their ends, shape ``(n, 2)``."""

    is_whole: bool
    """Whether all of the edge has an image, without tears."""

    is_whole_near: bool
    """Whether that is so of the edge near the image."""


def trace(arcs: Arcs, view: View, *, is_far_needed: bool = True) -> Trace:
    """Follow the edge of a stencil through a WCS.

    Parameters
    ----------
    arcs
        The edge.
    view
        The image and its WCS; far from it the result may be coarse.
    is_far_needed
        Whether to follow the edge outside of the sky around the image.

    Returns
    -------
    trace : `Trace`
        Segments with both ends on the edge.
    """
    pieces = _cut(arcs, view, is_far_needed)
    if not len(pieces):
        nothing = np.zeros((0, 2))
        return Trace(nothing, nothing, False, True)
    done: list[tuple[Floats, Floats]] = []
    is_whole = is_whole_near = True
    for _ in range(_MAX_ROUNDS):
        middle = pieces.middle(arcs, view)
        finite = [np.isfinite(p[:, 0]) for p in (pieces.p0, middle, pieces.p1)]
        is_whole &= bool(np.all(finite))
        is_whole_near &= bool(np.all(np.asarray(finite)[:, pieces.near]))
        sagitta = np.hypot(*(middle - 0.5 * (pieces.p0 + pieces.p1)).T)
        # Halves bend a quarter as much as the whole.
        again = (0.25 * sagitta > TOLERANCE) & _matters(pieces, middle, sagitta, view.image)
        again |= _is_mixed(*finite) & _is_inside(pieces, middle, view.image)
        far = again & ~pieces.near
        if np.count_nonzero(far) > _MAX_FAR_SEGMENTS:
            again &= pieces.near
            is_whole = False
        done += [(pieces.p0[~again], middle[~again]), (middle[~again], pieces.p1[~again])]
        pieces = pieces.halved(again, middle)
        if not len(pieces) or len(pieces) > _MAX_SEGMENTS:
            break
    # Segments that still bend jump across a tear; their ends are on the
    # edge, what is between them is not.
    is_whole &= not len(pieces)
    is_whole_near &= not np.any(pieces.near)
    done += [(pieces.p0, pieces.p0), (pieces.p1, pieces.p1)]
    begin, end = (np.concatenate(parts) for parts in zip(*done, strict=True))
    # A segment with one end has that end only.
    begin, end = np.where(np.isfinite(begin), begin, end), np.where(np.isfinite(end), end, begin)
    kept = np.isfinite(begin[:, 0])
    return Trace(begin[kept], end[kept], is_whole and is_far_needed, is_whole_near)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Pieces of arcs, and where their ends are among the pixels."""

    arc: np.ndarray[tuple[int], np.dtype[np.intp]]
    t0: Floats
    t1: Floats
    near: Bools
    p0: Floats
    p1: Floats

    def __len__(self) -> int:
        return len(self.arc)

    def middle(self, arcs: Arcs, view: View) -> Floats:
        return view.to_pixel(*arcs.lonlat(self.arc, 0.5 * (self.t0 + self.t1)))

    def halved(self, chosen: Bools, middle: Floats) -> Self:
        arc, near, p0, p1 = self.arc[chosen], self.near[chosen], self.p0[chosen], self.p1[chosen]
        t0, t1, pm = self.t0[chosen], self.t1[chosen], middle[chosen]
        tm = 0.5 * (t0 + t1)
        return type(self)(
            np.concatenate([arc, arc]),
            np.concatenate([t0, tm]),
            np.concatenate([tm, t1]),
            np.concatenate([near, near]),
            np.concatenate([p0, pm]),
            np.concatenate([pm, p1]),
        )


def _cut(arcs: Arcs, view: View, is_far_needed: bool) -> _Pieces:
    # First on the sky alone, so that no arc, however long, steps over the
    # image, and pieces near it are no longer than half of it.
    count = max(2, _FIRST_POINTS // len(arcs))
    grid = np.linspace(0.0, 1.0, count + 1)
    arc = np.repeat(np.arange(len(arcs)), count)
    t0, t1 = np.tile(grid[:-1], len(arcs)), np.tile(grid[1:], len(arcs))
    while True:
        length = arcs.length[arc] * (t1 - t0)
        near = view.is_near(arcs.vectors(arc, 0.5 * (t0 + t1)), 0.5 * length)
        long = near & (length > 0.5 * view.radius)
        if not np.any(long):
            break
        middle = 0.5 * (t0 + t1)[long]
        arc = np.concatenate([arc, arc[long]])
        t0, t1 = np.concatenate([t0, middle]), np.concatenate([np.where(long, 0.5 * (t0 + t1), t1), t1[long]])
    if not is_far_needed:
        arc, t0, t1, near = arc[near], t0[near], t1[near], near[near]
    # Neighbours share their ends to the last bit: a scan line between them
    # would count the edge twice, or not at all.
    both, t = np.concatenate([arc, arc]), np.concatenate([t0, t1])
    _, first, which = np.unique(2.0 * both + t, return_index=True, return_inverse=True)
    ends = view.to_pixel(*arcs.lonlat(both[first], t[first]))[which] if len(first) else np.zeros((0, 2))
    return _Pieces(arc, t0, t1, near, ends[: len(arc)], ends[len(arc) :])


def _is_mixed(*finite: Bools) -> Bools:
    number = np.sum(finite, axis=0)
    return np.asarray((number > 0) & (number < len(finite)))


def _matters(pieces: _Pieces, middle: Floats, sagitta: Floats, image: PixelBox) -> Bools:
    p0, p1 = pieces.p0, pieces.p1
    low = np.minimum(np.minimum(p0, p1), middle) - 2 * sagitta[:, np.newaxis]
    high = np.maximum(np.maximum(p0, p1), middle) + 2 * sagitta[:, np.newaxis]
    points = np.concatenate([p0, middle, p1])
    points = points[np.isfinite(points[:, 0])]
    if not len(points):
        return np.zeros(len(p0), dtype=bool)
    first, last = np.array([image.x0, image.y0]) - 0.5, np.array([image.x1, image.y1]) + 0.5
    # An end of the box that is beyond the image's is clipped to it, however
    # far out it is.
    with np.errstate(invalid="ignore"):
        stretches = np.any(((high > points.max(axis=0)) & (points.max(axis=0) < last)), axis=1) | np.any(
            (low < points.min(axis=0)) & (points.min(axis=0) > first), axis=1
        )
        near = np.all((low <= last) & (high >= first), axis=1)
    return stretches | near


def _is_inside(pieces: _Pieces, middle: Floats, image: PixelBox) -> Bools:
    # Within a pixel of the image.
    first, last = np.array([image.x0, image.y0]) - 1.5, np.array([image.x1, image.y1]) + 1.5
    inside = np.zeros(len(pieces), dtype=bool)
    for points in (pieces.p0, middle, pieces.p1):
        with np.errstate(invalid="ignore"):
            inside |= np.all((points >= first) & (points <= last), axis=1)
    return inside
