"""Functions of geometries, found out before the query that has them runs.

A database without exact functions on the sphere is asked first for the
geometries that matter: those whose bounds overlap, each of them once.  The
kernels decide about them, and what they found stands in the query as a list of
values.  A function depends on nothing but its geometries, so that a list of
these says the same wherever they come from: a table, a join, a subquery.

Regions that lie wholly inside a circle inside of a constant shape need no such
list: their bounds tell.
"""

from __future__ import annotations

__all__ = ["Ask", "settle_predicates"]

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from sqlglot import exp

from ...errors import UnsupportedError, UsageError
from .._tree import function_name, join_conditions, quoted, strip_parens
from ..geometry._kernels import area, centroid, contains, intersects
from ..lowering._hidden import iter_tables
from ._pgsphere import inside_of, join_index, near_constant, point_out_cone, point_out_region
from ._settled import Decode, Made, hash_of, list_answers, look_up, read_made

type Ask = Callable[[exp.Select], pa.Table]
"""From a query on published tables to its rows."""

_PREDICATES = {"vo_contains": contains, "vo_intersects": intersects}
_MEASURES = {"vo_area": area, "vo_centroid": centroid}
_MOST_CANDIDATES = 300_000


def settle_predicates(
    tree: exp.Query, ask: Ask, *, indexed: bool = True, decode: Decode = lambda regions: regions
) -> exp.Query:
    """Put what is found out in the place of functions of geometries.

    Parameters
    ----------
    tree
        A planned query; not changed.
    ask
        Asks the database.
    indexed
        Whether tables have ``_scircle`` and ``_spoint``, with indexes.
    decode
        Makes encodings of sphgeom of what tables have as ``_region``.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The same question without predicates, areas and centroids.

    Raises
    ------
    UsageError
        Raised if too many geometries would have to be looked at one by one.
    UnsupportedError
        Raised for geometries that are made in ways that cannot be asked for.
    """
    root = exp.Paren(this=tree.copy())
    for node in list(root.find_all(exp.Anonymous)):
        if function_name(node) == "vo_cone":
            point_out_cone(node, indexed=indexed)
    for node in list(_inside_out(root.this)):
        if function_name(node) in _PREDICATES:
            _settle(node, root.this, ask, decode, indexed=indexed)
        else:
            _measure(node, root.this, ask, decode)
    settled: exp.Query = root.this
    return settled


def _inside_out(tree: exp.Query) -> Iterator[exp.Anonymous]:
    # Queries in WITH come first, in their order; then the innermost.
    with_ = tree.args.get("with_")
    parts = [*(with_.expressions if with_ is not None else ()), tree]
    seen: set[int] = set()
    for part in parts:
        for node in reversed(list(part.find_all(exp.Anonymous, bfs=True))):
            if function_name(node) in (*_PREDICATES, *_MEASURES) and id(node) not in seen:
                seen.add(id(node))
                yield node


def _settle(node: exp.Anonymous, tree: exp.Query, ask: Ask, decode: Decode, *, indexed: bool) -> None:
    name = function_name(node) or ""
    sides = [read_made(item) for item in node.expressions]
    if None in sides:
        node.replace(exp.Cast(this=exp.Null(), to=exp.DataType(this=exp.DType.BOOLEAN)))
        return
    first, second = (side for side in sides if side is not None)
    if first.constant is not None and second.constant is not None:
        (answer,) = _decide(name, first, second, [], 1, decode).to_pylist()
        node.replace(exp.Boolean(this=answer))
        return
    constant = second.constant if first.constant is None else first.constant
    region = first if first.constant is None else second
    certain: exp.Expr | None = None
    if constant is not None and region.is_region and isinstance(region.keys[0], exp.Column):
        (column,) = region.keys
        if indexed:
            point_out_region(node, column, constant)
        # A region that holds a constant shape need not lie inside of it.
        exactly = name == "vo_contains"
        if not exactly or region is first:
            certain = inside_of(column, constant, exactly=exactly)
        query = near_constant(constant, indexed=indexed)
        if certain is not None:
            (own,) = query.expressions
            outside = exp.Not(this=inside_of(own.this, constant, exactly=exactly))
            query.set("where", exp.Where(this=exp.And(this=query.args["where"].this, expression=outside)))
    else:
        both = _bounds_test(node)
        index = join_index(first, second) if indexed and both is not None else None
        query = _from_tables(node, [*first.inputs, *second.inputs], tree, index)
        if index is not None and both is not None and _is_demanded(both):
            # Beside the bare test of bounds, where the database sees it.
            both.set("this", exp.And(this=index.copy(), expression=both.this))
    found = _ask(query, ask)
    columns = [_flat(column) for column in found.columns]
    answers = _decide(name, first, second, columns, found.num_rows, decode)
    matches = [*first.matches(columns), *second.matches(columns[len(first.inputs) :])]
    node.replace(list_answers([*first.keys, *second.keys], matches, answers, certain))


