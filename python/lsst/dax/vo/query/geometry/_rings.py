"""Unions of polygons that share sides and do not overlap: what concave polygons are cut into."""

from __future__ import annotations

__all__ = ["ring_of"]

import numpy as np

from ._arrangement import Tree
from ._outlines import Floats, Simple

# Rounding of places in the plane, as for polygons of clients.
_ROUNDING = 1e-15


def ring_of(tree: Tree) -> Floats | None:
    """Return the sides around a concave polygon.

    Parameters
    ----------
    tree
        A region.

    Returns
    -------
    sides : `numpy.ndarray` or `None`
        First and last end of each, shape ``(sides, 2, 3)``; `None` if the
        region is not a union of polygons whose inner sides all belong to two
        of them, with a line around that neither crosses nor touches itself.

    Notes
    -----
    Sides in opposite directions cancel.  What is left is where the number of
    polygons above each other changes; a line that does not cross itself is
    passed once, so that this number is one inside of it.
    """
    if tree.kind != "any" or any(part.encoding[:1] != b"p" for part in tree.parts) or not tree.parts:
        return None
    left: dict[tuple[bytes, bytes], np.ndarray] = {}
    for part in tree.parts:
        if not isinstance(part.shape, Simple):
            return None
        vertices = np.frombuffer(part.encoding[1:], "<f8").reshape(-1, 3)
        for first, last in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
            key = first.tobytes(), last.tobytes()
            if left.pop(key[::-1], None) is None:
                if key in left:
                    return None
                left[key] = np.array([first, last])
    ends = dict(left.keys())
    if len(ends) < 3 or len(ends) < len(left):
        return None
    # One line alone: of two, one might be around the other.
    start = place = next(iter(ends))
    for _ in range(len(ends)):
        place = ends.pop(place, b"")
    if ends or place != start:
        return None
    sides: Floats = np.array(list(left.values()))
    return sides if _is_simple(sides) else None


def _is_simple(sides: Floats) -> bool:
    middle = sides.sum(axis=(0, 1))
    size = np.linalg.norm(middle)
    if not size > 0:
        return False
    middle = middle / size
    depth = sides @ middle
    if depth.min() < 0.01:
        return False
    across = np.cross(middle, np.eye(3)[np.argmin(np.abs(middle))])
    across /= np.linalg.norm(across)
    plane = sides @ np.array([across, np.cross(middle, across)]).T / depth[:, :, None]
    first, last = plane[:, 0], plane[:, 1]
    for here in range(len(sides) - 1):
        a, b, c, d = first[here], last[here], first[here + 1 :], last[here + 1 :]
        c_side, d_side = _cross(b - a, c - a), _cross(b - a, d - a)
        a_side, b_side = _cross(d - c, a - c), _cross(d - c, b - c)
        slack = _ROUNDING * np.linalg.norm(b - a)
        apart = (c_side * d_side > slack**2) | (a_side * b_side > slack**2)
        apart |= ((np.maximum(c, d) < np.minimum(a, b)) | (np.minimum(c, d) > np.maximum(a, b))).any(axis=1)
        neighbour = (c == b).all(axis=1) | (d == a).all(axis=1)
        if not (apart | neighbour).all():
            return False
    return True


def _cross(a: Floats, b: Floats) -> Floats:
    product: Floats = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product
