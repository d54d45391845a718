"""Search trees in SQL: many intervals or boxes, of which a row looks at a few.

A chain of OR looks at all of them for each row: 1,000 positions all over the
sky take more than a minute on a table of 8.5 million rows.  A tree of CASEs
asks each row some ten questions, which takes a second.
"""

from __future__ import annotations

__all__ = ["meets_any", "near_any"]

import math
from collections.abc import Sequence

from sqlglot import exp

from ..dali import Interval
from ._tree import join_conditions, number_literal
from .geometry._geometry import Box
from .lowering._hidden import overlap

_MOST_PLAIN = 4
"""Intervals that stand side by side: the engine's own statistics rule them out."""


def meets_any(low: exp.Column, high: exp.Column, intervals: Sequence[Interval]) -> exp.Expr:
    """Return the test that an interval of the table shares a value with one of some.

    Parameters
    ----------
    low, high
        The ends of the table's interval; the same column twice for a value.
    intervals
        Closed intervals, one or more.

    Returns
    -------
    condition : `sqlglot.exp.Expr`
        Unknown or false where an end is NULL.
    """
    apart = _merge(intervals)
    if len(apart) <= _MOST_PLAIN:
        return exp.Paren(this=join_conditions([_meets(low, high, item) for item in apart], exp.Or))
    around = _meets(low, high, Interval(apart[0].low, apart[-1].high))
    return exp.Paren(this=exp.And(this=around, expression=_choose(low, high, apart)))


def _merge(intervals: Sequence[Interval]) -> list[Interval]:
    # In order, and with gaps between them.
    apart: list[Interval] = []
    for item in sorted(intervals, key=lambda item: (item.low, item.high)):
        if apart and item.low <= apart[-1].high:
            apart[-1] = Interval(apart[-1].low, max(apart[-1].high, item.high))
        else:
            apart.append(item)
    return apart


def _choose(low: exp.Column, high: exp.Column, apart: Sequence[Interval]) -> exp.Expr:
    # Of those that do not end before the table's interval begins, the first
    # one meets it, or none does.
    if len(apart) == 1:
        return _meets(low, high, apart[0])
    middle = len(apart) // 2
    first, second = apart[:middle], apart[middle:]
    return exp.Case(
        ifs=[
            exp.If(
                this=exp.LTE(this=low.copy(), expression=number_literal(first[-1].high)),
                true=_choose(low, high, first),
            )
        ],
        default=_choose(low, high, second),
    )


def _meets(low: exp.Column, high: exp.Column, interval: Interval) -> exp.Expr:
    return exp.And(this=_at_least(high, interval.low), expression=_at_most(low, interval.high))


def _at_least(column: exp.Column, low: float) -> exp.Expr:
    if math.isinf(low):
        return _is_known(column) if low < 0 else exp.Boolean(this=False)
    return exp.GTE(this=column.copy(), expression=number_literal(low))


def _at_most(column: exp.Column, high: float) -> exp.Expr:
    if math.isinf(high):
        return _is_known(column) if high > 0 else exp.Boolean(this=False)
    return exp.LTE(this=column.copy(), expression=number_literal(high))


def _is_known(column: exp.Column) -> exp.Expr:
    return exp.Not(this=exp.Is(this=column.copy(), expression=exp.Null()))


def near_any(bounds: Sequence[exp.Expr], boxes: Sequence[Box]) -> tuple[exp.Expr, exp.Expr]:
    """Return tests that a row's box overlaps one of some.

    Parameters
    ----------
    bounds
        Of the row's unit vectors: x, y, z of the lower and the upper end.
    boxes
        One or more, in the same order.

    Returns
    -------
    around : `sqlglot.exp.Expr`
        The bare test of the box around all, by which a sorted table skips
        whole stretches.
    near : `sqlglot.exp.Expr`
        The test of each.  Of many it is a text: a thousand boxes are twelve
        thousand comparisons, whose nodes would take a second.
    """
    around = overlap(bounds, [number_literal(end) for end in _around(boxes)])
    if len(boxes) == 1:
        return around, around.copy()
    names = [str(column.sql(dialect="postgres")) for column in bounds]
    return around, exp.Var(this=_descend(names, boxes))


def _descend(names: Sequence[str], boxes: Sequence[Box]) -> str:
    # A tree of boxes around boxes, which a row leaves where it is near none.
    near = _overlap(names, _around(boxes))
    if len(boxes) == 1:
        return near
    # Halves along the axis on which they lie farthest apart.
    middles = [[box[axis] + box[axis + 3] for box in boxes] for axis in range(3)]
    axis = max(range(3), key=lambda axis: max(middles[axis]) - min(middles[axis]))
    ordered = sorted(boxes, key=lambda box: box[axis] + box[axis + 3])
    half = len(ordered) // 2
    first, second = (_descend(names, part) for part in (ordered[:half], ordered[half:]))
    return f"CASE WHEN {near} THEN ({first}) OR ({second}) ELSE FALSE END"


def _around(boxes: Sequence[Box]) -> Box:
    x0, y0, z0, x1, y1, z1 = zip(*boxes, strict=True)
    return min(x0), min(y0), min(z0), max(x1), max(y1), max(z1)


def _overlap(names: Sequence[str], box: Box) -> str:
    # Both databases read a number with an exponent as what a double is
    # compared with without loss.
    texts = [repr(end) for end in box]
    ends = [text if "e" in text else f"{text}e0" for text in texts]
    return " AND ".join(
        f"{names[axis]} <= {ends[axis + 3]} AND {names[axis + 3]} >= {ends[axis]}" for axis in range(3)
    )
