"""How regions of any kind lie to each other: exactly, one pair at a time.

The sides of all simple regions that take part cut each other into arcs.  In
the middle of each arc, and right beside it, no region begins or ends, so that
what holds there holds for all that is around it.  What touches within
`ON_SIDE` counts as touching.
"""

from __future__ import annotations

__all__ = ["Arc", "Tree", "border_of", "groups_of", "is_within", "leaves_of", "meet", "tree_of"]

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from lsst.sphgeom import CompoundRegion, IntersectionRegion

from ._outlines import ON_SIDE, Bools, Curve, Floats, Shape, Simple, outline_of

# Bounding circles of sphgeom are wider than that.
_MARGIN = 1e-7
_EIGHTHS: Floats = np.linspace(0.0, 1.75 * np.pi, 8)
# Arcs that are as short have no middle that says anything.
_SHORT = 4 * ON_SIDE


@dataclass(frozen=True, slots=True)
class Tree:
    """A region of simple ones."""

    kind: Literal["leaf", "any", "all"]
    """A simple region, a union or an intersection."""

    shape: Shape | None = None
    """The simple region; `None` if it is empty."""

    encoding: bytes = b""
    """That of the simple region."""

    parts: tuple[Tree, ...] = ()


@dataclass(frozen=True, slots=True)
class Arc:
    """A part of a border, with the inside on its left."""

    curve: Curve
    start: float
    end: float
    """Values of ``t``; the end is less where the inside is on the right of the curve."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """Arcs of the sides of one simple region, and where all regions are there."""

    own: int
    """The place of the simple region."""

    curves: tuple[Curve, ...]
    which: np.ndarray[tuple[int], np.dtype[np.int64]]
    """The curve of each arc."""

    starts: Floats
    ends: Floats
    at: Bools
    """Whether the middle of an arc is in each simple region, its sides
    included: shape ``(regions, arcs)``."""

    left: Bools
    """Whether what is left of it is inside."""

    right: Bools
    beside: Bools
    """Whether the middle is on a side of each simple region."""

    corners: Bools
    """Whether the ends of arcs are in each, sides included."""


@lru_cache(maxsize=1024)
def tree_of(encoding: bytes) -> Tree:
    """Take a region apart.

    Parameters
    ----------
    encoding
        Of any region of sphgeom.

    Returns
    -------
    tree : `Tree`
    """
    if encoding[:1] not in b"ui" or not encoding:
        return Tree("leaf", outline_of(encoding), encoding)
    region: Any = CompoundRegion.decode(encoding)
    kind: Literal["any", "all"] = "all" if isinstance(region, IntersectionRegion) else "any"
    parts = tuple(tree_of(region.cloneOperand(place).encode()) for place in range(region.nOperands()))
    return Tree(kind, parts=parts)


def leaves_of(tree: Tree) -> Iterator[Tree]:
    """Iterate over the simple regions of a region."""
    if tree.kind == "leaf":
        yield tree
    for part in tree.parts:
        yield from leaves_of(part)


def is_within(a: Tree, b: Tree) -> bool:
    """Tell whether a region lies inside another, sides included.

    Parameters
    ----------
    a, b
        The inner and the outer one.

    Returns
    -------
    inside : `bool`
        `True` for an empty region.
    """
    near = _near(b, [leaf.shape for leaf in leaves_of(a) if leaf.shape is not None])
    ground = _Ground(a, near)
    for cut in ground.cuts():
        outside = ground.value(a, cut.at) & ~ground.value(near, cut.at)
        corners = ground.value(a, cut.corners) & ~ground.value(near, cut.corners)
        if outside.any() or corners.any():
            return False
        for side in (cut.left, cut.right):
            if (ground.value(a, side) & ~ground.value(near, side)).any():
                return False
    spots = ground.spots()
    return not (ground.value(a, spots) & ~ground.value(near, spots)).any()


def meet(a: Tree, b: Tree) -> bool:
    """Tell whether two regions have a point in common.

    Parameters
    ----------
    a, b
        The regions.

    Returns
    -------
    meet : `bool`
    """
    ground = _Ground(a, b)
    for cut in ground.cuts():
        for places in (cut.at, cut.corners):
            if (ground.value(a, places) & ground.value(b, places)).any():
                return True
    spots = ground.spots()
    return bool((ground.value(a, spots) & ground.value(b, spots)).any())


def border_of(tree: Tree) -> list[Arc]:
    """Return the border of a region.

    Parameters
    ----------
    tree
        The region.

    Returns
    -------
    arcs : `list` [`Arc`]
        Each once, none of what lies inside of other parts.  Parts of the
        region without an inside have none.
    """
    ground = _Ground(tree)
    arcs = []
    for cut in ground.cuts():
        left, right = ground.value(tree, cut.left), ground.value(tree, cut.right)
        # What is a side of an earlier region is among the arcs of that.
        first = ~cut.beside[: cut.own].any(axis=0)
        for number in np.flatnonzero((left != right) & first):
            ends = float(cut.starts[number]), float(cut.ends[number])
            curve = cut.curves[cut.which[number]]
            arcs.append(Arc(curve, *(ends if left[number] else ends[::-1])))
    return arcs


def groups_of(union: Tree) -> list[Tree]:
    """Take a union apart into unions that are far from each other.

    Parameters
    ----------
    union
        A union.

    Returns
    -------
    unions : `list` [`Tree`]
        One or more.
    """
    left = list(union.parts)
    groups: list[list[Tree]] = []
    while left:
        group = [left.pop()]
        for part in group:
            near = [other for other in left if _may_meet(part, other)]
            group += near
            left = [other for other in left if not any(other is item for item in near)]
        groups.append(group)
    return [Tree("any", parts=tuple(group)) for group in groups] or [union]


def _may_meet(a: Tree, b: Tree) -> bool:
    # An intersection lies inside of each of its parts.
    first, second = ([leaf.shape for leaf in leaves_of(tree) if leaf.shape is not None] for tree in (a, b))
    return any(_is_near(one, other) for one in first for other in second)


def _near(tree: Tree, shapes: Sequence[Shape]) -> Tree:
    # A union without what is far from all of some regions.
    if tree.kind != "any":
        return tree
    parts = tuple(
        part
        for part in tree.parts
        if part.kind != "leaf"
        or (part.shape is not None and any(_is_near(part.shape, shape) for shape in shapes))
    )
    return Tree("any", parts=parts)


def _is_near(a: Shape, b: Shape) -> bool:
    apart = 2.0 * np.arcsin(min(0.5 * float(np.linalg.norm(a.middle - b.middle)), 1.0))
    return bool(apart <= a.radius + b.radius + _MARGIN)


class _Ground:
    """All simple regions of some regions, and what holds at some points."""

    def __init__(self, *trees: Tree) -> None:
        self.shapes: list[Shape] = []
        self._places: dict[int, int] = {}
        for tree in trees:
            for leaf in leaves_of(tree):
                if leaf.shape is not None and id(leaf) not in self._places:
                    self._places[id(leaf)] = len(self.shapes)
                    self.shapes.append(leaf.shape)

    def value(self, tree: Tree, places: Bools) -> Bools:
        """Return where points are in a region, from where they are in simple ones."""
        if tree.kind == "leaf":
            place = self._places.get(id(tree))
            return np.zeros(places.shape[1], np.bool_) if place is None else places[place]
        found = [self.value(part, places) for part in tree.parts]
        join = np.logical_and if tree.kind == "all" else np.logical_or
        start = np.full(places.shape[1], tree.kind == "all")
        values: Bools = join.reduce([start, *found])
        return values

    def cuts(self) -> Iterator[_Cut]:
        """Cut the sides of each simple region by those of all others."""
        for own, shape in enumerate(self.shapes):
            if shape.curves:
                yield self._cut(own, shape)

    def _cut(self, own: int, shape: Shape) -> _Cut:
        near = [place for place, other in enumerate(self.shapes) if _is_near(shape, other)]
        shapes = [self.shapes[place] for place in near]
        parts = [_cut(curve, shapes) for curve in shape.curves]
        corners = np.concatenate(
            [curve.points(part) for curve, part in zip(shape.curves, parts, strict=True)]
        )
        which = np.repeat(np.arange(len(parts)), [len(part) - 1 for part in parts])
        starts = np.concatenate([part[:-1] for part in parts])
        ends = np.concatenate([part[1:] for part in parts])
        sizes = [float(np.linalg.norm(curve.across)) if curve.is_circle else 1.0 for curve in shape.curves]
        long = (ends - starts) * np.array(sizes)[which] > _SHORT
        which, starts, ends = which[long], starts[long], ends[long]
        middles, lefts = np.empty((len(which), 3)), np.empty((len(which), 3))
        for number, curve in enumerate(shape.curves):
            rows = which == number
            t = 0.5 * (starts[rows] + ends[rows])
            middles[rows] = curve.points(t)
            lefts[rows] = curve.lefts(t, middles[rows])
        count = len(middles)
        # What is far holds none of these points.
        signed = np.full((len(self.shapes), count), -4.0)
        left, right = (np.zeros((len(self.shapes), count), np.bool_) for _ in range(2))
        for place in near:
            signed[place] = self.shapes[place].signed(middles)
            left[place] = self.shapes[place].is_beside(middles, lefts)
            right[place] = self.shapes[place].is_beside(middles, -lefts)
        return _Cut(
            own,
            shape.curves,
            which,
            starts,
            ends,
            signed >= -ON_SIDE,
            left,
            right,
            np.abs(signed) <= ON_SIDE,
            self._holds(corners, near),
        )

    def spots(self) -> Bools:
        """Return which simple regions a point of each is in."""
        points = np.array([shape.spot for shape in self.shapes] or [np.array([0.0, 0.0, 1.0])])
        return self._holds(points, range(len(self.shapes)))

    def _holds(self, points: Floats, places: Sequence[int]) -> Bools:
        found: Bools = np.zeros((len(self.shapes), len(points)), np.bool_)
        for place in places:
            found[place] = self.shapes[place].signed(points) >= -2 * ON_SIDE
        return found


def _cut(curve: Curve, shapes: Sequence[Shape]) -> Floats:
    # Values of t where the sides of regions may cross.  One too many is no
    # harm, so that what nearly touches is cut, too.
    found: list[Floats] = [np.empty(0)]
    for shape in shapes:
        if curve.is_circle and isinstance(shape, Simple):
            if len(shape.axes):
                found.append(_cut_circle(curve, shape))
        else:
            found += _cut_oval(curve, shape)
    t = (np.concatenate(found) - curve.start) % (2 * np.pi)
    cuts: Floats = np.sort(np.concatenate([curve.steps(), curve.start + t[t < curve.length]]))
    return cuts


def _cut_circle(curve: Curve, shape: Simple) -> Floats:
    # The smaller one of two circles tells best where they cross.
    sizes = np.linalg.norm([other.across for other in shape.curves], axis=1)
    own = np.linalg.norm(curve.across)
    near = np.where(shape.cosines < 0, -1.0, 1.0)[:, None] * shape.axes
    cuts = [_turns(curve.middle, curve.across, curve.along, shape.axes, near, shape.chords)]
    smaller = [other for other, size in zip(shape.curves, sizes, strict=True) if size < own]
    if smaller:
        middles, across, along = (
            np.array([getattr(other, name) for other in smaller]) for name in ("middle", "across", "along")
        )
        axis = np.cross(curve.across, curve.along) / own**2
        center = axis if curve.middle @ axis >= 0 else -axis
        chord = own * math.sqrt(2.0 / (1.0 + math.sqrt(max(1.0 - own**2, 0.0))))
        chords = np.array([chord if curve.middle.any() else math.nan])
        turns = _turns(middles, across, along, axis[None], center[None], chords)
        for other, t in zip(smaller * 2, turns, strict=True):
            cuts.append(curve.places(other.points(np.array([t]))))
    return np.concatenate(cuts)


def _turns(
    middle: Floats, across: Floats, along: Floats, axes: Floats, centers: Floats, chords: Floats
) -> Floats:
    # a cos(t) + b sin(t) = c says that a point is on a side: for a half sphere
    # by its height, otherwise by its chord, of which the difference is exact.
    half = np.isnan(chords)
    away = middle - centers
    to = np.where(half[:, None], axes, 2.0 * away)
    a, b = (to * across).sum(axis=-1), (to * along).sum(axis=-1)
    apart2 = (away**2).sum(axis=-1) + (across**2).sum(axis=-1)
    c = np.where(half, -(axes * middle).sum(axis=-1), np.nan_to_num(chords) ** 2 - apart2)
    size = np.hypot(a, b)
    nearest = np.arctan2(b, a)
    turn = np.arccos(np.clip(np.divide(c, size, out=np.ones_like(c), where=size > 0), -1.0, 1.0))
    turns: Floats = np.concatenate([nearest - turn, nearest + turn])
    return turns


def _cut_oval(curve: Curve, shape: Shape) -> list[Floats]:
    # The smaller one of two curves tells best where they cross: both are asked.
    found: list[Floats] = [np.empty(0)]
    for other in shape.curves:
        found.append(_roots(curve, other))
        found.append(curve.places(other.points(_roots(other, curve))))
    return [*found, _polished(curve, shape, np.concatenate(found))]


def _polished(curve: Curve, shape: Shape, t: Floats) -> Floats:
    # Newton's steps with what is exact near a side.
    step = 1e-6
    for _ in range(4):
        ahead, here, behind = (shape.signed(curve.points(t + move)) for move in (step, 0.0, -step))
        steep = ahead - behind
        t = t - np.clip(np.divide(2 * step * here, steep, out=np.zeros_like(t), where=steep != 0), -0.1, 0.1)
    return t


def _roots(curve: Curve, other: Curve) -> Floats:
    # Where a curve crosses another: the zeros of a sum of sines and cosines of
    # t and 2 t, which is a polynomial of the fourth degree in exp(i t).
    waves = np.fft.fft(np.asarray(other.quadric(curve.rays(_EIGHTHS)), dtype=np.complex128))
    factors = waves[[2, 1, 0, -1, -2]]
    most = np.abs(factors).max()
    if not most > 0:
        return np.empty(0)
    found: Floats = np.asarray(np.angle(np.roots(factors / most)), dtype=np.float64)
    return found
