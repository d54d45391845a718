"""Searches by constraints on columns, as SIAv2 asks for them.

A search becomes a tree like that of a query in ADQL, with values as literals.
A cell without a value fulfils no constraint (SIA 2.0, 2.1).
"""

from __future__ import annotations

__all__ = ["Constraint", "HasState", "Intersects", "OneOf", "Overlaps", "Search", "Within", "plan_search"]

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from sqlglot import exp

from ..dali import Column, Interval, Stencil, to_region
from ..errors import UsageError
from ._catalog import OBSCORE_TABLE, Catalog, bare_name
from ._geometry import box_of, encode_region
from ._hidden import hidden_columns, overlap
from ._plan import Plan
from ._tree import blob_literal, call, join_conditions, number_literal, quoted

_ALIAS = "o"
# The label of a row's repository, which no query in ADQL can name.
_HIDDEN = frozenset({"_repo"})


@final
@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of some."""

    column: str
    """Name of the column; ``_repo`` for the label of the repository."""

    values: tuple[str | int, ...]
    """The values."""

    ignore_case: bool = False
    """Whether texts are compared in any case."""


@final
@dataclass(frozen=True, slots=True)
class HasState:
    """A list of states such as ``/I/Q/U/`` has one of some (ObsCore 1.1, B.6.6)."""

    column: str
    """Name of the column."""

    states: tuple[str, ...]
    """The states, without slashes."""


@final
@dataclass(frozen=True, slots=True)
class Intersects:
    """The region shares a point with one of some shapes."""

    column: str
    """Name of the column that shows the region."""

    stencils: tuple[Stencil, ...]
    """The shapes."""


@final
@dataclass(frozen=True, slots=True)
class Overlaps:
    """The interval between two columns shares a value with one of some."""

    low: str
    """Name of the column with the lower end."""

    high: str
    """Name of the column with the upper end."""

    intervals: tuple[Interval, ...]
    """The intervals."""


@final
@dataclass(frozen=True, slots=True)
class Within:
    """The value lies in one of some closed intervals."""

    column: str
    """Name of the column."""

    intervals: tuple[Interval, ...]
    """The intervals."""


type Constraint = OneOf | HasState | Intersects | Overlaps | Within


@dataclass(frozen=True, slots=True)
class Search:
    """What is wanted of the table of datasets."""

    columns: tuple[str, ...] | None
    """Names of the columns that are shown; `None` for all."""

    constraints: tuple[Constraint, ...]
    """All of them hold."""


def plan_search(search: Search, catalog: Catalog) -> Plan:
    """Plan a search.

    Parameters
    ----------
    search
        What is wanted.
    catalog
        What there is.

    Returns
    -------
    plan : `Plan`
        A constraint on a column that is not there finds nothing: no row has
        a value in it.

    Raises
    ------
    UsageError
        Raised if a column to show does not exist, or a polygon crosses itself
        or encloses nothing.
    """
    table = next(table for table in catalog.tables if table.name == OBSCORE_TABLE)
    known = {bare_name(column.name): column for column in table.columns}
    names = tuple(known) if search.columns is None else search.columns
    for name in names:
        if name not in known:
            raise UsageError(f"There is no column {name!r}; there are: {', '.join(known)}")
    tree = exp.Select(
        expressions=[exp.Alias(this=_column(name), alias=quoted(name)) for name in names],
        from_=exp.From(this=_table()),
    )
    conditions = [_condition(constraint, known) for constraint in search.constraints]
    if conditions:
        tree.set("where", exp.Where(this=join_conditions(conditions, exp.And)))
    return Plan(tree, tuple(replace(known[name], name=name) for name in names))


def _table() -> exp.Table:
    schema, _, name = OBSCORE_TABLE.partition(".")
    return exp.Table(this=quoted(name), db=quoted(schema), alias=exp.TableAlias(this=quoted(_ALIAS)))


def _column(name: str) -> exp.Column:
    return exp.Column(this=quoted(name), table=quoted(_ALIAS))


def _condition(constraint: Constraint, known: dict[str, Column]) -> exp.Expr:
    match constraint:
        case Overlaps():
            names = [constraint.low, constraint.high]
        case _:
            names = [constraint.column]
    if not all(name in known or name in _HIDDEN for name in names):
        return exp.Boolean(this=False)
    match constraint:
        case OneOf():
            found = _one_of(constraint)
        case HasState():
            found = [_has_state(constraint.column, state) for state in constraint.states]
        case Intersects():
            return _intersects(constraint)
        case Overlaps():
            found = [
                exp.And(
                    this=_at_most(constraint.low, interval.high),
                    expression=_at_least(constraint.high, interval.low),
                )
                for interval in constraint.intervals
            ]
        case Within():
            found = [
                exp.And(
                    this=_at_least(constraint.column, interval.low),
                    expression=_at_most(constraint.column, interval.high),
                )
                for interval in constraint.intervals
            ]
    return exp.Paren(this=join_conditions(found, exp.Or)) if found else exp.Boolean(this=False)


def _one_of(constraint: OneOf) -> list[exp.Expr]:
    place: exp.Expr = _column(constraint.column)
    if constraint.ignore_case:
        place = exp.Lower(this=place)
    literals: list[exp.Expr] = []
    for value in constraint.values:
        if isinstance(value, int):
            literals.append(exp.Literal.number(value))
        elif "\0" not in value:
            # No cell holds that character, and SQL text cannot.
            literals.append(exp.Literal.string(value.lower() if constraint.ignore_case else value))
    return [exp.In(this=place, expressions=literals)] if literals else []


def _has_state(column: str, state: str) -> exp.Expr:
    place = exp.StrPosition(this=_column(column), substr=exp.Literal.string(f"/{state}/"))
    return exp.GT(this=place, expression=exp.Literal.number(0))


def _at_least(column: str, low: float) -> exp.Expr:
    if math.isinf(low):
        return _is_known(column) if low < 0 else exp.Boolean(this=False)
    return exp.GTE(this=_column(column), expression=number_literal(low))


def _at_most(column: str, high: float) -> exp.Expr:
    if math.isinf(high):
        return _is_known(column) if high > 0 else exp.Boolean(this=False)
    return exp.LTE(this=_column(column), expression=number_literal(high))


def _is_known(column: str) -> exp.Expr:
    return exp.Not(this=exp.Is(this=_column(column), expression=exp.Null()))


def _intersects(constraint: Intersects) -> exp.Expr:
    encodings = [encode_region(to_region(stencil)) for stencil in constraint.stencils]
    if not encodings:
        return exp.Boolean(this=False)
    region, *bounds = hidden_columns("_", quoted(_ALIAS))
    boxes = [box_of(encoding) for encoding in encodings]
    # The bare test of the box around all shapes lets the table skip whole
    # stretches; each shape's own keeps the exact test for what is near it,
    # whatever order the engine puts conditions into.
    sides = list(zip(*boxes, strict=True))
    around = (*map(min, sides[:3]), *map(max, sides[3:]))
    exact = [
        exp.Case(
            ifs=[
                exp.If(
                    this=_near(bounds, box),
                    true=call("vo_intersects", blob_literal(encoding), region.copy()),
                )
            ],
            default=exp.Boolean(this=False),
        )
        for encoding, box in zip(encodings, boxes, strict=True)
    ]
    return exp.And(this=_near(bounds, around), expression=exp.Paren(this=join_conditions(exact, exp.Or)))


def _near(bounds: Sequence[exp.Expr], box: Sequence[float]) -> exp.Expr:
    return overlap(bounds, [number_literal(end) for end in box])
