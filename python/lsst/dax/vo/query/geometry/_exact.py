"""Contains and intersects for one pair of geometries, exactly.

What `lsst.sphgeom` decides itself is its answer: points, circles and convex
polygons with each other, and boxes with boxes and circles.  Of all other
pairs it knows bounds alone; there the sides of the regions tell.
"""

from __future__ import annotations

__all__ = ["decide", "lies_in"]

from functools import lru_cache

import numpy as np
from lsst.sphgeom import CONTAINS, DISJOINT, LonLat, Region, UnitVector3d

from ._arrangement import Tree, is_within, meet, tree_of
from ._geometry import POINT_TAG
from ._rules import Relation

_BY_SPHGEOM = frozenset({b"cc", b"cp", b"pc", b"pp", b"bb", b"bc", b"cb"})
# Bounding circles are compared with that margin.
_MARGIN = 1e-7


def decide(relation: Relation, a: bytes, b: bytes) -> bool:
    """Tell whether a geometry lies inside another, or meets it.

    Parameters
    ----------
    relation
        What is asked.
    a, b
        Encodings of the inner and the outer one.

    Returns
    -------
    answer : `bool`
    """
    if b[:1] == POINT_TAG:
        # A region lies inside a point never, but it may meet one.
        if a[:1] == POINT_TAG:
            return a == b
        return relation == "intersects" and bool(_region(a).contains(_point(b)))
    if a[:1] == POINT_TAG:
        return bool(_region(b).contains(_point(a)))
    if a[:1] + b[:1] in _BY_SPHGEOM:
        return _by_sphgeom(relation, a, b)
    first, second = tree_of(a), tree_of(b)
    return lies_in(first, second) if relation == "contains" else _meet(first, second)


def lies_in(a: Tree, b: Tree) -> bool:
    """Tell whether a region lies inside another; as `decide`."""
    if a.kind == "any":
        return all(lies_in(part, b) for part in a.parts)
    if b.kind == "all":
        return all(lies_in(a, part) for part in b.parts)
    if a.kind == "leaf" and b.kind == "leaf":
        if a.shape is None or b.shape is None:
            return a.shape is None
        if a.encoding[:1] + b.encoding[:1] in _BY_SPHGEOM:
            return _by_sphgeom("contains", a.encoding, b.encoding)
    elif b.kind == "any" and any(lies_in(a, part) for part in b.parts):
        return True
    return is_within(a, b)


def _meet(a: Tree, b: Tree) -> bool:
    if a.kind == "any":
        return any(_meet(part, b) for part in a.parts)
    if b.kind == "any":
        return any(_meet(a, part) for part in b.parts)
    if a.kind == "leaf" and b.kind == "leaf":
        if a.shape is None or b.shape is None:
            return False
        apart = 2.0 * np.arcsin(min(0.5 * float(np.linalg.norm(a.shape.middle - b.shape.middle)), 1.0))
        if apart > a.shape.radius + b.shape.radius + _MARGIN:
            return False
        if a.encoding[:1] + b.encoding[:1] in _BY_SPHGEOM:
            return _by_sphgeom("intersects", a.encoding, b.encoding)
    return meet(a, b)


def _by_sphgeom(relation: Relation, a: bytes, b: bytes) -> bool:
    relationship = _region(b).relate(_region(a))
    return bool(relationship & CONTAINS) if relation == "contains" else not relationship & DISJOINT


@lru_cache(maxsize=4096)
def _region(encoding: bytes) -> Region:
    return Region.decode(encoding)


def _point(encoding: bytes) -> UnitVector3d:
    ra_deg, dec_deg = np.frombuffer(encoding[1:], "<f8").tolist()
    return UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))
