"""Follow the edge of a stencil through a WCS.

The edge is halved where it bends, until a polyline is within two
thousandths of a pixel of it; where that can change neither the box nor what
the image sees, it is left coarse.
"""

from __future__ import annotations

__all__ = ["Trace", "sky_to_pixel", "trace"]

from dataclasses import dataclass

import numpy as np

from ._boundary import Arcs
from ._box import PixelBox
from ._projection import Projection

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

# How far, in pixels, the polyline may be from the edge, and a point from
# where it maps back to.
_TOLERANCE = 0.002

# Each halving divides the distance by four, so smooth edges a million pixels
# long need fifteen; what is left after twenty-four is a tear in the
# projection.
_MAX_ROUNDS = 24

_MAX_SEGMENTS = 200_000

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


def trace(arcs: Arcs, projection: Projection, image: PixelBox) -> Trace:
    """Follow the edge of a stencil through a WCS.

    Parameters
    ----------
    arcs
        The edge.
    projection
        The WCS.
    image
        Pixels of the image; far from them the result may be coarse.

    Returns
    -------
    trace : `Trace`
        Segments with both ends on the edge.
    """
    count = max(9, _FIRST_POINTS // len(arcs))
    grid = np.linspace(0.0, 1.0, count)
    arc = np.repeat(np.arange(len(arcs)), count - 1)
    t0, t1 = np.tile(grid[:-1], len(arcs)), np.tile(grid[1:], len(arcs))
    every = _place(arcs, np.repeat(np.arange(len(arcs)), count), np.tile(grid, len(arcs)), projection, image)
    every = every.reshape(len(arcs), count, 2)
    p0, p1 = every[:, :-1].reshape(-1, 2), every[:, 1:].reshape(-1, 2)
    done0, done1 = [], []
    is_whole = True
    for _ in range(_MAX_ROUNDS):
        middle = 0.5 * (t0 + t1)
        pm = _place(arcs, arc, middle, projection, image)
        finite = [np.isfinite(p[:, 0]) for p in (p0, pm, p1)]
        is_whole &= bool(np.all(finite))
        sagitta = np.hypot(*(pm - 0.5 * (p0 + p1)).T)
        # Halves bend a quarter as much as the whole.
        bends = (0.25 * sagitta > _TOLERANCE) & _matters(p0, pm, p1, sagitta, image)
        vanishes = _is_mixed(*finite) & _is_near(p0, pm, p1, np.full(len(p0), 1.0), image)
        again = bends | vanishes
        for begin, end in ((p0, pm), (pm, p1)):
            done0.append(begin[~again])
            done1.append(end[~again])
        if not np.any(again) or 2 * np.count_nonzero(again) > _MAX_SEGMENTS:
            break
        arc, t0, t1, middle = (np.concatenate([a[again], a[again]]) for a in (arc, t0, t1, middle))
        half = len(arc) // 2
        t0, t1 = np.concatenate([t0[:half], middle[half:]]), np.concatenate([middle[:half], t1[half:]])
        p0, p1 = np.concatenate([p0[again], pm[again]]), np.concatenate([pm[again], p1[again]])
    # Segments that still bend jump across a tear; their ends are on the
    # edge, what is between them is not.
    is_whole &= not np.any(again)
    begin, end = np.concatenate(done0), np.concatenate(done1)
    if np.any(again):
        begin, end = np.concatenate([begin, p0, p1]), np.concatenate([end, p0, p1])
    # A segment with one end has that end only.
    begin, end = np.where(np.isfinite(begin), begin, end), np.where(np.isfinite(end), end, begin)
    kept = np.isfinite(begin[:, 0])
    return Trace(begin[kept], end[kept], is_whole)


def _place(
    arcs: Arcs,
    arc: np.ndarray[tuple[int], np.dtype[np.intp]],
    t: Floats,
    projection: Projection,
    image: PixelBox,
) -> Floats:
    return sky_to_pixel(projection, *arcs.lonlat(arc, t), image)


def sky_to_pixel(projection: Projection, lon: Floats, lat: Floats, image: PixelBox) -> Floats:
    """Map sky to pixels, and only where the pixels map back.

    Parameters
    ----------
    projection
        The WCS.
    lon, lat
        Radians.
    image
        The image, at whose center the pixel scale is measured.

    Returns
    -------
    points : `numpy.ndarray`, shape ``(n, 2)``
        x and y; NaN where a point has no image.

    Notes
    -----
    Distortion polynomials have approximate inverses (SIP's AP and BP are
    off by tenths of a pixel in some files), and projections may fold the
    far side of the sky over the near one.  So each point is mapped back,
    moved by Newton's method until it agrees, and dropped if it does not.
    """
    x, y = projection.to_pixel(lon, lat)
    points = np.column_stack([x, y])
    points[~np.all(np.abs(points) < 1e15, axis=1)] = np.nan
    scale = _pixel_scale(projection, image)
    for attempt in range(5):
        error = _separation(projection, points, lon, lat)
        with np.errstate(invalid="ignore"):
            wrong = np.hypot(*error.T) > _TOLERANCE * scale
        if not np.any(wrong):
            break
        points[wrong] = (
            np.nan if attempt == 4 else _improve(projection, points[wrong], lon[wrong], lat[wrong])
        )
    points[np.isnan(error[:, 0])] = np.nan
    return points


def _pixel_scale(projection: Projection, image: PixelBox) -> float:
    x, y = 0.5 * (image.x0 + image.x1), 0.5 * (image.y0 + image.y1)
    lon, lat = projection.to_sky(np.array([x, x + 1.0, x]), np.array([y, y, y + 1.0]))
    steps = _offsets(lon[1:], lat[1:], np.repeat(lon[0], 2), np.repeat(lat[0], 2))
    scale = float(np.sqrt(abs(steps[0, 0] * steps[1, 1] - steps[0, 1] * steps[1, 0])))
    # Without a scale, half an arcsecond is that of most cameras.
    return scale if np.isfinite(scale) and scale > 0 else 2.5e-6


def _separation(projection: Projection, points: Floats, lon: Floats, lat: Floats) -> Floats:
    back = projection.to_sky(points[:, 0], points[:, 1])
    return _offsets(back[0], back[1], lon, lat)


def _offsets(lon: Floats, lat: Floats, from_lon: Floats, from_lat: Floats) -> Floats:
    # Components along east and north at the starting point; for points far
    # apart only their being large matters.
    delta = lon - from_lon
    with np.errstate(invalid="ignore"):
        haversine = np.sin(0.5 * delta) ** 2
        east = np.cos(lat) * np.sin(delta)
        north = np.sin(lat - from_lat) + 2 * np.sin(from_lat) * np.cos(lat) * haversine
        behind = np.sin(lat) * np.sin(from_lat) + np.cos(lat) * np.cos(from_lat) * np.cos(delta) < 0
    return np.column_stack([np.where(behind, 10.0, east), np.where(behind, 10.0, north)])


def _improve(projection: Projection, points: Floats, lon: Floats, lat: Floats) -> Floats:
    here = _separation(projection, points, lon, lat)
    right = _separation(projection, points + np.array([0.5, 0.0]), lon, lat) - here
    up = _separation(projection, points + np.array([0.0, 0.5]), lon, lat) - here
    determinant = right[:, 0] * up[:, 1] - right[:, 1] * up[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        dx = (here[:, 0] * up[:, 1] - here[:, 1] * up[:, 0]) / determinant
        dy = (right[:, 0] * here[:, 1] - right[:, 1] * here[:, 0]) / determinant
    step = -0.5 * np.column_stack([dx, dy])
    moved = points + step
    # A step of more than a thousand pixels is no correction.
    moved[~(np.hypot(*step.T) < 1000)] = np.nan
    return moved


def _is_mixed(*finite: Bools) -> Bools:
    number = np.sum(finite, axis=0)
    return np.asarray((number > 0) & (number < len(finite)))


def _matters(p0: Floats, pm: Floats, p1: Floats, sagitta: Floats, image: PixelBox) -> Bools:
    low = np.minimum(np.minimum(p0, p1), pm) - 2 * sagitta[:, np.newaxis]
    high = np.maximum(np.maximum(p0, p1), pm) + 2 * sagitta[:, np.newaxis]
    points = np.concatenate([p0, pm, p1])
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


def _is_near(p0: Floats, pm: Floats, p1: Floats, margin: Floats, image: PixelBox) -> Bools:
    first, last = np.array([image.x0, image.y0]) - 0.5, np.array([image.x1, image.y1]) + 0.5
    near = np.zeros(len(p0), dtype=bool)
    for points in (p0, pm, p1):
        with np.errstate(invalid="ignore"):
            near |= np.all((points >= first - margin[:, None]) & (points <= last + margin[:, None]), axis=1)
    return near
