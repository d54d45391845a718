"""Hidden columns of a region."""

from __future__ import annotations

__all__ = ["HIDDEN_ENDINGS", "hidden_columns", "iter_tables", "overlap"]

from collections.abc import Iterator, Sequence

from sqlglot import exp

from .._tree import join_conditions, quoted

HIDDEN_ENDINGS = ("region", "x0", "y0", "z0", "x1", "y1", "z1")
"""Endings of the names of the hidden columns of a region: its bytes, then the
bounds of its unit vectors."""


def hidden_columns(prefix: str, table: exp.Expr) -> list[exp.Expr]:
    """Return the hidden columns of a region.

    Parameters
    ----------
    prefix
        What stands before the endings.
    table
        Name of the table; copied for each.

    Returns
    -------
    columns : `list` [`sqlglot.exp.Expr`]
        The region's bytes, then the bounds of its unit vectors: x, y, z of
        the lower and the upper end.
    """
    return [exp.Column(this=quoted(f"{prefix}{name}"), table=table.copy()) for name in HIDDEN_ENDINGS]


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
