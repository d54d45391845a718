"""SQL of PostgreSQL.

Predicates on geometries have no words here: the engine puts what it has found
out about them in their place before a tree is written.
"""

from __future__ import annotations

__all__ = ["UNSUPPORTED", "render"]

from collections.abc import Callable, Collection, Sequence

from sqlglot import exp

from ....errors import UnsupportedError
from ..._tree import function_name, put, quoted, without_parens
from ...adql._functions import FUNCTIONS
from .._common import (
    JD_OF_1970,
    MJD_OF_1970,
    as_integer,
    days_since,
    fits_shape,
    in_hashes,
    intervals_overlap,
    is_long,
    list_nodes,
    normal_random,
    string_agg,
    words_of,
    write_ids,
    write_least,
)
from ._healpix import healpix_center, healpix_index
from ._numbers import GUARDED, divide, fmod, round_to, truncate_to

UNSUPPORTED = frozenset(
    [
        "vo_contains",
        "vo_intersects",
        "vo_area",
        "vo_centroid",
        "vo_point",
        "vo_circle",
        "vo_box",
        "vo_polygon",
        "vo_region",
    ]
)
"""Words of `lower` that the engine must have replaced."""

_NAMES = {"CEILING": "ceil"}
"""Functions whose names are not those of ADQL in lower case."""


def _numeric(node: exp.Expr) -> exp.Expr:
    return exp.Cast(this=node, to=exp.DataType(this=exp.DType.DECIMAL))


def _double(node: exp.Expr) -> exp.Expr:
    return exp.Cast(this=node, to=exp.DataType(this=exp.DType.DOUBLE))


def _modulo(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this="mod", expressions=[_numeric(item) for item in arguments])


def _random(_: Sequence[exp.Expr]) -> exp.Expr:
    # ADQL 2.1, 2.3: the argument of RAND has no meaning here.
    return exp.Anonymous(this="random")


def _blob(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this="decode", expressions=[*arguments, exp.Literal.string("hex")])


