"""What all databases say in the same words."""

from __future__ import annotations

__all__ = [
    "JD_OF_1970",
    "MJD_OF_1970",
    "as_integer",
    "days_since",
    "fits_shape",
    "in_hashes",
    "intervals_overlap",
    "is_long",
    "list_nodes",
    "normal_random",
    "string_agg",
    "words_of",
    "write_ids",
    "write_least",
]

import math
from collections.abc import Callable, Collection, Iterable, Sequence

from sqlglot import exp

from ...errors import QueryError
from .._tree import function_name, number_literal, put, without_parens
from ..lowering._by_id import NAMING_COLUMNS

JD_OF_1970 = 2440587.5
"""Julian date of the midnight from which databases count."""

MJD_OF_1970 = 40587.0
"""Its modified Julian date."""

_MOST_NODES = 500_000
"""Parts of a statement.  A query of 200 000 characters, all of it searches by
place, has some 440 000; a distance from a distance from a distance doubles
with each."""

_MOST_LONG = 2**63 - 1
_MICROS_OF_A_DAY = 86_400_000_000
# All of ASCII that is no letter and no digit, once letters are lower case.
_NO_WORD = r"[\t\n\r -/:-@\[-`{-~]+"


def is_long(text: str) -> bool:
    """Whether a number is whole and fits 64 bits with a sign, as identifiers do.

    Parameters
    ----------
    text
        A number without a sign.

    Returns
    -------
    found : `bool`
    """
    digits = text.lstrip("0")
    return text.isdigit() and len(digits) <= 19 and int(digits or "0") <= _MOST_LONG


def write_least(node: exp.Expr) -> bool:
    """Write the least number of 64 bits, whose digits without the sign are one too large.

    Parameters
    ----------
    node
        A number without its sign; replaced with it.

    Returns
    -------
    done : `bool`
        Whether it is that number.
    """
    sign = node.parent
    if not isinstance(sign, exp.Neg) or node.this != str(_MOST_LONG + 1):
        return False
    number = exp.Literal.string(f"-{node.this}")
    put(sign, exp.Cast(this=number, to=exp.DataType(this=exp.DType.BIGINT)))
    return True


def list_nodes(tree: exp.Expr) -> list[exp.Expr]:
    """List all parts of a tree.

    Parameters
    ----------
    tree
        A query.

    Returns
    -------
    nodes : `list` [`sqlglot.exp.Expr`]
        What is inside comes later.

    Raises
    ------
    QueryError
        Raised if there are too many.
    """
    nodes = list(tree.walk())
    if len(nodes) > _MOST_NODES:
        raise QueryError(
            "The query is too large when it is written out; "
            "give fewer values, or nest fewer DISTANCE functions"
        )
    return nodes


def write_ids(nodes: Iterable[exp.Expr], named: Collection[str]) -> None:
    """Write the conditions that can hold for some datasets alone.

    Parameters
    ----------
    nodes
        Parts of a query; changed.
    named
        Columns whose texts name the datasets of their rows.
    """
    for node in nodes:
        if function_name(node) != "vo_by_id":
            continue
        test, own, *ids = node.expressions
        columns = {column.name for column in test.find_all(exp.Column)} & NAMING_COLUMNS
        if not columns <= set(named):
            put(node, test)
            continue
        kind = exp.DataType(this=exp.DType.UUID)
        casts = [exp.Cast(this=item, to=kind.copy()) for item in ids]
        here = exp.In(this=own, expressions=casts) if casts else exp.Boolean(this=False)
        put(node, exp.Paren(this=exp.And(this=here, expression=test)))


def as_integer(condition: exp.Expr) -> exp.Expr:
    """Return 1 for what is true, 0 for what is false.

    Parameters
    ----------
    condition
        A condition.

    Returns
    -------
    number : `sqlglot.exp.Expr`
    """
    return exp.Cast(this=exp.Paren(this=condition), to=exp.DataType(this=exp.DType.INT))


def intervals_overlap(arguments: Sequence[exp.Expr]) -> exp.Expr:
    """Return whether two intervals share a value, as a number.

    Parameters
    ----------
    arguments
        Lower and upper end of each.

    Returns
    -------
    number : `sqlglot.exp.Expr`
    """
    low1, high1, low2, high2 = map(without_parens, arguments)
    first, second = exp.LTE(this=low1, expression=high2), exp.LTE(this=low2, expression=high1)
    return as_integer(exp.And(this=first, expression=second))


