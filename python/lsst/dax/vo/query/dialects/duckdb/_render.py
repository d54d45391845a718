"""SQL of DuckDB."""

from __future__ import annotations

__all__ = ["render"]

from collections.abc import Callable, Collection, Iterable, Sequence

from sqlglot import exp

from ..._tree import constant_number, function_name, number_literal, put
from ...adql._functions import FUNCTIONS
from ...geometry._large import shorten
from ...lowering._carry import is_obscore
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
from ._joins import join_by_cells

_MOST_GROUPS = 16
"""Groups of AND in one OR, or the reverse, that the database may look into.
It compares each with all others for what they have in common: for a thousand
that takes seconds, which no limit of time can interrupt."""


_MARGIN_DEG = 1e-9
"""More than rounding takes from a distance."""


def _drop_arguments(name: str) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    return lambda _: exp.Anonymous(this=name)


def _blob(arguments: Sequence[exp.Expr]) -> exp.Expr:
    data = shorten(bytes.fromhex(str(arguments[0].this)))
    return exp.Anonymous(this="unhex", expressions=[exp.Literal.string(data.hex())])


def _cone(node: exp.Expr) -> exp.Expr:
    # Rows lie along the sky: by a bare test of one coordinate the database skips
    # much of a table.  It knows no less than the whole test where what is
    # unknown is as good as false.
    _, dec, _, *circle, test = node.expressions
    whole: exp.Expr = test
    center, radius = map(constant_number, circle)
    around = _above(node, exp.Paren, exp.And)
    is_sorted = isinstance(dec, exp.Column) and dec.name == "s_dec"
    if center is None or radius is None or not is_sorted or not isinstance(around, exp.Where):
        return whole
    ends = (number_literal(center - radius - _MARGIN_DEG), number_literal(center + radius + _MARGIN_DEG))
    near = exp.Between(this=dec.copy(), low=ends[0], high=ends[1])
    return exp.Paren(this=exp.And(this=near, expression=whole))


def _element(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this="list_extract", expressions=list(arguments))


