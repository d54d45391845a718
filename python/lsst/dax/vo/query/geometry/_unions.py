"""A constant union and a column: what is near is compared."""

from __future__ import annotations

__all__ = ["Union", "union_of"]

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from lsst.sphgeom import Region, UnionRegion

from ._arrangement import Tree, tree_of
from ._borders import border_of_union
from ._exact import lies_in
from ._pairs import relate_pairs
from ._rules import POINT, Relation
from ._sides import Bools, Floats, Ints, Side

# Circles that are as wide are compared by themselves.
_WIDE = 0.1
# Pairs of a row and a part that are looked at together.
_MOST_PAIRS = 2_000_000
# Bounding circles are compared with that margin, which covers the rounding of
# the cosine of a small angle.
_MARGIN = 1e-7


@dataclass(frozen=True, slots=True)
class Union:
    """A constant union, of which a column is compared with what is near."""

    encoding: bytes
    parts: Side
    middles: Floats
    radii: Floats

    def meet(self, other: Side) -> Bools:
        """Tell which geometries meet one of the parts."""
        answers, left = self._judge("intersects", other)
        some = other.take(left) if len(left) < len(other) else other
        for rows, places in self._near(some):
            found = relate_pairs("intersects", some, rows, self.parts, places)
            answers[left[rows[found]]] = True
        return answers

    def lie_in(self, other: Side) -> Bools:
        """Tell which geometries hold all parts."""
        counts = np.zeros(len(other), np.int64)
        for rows, places in self._near(other):
            found = relate_pairs("contains", self.parts, places, other, rows)
            counts += np.bincount(rows[found], minlength=len(other))
        holds: Bools = counts == int((self.radii >= 0).sum())
        return holds

    def hold(self, other: Side) -> Bools:
        """Tell which geometries lie inside, maybe across several parts."""
        answers, left = self._judge("contains", other)
        some = other.take(left) if len(left) < len(other) else other
        kinds, radii = some.kinds(), some.circles()[1]
        answers[left[radii < 0]] = True
        tree = tree_of(self.encoding)
        near: dict[int, list[int]] = {}
        for rows, places in self._near(some):
            found = relate_pairs("contains", some, rows, self.parts, places)
            answers[left[rows[found]]] = True
            for row, place in zip(rows.tolist(), places.tolist(), strict=True):
                near.setdefault(row, []).append(place)
        for row, own in near.items():
            # One part alone has been asked.
            if kinds[row] != POINT and not answers[left[row]] and len(own) > 1:
                parts = Tree("any", parts=tuple(tree.parts[place] for place in own))
                answers[left[row]] = lies_in(tree_of(some.value(row)), parts)
        return answers

    def _judge(self, relation: Relation, other: Side) -> tuple[Bools, Ints]:
        # What the border tells, and the rows of which it does not.
        rows = np.arange(len(other))
        border = border_of_union(self.encoding)
        if border is None:
            return np.zeros(len(other), np.bool_), rows
        yes, no = border.judge(relation, other, rows)
        return yes, rows[~(yes | no)]

    def _near(self, other: Side) -> Iterator[tuple[Ints, Ints]]:
        # Pairs of a row and a part whose circles meet.
        middles, radii = other.circles()
        order = np.flatnonzero(radii >= 0)
        wide = radii > _WIDE
        for rows in (order[~wide[order]], order[wide[order]]):
            step = max(1, _MOST_PAIRS // max(len(self.radii), 1))
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                # First by the widest of the rows, then each by its own.
                most = np.minimum(self.radii + float(radii[some].max()) + _MARGIN, np.pi)
                near = (middles[some] @ self.middles.T >= np.cos(most) - 1e-15) & (self.radii >= 0)
                found, places = np.nonzero(near)
                found = some[found]
                most = np.minimum(radii[found] + self.radii[places] + _MARGIN, np.pi)
                close = (middles[found] * self.middles[places]).sum(axis=1) >= np.cos(most) - 1e-15
                yield found[close], places[close]


@lru_cache(maxsize=64)
def union_of(encoding: bytes) -> Union:
    """Take a union apart.

    Parameters
    ----------
    encoding
        Of a union.

    Returns
    -------
    union : `Union`
    """
    tree = tree_of(encoding)
    values = [_encoding_of(part.encoding, encoding, place) for place, part in enumerate(tree.parts)]
    middles, radii = np.empty((len(values), 3)), np.empty(len(values))
    for place, value in enumerate(values):
        circle = Region.decode(value).getBoundingCircle()
        center = circle.getCenter()
        middles[place] = center.x(), center.y(), center.z()
        radii[place] = circle.getOpeningAngle().asRadians()
    return Union(encoding, Side.from_values(values), middles, radii)


def _encoding_of(own: bytes, union: bytes, place: int) -> bytes:
    if own:
        return own
    region: Any = UnionRegion.decode(union)
    part: bytes = region.cloneOperand(place).encode()
    return part
