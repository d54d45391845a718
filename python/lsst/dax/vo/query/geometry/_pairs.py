"""Contains and intersects for pairs of rows."""

from __future__ import annotations

__all__ = ["relate_one_by_one", "relate_pairs"]

from collections.abc import Iterator

import numpy as np

from ._exact import decide
from ._outlines import Simple, outline_of
from ._rules import BOX, POLYGON, RULES, Relation, lies_in_box, meets_box
from ._sides import Bools, Ints, Side

# Numbers of an intermediate array: what a cache holds.
_MOST_NUMBERS = 200_000


def relate_pairs(relation: Relation, a: Side, a_rows: Ints, b: Side, b_rows: Ints) -> Bools:
    """Tell how rows of one column lie to rows of another.

    Parameters
    ----------
    relation
        What is asked.
    a, b
        The columns.
    a_rows, b_rows
        The rows, of equal number.

    Returns
    -------
    answers : `numpy.ndarray` [`bool`]
    """
    answers: Bools = np.zeros(len(a_rows), np.bool_)
    for (first_kind, first_size, second_kind, second_size), places in _groups(a, a_rows, b, b_rows):
        rule = RULES[relation].get((first_kind, second_kind))
        if rule is None:
            some, others = a_rows[places], b_rows[places]
            if (first_kind, second_kind) == (POLYGON, BOX):
                answers[places] = _with_boxes(relation, a, some, b, others)
            elif (first_kind, second_kind) == (BOX, POLYGON) and relation == "intersects":
                answers[places] = _with_boxes(relation, b, others, a, some)
            else:
                answers[places] = relate_one_by_one(relation, a, some, b, others)
            continue
        step = max(1, _MOST_NUMBERS * 576 // (first_size * second_size))
        for start in range(0, len(places), step):
            part = places[start : start + step]
            with np.errstate(divide="ignore", invalid="ignore"):
                yes, no = rule(a.numbers(a_rows[part], first_size), b.numbers(b_rows[part], second_size))
            answers[part] = yes
            left = part[~(np.broadcast_to(yes | no, part.shape))]
            if len(left):
                answers[left] = relate_one_by_one(relation, a, a_rows[left], b, b_rows[left])
    return answers


def _with_boxes(relation: Relation, a: Side, a_rows: Ints, b: Side, b_rows: Ints) -> Bools:
    # Polygons of one size, and boxes: each box with all of its polygons.
    answers: Bools = np.zeros(len(a_rows), np.bool_)
    numbers = a.numbers(a_rows, int(a.sizes()[a_rows[0]]))
    numbers = np.broadcast_to(numbers, (len(a_rows), numbers.shape[1]))
    values = [b.value(row) for row in b_rows.tolist()]
    places: dict[bytes, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    for value, own in places.items():
        box, rows = outline_of(value), np.array(own)
        if not isinstance(box, Simple):
            continue
        if relation == "intersects":
            answers[rows] = meets_box(numbers[rows], box)
            continue
        yes, no = lies_in_box(numbers[rows], box)
        answers[rows] = yes
        left = rows[~(yes | no)]
        answers[left] = relate_one_by_one(relation, a, a_rows[left], b, b_rows[left])
    return answers


def _groups(a: Side, a_rows: Ints, b: Side, b_rows: Ints) -> Iterator[tuple[tuple[int, int, int, int], Ints]]:
    keys = np.stack(
        [a.kinds()[a_rows], a.sizes()[a_rows], b.kinds()[b_rows], b.sizes()[b_rows]],
        axis=1,
    )
    if not len(keys):
        return
    if (keys == keys[0]).all():
        yield tuple(keys[0].tolist()), np.arange(len(keys))
        return
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    for number, key in enumerate(unique):
        yield tuple(key.tolist()), np.flatnonzero(inverse.ravel() == number)


def relate_one_by_one(relation: Relation, a: Side, a_rows: Ints, b: Side, b_rows: Ints) -> list[bool]:
    """As `relate_pairs`, without rules; for what they leave open."""
    return [
        decide(relation, a.value(first), b.value(second))
        for first, second in zip(a_rows.tolist(), b_rows.tolist(), strict=True)
    ]
