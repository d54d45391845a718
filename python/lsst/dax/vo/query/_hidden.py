"""Hidden columns of a region, and their way out of subqueries."""

from __future__ import annotations

__all__ = ["hidden_columns", "hidden_prefix", "iter_tables", "overlap"]

from collections.abc import Iterator, Sequence
from typing import Any

from sqlglot import exp

from ..errors import QueryError
from ._passes import Context, error_at
from ._tree import join_conditions, projections_of, quoted, strip_parens
from ._types import describe, kind_of

# Endings of the hidden columns of a region: its bytes, then the bounds of its
# unit vectors.
_HIDDEN = ("region", "x0", "y0", "z0", "x1", "y1", "z1")
_CARRIED = "carried"


def hidden_columns(prefix: str, table: exp.Expr) -> list[exp.Expr]:
    """Return the hidden columns of a region.

    Parameters
    ----------
    prefix
        As `hidden_prefix` gives it.
    table
        Name of the table; copied for each.

    Returns
    -------
    columns : `list` [`sqlglot.exp.Expr`]
        The region's bytes, then the bounds of its unit vectors: x, y, z of
        the lower and the upper end.
    """
    return [exp.Column(this=quoted(f"{prefix}{name}"), table=table.copy()) for name in _HIDDEN]


def overlap(first: Sequence[exp.Expr], second: Sequence[exp.Expr]) -> exp.Expr:
    """Return the test that two boxes have a point in common.

    Parameters
    ----------
    first, second
        Bounds: x, y, z of the lower and the upper end; copied.

    Returns
    -------
    condition : `sqlglot.exp.Expr`
        Bare comparisons, by which a sorted table skips whole stretches.
    """
    tests = [
        test
        for low, high in zip(range(3), range(3, 6), strict=True)
        for test in (
            exp.LTE(this=first[low].copy(), expression=second[high].copy()),
            exp.GTE(this=first[high].copy(), expression=second[low].copy()),
        )
    ]
    return join_conditions(tests, exp.And)


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
    position = [output.alias for output in projections_of(source)].index(node.name)
    return _carry(source, position, node, context)


def _find_source(node: exp.Column) -> Any:
    select = node.parent_select
    while select is not None:
        for table in iter_tables(select):
            if table.alias_or_name == node.table:
                return _follow(table)
        select = select.parent_select
    raise AssertionError(f"{node.sql()} was not resolved")


def iter_tables(select: exp.Expr) -> Iterator[exp.Expr]:
    """Iterate over what a query reads from.

    Parameters
    ----------
    select
        The query.

    Returns
    -------
    tables : `~collections.abc.Iterator` [`sqlglot.exp.Expr`]
        Tables and subqueries of its FROM clause, joined ones as well.
    """
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


def _carry(query: exp.Expr, position: int, node: exp.Column, context: Context) -> str:
    if isinstance(query, exp.SetOperation):
        if query.args.get("distinct") or not isinstance(query, exp.Union):
            raise _compared(node, context)
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
    distinct = query.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is None:
        # Rows are told apart by what is shown, as they were before.
        shown = [strip_parens(output.this).copy() for output in query.expressions]
        distinct.set("on", exp.Tuple(expressions=shown))
    carried.add(position)
    inner = hidden_prefix(value, context)
    for name, column in zip(_HIDDEN, hidden_columns(inner, value.args["table"]), strict=True):
        query.append("expressions", exp.Alias(this=column, alias=quoted(f"{prefix}{name}")))
    return prefix


def _compared(node: exp.Column, context: Context) -> QueryError:
    # Rows that are equal as shown may differ in the exact region behind the
    # text of six decimals: carried along, it would change which rows there are.
    return error_at(
        context,
        node,
        f"The subquery compares whole rows, and has the text of {node.name} alone; "
        "search inside the subquery, or use UNION ALL",
    )