def _numbers(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # An array with an empty place would be no geometry.
    double = exp.DataType(this=exp.DType.DOUBLE)
    cells = [exp.Cast(this=item, to=double.copy()) for item in arguments]
    known = [exp.Not(this=exp.Is(this=item.copy(), expression=exp.Null())) for item in arguments]
    return exp.Case(ifs=[exp.If(this=exp.and_(*known, copy=False), true=exp.Array(expressions=cells))])


def _timestamp(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # Times are text in the table; DALI 1.1 (3.3.3) has no zeros at their end.
    time = exp.Cast(this=arguments[0], to=exp.DataType(this=exp.DType.TIMESTAMP))
    text = exp.Anonymous(this="strftime", expressions=[time, exp.Literal.string("%Y-%m-%dT%H:%M:%S.%f")])
    zeros = (exp.Literal.string(".000000"), exp.Literal.string(""))
    return exp.Anonymous(this="replace", expressions=[text, *zeros])


def _text(arguments: Sequence[exp.Expr]) -> exp.Expr:
    value, length = arguments
    text = exp.Cast(this=value, to=exp.DataType(this=exp.DType.VARCHAR))
    return exp.Anonymous(this="left", expressions=[text, length])


def _rename(name: str) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    return lambda arguments: exp.Anonymous(this=name, expressions=list(arguments))


def _cast(node: exp.Expr, kind: exp.DType) -> exp.Expr:
    return exp.Cast(this=node, to=exp.DataType(this=kind))


def _places(name: str) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    # Digits behind the point are counted in 32 bits.
    def spell(arguments: Sequence[exp.Expr]) -> exp.Expr:
        value, *places = arguments
        counts = [
            item if constant_number(item) is not None else _cast(item, exp.DType.INT) for item in places
        ]
        return exp.Anonymous(this=name, expressions=[value, *counts])

    return spell


def _parse(arguments: Sequence[exp.Expr]) -> exp.Expr:
    # DALI 1.1, 3.3.5 to 3.3.7.
    text, kind = arguments
    words = exp.Anonymous(
        this="string_split_regex",
        expressions=[exp.Anonymous(this="trim", expressions=[text.copy()]), exp.Literal.string(r"\s+")],
    )
    count = exp.Anonymous(this="len", expressions=[words.copy()])
    message = exp.DPipe(this=text, expression=exp.Literal.string(f" is no {kind.this}"))
    array = exp.DataType(this=exp.DType.ARRAY, expressions=[exp.DataType(this=exp.DType.DOUBLE)], nested=True)
    return exp.Case(
        ifs=[exp.If(this=fits_shape(str(kind.this), count), true=exp.Cast(this=words, to=array))],
        default=exp.Cast(this=exp.Anonymous(this="error", expressions=[message]), to=array.copy()),
    )


def _mjd(offset: float) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    def spell(arguments: Sequence[exp.Expr]) -> exp.Expr:
        time = _cast(arguments[0], exp.DType.TIMESTAMP)
        micros = _cast(exp.Anonymous(this="epoch_us", expressions=[time]), exp.DType.DOUBLE)
        return days_since(micros, offset)

    return spell


def _healpix(name: str, *kinds: exp.DType) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    def spell(arguments: Sequence[exp.Expr]) -> exp.Expr:
        casts = [_cast(item, kind) for item, kind in zip(arguments, kinds, strict=True)]
        return exp.Anonymous(this=name, expressions=casts)

    return spell


def _string_agg(arguments: Sequence[exp.Expr]) -> exp.Expr:
    return string_agg(*arguments, order_by=lambda text: text)


def _has_word(arguments: Sequence[exp.Expr]) -> exp.Expr:
    haystack, needle = (words_of(_lower(item)) for item in arguments)
    return as_integer(exp.Anonymous(this="contains", expressions=[haystack, needle]))


def _hashlist_has(arguments: Sequence[exp.Expr]) -> exp.Expr:
    hashlist, item = (in_hashes(_lower(item)) for item in arguments)
    return as_integer(exp.Anonymous(this="contains", expressions=[hashlist, item]))


def _lower(text: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="vo_lower", expressions=[text])


def _no_case_match(arguments: Sequence[exp.Expr]) -> exp.Expr:
    value, pattern = arguments
    return as_integer(exp.ILike(this=value, expression=pattern))


def _digits(arguments: Sequence[exp.Expr]) -> exp.Expr:
    text = _cast(arguments[0], exp.DType.VARCHAR)
    pattern = (exp.Literal.string(r"\.0$"), exp.Literal.string(""))
    return exp.Anonymous(this="regexp_replace", expressions=[text, *pattern])


_SPECIAL: dict[str, Callable[[Sequence[exp.Expr]], exp.Expr]] = {
    # ADQL 2.1, 2.3: the argument of RAND has no meaning here.
    "RAND": _drop_arguments("random"),
    "IVO_HASHLIST_HAS": _hashlist_has,
    "IVO_HASWORD": _has_word,
    "IVO_HEALPIX_INDEX": _healpix("vo_healpix_index", exp.DType.BIGINT, exp.DType.DOUBLE, exp.DType.DOUBLE),
    "IVO_INTERVAL_OVERLAPS": intervals_overlap,
    "IVO_NOCASEMATCH": _no_case_match,
    "IVO_NORMAL_RANDOM": normal_random,
    "IVO_STRING_AGG": _string_agg,
    "IVO_TO_JD": _mjd(JD_OF_1970),
    "IVO_TO_MJD": _mjd(MJD_OF_1970),
    "ROUND": _places("round"),
    "TRUNCATE": _places("trunc"),
    "vo_blob": _blob,
    "vo_digits": _digits,
    "vo_element": _element,
    "vo_first": _rename("first"),
    "vo_fmod": lambda arguments: exp.Anonymous(
        this="mod", expressions=[_cast(item, exp.DType.DOUBLE) for item in arguments]
    ),
    "vo_healpix_center": _healpix("vo_healpix_center", exp.DType.BIGINT, exp.DType.BIGINT),
    "vo_numbers": _numbers,
    "vo_parse": _parse,
    "vo_text": _text,
    "vo_timestamp": _timestamp,
}


def render(
    tree: exp.Query,
    *,
    named: Collection[str] = (),
    published: Callable[[Collection[str]], str] | None = None,
) -> str:
    """Write a planned tree as SQL of DuckDB.

    Parameters
    ----------
    tree
        The tree of a `~lsst.dax.vo.query.Plan`.
    named
        Columns whose texts name the datasets of their rows.
    published
        Gives the query in the place of the table of datasets, of the names
        that the tree has; `None` leaves the table.

    Returns
    -------
    sql : `str`

    Raises
    ------
    QueryError
        Raised if the statement would be too large.
    """
    tree = tree.copy()
    join_by_cells(tree)
    nodes = list_nodes(tree)
    if published is not None:
        _publish(nodes, published)
    write_ids(nodes, named)
    for node in reversed(nodes):
        match node:
            case exp.Literal():
                _write_number(node)
            case exp.Anonymous():
                _spell(node)
    _close_groups(nodes)
    # It is a copy already.
    return str(tree.sql(dialect="duckdb", comments=False, copy=False))


def _publish(nodes: Iterable[exp.Expr], published: Callable[[Collection[str]], str]) -> None:
    places = [node for node in nodes if isinstance(node, exp.Table) and is_obscore(node)]
    if places:
        names = {str(node.this) for node in nodes if isinstance(node, exp.Identifier)}
        rows = exp.Var(this=f"({published(names)})")
        for place in places:
            place.set("this", rows.copy())
            place.set("db", None)


def _close_groups(nodes: Iterable[exp.Expr]) -> None:
    # In COALESCE(x, NULL), which is x, the database takes x as it is.
    found: dict[int, list[exp.Connector]] = {}
    for node in nodes:
        if not isinstance(node, exp.And | exp.Or):
            continue
        around = _above(node, exp.Paren)
        if isinstance(around, exp.Connector | exp.Not) and type(around) is not type(node):
            top = _above(node, exp.Paren, exp.Not, exp.And, exp.Or)
            found.setdefault(id(top), []).append(node)
    for nodes in found.values():
        if len(nodes) > _MOST_GROUPS:
            for node in nodes:
                closed = exp.Coalesce(expressions=[exp.Null()])
                put(node, closed)
                closed.set("this", node)


def _above(node: exp.Expr, *kinds: type[exp.Expr]) -> exp.Expr | None:
    above = node.parent
    while isinstance(above, kinds):
        above = above.parent
    return above


def _spell(node: exp.Expr) -> None:
    name = function_name(node) or ""
    arguments = list(node.expressions)
    if name == "vo_cone":
        put(node, _cone(node))
    elif name in _SPECIAL:
        put(node, _SPECIAL[name](arguments))
    elif name in FUNCTIONS:
        node.set("this", FUNCTIONS[name].duckdb)


def _write_number(node: exp.Literal) -> None:
    # 1.5 is a decimal in DuckDB; with an exponent it is a double.
    text = str(node.this)
    if node.is_string or "e" in text.lower() or is_long(text):
        return
    if not write_least(node):
        node.set("this", f"{text}e0")