def normal_random(arguments: Sequence[exp.Expr]) -> exp.Expr:
    """Return a random number of a normal distribution.

    Parameters
    ----------
    arguments
        Mean and standard deviation.

    Returns
    -------
    number : `sqlglot.exp.Expr`
        By the formula of Box and Muller; RANDOM is never one.
    """
    mean, deviation = map(without_parens, arguments)
    rest = exp.Paren(this=exp.Sub(this=number_literal(1), expression=exp.Anonymous(this="random")))
    logarithm = exp.Anonymous(this="ln", expressions=[rest])
    radius = exp.Anonymous(
        this="sqrt", expressions=[exp.Mul(this=exp.Paren(this=number_literal(-2)), expression=logarithm)]
    )
    turn = exp.Mul(this=number_literal(2 * math.pi), expression=exp.Anonymous(this="random"))
    wave = exp.Anonymous(this="cos", expressions=[turn])
    scaled = exp.Mul(this=exp.Mul(this=deviation, expression=radius), expression=wave)
    return exp.Paren(this=exp.Add(this=mean, expression=scaled))


def days_since(micros: exp.Expr, offset: float) -> exp.Expr:
    """Return days from microseconds.

    Parameters
    ----------
    micros
        Microseconds since 1970, a double.
    offset
        Date of 1970-01-01.

    Returns
    -------
    days : `sqlglot.exp.Expr`
    """
    days = exp.Div(this=micros, expression=number_literal(_MICROS_OF_A_DAY))
    return exp.Paren(this=exp.Add(this=days, expression=number_literal(offset)))


def words_of(text: exp.Expr) -> exp.Expr:
    """Return the words of a text, with one blank around each.

    Parameters
    ----------
    text
        A text in lower case.

    Returns
    -------
    words : `sqlglot.exp.Expr`
    """
    blank = exp.Literal.string(" ")
    around = exp.DPipe(this=exp.DPipe(this=blank, expression=text), expression=blank.copy())
    return exp.Anonymous(
        this="regexp_replace",
        expressions=[around, exp.Literal.string(_NO_WORD), blank.copy(), exp.Literal.string("g")],
    )


def in_hashes(text: exp.Expr) -> exp.Expr:
    """Return a text between hash signs.

    Parameters
    ----------
    text
        The text.

    Returns
    -------
    text : `sqlglot.exp.Expr`
    """
    sign = exp.Literal.string("#")
    return exp.DPipe(this=exp.DPipe(this=sign, expression=text), expression=sign.copy())


def string_agg(text: exp.Expr, delimiter: exp.Expr, *, order_by: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Return all texts of a group in one.

    Parameters
    ----------
    text
        The texts; behind DISTINCT, each once.
    delimiter
        What stands between them.
    order_by
        Gives of a text what it is ordered by.

    Returns
    -------
    text : `sqlglot.exp.Expr`
    """
    is_distinct = isinstance(text, exp.Distinct)
    value = order_by(text.expressions[0] if is_distinct else text)
    order = exp.Order(this=delimiter, expressions=[exp.Ordered(this=value.copy(), desc=False)])
    whole: exp.Expr = exp.Distinct(expressions=[value]) if is_distinct else value
    return exp.Anonymous(this="string_agg", expressions=[whole, order])


def fits_shape(kind: str, count: exp.Expr) -> exp.Expr:
    """Return the test that a text has as many numbers as a geometry.

    Parameters
    ----------
    kind
        ``POINT CIRCLE POLYGON``.
    count
        Gives the count of its numbers.

    Returns
    -------
    condition : `sqlglot.exp.Expr`
        Also true for NULL.
    """
    missing = exp.Is(this=count.copy(), expression=exp.Null())
    if kind == "POLYGON":
        even = exp.EQ(
            this=exp.Anonymous(this="mod", expressions=[count.copy(), exp.Literal.number(2)]),
            expression=exp.Literal.number(0),
        )
        fits: exp.Expr = exp.Paren(
            this=exp.And(this=exp.GTE(this=count, expression=exp.Literal.number(6)), expression=even)
        )
    else:
        fits = exp.EQ(this=count, expression=exp.Literal.number(2 if kind == "POINT" else 3))
    return exp.Or(this=missing, expression=fits)