def _bounds_test(node: exp.Expr) -> exp.And | None:
    # What `lower` has made of a predicate: a test of bounds, and beside it the
    # exact one for what passes.
    case = node.parent.parent if isinstance(node.parent, exp.If) else None
    both = case.parent if case is not None else None
    return both if isinstance(both, exp.And) and both.expression is case else None


def _is_demanded(test: exp.Expr) -> bool:
    # Whether rows without it are left out, so that unknown is as good as false.
    above = test.parent
    while isinstance(above, exp.Paren | exp.And):
        above = above.parent
    return isinstance(above, exp.Where | exp.Join | exp.Having)


def _measure(node: exp.Anonymous, tree: exp.Query, ask: Ask, decode: Decode) -> None:
    name = function_name(node) or ""
    made = read_made(node.expressions[0])
    double = exp.DataType(this=exp.DType.DOUBLE)
    array = exp.DataType(this=exp.DType.ARRAY, expressions=[double.copy()], nested=True)
    target = double if name == "vo_area" else array
    if made is None:
        node.replace(exp.Cast(this=exp.Null(), to=target))
        return
    key = hash_of(made.keys)
    found = _ask(_from_tables(node, [*made.inputs, key], tree, None), ask)
    *columns, hashes = (_flat(column) for column in found.columns)
    shapes = made.evaluate(columns, found.num_rows, decode)
    known = pa.array(np.flatnonzero(np.asarray(shapes.is_valid())))
    values = _MEASURES[name](shapes.take(known)).to_pylist()
    node.replace(look_up(key, hashes.take(known), values, target))


def _ask(query: exp.Select, ask: Ask) -> pa.Table:
    query.set("distinct", exp.Distinct())
    query.set("limit", exp.Limit(expression=exp.Literal.number(_MOST_CANDIDATES + 1)))
    found = ask(query).combine_chunks()
    if found.num_rows > _MOST_CANDIDATES:
        raise UsageError(
            f"The query compares more than {_MOST_CANDIDATES} geometries one by one; "
            "ask for a smaller place, or by constant shapes"
        )
    return found


def _decide(
    name: str, first: Made, second: Made, columns: Sequence[pa.Array], count: int, decode: Decode
) -> pa.Array:
    split = len(first.inputs)
    shapes = [first.evaluate(columns[:split], count, decode), second.evaluate(columns[split:], count, decode)]
    known = np.logical_and(*(np.asarray(shape.is_valid()) for shape in shapes))
    rows = pa.array(np.flatnonzero(known))
    answers = np.zeros(count, np.bool_)
    answers[known] = np.asarray(_PREDICATES[name](*(shape.take(rows) for shape in shapes)))
    return pa.array(answers, mask=~known)


def _from_tables(
    node: exp.Expr, keys: Sequence[exp.Expr], tree: exp.Query, index: exp.Expr | None
) -> exp.Select:
    # The distinct values in the tables that the predicate compares, as far as
    # the other conditions on these let them through.
    around = node.parent
    near = [around.this] if isinstance(around, exp.If) and around.args.get("true") is node else []
    wanted = {column.table for part in (*keys, *near) for column in part.find_all(exp.Column)}
    sources: list[exp.Expr] = []
    conditions = [part.copy() for part in (*near, index) if part is not None]
    select = node.parent_select
    while select is not None:
        own = [table for table in iter_tables(select) if table.alias_or_name in wanted]
        sources += own
        wanted -= {table.alias_or_name for table in own}
        if not any(join.side for join in select.find_all(exp.Join)):
            names = {table.alias_or_name for table in own}
            conditions += [part.copy() for part in _conjuncts(select) if _is_about(part, names)]
        select = select.parent_select
    if wanted or not sources:
        raise UnsupportedError("These geometries cannot be compared in PostgreSQL; use constants")
    copies = [table.copy() for table in sources]
    for copy in copies:
        copy.set("joins", None)
    query = exp.Select(
        expressions=[exp.Alias(this=key.copy(), alias=quoted(f"k{place}")) for place, key in enumerate(keys)],
        from_=exp.From(this=copies[0]),
        joins=[exp.Join(this=copy) for copy in copies[1:]],
    )
    if conditions:
        query.set("where", exp.Where(this=join_conditions(conditions, exp.And)))
    with_ = tree.args.get("with_")
    if with_ is not None and node.find_ancestor(exp.With) is None:
        query.set("with_", with_.copy())
    return query


def _conjuncts(select: exp.Expr) -> Iterator[exp.Expr]:
    where = select.args.get("where")
    waiting = [] if where is None else [where.this]
    waiting += [join.args["on"] for join in select.args.get("joins") or () if join.args.get("on")]
    while waiting:
        part = strip_parens(waiting.pop())
        if isinstance(part, exp.And):
            waiting += [part.this, part.expression]
        else:
            yield part


def _is_about(part: exp.Expr, names: set[str]) -> bool:
    columns = list(part.find_all(exp.Column))
    if not columns or part.find(exp.Query) is not None:
        return False
    unsettled = (*_PREDICATES, *_MEASURES)
    if any(function_name(node) in unsettled for node in part.find_all(exp.Anonymous)):
        return False
    return all(column.table in names for column in columns)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
