"""Predicates on geometries, found out before the query that has them runs.

A database without exact predicates on the sphere is asked first for the
geometries that matter: those whose bounds overlap, each of them once.  The
kernels decide about them, and what they found stands in the query as a list of
values.  A predicate depends on nothing but its geometries, so that a list of
these says the same wherever they come from: a table, a join, a subquery.

Regions that lie wholly inside a circle inside of a constant shape need no such
list: their bounds tell.
"""

from __future__ import annotations

__all__ = ["Ask", "Decode", "settle_predicates"]

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from lsst.sphgeom import Circle, ConvexPolygon
from sqlglot import exp

from ..errors import UnsupportedError, UsageError
from ._catalog import OBSCORE_TABLE
from ._geometry import (
    box_of,
    box_region,
    decode,
    encode_circles,
    encode_points,
    encode_shapes,
    polygon_region,
)
from ._hidden import hidden_columns, iter_tables, overlap
from ._kernels import contains, intersects
from ._tree import (
    call,
    constant_number,
    function_name,
    join_conditions,
    number_literal,
    quoted,
    strip_parens,
)

type Ask = Callable[[exp.Select], pa.Table]
"""From a query on published tables to its rows."""

type Decode = Callable[[pa.Array], pa.Array]
"""From regions as tables have them to encodings of sphgeom."""

_PREDICATES = {"vo_contains": contains, "vo_intersects": intersects}
_MAKERS: dict[str, Callable[..., pa.Array]] = {
    "vo_point": encode_points,
    "vo_circle": encode_circles,
    "vo_box": lambda *columns: encode_shapes(box_region, *columns),
}
_MOST_CANDIDATES = 300_000
# What sphgeom takes for touching, twice: a circle inside by less is asked about.
_MARGIN = 2e-7
# Wider circles are none of the index.
_MOST_RADIUS = 1.5
_ALIAS = "o"
_PLACE = ("s_ra", "s_dec")


