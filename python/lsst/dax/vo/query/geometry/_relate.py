"""Contains and intersects, for whole columns of geometries at once.

Rules in double precision decide about points, circles and convex polygons
wherever rounding cannot; what they leave open, and all other pairs, are
decided one by one (see ``_exact.py``).  Every answer is the same as if each
pair had been.
"""

from __future__ import annotations

__all__ = ["contains", "intersects"]

from typing import Any

import numpy as np
import pyarrow as pa
from lsst.sphgeom import Region

from ._geometry import unit_vectors
from ._pairs import relate_one_by_one, relate_pairs
from ._rules import POINT, RULES, Relation
from ._sides import Bools, Side
from ._unions import union_of

# What is compared in one piece, in bytes.
_MOST_BYTES = 2_000_000

_UNION = ord("u")


def contains(inner: pa.Array, outer: pa.Array) -> pa.Array:
    """Tell which geometries lie wholly inside others.

    Parameters
    ----------
    inner, outer
        Encodings, type ``binary``, without NULL, of equal length.

    Returns
    -------
    inside : `pyarrow.Array`
        Booleans; the boundary counts as inside.
    """
    return pa.array(_relate("contains", Side.from_arrow(inner), Side.from_arrow(outer)))


def intersects(first: pa.Array, second: pa.Array) -> pa.Array:
    """Tell which geometries have a point in common.

    Parameters
    ----------
    first, second
        As for `contains`.

    Returns
    -------
    meets : `pyarrow.Array`
        Booleans; with a point, whether the other contains it.
    """
    return pa.array(_relate("intersects", Side.from_arrow(first), Side.from_arrow(second)))


def _relate(relation: Relation, a: Side, b: Side) -> Bools:
    count = len(a)
    if count == 0:
        return np.zeros(0, np.bool_)
    found = _relate_alike(relation, a, b)
    if found is not None:
        return found
    # Tables have the same region in rows side by side: of a raw image, of what
    # was made of it.
    first = ~(_repeats(a) & _repeats(b))
    rows = np.flatnonzero(first)
    if len(rows) <= 0.8 * count:
        answers = _relate_distinct(relation, a.take(rows), b.take(rows))
        spread: Bools = answers[np.cumsum(first) - 1]
        return spread
    return _relate_distinct(relation, a, b)


def _relate_alike(relation: Relation, a: Side, b: Side) -> Bools | None:
    # A constant and a column of one kind and size, without detours: a
    # database asks for some hundred rows at a time.
    if not (a.constant or b.constant):
        return None
    rule = RULES[relation].get((a.kind(), b.kind()))
    if rule is None or len(a) * (a.size + b.size) > _MOST_BYTES:
        return None
    first, second = a.all_numbers(), b.all_numbers()
    many = second if a.constant else first
    differs = np.ones(len(many), np.bool_)
    np.not_equal(many[1:, 0], many[:-1, 0], out=differs[1:])
    if np.count_nonzero(differs) <= 0.8 * len(many):
        # Those that begin alike are mostly the same; it has to be known.
        differs[1:] = (many[1:].view(np.int64) != many[:-1].view(np.int64)).any(axis=1)
        kept = np.flatnonzero(differs)
        many = many[kept]
        first, second = (first, many) if a.constant else (many, second)
    else:
        kept = np.arange(len(many))
    with np.errstate(divide="ignore", invalid="ignore"):
        yes, no = rule(first, second)
    answers = np.broadcast_to(yes, len(many)).copy()
    left = np.flatnonzero(~(yes | no))
    if len(left):
        rows = kept[left] if len(kept) == len(many) else left
        answers[left] = relate_one_by_one(relation, a, rows, b, rows)
    if len(answers) < len(differs):
        answers = answers[np.cumsum(differs) - 1]
    spread: Bools = np.broadcast_to(answers, len(a))
    return spread


def _repeats(side: Side) -> Bools:
    if side.constant:
        same = np.ones(len(side), np.bool_)
        same[0] = False
        return same
    return side.repeats()


def _relate_distinct(relation: Relation, a: Side, b: Side) -> Bools:
    for side, other in ((a, b), (b, a)):
        if side.constant and not (other.constant and len(other) > 1):
            found = _relate_constant(relation, side, other, is_first=side is a)
            if found is not None:
                return found
    rows = np.arange(len(a))
    return relate_pairs(relation, a, rows, b, rows)


def _relate_constant(relation: Relation, side: Side, other: Side, *, is_first: bool) -> Bools | None:
    encoding = side.value(0)
    kind = encoding[0]
    if kind == _UNION:
        union = union_of(encoding)
        if relation == "intersects":
            return union.meet(other)
        return union.lie_in(other) if is_first else union.hold(other)
    if kind == POINT or (relation == "contains" and is_first):
        return None
    kinds = other.kinds()
    if (kinds != POINT).any():
        return None
    ra_deg, dec_deg = other.numbers(np.arange(len(other)), 17).T
    inside: Any = Region.decode(encoding).contains(*unit_vectors(ra_deg, dec_deg).T)
    return np.broadcast_to(inside, len(other))
