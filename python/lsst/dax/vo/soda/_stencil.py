"""From a stencil on the sky to a box of pixels."""

from __future__ import annotations

__all__ = ["region_box", "stencil_box"]

import math

import numpy as np

from ..dali import Stencil, to_interior
from ._boundary import arcs_of
from ._box import PixelBox
from ._projection import Projection
from ._region import Region, SkyBox
from ._trace import Trace, trace
from ._view import View, are_inside, rim_of

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Bounds = tuple[Floats, Floats]

# Points along each side of the image in the first look at what the stencil
# covers, and the most in the second.
_COARSE = 33
_FINE = 20_001

# Pixels by which a place may be off before it is another one.
_HALFWAY = 1e-6

# Pixels along each axis of which the centers are asked, at most.
_GRID = 512


def region_box(region: Region | None, projection: Projection | None, image: PixelBox) -> PixelBox | None:
    """Find the pixels of an image that a region needs.

    Parameters
    ----------
    region
        The region; `None` is the whole image.
    projection
        The WCS, in parent pixel coordinates; needed by regions on the sky.
    image
        All pixels of the image, in the same coordinates.

    Returns
    -------
    box : `PixelBox` or `None`
        The region's box, clipped to the image; `None` when they have no
        pixel in common.
    """
    if region is None:
        return image
    if isinstance(region, PixelBox):
        return region.clipped_to(image)
    if projection is None:
        raise ValueError("regions on the sky need a projection")
    if isinstance(region, SkyBox):
        return _sized_box(region, projection, image)
    return stencil_box(region, projection, image)


def _sized_box(region: SkyBox, projection: Projection, image: PixelBox) -> PixelBox | None:
    lon, lat = np.radians([region.ra_deg]), np.radians([region.dec_deg])
    view = View.of(projection, image)
    x, y = view.to_pixel(lon, lat)[0]
    if not (math.isfinite(x) and math.isfinite(y)):
        return None
    width, height = region.width, region.height
    if region.unit == "arcsec":
        along_x, along_y = view.sides(x, y)
        width, height = math.radians(width / 3600) / along_x, math.radians(height / 3600) / along_y
    width, height = max(1, round(width)), max(1, round(height))
    # The pixel with the center is the middle one; of an even number, the
    # two or four pixels in the middle are those nearest to the center.  Of a
    # center halfway between two choices, rounding shall not decide.
    x0, y0 = (math.ceil(place - 0.5 * size - _HALFWAY) for place, size in ((x, width), (y, height)))
    return PixelBox(x0, x0 + width - 1, y0, y0 + height - 1).clipped_to(image)


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
    interior = to_interior(stencil)
    view = View.of(projection, image)
    edge = trace(arcs_of(stencil), view)
    rim = rim_of(image, _COARSE)
    covered = rim[are_inside(interior, projection, rim)]
    visible = _visible_bounds(edge, image)
    if visible is None and not len(covered) and edge.is_whole_near and view.is_plain:
        return None
    if edge.is_whole and view.is_plain:
        bounds = (
            np.minimum(edge.begin.min(axis=0), edge.end.min(axis=0)),
            np.maximum(edge.begin.max(axis=0), edge.end.max(axis=0)),
        )
        # A stencil that covers more of the rim than its edge spans goes
        # around a pole that the map stretches into a line.
        if np.all((covered >= bounds[0] - 0.5) & (covered <= bounds[1] + 0.5)):
            return _to_box(bounds, image)
    shown: list[Floats] = [np.concatenate(visible).reshape(-1, 2)] if visible is not None else []
    shown.append(covered)
    if not (edge.is_whole_near and view.is_plain):
        # Maps of the whole sky may be torn within, so that their pixels are
        # asked too.
        asked = np.concatenate([rim_of(image, _FINE), _centers(image)])
        shown.append(asked[are_inside(interior, projection, asked)])
    seen = np.concatenate(shown)
    return _to_box((seen.min(axis=0), seen.max(axis=0)), image) if len(seen) else None


def _to_box(bounds: Bounds, image: PixelBox) -> PixelBox | None:
    # Clipped before rounding: far outside, numbers may be too large for int.
    low = np.clip(np.floor(bounds[0] + 0.5), (image.x0 - 1, image.y0 - 1), (image.x1 + 1, image.y1 + 1))
    high = np.clip(np.floor(bounds[1] + 0.5), (image.x0 - 1, image.y0 - 1), (image.x1 + 1, image.y1 + 1))
    return PixelBox(int(low[0]), int(high[0]), int(low[1]), int(high[1])).clipped_to(image)


def _centers(image: PixelBox) -> Floats:
    columns = np.unique(np.rint(np.linspace(image.x0, image.x1, _GRID)))
    rows = np.unique(np.rint(np.linspace(image.y0, image.y1, _GRID)))
    return np.column_stack([grid.ravel() for grid in np.meshgrid(columns, rows)])


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
