"""The way of regions out of subqueries, which show their text alone."""

from __future__ import annotations

__all__ = ["COMBINED", "aggregate_hidden", "find_table", "hidden_prefix", "is_obscore"]

from collections.abc import Iterable
from typing import Any

from sqlglot import exp

from ...errors import QueryError
from .._catalog import OBSCORE_TABLE
from .._passes import Context, error_at
from .._tree import call, function_name, projections_of, quoted, strip_parens
from ..adql._functions import AGGREGATES
from ..adql._types import describe, kind_of
from ._hidden import HIDDEN_ENDINGS, hidden_columns, iter_tables

# Of regions with one text, any; the bounds hold them all.
_AGGREGATES = ("vo_first", "MIN", "MIN", "MIN", "MAX", "MAX", "MAX")
_CARRIED = "carried"
COMBINED = "combined"
"""Under which a set operation has noted that its rows have hidden columns."""


def hidden_prefix(node: exp.Column, context: Context) -> str | None:
    """Return the beginning of the names of a region's hidden columns.

    Parameters
    ----------
    node
        A resolved column that holds regions.
    context
        Query and catalog.

    Returns
    -------
    prefix : `str` or `None`
        ``_`` in the table of datasets.  A subquery whose result holds the
        region is made to give its hidden columns too, under a number.  `None`
        for regions that are nothing but their text: REGION, and uploads.

    Raises
    ------
    QueryError
        Raised if the subquery does not have them any more.
    """
    source = _find_source(node)
    if isinstance(source, exp.Table):
        return "_" if is_obscore(source) else None
    position = [output.alias for output in projections_of(source)].index(node.name)
    kinds = set(_iter_origins(source, position))
    if kinds == {False}:
        return None
    if kinds != {True}:
        raise error_at(
            context,
            node,
            f"{node.name!r} of this subquery mixes regions of {OBSCORE_TABLE} with others; search inside it",
        )
    return _carry(source, position, node, context)


def _find_source(node: exp.Column) -> Any:
    # A table, or the query of a subquery or of WITH.
    table = find_table(node)
    if isinstance(table, exp.Subquery):
        return table.this
    if table.args.get("db") is not None:
        return table
    with_ = table.root().args["with_"]
    return next(cte.this for cte in with_.expressions if cte.alias == table.name)


def find_table(node: exp.Column) -> exp.Expr:
    """Return the item of FROM that a resolved column belongs to.

    Parameters
    ----------
    node
        The column.

    Returns
    -------
    table : `sqlglot.exp.Expr`
    """
    select = node.parent_select
    while select is not None:
        for table in iter_tables(select):
            if table.alias_or_name == node.table:
                return table
        select = select.parent_select
    raise AssertionError(f"{node.sql()} was not resolved")


def is_obscore(table: exp.Expr) -> bool:
    """Whether this is the table of datasets.

    Parameters
    ----------
    table
        A resolved table.

    Returns
    -------
    found : `bool`
    """
    return isinstance(table, exp.Table) and f"{table.db}.{table.name}" == OBSCORE_TABLE


def _iter_origins(query: exp.Expr, position: int) -> Iterable[bool]:
    # Whether what a query shows at that place comes from the table of
    # datasets, for each of the queries that it combines.
    if isinstance(query, exp.SetOperation):
        yield from _iter_origins(query.this, position)
        if isinstance(query, exp.Union):
            yield from _iter_origins(query.expression, position)
        return
    if isinstance(query, exp.Subquery):
        yield from _iter_origins(query.this, position)
        return
    value = _value_at(query, position)
    if not isinstance(value, exp.Column):
        # What is computed of a region is refused where it is carried.
        yield function_name(value) != "REGION" and not isinstance(value, exp.Literal)
        return
    source = _find_source(value)
    if isinstance(source, exp.Table):
        yield is_obscore(source)
    else:
        inner = [output.alias for output in projections_of(source)].index(value.name)
        yield from _iter_origins(source, inner)


def _value_at(query: exp.Expr, position: int) -> exp.Expr:
    value = strip_parens(query.expressions[position].this)
    return strip_parens(value.this) if isinstance(value, exp.Cast) else value


def _carry(query: exp.Expr, position: int, node: exp.Column, context: Context) -> str:
    if isinstance(query, exp.SetOperation):
        if isinstance(query, exp.Union):
            _carry(query.expression, position, node, context)
        if query.args.get("distinct") or not isinstance(query, exp.Union):
            query.meta[COMBINED] = True
        return _carry(query.this, position, node, context)
    if isinstance(query, exp.Subquery):
        return _carry(query.this, position, node, context)
    prefix = f"_{position}_"
    carried = query.meta.setdefault(_CARRIED, set())
    if position in carried:
        return prefix
    value = _value_at(query, position)
    group = query.args.get("group")
    keys = [strip_parens(key) for key in group.expressions] if group is not None else [value]
    if not isinstance(value, exp.Column) or kind_of(describe(value)) != "region" or value not in keys:
        raise _lost(node, context)
    distinct = query.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is None:
        # Rows are told apart by what is shown, as they were before.
        shown = [strip_parens(output.this).copy() for output in query.expressions]
        distinct.set("on", exp.Tuple(expressions=shown))
    carried.add(position)
    inner = hidden_prefix(value, context) or ""
    for place, (name, column) in enumerate(
        zip(HIDDEN_ENDINGS, hidden_columns(inner, value.args["table"]), strict=True)
    ):
        if group is not None:
            column = call(_AGGREGATES[place], column)
        query.append("expressions", exp.Alias(this=column, alias=quoted(f"{prefix}{name}")))
    return prefix


def _lost(node: exp.Column, context: Context) -> QueryError:
    return error_at(
        context,
        node,
        f"{node.name!r} of this subquery is computed, and is no region any more; search inside it",
    )


def aggregate_hidden(select: exp.Select) -> None:
    """Let a query with GROUP BY use the regions of its groups.

    Parameters
    ----------
    select
        The query, lowered; where it groups by the text of a region, what is
        said of that region becomes an aggregate.
    """
    if select.args.get("group") is None:
        return
    parts = [item.this for item in select.expressions if not str(item.alias).startswith("_")]
    parts += [clause for key in ("having", "order") if (clause := select.args.get(key)) is not None]
    for part in parts:
        for column in list(part.find_all(exp.Column)):
            ending = str(column.name).rpartition("_")[2]
            if not str(column.name).startswith("_") or ending not in HIDDEN_ENDINGS or _is_aggregated(column):
                continue
            place = HIDDEN_ENDINGS.index(ending)
            node = column.parent if place == 0 else column
            if node is not None:
                made = call(_AGGREGATES[place])
                node.replace(made)
                made.set("expressions", [node])


def _is_aggregated(node: exp.Expr) -> bool:
    above = node.parent
    while above is not None and not isinstance(above, exp.Query):
        if function_name(above) in (*AGGREGATES, "vo_first"):
            return True
        above = above.parent
    return False
