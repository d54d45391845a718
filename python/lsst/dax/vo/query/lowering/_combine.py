"""UNION, INTERSECT and EXCEPT of rows that have more than they show."""

from __future__ import annotations

__all__ = ["combine"]

from collections.abc import Iterable, Sequence

from sqlglot import exp

from .._passes import Context
from .._tree import call, join_conditions, projections_of, quoted
from ..adql._types import outputs_of
from ._carry import COMBINED
from ._hidden import HIDDEN_ENDINGS


def combine(tree: exp.Query, context: Context) -> exp.Query:  # noqa: ARG001  # all passes take both
    """Let UNION, INTERSECT and EXCEPT compare rows by what they show.

    Parameters
    ----------
    tree
        As `limit` leaves it.
    context
        Query and catalog.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The same; where hidden columns were put behind those that are shown,
        the operators are written with window functions, which leave these
        out when rows are compared.
    """
    for node in reversed(list(tree.find_all(exp.SetOperation, bfs=True))):
        if node.meta.get(COMBINED):
            node.replace(_by_rows(node))
    return tree


def _by_rows(node: exp.SetOperation) -> exp.Select:
    count = len(outputs_of(node))
    names = [output.alias for output in projections_of(node)]
    is_union = isinstance(node, exp.Union)
    left = _side("_a", node.this, names, 0)
    right = _side("_b", node.expression, names, 1)
    both = exp.Union(this=left, expression=right, distinct=False)
    shown = _columns("_s", names[:count])
    side = _columns("_s", ["_side"])
    place = exp.Window(
        this=call("row_number"),
        partition_by=[*shown, *([] if is_union else side)],
        order=exp.Order(expressions=[exp.Ordered(this=side[0].copy(), desc=False)]),
    )
    others = exp.Window(this=call("SUM", side[0].copy()), partition_by=[column.copy() for column in shown])
    ranked = _select(
        [
            *_named(_columns("_s", names), names),
            exp.Alias(this=side[0].copy(), alias=quoted("_side")),
            exp.Alias(this=place, alias=quoted("_place")),
            exp.Alias(this=others, alias=quoted("_others")),
        ],
        _subquery(both, "_s"),
    )
    made = _select(_named(_columns("_r", names), names), _subquery(ranked, "_r"))
    made.set("where", exp.Where(this=join_conditions(_kept(node), exp.And)))
    for key in ("order", "offset", "limit"):
        made.set(key, node.args.get(key))
    return made


def _kept(node: exp.SetOperation) -> list[exp.Expr]:
    # SQL92, 7.10, by the place of a row among its equals of that side, and how
    # many equals the other side has.
    side, place, others = _columns("_r", ["_side", "_place", "_others"])
    zero, one = exp.Literal.number(0), exp.Literal.number(1)
    every = not node.args.get("distinct")
    match node:
        case exp.Union():
            return [exp.EQ(this=place, expression=one)]
        case exp.Intersect() if every:
            tests: list[exp.Expr] = [exp.LTE(this=place, expression=others)]
        case exp.Intersect():
            tests = [exp.EQ(this=place, expression=one), exp.GT(this=others, expression=zero.copy())]
        case _ if every:
            tests = [exp.GT(this=place, expression=others)]
        case _:
            tests = [exp.EQ(this=place, expression=one), exp.EQ(this=others, expression=zero.copy())]
    return [exp.EQ(this=side, expression=zero), *tests]


def _side(alias: str, query: exp.Expr, names: Sequence[str], number: int) -> exp.Select:
    own = [output.alias for output in projections_of(query)]
    columns = _columns(alias, own[: len(names)])
    for name in names[len(columns) :]:
        kind = exp.DType.VARBINARY if name.endswith(HIDDEN_ENDINGS[0]) else exp.DType.DOUBLE
        columns.append(exp.Cast(this=exp.Null(), to=exp.DataType(this=kind)))
    inner = query.this if isinstance(query, exp.Subquery) else query
    side = exp.Alias(this=exp.Literal.number(number), alias=quoted("_side"))
    return _select([*_named(columns, names), side], _subquery(inner, alias))


def _columns(alias: str, names: Iterable[str]) -> list[exp.Expr]:
    return [exp.Column(this=quoted(name), table=quoted(alias)) for name in names]


def _named(columns: Iterable[exp.Expr], names: Iterable[str]) -> list[exp.Expr]:
    return [exp.Alias(this=item, alias=quoted(name)) for item, name in zip(columns, names, strict=True)]


def _subquery(query: exp.Expr, alias: str) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=quoted(alias)))


def _select(expressions: list[exp.Expr], source: exp.Expr) -> exp.Select:
    return exp.Select(expressions=expressions, from_=exp.From(this=source))
