"""From ADQL text to a plan: one tree, and passes over it."""

from __future__ import annotations

__all__ = ["PASSES", "Plan", "plan_query", "render_sql"]

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlglot import exp

from ..dali import Column
from ..errors import UnsupportedError
from ._catalog import Catalog
from ._check import check, check_functions
from ._limit import limit
from ._lower import lower
from ._parse import parse_adql
from ._passes import Context
from ._resolve import resolve
from ._types import kind_of, outputs_of

PASSES: tuple[Callable[[exp.Query, Context], exp.Query], ...] = (
    check_functions,
    resolve,
    check,
    lower,
    limit,
)
"""What is done to a tree between its text and its SQL, in order."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A query that can be run: it reads nothing but published tables."""

    tree: exp.Query
    """Tables with their schemas, columns with their tables, geometry in the
    words of `lower`; not to be changed."""

    columns: tuple[Column, ...]
    """Metadata of the columns of its result."""


def plan_query(text: str, catalog: Catalog) -> Plan:
    """Plan an ADQL query.

    Parameters
    ----------
    text
        ADQL 2.0 or 2.1.
    catalog
        What it may read.

    Returns
    -------
    plan : `Plan`

    Raises
    ------
    QueryError
        Raised, with line, column and the marked line, for what is not ADQL,
        does not exist or does not fit.

    References
    ----------
    ADQL 2.1.
    """
    context = Context(text, catalog)
    tree = parse_adql(text)
    for run in PASSES:
        tree = run(tree, context)
    columns = tuple(_declare(column) for column in outputs_of(tree))
    # Places in the text have served; copies of the tree are quicker without.
    for node in tree.walk():
        node.meta.clear()
    return Plan(tree, columns)


def _declare(column: Column) -> Column:
    # What NULL is among values is not a type that answers know.
    return replace(column, xtype=None) if kind_of(column) == "null" else column


def render_sql(plan: Plan, dialect: str = "duckdb") -> str:
    """Write a plan as SQL.

    Parameters
    ----------
    plan
        The plan.
    dialect
        ``duckdb`` or ``postgres``.

    Returns
    -------
    sql : `str`
        One statement that reads.

    Raises
    ------
    UnsupportedError
        Raised for other dialects, and for predicates on geometries where the
        database has no words for them.
    QueryError
        Raised if the query grows beyond bounds when it is written out.
    """
    match dialect:
        case "duckdb":
            from .dialects import duckdb

            return duckdb.render(plan.tree)
        case "postgres":
            from .dialects import postgres

            return postgres.render(plan.tree)
    raise UnsupportedError(f"There is no SQL for {dialect!r} here; there is for: duckdb, postgres")
