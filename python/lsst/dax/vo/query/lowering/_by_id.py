"""Conditions on texts that name a dataset, and the datasets that they name.

``obs_publisher_did`` and ``access_url`` hold the UUID of their dataset, so that
a condition on the text can hold for few rows: those with the UUIDs in the text
that it is compared with.  Such a condition is put into the word

    ``vo_by_id(condition, _id, 'uuid', …)``

which each engine writes as a look-up by ``_id`` and the condition, or as the
condition alone, where the texts of its tables do not tell their datasets.
"""

from __future__ import annotations

__all__ = ["NAMING_COLUMNS", "find_ids", "uuids_in"]

import re
from dataclasses import dataclass

from sqlglot import exp

from .._passes import Context
from .._tree import call, quoted, strip_parens
from ._carry import find_table, is_obscore

NAMING_COLUMNS = frozenset({"obs_publisher_did", "access_url"})
"""Columns whose texts may name the dataset of their row."""

# Also those that overlap.
_UUID = re.compile(r"(?=([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Named:
    """The datasets that a condition can hold for."""

    table: str
    """Name of the table in the query."""

    ids: frozenset[str]
    """Their UUIDs."""


def uuids_in(text: str) -> frozenset[str]:
    """Find UUIDs in a text.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    ids : `frozenset` [`str`]
        In lower case, with hyphens.
    """
    return frozenset(found[1].lower() for found in _UUID.finditer(text))


def find_ids(tree: exp.Query, context: Context) -> exp.Query:  # noqa: ARG001  # all passes take both
    """Note which datasets conditions can hold for.

    Parameters
    ----------
    tree
        As `check` leaves it.
    context
        Query and catalog.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The same.  Only what WHERE and ON ask for together is looked at: what
        is unknown is as good as false there.
    """
    for clause in list(tree.find_all(exp.Where, exp.Join)):
        key = "this" if isinstance(clause, exp.Where) else "on"
        condition = clause.args.get(key)
        if condition is not None:
            clause.set(key, _note(condition))
    return tree


def _note(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.And):
        node.set("this", _note(node.this))
        node.set("expression", _note(node.expression))
        return node
    if isinstance(node, exp.Paren) and isinstance(strip_parens(node), exp.And):
        node.set("this", _note(node.this))
        return node
    found = _names(node)
    if found is None:
        return node
    own = exp.Column(this=quoted("_id"), table=quoted(found.table))
    test = node if isinstance(node, exp.Paren) else exp.Paren(this=node)
    return call("vo_by_id", test, own, *map(exp.Literal.string, sorted(found.ids)))


def _names(node: exp.Expr) -> _Named | None:
    match node:
        case exp.Paren():
            return _names(node.this)
        case exp.And():
            parts = [part for part in (_names(node.this), _names(node.expression)) if part is not None]
            return min(parts, key=lambda part: len(part.ids), default=None)
        case exp.Or():
            left, right = _names(node.this), _names(node.expression)
            if left is None or right is None or left.table != right.table:
                return None
            return _Named(left.table, left.ids | right.ids)
        case exp.EQ():
            for side, other in ((node.this, node.expression), (node.expression, node.this)):
                table = _naming_table(side)
                text = strip_parens(other)
                if table is not None and isinstance(text, exp.Literal):
                    return _Named(table, uuids_in(str(text.this)))
        case exp.In() if node.args.get("query") is None:
            table = _naming_table(node.this)
            texts = [strip_parens(item) for item in node.expressions]
            if table is not None and all(isinstance(text, exp.Literal) for text in texts):
                ids = frozenset[str]().union(*(uuids_in(str(text.this)) for text in texts))
                return _Named(table, ids)
        case exp.Like() | exp.ILike():
            table = _naming_table(node.this)
            pattern = strip_parens(node.expression)
            # A UUID holds none of the signs that stand for others.
            ids = uuids_in(str(pattern.this)) if isinstance(pattern, exp.Literal) else frozenset()
            if table is not None and ids:
                return _Named(table, frozenset({min(ids)}))
    return None


def _naming_table(node: exp.Expr) -> str | None:
    column = strip_parens(node)
    if not isinstance(column, exp.Column) or column.name not in NAMING_COLUMNS:
        return None
    table = find_table(column)
    return str(table.alias_or_name) if is_obscore(table) else None
