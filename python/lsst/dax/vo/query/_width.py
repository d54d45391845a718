"""How many bytes a row of a result may take.

Databases hand rows over some thousands at a time.  A text of the query, or one
that it doubles again and again, would be there as often.
"""

from __future__ import annotations

__all__ = ["MOST_ROW_BYTES", "row_bytes"]

from collections.abc import Iterator, Mapping

from sqlglot import exp

from ._tree import projections_of

_COLUMN_BYTES = 256
"""What a value of a published column is taken for."""
_VALUE_BYTES = 16

MOST_ROW_BYTES = 256 * 2**20
"""A row that may be larger is not asked for."""


def row_bytes(tree: exp.Query, uploads: Mapping[str, int] | None = None) -> int:
    """Estimate the largest row of a result from above.

    Parameters
    ----------
    tree
        A resolved query, or a planned one.
    uploads
        Size of the largest value of uploaded tables, by their names in the
        tree.

    Returns
    -------
    size : `int`
        In bytes.  Right for all that a query makes of values of usual size:
        no function gives more than it is given.
    """
    return sum(_sizes(tree, dict(uploads or {})))


def _sizes(query: exp.Expr, tables: dict[str, int]) -> list[int]:
    """Return the largest value of each column of a query."""
    while isinstance(query, exp.Subquery):
        query = query.this
    clause = query.args.get("with_")
    if clause is not None:
        tables = dict(tables)
        for table in clause.expressions:
            tables[table.alias] = max(_sizes(table.this, tables), default=0)
    if isinstance(query, exp.SetOperation):
        sides = _sizes(query.this, tables), _sizes(query.expression, tables)
        return [max(pair) for pair in zip(*sides, strict=False)]
    sources = [query.args.get("from_"), *(query.args.get("joins") or ())]
    largest = max((_largest(found, tables) for item in sources for found in _iter_sources(item)), default=0)
    return [_size(item, largest) for item in projections_of(query)]


def _iter_sources(node: exp.Expr | None) -> Iterator[exp.Expr]:
    """Yield the tables and subqueries of FROM."""
    match node:
        case exp.From() | exp.Join() | exp.Paren():
            yield from _iter_sources(node.this)
        case exp.Table() | exp.Subquery():
            yield node
    if isinstance(node, exp.Table | exp.Subquery | exp.Paren):
        for join in node.args.get("joins") or ():
            yield from _iter_sources(join)


def _largest(source: exp.Expr, tables: dict[str, int]) -> int:
    if isinstance(source, exp.Subquery):
        return max(_sizes(source, tables), default=0)
    # Names of WITH, and of uploads, have no schema.
    return _COLUMN_BYTES if source.args.get("db") is not None else tables.get(source.name, _COLUMN_BYTES)


def _size(value: exp.Expr, column_bytes: int) -> int:
    # All parts together; an expression may be ten thousand levels deep.
    size = _VALUE_BYTES
    for node in value.walk():
        if isinstance(node, exp.Column):
            size += column_bytes
        elif isinstance(node, exp.Literal):
            size += 4 * len(str(node.this))
    return size
