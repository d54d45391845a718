"""Shapes of uploaded tables among the regions of a store.

``CONTAINS(POINT(u.ra, u.dec), o.s_region) = 1`` joins two tables by a function
that knows neither.  What it is made of is computed once for each row of the
upload: the shape, its bounds, and the stretches of the store that these meet.
Each row is then there once for each stretch, which is a join by equality.
"""

from __future__ import annotations

__all__ = ["Shape", "compute_shapes", "take_shapes_out"]

from collections.abc import Collection
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from sqlglot import exp

from ..._tree import function_name, join_conditions, quoted
from ...dialects import duckdb as dialect
from ...geometry._geometry import POINT_TAG, box_of, unit_vectors
from ...lowering._carry import find_table, is_obscore
from ...lowering._hidden import HIDDEN_ENDINGS, hidden_columns, iter_tables, overlap
from ._blocks import BLOCK_ROWS, Blocks, Floats

_PREDICATES = ("vo_contains", "vo_intersects")
_MAKERS = ("vo_point", "vo_circle", "vo_box", "vo_polygon", "vo_region")
_BLOCK = "vo_block"
_ROWS = "rows"
# Of unit vectors, with a margin.
_ROUNDING = 1e-14


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape of each row of an upload."""

    prefix: str
    """Beginning of the names of its columns."""

    maker: exp.Expr
    """What makes it of the columns of the upload."""

    is_key: bool
    """Whether rows are there once for each stretch that it meets."""


def take_shapes_out(tree: exp.Query, uploads: Collection[str]) -> dict[str, tuple[str, list[Shape]]]:
    """Put columns in the place of shapes that are made of one upload.

    Parameters
    ----------
    tree
        A planned query, which is changed: also the names of its uploads, where
        they get columns.
    uploads
        Names of its uploaded tables.

    Returns
    -------
    tables : `dict` [`str`, `tuple`]
        By new name, the old one and the shapes that it is to have.
    """
    found: dict[str, tuple[str, list[Shape]]] = {}
    nodes = [node for node in tree.find_all(exp.Anonymous) if function_name(node) in _PREDICATES]
    for number, node in enumerate(nodes):
        for maker, other in (node.expressions, reversed(node.expressions)):
            table = _upload_of(maker, uploads) if _is_region(other) else None
            if table is None:
                continue
            if table.name not in found:
                name = f"{table.name}_{len(found)}"
                found[name] = (table.name, [])
                table.set("this", quoted(name))
            _, shapes = found[table.name]
            is_key = _joins(_whole_test(node), table) and not any(shape.is_key for shape in shapes)
            shape = Shape(f"vo{number}_", _without_table(maker), is_key)
            shapes.append(shape)
            _use(shape, node, maker, other, table)
            break
    return found


def compute_shapes(
    cursor: duckdb.DuckDBPyConnection, rows: pa.Table, shapes: Collection[Shape], blocks: Blocks
) -> pa.Table:
    """Add the columns of shapes to the rows of an upload.

    Parameters
    ----------
    cursor
        Of an instance that has the functions of geometry.
    rows
        The upload.
    shapes
        What to add.
    blocks
        Where regions are.

    Returns
    -------
    rows : `pyarrow.Table`
        With the columns of each shape, and the stretches of one.
    """
    found = rows
    key: tuple[np.ndarray, np.ndarray] | None = None
    for shape in shapes:
        regions, low, high = _compute(cursor, rows, shape.maker)
        columns = [regions, *(pa.array(bound[:, axis]) for bound in (low, high) for axis in range(3))]
        for ending, column in zip(HIDDEN_ENDINGS, columns, strict=True):
            found = found.append_column(f"{shape.prefix}{ending}", column)
        if shape.is_key:
            key = blocks.find(low, high)
    if key is None:
        return found
    places, numbers = key
    return found.take(pa.array(places)).append_column(_BLOCK, pa.array(numbers))


def _is_region(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and node.name == "_region" and is_obscore(find_table(node))


def _upload_of(maker: exp.Expr, uploads: Collection[str]) -> exp.Table | None:
    # The uploaded table that alone a shape is made of.
    columns = list(maker.find_all(exp.Column))
    if function_name(maker) not in _MAKERS or not columns or maker.find(exp.Query) is not None:
        return None
    first, *others = map(find_table, columns)
    if any(table is not first for table in others) or not isinstance(first, exp.Table):
        return None
    own = first.name in uploads or any(first.name.startswith(f"{name}_") for name in uploads)
    return first if own and first.args.get("db") is None else None


def _without_table(maker: exp.Expr) -> exp.Expr:
    maker = maker.copy()
    for column in maker.find_all(exp.Column):
        column.set("table", None)
    return maker


def _whole_test(node: exp.Expr) -> exp.Expr:
    # With the test of bounds that `lower` has put before it, if there is one.
    case = node.parent.parent if isinstance(node.parent, exp.If) else None
    both = case.parent if isinstance(case, exp.Case) else None
    return both if isinstance(both, exp.And) and both.expression is case else node


def _joins(node: exp.Expr, table: exp.Expr) -> bool:
    # Whether only pairs of rows count for which the predicate is true.
    above = node.parent
    while isinstance(above, exp.And | exp.Paren):
        above = above.parent
    select = node.parent_select
    if not isinstance(above, exp.Where | exp.Join) or select is None:
        return False
    return any(item is table for item in iter_tables(select)) and not any(
        join.side for join in select.find_all(exp.Join)
    )


def _use(shape: Shape, node: exp.Expr, maker: exp.Expr, other: exp.Expr, table: exp.Expr) -> None:
    alias = quoted(table.alias_or_name)
    region, *own = hidden_columns(shape.prefix, alias)
    maker.replace(region)
    if not shape.is_key:
        return
    theirs = hidden_columns("_", other.args["table"])[1:]
    stretch = exp.IntDiv(
        this=exp.Column(this=quoted("_row"), table=other.args["table"].copy()),
        expression=exp.Literal.number(BLOCK_ROWS),
    )
    same = exp.EQ(this=exp.Column(this=quoted(_BLOCK), table=alias.copy()), expression=stretch)
    whole, test = _whole_test(node), node.copy()
    whole.replace(join_conditions([same, overlap(own, theirs), test], exp.And))


def _compute(
    cursor: duckdb.DuckDBPyConnection, rows: pa.Table, maker: exp.Expr
) -> tuple[pa.Array, Floats, Floats]:
    select = exp.Select(
        expressions=[exp.Alias(this=maker.copy(), alias=quoted("shape"))],
        from_=exp.From(this=exp.Table(this=quoted(_ROWS))),
    )
    cursor.register(_ROWS, rows)
    try:
        found: pa.Table = cursor.sql(dialect.render(select)).to_arrow_table()
    finally:
        cursor.unregister(_ROWS)
    regions = found["shape"].combine_chunks()
    if isinstance(regions, pa.ChunkedArray):
        regions = pa.concat_arrays(regions.chunks) if regions.num_chunks else pa.array([], pa.binary())
    return (regions, *_bound(regions))


def _bound(shapes: pa.Array) -> tuple[Floats, Floats]:
    # NaN for none, which meets nothing.
    bounds = np.full((len(shapes), 6), np.nan)
    known = np.flatnonzero(np.asarray(shapes.is_valid()))
    values = shapes.take(pa.array(known)).to_pylist()
    if all(value.startswith(POINT_TAG) for value in values):
        numbers = np.frombuffer(b"".join(values), np.dtype([("tag", "u1"), ("place", "<f8", 2)]))["place"]
        vectors = unit_vectors(numbers[:, 0], numbers[:, 1])
        bounds[known, :3], bounds[known, 3:] = vectors - _ROUNDING, vectors + _ROUNDING
    else:
        for row, value in zip(known, values, strict=True):
            bounds[row] = box_of(value)
    return bounds[:, :3], bounds[:, 3:]
