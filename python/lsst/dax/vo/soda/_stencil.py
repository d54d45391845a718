"""From a stencil on the sky to a box of pixels."""

from __future__ import annotations

__all__ = ["stencil_box"]

from typing import TYPE_CHECKING

import numpy as np

from ..dali import Stencil, to_region
from ._boundary import arcs_of
from ._box import PixelBox
from ._projection import Projection
from ._trace import Trace, trace

if TYPE_CHECKING:
    from lsst.sphgeom import Region

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Bounds = tuple[Floats, Floats]

# Points along each side of the image in the first look at what the stencil
# covers, and the most in the second.
_COARSE = 33
_FINE = 20_001

# Pixels along each axis of which the centers are asked, at most.
_GRID = 512


def stencil_box(stencil: Stencil, projection: Projection, image: PixelBox) -> PixelBox | None:
    """Find the pixels of an image that a stencil needs.

    Parameters
    ----------
    stencil
        Region on the sky, ICRS.
    projection
        The WCS, in parent pixel coordinates.
    image
        All pixels of the image, in the same coordinates.

    Returns
    -------
    box : `PixelBox` or `None`
        The box of the stencil's true outline, clipped to the image; `None`
        when the stencil touches no pixel of the image.

    Raises
    ------
    UsageError
        Raised if a polygon crosses itself or encloses nothing.

    Notes
    -----
    A coordinate ``v`` lies in pixel ``floor(v + 0.5)``, and a pixel counts
    as soon as the stencil touches it, whether or not its center is inside.
    The outline is right to 0.002 pixels.  Touching is decided by the
    stencil itself: where only the boxes overlap, as at the corner of an
    image beside a circle, the answer is `None` (SODA 1.0, 4.1: no pixels,
    no content).

    Where part of the outline has no image under the projection (behind the
    tangent plane, beyond the edge of an all-sky map, across its seam), the
    box is that of what the image shows of the stencil.
    """
    region = to_region(stencil)
    outline = trace(arcs_of(stencil), projection, image)
    rim = _rim(image, _COARSE)
    covered, is_whole = _covered(rim, region, projection)
    visible = _visible_bounds(outline, image)
    if visible is None and not len(covered) and outline.is_whole and is_whole:
        return None
    if outline.is_whole and is_whole:
        bounds = (
            np.minimum(outline.begin.min(axis=0), outline.end.min(axis=0)),
            np.maximum(outline.begin.max(axis=0), outline.end.max(axis=0)),
        )
        # A stencil that covers more of the rim than its outline spans goes
        # around a pole that the map stretches into a line.
        if np.all((covered >= bounds[0] - 0.5) & (covered <= bounds[1] + 0.5)):
            return _to_box(bounds, image)
    shown: list[Floats] = [np.concatenate(visible).reshape(-1, 2)] if visible is not None else []
    box = None
    # Maps of the whole sky may be torn within, so that their pixels are
    # asked too; most images are covered to the rim before that.
    for points in (_rim(image, _FINE), _centers(image)):
        shown.append(_covered(points, region, projection)[0])
        seen = np.concatenate(shown)
        box = _to_box((seen.min(axis=0), seen.max(axis=0)), image) if len(seen) else None
        if box == image:
            break
    return box


def _to_box(bounds: Bounds, image: PixelBox) -> PixelBox | None:
    # Clipped before rounding: far outside, numbers may be too large for int.
    low = np.clip(np.floor(bounds[0] + 0.5), (image.x0 - 1, image.y0 - 1), (image.x1 + 1, image.y1 + 1))
    high = np.clip(np.floor(bounds[1] + 0.5), (image.x0 - 1, image.y0 - 1), (image.x1 + 1, image.y1 + 1))
    return PixelBox(int(low[0]), int(high[0]), int(low[1]), int(high[1])).clipped_to(image)


def _rim(image: PixelBox, count: int) -> Floats:
    columns = np.linspace(image.x0 - 0.5, image.x1 + 0.5, min(count, 2 * image.width + 1))
    rows = np.linspace(image.y0 - 0.5, image.y1 + 0.5, min(count, 2 * image.height + 1))
    sides = [np.column_stack([columns, np.full(len(columns), y)]) for y in (rows[0], rows[-1])]
    sides += [np.column_stack([np.full(len(rows), x), rows]) for x in (columns[0], columns[-1])]
    return np.concatenate(sides)


def _centers(image: PixelBox) -> Floats:
    columns = np.unique(np.rint(np.linspace(image.x0, image.x1, _GRID)))
    rows = np.unique(np.rint(np.linspace(image.y0, image.y1, _GRID)))
    return np.column_stack([grid.ravel() for grid in np.meshgrid(columns, rows)])


def _covered(points: Floats, region: Region, projection: Projection) -> tuple[Floats, bool]:
    lon, lat = projection.to_sky(points[:, 0], points[:, 1])
    known = np.isfinite(lon) & np.isfinite(lat)
    inside = np.zeros(len(points), dtype=bool)
    inside[known] = region.contains(lon[known], lat[known])
    return points[inside], bool(np.all(known))


def _visible_bounds(outline: Trace, image: PixelBox) -> Bounds | None:
    # Liang and Barsky's clipping of each segment to the image: the segment
    # is inside for parameters between "enter" and "leave".
    low, high = np.array([image.x0, image.y0]) - 0.5, np.array([image.x1, image.y1]) + 0.5
    step = outline.end - outline.begin
    enter, leave = np.zeros(len(step)), np.ones(len(step))
    for axis in (0, 1):
        begin, still = outline.begin[:, axis], step[:, axis] == 0
        within = (begin >= low[axis]) & (begin < high[axis])
        with np.errstate(divide="ignore", invalid="ignore"):
            to_low, to_high = (low[axis] - begin) / step[:, axis], (high[axis] - begin) / step[:, axis]
        # A segment along the other axis is within all the way or nowhere.
        near = np.where(still, np.where(within, -np.inf, np.inf), np.minimum(to_low, to_high))
        far = np.where(still, np.where(within, np.inf, -np.inf), np.maximum(to_low, to_high))
        enter, leave = np.maximum(enter, near), np.minimum(leave, far)
    seen = enter <= leave
    if not np.any(seen):
        return None
    points = np.concatenate([outline.begin[seen] + t[seen, None] * step[seen] for t in (enter, leave)])
    # The upper edge of the image belongs to the next pixel.
    points = np.minimum(points, np.nextafter(high, low))
    return points.min(axis=0), points.max(axis=0)
