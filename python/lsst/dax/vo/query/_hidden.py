"""Hidden columns of a region, and their way out of subqueries."""

from __future__ import annotations

__all__ = ["HIDDEN", "hidden_prefix"]

from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from ._passes import Context, error_at
from ._tree import quoted, strip_parens
from ._types import describe, kind_of

HIDDEN = ("region", "x0", "y0", "z0", "x1", "y1", "z1")
"""Endings of the hidden columns of a region."""

_CARRIED = "carried"


def hidden_prefix(node: exp.Column, context: Context) -> str:
    """Return the beginning of the names of a region's hidden columns.

    Parameters
    ----------
    node
        A resolved column that holds regions.
    context
        Query and catalog.

    Returns
    -------
    prefix : `str`
        ``_`` in a published table.  A subquery whose result holds the region
        is made to give its hidden columns too, under a number.

    Raises
    ------
    QueryError
        Raised if the subquery does not have them any more.
    """
    source = _find_source(node)
    if isinstance(source, exp.Table):
        return "_"
    position = [output.alias for output in outputs(source)].index(node.name)
    return _carry(source, position, node, context)


def _find_source(node: exp.Column) -> Any:
    select = node.parent_select
    while select is not None:
        for table in _iter_tables(select):
            if table.alias_or_name == node.table:
                return _follow(table)
        select = select.parent_select
    raise AssertionError(f"{node.sql()} was not resolved")


def _iter_tables(select: exp.Expr) -> Iterator[exp.Expr]:
    waiting = [select.args[key].this for key in ("from_",) if select.args.get(key)]
    waiting += [join.this for join in select.args.get("joins") or ()]
    while waiting:
        table = waiting.pop()
        waiting += [join.this for join in table.args.get("joins") or ()]
        if isinstance(table, exp.Paren):
            waiting.append(table.this)
        else:
            yield table


def _follow(table: exp.Expr) -> Any:
    # From a subquery to its query, from the name of a query in WITH to it.
    if isinstance(table, exp.Subquery):
        return table.this
    if table.args.get("db") is not None:
        return table
    with_ = table.root().args["with_"]
    return next(cte.this for cte in with_.expressions if cte.alias == table.name)


def outputs(query: exp.Expr) -> list[exp.Expr]:
    """Return the select list that names the outputs of a query.

    Parameters
    ----------
    query
        A resolved query.

    Returns
    -------
    outputs : `list` [`sqlglot.exp.Expr`]
    """
    while not isinstance(query, exp.Select):
        query = query.this
    return list(query.expressions)


def _carry(query: exp.Expr, position: int, node: exp.Column, context: Context) -> str:
    if isinstance(query, exp.SetOperation):
        _carry(query.this, position, node, context)
        return _carry(query.expression, position, node, context)
    if isinstance(query, exp.Subquery):
        return _carry(query.this, position, node, context)
    prefix = f"_{position}_"
    carried = query.meta.setdefault(_CARRIED, set())
    if position in carried:
        return prefix
    value = strip_parens(query.expressions[position].this)
    if isinstance(value, exp.Cast):
        value = strip_parens(value.this)
    if (
        query.args.get("group") is not None
        or not isinstance(value, exp.Column)
        or kind_of(describe(value)) != "region"
    ):
        raise error_at(
            context,
            node,
            f"{node.name!r} of this subquery has lost its region (GROUP BY or computed); search inside it",
        )
    carried.add(position)
    inner = hidden_prefix(value, context)
    for name in HIDDEN:
        column = exp.Column(this=quoted(f"{inner}{name}"), table=value.args["table"].copy())
        query.append("expressions", exp.Alias(this=column, alias=quoted(f"{prefix}{name}")))
    return prefix
