"""What every pass over a tree is told."""

from __future__ import annotations

__all__ = ["Context", "error_at"]

from dataclasses import dataclass

from sqlglot import exp

from ..errors import QueryError
from ._catalog import Catalog
from ._tree import place_of
from .adql._tokens import query_error


@dataclass(frozen=True, slots=True)
class Context:
    """The query that the tree was made from, and what it may read."""

    text: str
    """ADQL, for messages."""

    catalog: Catalog
    """Published tables."""


def error_at(context: Context, node: exp.Expr, message: str) -> QueryError:
    """Make an error that points at a node.

    Parameters
    ----------
    context
        Where the query comes from.
    node
        What is at fault.
    message
        What is wrong and what was expected.

    Returns
    -------
    error : `QueryError`
    """
    return query_error(context.text, message, *place_of(node))
