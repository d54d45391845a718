"""Which pixels of the sky detectors touch, many at a time."""

__all__ = ["PixelFinder"]

import math

import numpy as np
from lsst.sphgeom import ConvexPolygon, HtmPixelization

from ._sky import Floats, Integers

type Booleans = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class PixelFinder:
    """Pixels of a pixelization that small polygons touch.

    Gives what the pixelization's own ``envelope`` does, polygon by polygon.

    Parameters
    ----------
    pixelization
        Triangles on the sky.
    """

    def __init__(self, pixelization: HtmPixelization) -> None:
        self._pixelization = pixelization
        self._known: dict[int, Floats] = {}

    def pixels_of(self, region: ConvexPolygon) -> Integers:
        """Return the pixels that a region touches.

        Parameters
        ----------
        region
            Of any size.
        """
        ranges = self._pixelization.envelope(region)
        return np.concatenate([np.arange(begin, end, dtype=np.int64) for begin, end in ranges])

    def find(self, corners: Floats, candidates: Integers, offsets: Integers) -> tuple[Integers, Integers]:
        """Find the pixels of quadrilaterals.

        Parameters
        ----------
        corners
            Four unit vectors for each, against the clock.
        candidates
            Pixels that come into question: for the first quadrilateral, for
            the second, and so on.
        offsets
            Where those of each begin, and the end.

        Returns
        -------
        quadrilaterals, pixels : `numpy.ndarray`
            Each pair that touches, once.
        """
        owners = np.repeat(np.arange(len(corners)), np.diff(offsets))
        distinct, places = np.unique(candidates, return_inverse=True)
        triangles = np.array([self._triangle(pixel) for pixel in distinct.tolist()])
        near = _are_near(corners, owners, triangles, places)
        owners, places = owners[near], places[near]
        ones, others = corners[owners], triangles[places]
        touch = ~(_are_parted(ones, others) | _are_parted(others, ones))
        return owners[touch], distinct[places[touch]]

    def _triangle(self, pixel: int) -> Floats:
        if pixel not in self._known:
            vertices = self._pixelization.triangle(pixel).getVertices()
            self._known[pixel] = np.array([(v.x(), v.y(), v.z()) for v in vertices])
        return self._known[pixel]


def _are_near(corners: Floats, owners: Integers, triangles: Floats, places: Integers) -> Booleans:
    """Tell, cheaply, which pairs may touch at all."""
    centers, radius = _circles(corners)
    middles, reach = _circles(triangles)
    near: Booleans = np.einsum("ij,ij->i", centers[owners], middles[places]) >= math.cos(radius + reach)
    return near


def _circles(corners: Floats) -> tuple[Floats, float]:
    """Return middles of polygons, and a radius that is enough for each."""
    centers = corners.sum(1)
    centers /= np.linalg.norm(centers, axis=-1, keepdims=True)
    radius = math.acos(float(np.einsum("ikj,ij->ik", corners, centers).min()))
    return centers, radius + 1e-9


def _are_parted(ones: Floats, others: Floats) -> Booleans:
    """Tell where an edge of the one has all of the other outside."""
    parted = np.zeros(len(ones), bool)
    for edge in range(ones.shape[1]):
        normals = np.cross(ones[:, edge], ones[:, (edge + 1) % ones.shape[1]])
        parted |= (np.einsum("ij,ikj->ik", normals, others) < 0).all(-1)
    return parted