def _cone(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return arguments[-1]


def _element(arguments: Sequence[exp.Expr]) -> exp.Expr:
    array, place = arguments
    return exp.Bracket(this=exp.Paren(this=array), expressions=[place], offset=1)


def _numbers(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # An array with an empty place would be no geometry.
    known = [exp.Not(this=exp.Is(this=item.copy(), expression=exp.Null())) for item in arguments]
    array = exp.Array(expressions=[_double(item) for item in arguments])
    return exp.Case(ifs=[exp.If(this=exp.and_(*known, copy=False), true=array)])


def _timestamp(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # Times are text in the table; DALI 1.1 (3.3.3) has no zeros at their end.
    time = exp.Cast(this=arguments[0], to=exp.DataType(this=exp.DType.TIMESTAMP))
    form = exp.Literal.string('YYYY-MM-DD"T"HH24:MI:SS.US')
    text = exp.Anonymous(this="to_char", expressions=[time, form])
    zeros = (exp.Literal.string(".000000"), exp.Literal.string(""))
    return exp.Anonymous(this="replace", expressions=[text, *zeros])


def _text(arguments: Sequence[exp.Expr]) -> exp.Expr:
    value, length = arguments
    text = exp.Cast(this=value, to=exp.DataType(this=exp.DType.TEXT))
    return exp.Anonymous(this="left", expressions=[text, length])


def _in(arguments: Sequence[exp.Expr]) -> exp.Expr:
    keys, *lists = arguments
    if len(lists) == 1:
        return exp.EQ(this=keys.expressions[0], expression=exp.Anonymous(this="ANY", expressions=lists))
    rows = exp.Select(
        expressions=[exp.Star()],
        from_=exp.From(this=exp.Table(this=exp.Anonymous(this="unnest", expressions=lists))),
    )
    return exp.In(this=keys, query=exp.Subquery(this=rows))


def _is_plain(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # The first byte of a circle or convex polygon, or of the text of one.
    kind = exp.Anonymous(this="get_byte", expressions=[*arguments, exp.Literal.number(0)])
    return exp.In(this=kind, expressions=[exp.Literal.number(ord(letter)) for letter in "cpP"])


def _around(longitude: exp.Expr, latitude: exp.Expr, reach: exp.Expr) -> exp.Expr:
    place = exp.Anonymous(this="spoint", expressions=[longitude, latitude])
    return exp.Anonymous(this="scircle", expressions=[place, reach])


def _in_circle(arguments: Sequence[exp.Expr]) -> exp.Expr:
    own, *circle = arguments
    return exp.ArrayContainedBy(this=own, expression=_around(*circle))


def _near(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # Circles wider than pgSphere's are near to everything.
    own, radius, *circle = arguments
    wide = exp.GT(this=radius, expression=exp.Literal.number("1.57"))
    near = exp.ArrayOverlaps(this=own, expression=_around(*circle))
    return exp.Paren(this=exp.Or(this=near, expression=wide))


def _square(arguments: Sequence[exp.Expr]) -> exp.Expr:
    low, high, center = arguments
    distances = [
        exp.Anonymous(this="abs", expressions=[exp.Sub(this=end, expression=exp.Paren(this=center.copy()))])
        for end in (low, high)
    ]
    farthest = exp.Anonymous(this="greatest", expressions=distances)
    return exp.Anonymous(this="power", expressions=[farthest, exp.Literal.number(2)])


def _digits(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Cast(this=arguments[0], to=exp.DataType(this=exp.DType.TEXT))


def _parse(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # DALI 1.1, 3.3.5 to 3.3.7.  The text of an array that is none is an error.
    text, kind = arguments
    words = exp.Anonymous(
        this="regexp_split_to_array",
        expressions=[exp.Anonymous(this="btrim", expressions=[text.copy()]), exp.Literal.string(r"\s+")],
    )
    count = exp.Anonymous(this="cardinality", expressions=[words.copy()])
    message = exp.DPipe(this=text, expression=exp.Literal.string(f" is no {kind.this}"))
    array = exp.DataType(this=exp.DType.ARRAY, expressions=[exp.DataType(this=exp.DType.DOUBLE)], nested=True)
    return exp.Case(
        ifs=[exp.If(this=fits_shape(str(kind.this), count), true=exp.Cast(this=words, to=array))],
        default=exp.Cast(this=exp.Paren(this=message), to=array.copy()),
    )


def _first(arguments: Sequence[exp.Expr]) -> exp.Expr:
    values = exp.Anonymous(this="array_agg", expressions=list(arguments))
    return exp.Bracket(this=exp.Paren(this=values), expressions=[exp.Literal.number(1)], offset=1)


def _mjd(offset: float) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    def spell(arguments: Sequence[exp.Expr]) -> exp.Expr:
        time = exp.Cast(this=arguments[0], to=exp.DataType(this=exp.DType.TIMESTAMP))
        seconds = exp.Extract(this=exp.var("EPOCH"), expression=time)
        micros = exp.Mul(this=seconds, expression=exp.Literal.number(1_000_000))
        return days_since(_double(exp.Paren(this=micros)), offset)

    return spell


def _bytewise(text: exp.Expr) -> exp.Expr:
    # As all texts of the tables are ordered.
    return exp.Paren(this=exp.Collate(this=text, expression=quoted("C")))


def _in_case(name: str) -> Callable[[exp.Expr], exp.Expr]:
    # The collation C knows the case of ASCII alone.
    def spell(text: exp.Expr) -> exp.Expr:
        known = exp.Collate(this=without_parens(text), expression=quoted("und-x-icu"))
        return _bytewise(exp.Anonymous(this=name, expressions=[known]))

    return spell


_lower = _in_case("lower")


def _string_agg(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # Whatever else texts are would be cast behind the database's back, and then
    # not be what they are ordered by.
    kind = exp.DataType(this=exp.DType.TEXT)
    return string_agg(*arguments, order_by=lambda text: _bytewise(exp.Cast(this=text, to=kind.copy())))


def _has(wrap: Callable[[exp.Expr], exp.Expr]) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    def spell(arguments: Sequence[exp.Expr]) -> exp.Expr:
        whole, part = (wrap(_lower(item)) for item in arguments)
        place = exp.Anonymous(this="strpos", expressions=[whole, part])
        return as_integer(exp.GT(this=place, expression=exp.Literal.number(0)))

    return spell


def _no_case_match(arguments: Sequence[exp.Expr]) -> exp.Expr:
    value, pattern = map(_lower, arguments)
    return as_integer(_without_escape(exp.Like(this=value, expression=pattern)))


def _without_escape(node: exp.Expr) -> exp.Escape:
    # In ADQL no character escapes another.
    return exp.Escape(this=node, expression=exp.Literal.string(""))


_SPECIAL: dict[str, Callable[[Sequence[exp.Expr]], exp.Expr]] = {
    **GUARDED,
    "IVO_HASHLIST_HAS": _has(in_hashes),
    "IVO_HASWORD": _has(words_of),
    "IVO_HEALPIX_INDEX": healpix_index,
    "IVO_INTERVAL_OVERLAPS": intervals_overlap,
    "IVO_NOCASEMATCH": _no_case_match,
    "IVO_NORMAL_RANDOM": normal_random,
    "IVO_STRING_AGG": _string_agg,
    "IVO_TO_JD": _mjd(JD_OF_1970),
    "IVO_TO_MJD": _mjd(MJD_OF_1970),
    "LOWER": lambda arguments: _lower(arguments[0]),
    "MOD": _modulo,
    "RAND": _random,
    "ROUND": round_to,
    "TRUNCATE": truncate_to,
    "UPPER": lambda arguments: _in_case("upper")(arguments[0]),
    "vo_blob": _blob,
    "vo_cone": _cone,
    "vo_digits": _digits,
    "vo_element": _element,
    "vo_first": _first,
    "vo_fmod": fmod,
    "vo_healpix_center": healpix_center,
    "vo_in": _in,
    "vo_in_circle": _in_circle,
    "vo_is_plain": _is_plain,
    "vo_near": _near,
    "vo_numbers": _numbers,
    "vo_parse": _parse,
    "vo_square": _square,
    "vo_text": _text,
    "vo_timestamp": _timestamp,
}


def render(tree: exp.Expr, *, named: Collection[str] = ()) -> str:
    """Write a planned tree, or a part of one, as SQL of PostgreSQL.

    Parameters
    ----------
    tree
        The tree of a `~lsst.dax.vo.query.Plan`, without predicates on
        geometries.
    named
        Columns whose texts name the datasets of their rows.

    Returns
    -------
    sql : `str`

    Raises
    ------
    QueryError
        Raised if the statement would be too large.
    UnsupportedError
        Raised for predicates on geometries.
    """
    # So that the root, too, can be replaced.
    root = exp.Paren(this=tree.copy())
    nodes = list_nodes(root)
    write_ids(nodes, named)
    for node in reversed(nodes):
        match node:
            case exp.Literal():
                _write_number(node)
            case exp.Div():
                put(node, divide(node))
            case exp.Like():
                escaped = _without_escape(node.copy())
                put(node, escaped)
            case exp.ILike():
                sides = {"this": _lower(node.this.copy()), "expression": _lower(node.expression.copy())}
                put(node, _without_escape(exp.Like(**sides)))
            case exp.Anonymous():
                _spell(node)
    # It is a copy already.
    return str(root.this.sql(dialect="postgres", comments=False, copy=False))


def _spell(node: exp.Expr) -> None:
    name = function_name(node) or ""
    if name in UNSUPPORTED:
        raise UnsupportedError(f"There is no SQL of PostgreSQL for {name}; the engine answers it")
    if name in _SPECIAL:
        put(node, _SPECIAL[name](list(node.expressions)))
    elif name in FUNCTIONS:
        node.set("this", _NAMES.get(name, name.lower()))


def _write_number(node: exp.Literal) -> None:
    # 1.5 and 1.5e0 are decimals in PostgreSQL.
    text = str(node.this)
    if not node.is_string and not is_long(text) and not write_least(node):
        put(node, _double(exp.Literal.number(text)))
