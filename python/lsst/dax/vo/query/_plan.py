"""From ADQL text to a plan: one tree, and passes over it."""

from __future__ import annotations

__all__ = ["PASSES", "Plan", "plan_query", "render_sql"]

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from sqlglot import exp

from ..dali import Column
from ..errors import UnsupportedError
from ._catalog import Catalog
from ._limit import limit
from ._passes import Context, error_at
from ._width import MOST_ROW_BYTES, row_bytes
from .adql._check import check, check_functions
from .adql._parse import parse_adql
from .adql._resolve import resolve
from .adql._types import kind_of, outputs_of
from .lowering._by_id import find_ids
from .lowering._combine import combine
from .lowering._lower import lower

PASSES: tuple[Callable[[exp.Query, Context], exp.Query], ...] = (
    check_functions,
    resolve,
    check,
    find_ids,
    lower,
    limit,
    combine,
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

    row_bytes: int = 0
    """How large a row of its result may be, as `row_bytes` estimates it; 0 if it
    gives published columns as they are."""

    def reads(self, table: str) -> bool:
        """Tell whether a table is read.

        Parameters
        ----------
        table
            Its name with its schema, as it is published.

        Returns
        -------
        reads : `bool`
        """
        return any(f"{found.db}.{found.name}" == table for found in self.tree.find_all(exp.Table))


_MOST_PLANS = 128
_LONGEST = 10_000
"""Characters of a query that is remembered."""
_plans: OrderedDict[tuple[str, int], tuple[Catalog, Plan]] = OrderedDict()
_lock = threading.Lock()


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
        The same object for the same text and catalog, as long as it is
        remembered.

    Raises
    ------
    QueryError
        Raised, with line, column and the marked line, for what is not ADQL,
        does not exist or does not fit.

    References
    ----------
    ADQL 2.1.
    """
    key = text, id(catalog)
    with _lock:
        known = _plans.get(key)
        # Another catalog may have come to the place of one that is gone.
        if known is not None and known[0] is catalog:
            _plans.move_to_end(key)
            return known[1]
    plan = _make_plan(text, catalog)
    if len(text) <= _LONGEST:
        with _lock:
            _plans[key] = catalog, plan
            while len(_plans) > _MOST_PLANS:
                _plans.popitem(last=False)
    return plan


def _make_plan(text: str, catalog: Catalog) -> Plan:
    context = Context(text, catalog)
    tree = parse_adql(text)
    for run in PASSES:
        tree = run(tree, context)
    size = row_bytes(tree)
    if size > MOST_ROW_BYTES:
        raise error_at(
            context,
            tree,
            f"A row of the result may have {size} bytes; it may have {MOST_ROW_BYTES}: "
            "ask for fewer columns, or put shorter texts together",
        )
    columns = tuple(_declare(column) for column in outputs_of(tree))
    # Places in the text have served; copies of the tree are quicker without.
    for node in tree.walk():
        node.meta.clear()
    return Plan(tree, columns, size)


def _declare(column: Column) -> Column:
    # What NULL is among values is not a type that answers know.
    return replace(column, xtype=None) if kind_of(column) == "null" else column


def render_sql(
    plan: Plan,
    dialect: str = "duckdb",
    *,
    named: Collection[str] = (),
    published: Callable[[Collection[str]], str] | None = None,
) -> str:
    """Write a plan as SQL.

    Parameters
    ----------
    plan
        The plan.
    dialect
        ``duckdb`` or ``postgres``.
    named
        Columns whose texts name the datasets of their rows, as
        `~lsst.dax.vo.query.lowering._named.naming_columns` gives them.
    published
        Gives the query in the place of the table of datasets, of the names
        that the plan has; `None` leaves the table.  For ``duckdb``.

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

            return duckdb.render(plan.tree, named=named, published=published)
        case "postgres":
            from .dialects import postgres

            return postgres.render(plan.tree, named=named)
    raise UnsupportedError(f"There is no SQL for {dialect!r} here; there is for: duckdb, postgres")