@dataclass(frozen=True, slots=True)
class _Side:
    """One argument of a predicate."""

    name: str
    """The function that makes it; empty for a region, or a constant."""

    inputs: tuple[exp.Expr, ...]
    """What it is made of; none for a constant."""

    constant: bytes | None = None
    """Its bytes."""

    def evaluate(self, columns: Sequence[pa.Array], count: int, decode: Decode) -> pa.Array:
        if self.constant is not None:
            return pa.array([self.constant] * count, pa.binary())
        if self.name == "vo_polygon":
            rows = [list(row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
            return encode_shapes(polygon_region, pa.array(rows, pa.list_(pa.float64())))
        return _MAKERS[self.name](*columns) if self.name else decode(columns[0])


def settle_predicates(
    tree: exp.Query, ask: Ask, *, indexed: bool = True, decode: Decode = lambda regions: regions
) -> exp.Query:
    """Put what is found out in the place of predicates on geometries.

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
        The same question without ``vo_contains`` and ``vo_intersects``.

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
            _point_out_cone(node, indexed=indexed)
    for node in list(_inside_out(root.this)):
        _settle(node, root.this, ask, decode, indexed=indexed)
    settled: exp.Query = root.this
    return settled


def _inside_out(tree: exp.Query) -> Iterator[exp.Anonymous]:
    # Queries in WITH come first, in their order; then the innermost.
    with_ = tree.args.get("with_")
    parts = [*(with_.expressions if with_ is not None else ()), tree]
    seen: set[int] = set()
    for part in parts:
        for node in reversed(list(part.find_all(exp.Anonymous, bfs=True))):
            if function_name(node) in _PREDICATES and id(node) not in seen:
                seen.add(id(node))
                yield node


def _settle(node: exp.Anonymous, tree: exp.Query, ask: Ask, decode: Decode, *, indexed: bool) -> None:
    name = function_name(node) or ""
    sides = [_read_side(item) for item in node.expressions]
    if None in sides:
        node.replace(exp.Cast(this=exp.Null(), to=exp.DataType(this=exp.DType.BOOLEAN)))
        return
    first, second = (side for side in sides if side is not None)
    keys = [*first.inputs, *second.inputs]
    if not keys:
        (answer,) = _decide(name, first, second, [], 1, decode).to_pylist()
        node.replace(exp.Boolean(this=answer))
        return
    constant = second.constant if first.constant is None else first.constant
    region = first if first.constant is None else second
    certain: exp.Expr | None = None
    if constant is not None and not region.name:
        (column,) = region.inputs
        if indexed:
            _point_out_region(node, column, constant)
        # A region that holds a constant shape need not lie inside of it.
        exactly = name == "vo_contains"
        if not exactly or region is first:
            certain = _inside(column, constant, exactly=exactly)
        query = _near_constant(constant, indexed=indexed)
        if certain is not None:
            (own,) = query.expressions
            outside = exp.Not(this=_inside(own, constant, exactly=exactly))
            query.set("where", exp.Where(this=exp.And(this=query.args["where"].this, expression=outside)))
    else:
        query = _from_tables(node, keys, tree)
    query.set("distinct", exp.Distinct())
    query.set("limit", exp.Limit(expression=exp.Literal.number(_MOST_CANDIDATES + 1)))
    found = ask(query).combine_chunks()
    if found.num_rows > _MOST_CANDIDATES:
        raise UsageError(
            f"The query compares more than {_MOST_CANDIDATES} geometries one by one; "
            "ask for a smaller place, or by constant shapes"
        )
    columns = [_flat(column) for column in found.columns]
    answers = _decide(name, first, second, columns, found.num_rows, decode)
    node.replace(_as_list(keys, columns, answers, certain))


def _point_out_cone(node: exp.Anonymous, *, indexed: bool) -> None:
    # A position of the table in a constant circle: its index tells what may
    # be there.
    *numbers, test = node.expressions
    ra, dec, *circle = numbers
    constants = [constant_number(number) for number in circle]
    if (
        indexed
        and isinstance(ra, exp.Column)
        and isinstance(dec, exp.Column)
        and (ra.name.lower(), dec.name.lower()) == _PLACE
        and ra.table == dec.table
        and _is_published(ra)
        and None not in constants
    ):
        longitude, latitude, radius = (math.radians(number or 0.0) for number in constants)
        if radius <= _MOST_RADIUS and abs(latitude) <= math.pi / 2:
            own = exp.Column(this=quoted("_spoint"), table=ra.args["table"].copy())
            near = (longitude % (2 * math.pi), latitude, radius + _MARGIN)
            index = call("vo_in_circle", own, *(number_literal(number) for number in near))
            test = exp.And(this=index, expression=test)
    node.replace(test)


def _is_published(node: exp.Column) -> bool:
    # Whether it is a column of a published table, and of no subquery.
    select = node.parent_select
    while select is not None:
        for table in iter_tables(select):
            if table.alias_or_name == node.table:
                return isinstance(table, exp.Table) and table.args.get("db") is not None
        select = select.parent_select
    return False


def _point_out_region(node: exp.Anonymous, column: exp.Expr, constant: bytes) -> None:
    # As above, for a region: beside the bare test of its bounds.
    circle = _around(constant)
    case = node.parent.parent if isinstance(node.parent, exp.If) else None
    both = case.parent if case is not None else None
    if (
        circle is None
        or not isinstance(both, exp.And)
        or not isinstance(column, exp.Column)
        or column.name != "_region"
        or not _is_published(column)
    ):
        return
    index = [
        exp.Column(this=quoted(name), table=column.args["table"].copy()) for name in ("_scircle", "_radius")
    ]
    both.set("this", exp.And(this=call("vo_near", *index, *circle), expression=both.this))


def _read_side(node: exp.Expr) -> _Side | None:
    node = strip_parens(node)
    name = function_name(node) or ""
    if isinstance(node, exp.Column):
        return _Side("", (node,))
    if isinstance(node, exp.Cast):
        return None
    if name == "vo_blob":
        return _Side("", (), bytes.fromhex(str(node.expressions[0].this)))
    inputs = tuple(node.expressions)
    if name == "vo_polygon" and isinstance(inputs[0], exp.Array):
        inputs = tuple(inputs[0].expressions)
    elif name not in _MAKERS:
        raise UnsupportedError(
            "Polygons that a subquery makes cannot be searched with in PostgreSQL; "
            "make them where they are used"
        )
    double = exp.DataType(this=exp.DType.DOUBLE)
    return _Side(name, tuple(exp.Cast(this=item.copy(), to=double.copy()) for item in inputs))


def _decide(
    name: str, first: _Side, second: _Side, columns: Sequence[pa.Array], count: int, decode: Decode
) -> pa.Array:
    split = len(first.inputs)
    shapes = [first.evaluate(columns[:split], count, decode), second.evaluate(columns[split:], count, decode)]
    known = np.logical_and(*(np.asarray(shape.is_valid()) for shape in shapes))
    rows = pa.array(np.flatnonzero(known))
    answers = np.zeros(count, np.bool_)
    answers[known] = np.asarray(_PREDICATES[name](*(shape.take(rows) for shape in shapes)))
    return pa.array(answers, mask=~known)


def _near_constant(constant: bytes, *, indexed: bool) -> exp.Select:
    # The distinct regions near a shape, whatever the rows are that have them.
    schema, _, name = OBSCORE_TABLE.partition(".")
    region, *bounds = hidden_columns("_", quoted(_ALIAS))
    conditions = [overlap(bounds, [number_literal(end) for end in box_of(constant)])]
    circle = _around(constant) if indexed else None
    if circle is not None:
        index = [exp.Column(this=quoted(item), table=quoted(_ALIAS)) for item in ("_scircle", "_radius")]
        conditions.append(call("vo_near", *index, *circle))
    return exp.Select(
        expressions=[region.copy()],
        from_=exp.From(
            this=exp.Table(this=quoted(name), db=quoted(schema), alias=exp.TableAlias(this=quoted(_ALIAS)))
        ),
        where=exp.Where(this=join_conditions(conditions, exp.And)),
    )


def _from_tables(node: exp.Expr, keys: Sequence[exp.Expr], tree: exp.Query) -> exp.Select:
    # The distinct values in the tables that the predicate compares, as far as
    # the other conditions on these let them through.
    around = node.parent
    near = [around.this] if isinstance(around, exp.If) and around.args.get("true") is node else []
    wanted = {column.table for part in (*keys, *near) for column in part.find_all(exp.Column)}
    sources: list[exp.Expr] = []
    conditions = [part.copy() for part in near]
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
    if any(function_name(node) in _PREDICATES for node in part.find_all(exp.Anonymous)):
        return False
    return all(column.table in names for column in columns)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _around(constant: bytes) -> tuple[exp.Expr, exp.Expr, exp.Expr] | None:
    geometry = decode(constant)
    if isinstance(geometry, tuple):
        ra_deg, dec_deg = geometry
        numbers = math.radians(ra_deg), math.radians(dec_deg), 0.0
    else:
        circle = geometry.getBoundingCircle()
        center, radius = circle.getCenter(), circle.getOpeningAngle().asRadians()
        if not 0 <= radius <= _MOST_RADIUS:
            return None
        longitude = math.atan2(center.y(), center.x()) % (2 * math.pi)
        numbers = longitude, math.atan2(center.z(), math.hypot(center.x(), center.y())), radius
    longitude, latitude, radius = numbers
    return number_literal(longitude), number_literal(latitude), number_literal(radius + _MARGIN)


def _inside(column: exp.Expr, constant: bytes, *, exactly: bool) -> exp.Expr | None:
    # Whether the box of a region lies in a ball around a point of a shape that
    # meets the sphere inside of the shape.
    circle = _within(constant)
    if circle is None or not isinstance(column, exp.Column):
        return None
    (x, y, z), radius = circle
    chord2 = 4 * math.sin(radius / 2) ** 2
    _, *bounds = hidden_columns(column.name.removesuffix("region"), column.args["table"])
    squares = [
        call("vo_square", bounds[axis], bounds[axis + 3], number_literal(center))
        for axis, center in enumerate((x, y, z))
    ]
    total = exp.Add(this=exp.Add(this=squares[0], expression=squares[1]), expression=squares[2])
    inside: exp.Expr = exp.LTE(this=total, expression=number_literal(chord2))
    if exactly:
        # Of other shapes sphgeom itself may not see that they lie inside.
        inside = exp.And(this=inside, expression=call("vo_is_plain", column.copy()))
    return exp.Paren(this=inside)


def _within(constant: bytes) -> tuple[tuple[float, float, float], float] | None:
    geometry = decode(constant)
    if isinstance(geometry, Circle):
        center = geometry.getCenter()
        x, y, z = center.x(), center.y(), center.z()
        radius = geometry.getOpeningAngle().asRadians()
    elif isinstance(geometry, ConvexPolygon):
        vertices = np.array([(v.x(), v.y(), v.z()) for v in geometry.getVertices()])
        middle = vertices.sum(axis=0)
        middle /= np.linalg.norm(middle)
        normals = np.cross(np.roll(vertices, 1, axis=0), vertices)
        sines = normals @ middle / np.linalg.norm(normals, axis=1)
        x, y, z = map(float, middle)
        radius = float(np.arcsin(np.clip(sines.min(), -1, 1)))
    else:
        return None
    radius = min(radius, 3.0) - _MARGIN
    return ((x, y, z), radius) if radius > 0 else None


def _as_list(
    keys: Sequence[exp.Expr], columns: Sequence[pa.Array], answers: pa.Array, certain: exp.Expr | None
) -> exp.Expr:
    yes, unknown = (
        np.flatnonzero(np.asarray(mask)) for mask in (answers.fill_null(False), answers.is_null())
    )
    complete = np.logical_and.reduce([np.asarray(column.is_valid()) for column in columns])
    unknown = unknown[complete[unknown]]
    found = _is_in(keys, columns, yes)
    if certain is not None:
        found = exp.Or(this=certain, expression=found)
    known = [exp.Not(this=exp.Is(this=key.copy(), expression=exp.Null())) for key in keys]
    conditions = [exp.If(this=join_conditions(known, exp.And), true=found)]
    if len(unknown):
        nothing = exp.If(this=_is_in(keys, columns, unknown), true=exp.Null())
        conditions.insert(0, nothing)
    return exp.Case(ifs=conditions)


def _is_in(keys: Sequence[exp.Expr], columns: Sequence[pa.Array], rows: np.ndarray) -> exp.Expr:
    if not len(rows):
        return exp.Boolean(this=False)
    chosen = pa.array(rows)
    lists = [_write_list(column.take(chosen)) for column in columns]
    return call("vo_in", exp.Tuple(expressions=[key.copy() for key in keys]), *lists)


def _write_list(values: pa.Array) -> exp.Expr:
    # As PostgreSQL writes arrays.
    if pa.types.is_floating(values.type):
        text, kind = ",".join(map(repr, values.to_pylist())), exp.DType.DOUBLE
    else:
        text, kind = ",".join(f'"\\\\x{value.hex()}"' for value in values.to_pylist()), exp.DType.VARBINARY
    array = exp.DataType(this=exp.DType.ARRAY, expressions=[exp.DataType(this=kind)], nested=True)
    return exp.Cast(this=exp.Literal.string(f"{{{text}}}"), to=array)
