"""Searches by constraints on columns, as SIAv2 asks for them.

A search becomes a tree like that of a query in ADQL, with values as literals.
A cell without a value fulfils no constraint (SIA 2.0, 2.1).
"""

from __future__ import annotations

__all__ = ["Search", "plan_extents", "plan_search"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from lsst.sphgeom import Region, UnionRegion
from sqlglot import exp

from ..dali import Column, Stencil, to_region
from ..errors import UsageError
from ._catalog import OBSCORE_TABLE, Catalog, bare_name
from ._constraints import Between, Constraint, HasState, Identified, Intersects, OneOf, Overlaps, Within
from ._plan import Plan
from ._search_trees import meets_any, near_any
from ._tree import blob_literal, call, join_conditions, quoted
from .geometry._geometry import box_of, encode_region
from .lowering._by_id import uuids_in
from .lowering._hidden import hidden_columns

_ALIAS = "o"
# The label of a row's repository, which no query in ADQL can name.
_HIDDEN = frozenset({"_repo"})


@dataclass(frozen=True, slots=True)
class Search:
    """What is wanted of the table of datasets."""

    columns: tuple[str, ...] | None
    """Names of the columns that are shown; `None` for all."""

    constraints: tuple[Constraint, ...]
    """All of them hold."""

    distinct: bool = False
    """Whether equal rows are shown once."""

    most: int | None = None
    """Rows at most; `None` for all."""


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
    known = _known_columns(catalog)
    names = tuple(known) if search.columns is None else search.columns
    for name in names:
        if name not in known:
            raise UsageError(f"There is no column {name!r}; there are: {', '.join(known)}")
    # One text: some two hundred nodes less to be made, looked at and written.
    # The names stand beside it, for an engine that publishes no more than those.
    shown = exp.Var(this=_write_shown(names), names=[quoted(name) for name in names])
    tree = _select([shown], search.constraints, known)
    if search.distinct:
        tree.set("distinct", exp.Distinct())
    if search.most is not None:
        tree.set("limit", exp.Limit(expression=exp.Literal.number(search.most)))
    return Plan(tree, tuple(replace(known[name], name=name) for name in names))


def plan_extents(
    extents: Sequence[tuple[Literal["MIN", "MAX"], str]],
    constraints: Sequence[Constraint],
    catalog: Catalog,
) -> Plan:
    """Plan a search for the least and greatest values of columns.

    Parameters
    ----------
    extents
        Which of both, and the name of a column that there is.
    constraints
        All of them hold.
    catalog
        What there is.

    Returns
    -------
    plan : `Plan`
        One row, with a cell for each; NULL where no row has a value.
    """
    known = _known_columns(catalog)
    outputs = [(f"e{place}", call(which, _column(name))) for place, (which, name) in enumerate(extents)]
    columns = [
        replace(known[name], name=output) for (output, _), (_, name) in zip(outputs, extents, strict=True)
    ]
    return Plan(_select([_output(*item) for item in outputs], constraints, known), tuple(columns))


def _known_columns(catalog: Catalog) -> dict[str, Column]:
    table = next(table for table in catalog.tables if table.name == OBSCORE_TABLE)
    return {bare_name(column.name): column for column in table.columns}


@lru_cache(maxsize=16)
def _write_shown(names: Sequence[str]) -> str:
    # Both databases quote names alike.
    return ", ".join(_output(name, _column(name)).sql(dialect="postgres") for name in names)


def _output(name: str, value: exp.Expr) -> exp.Alias:
    return exp.Alias(this=value, alias=quoted(name))


def _select(
    outputs: Sequence[exp.Expr], constraints: Sequence[Constraint], known: dict[str, Column]
) -> exp.Select:
    tree = exp.Select(expressions=list(outputs), from_=exp.From(this=_table()))
    conditions = [_condition(constraint, known) for constraint in constraints]
    if conditions:
        tree.set("where", exp.Where(this=join_conditions(conditions, exp.And)))
    return tree


def _table() -> exp.Table:
    schema, _, name = OBSCORE_TABLE.partition(".")
    return exp.Table(this=quoted(name), db=quoted(schema), alias=exp.TableAlias(this=quoted(_ALIAS)))


def _column(name: str) -> exp.Column:
    return exp.Column(this=quoted(name), table=quoted(_ALIAS))


def _condition(constraint: Constraint, known: dict[str, Column]) -> exp.Expr:
    names = (constraint.low, constraint.high) if isinstance(constraint, Overlaps) else (constraint.column,)
    if not all(name in known or name in _HIDDEN for name in names):
        return exp.Boolean(this=False)
    match constraint:
        case OneOf():
            return _one_of(constraint)
        case Identified():
            return _identified(constraint)
        case HasState():
            return _any(_has_state(constraint.column, state) for state in dict.fromkeys(constraint.states))
        case Intersects():
            return _intersects(constraint)
        case Between():
            return _any(_between(constraint.column, *period) for period in dict.fromkeys(constraint.periods))
        case Overlaps() | Within() if not constraint.intervals:
            return exp.Boolean(this=False)
        case Overlaps():
            return meets_any(_column(constraint.low), _column(constraint.high), constraint.intervals)
        case Within():
            return meets_any(_column(constraint.column), _column(constraint.column), constraint.intervals)


def _any(conditions: Iterator[exp.Expr]) -> exp.Expr:
    found = list(conditions)
    return exp.Paren(this=join_conditions(found, exp.Or)) if found else exp.Boolean(this=False)


def _one_of(constraint: OneOf) -> exp.Expr:
    return _is_in(_column(constraint.column), constraint.values)


def _is_in(place: exp.Expr, values: Sequence[str | int]) -> exp.Expr:
    literals: list[exp.Expr] = []
    for value in dict.fromkeys(values):
        if isinstance(value, int):
            literals.append(exp.Literal.number(value))
        elif "\0" not in value:
            # No cell holds that character, and SQL text cannot.
            literals.append(exp.Literal.string(value))
    return exp.Paren(this=exp.In(this=place, expressions=literals)) if literals else exp.Boolean(this=False)


def _identified(constraint: Identified) -> exp.Expr:
    texts = [text.lower() for text in constraint.texts]
    test = _is_in(exp.Lower(this=_column(constraint.column)), texts)
    if isinstance(test, exp.Boolean):
        return test
    # Where each text names its own dataset, these are all that it can hold for.
    ids = frozenset[str]().union(*map(uuids_in, texts))
    return call("vo_by_id", test, _column("_id"), *map(exp.Literal.string, sorted(ids)))


def _has_state(column: str, state: str) -> exp.Expr:
    place = exp.StrPosition(this=_column(column), substr=exp.Literal.string(f"/{state}/"))
    return exp.GT(this=place, expression=exp.Literal.number(0))


def _between(column: str, first: str | None, last: str | None) -> exp.Expr:
    # Texts of one form are in the order of their times.
    time = call("vo_timestamp", _column(column))
    conditions: list[exp.Expr] = [exp.Not(this=exp.Is(this=_column(column), expression=exp.Null()))]
    if first is not None:
        conditions.append(exp.GTE(this=time.copy(), expression=exp.Literal.string(first)))
    if last is not None:
        conditions.append(exp.LTE(this=time.copy(), expression=exp.Literal.string(last)))
    return join_conditions(conditions, exp.And)


def _intersects(constraint: Intersects) -> exp.Expr:
    encodings = list(dict.fromkeys(_parts_of(constraint.stencils)))
    if not encodings:
        return exp.Boolean(this=False)
    region, *bounds = hidden_columns("_", quoted(_ALIAS))
    # One region of all shapes, since the engines look for a region's parts
    # near a row quicker than conditions side by side can be asked.
    shape = encodings[0] if len(encodings) == 1 else _join(encodings)
    around, near = near_any(bounds, [box_of(encoding) for encoding in encodings])
    # CASE keeps the exact test for what is near, whatever order the engine
    # puts conditions into.
    exact = exp.If(this=near, true=call("vo_intersects", blob_literal(shape), region))
    return exp.Paren(this=exp.And(this=around, expression=exp.Case(ifs=[exact])))


def _parts_of(stencils: Sequence[Stencil]) -> Iterator[bytes]:
    for stencil in stencils:
        region = to_region(stencil)
        if isinstance(region, UnionRegion):
            yield from (encode_region(region.cloneOperand(i)) for i in range(region.nOperands()))
        else:
            yield encode_region(region)


def _join(encodings: Sequence[bytes]) -> bytes:
    return encode_region(UnionRegion(*map(Region.decode, encodings)))
