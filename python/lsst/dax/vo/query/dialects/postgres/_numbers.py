"""Arithmetic of doubles in SQL of PostgreSQL, as IEEE 754 has it.

PostgreSQL raises errors for what has no result, such as the root of a negative
number, so that one row would end a query on millions.  Elsewhere such results
are NaN or infinite; so they are here.
"""

from __future__ import annotations

__all__ = ["GUARDED", "divide", "fmod", "round_to", "truncate_to"]

from collections.abc import Callable, Sequence

from sqlglot import exp

from ..._tree import constant_number, without_parens

_WHOLE = 2.0**52
"""Doubles from here on are whole."""

_MOST_PLACES = 300
_MOST_EXPONENT = 709.782712893384
_LEAST_EXPONENT = -708.396418532264


def _double(node: exp.Expr) -> exp.Expr:
    return exp.Cast(this=node, to=exp.DataType(this=exp.DType.DOUBLE))


def _number(value: float) -> exp.Expr:
    literal = exp.Literal.number(repr(abs(value)))
    return _double(exp.Paren(this=exp.Neg(this=literal)) if value < 0 else literal)


def _special(text: str) -> exp.Expr:
    return _double(exp.Literal.string(text))


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _choose(*cases: tuple[exp.Expr, exp.Expr], default: exp.Expr) -> exp.Expr:
    return exp.Case(ifs=[exp.If(this=test, true=value) for test, value in cases], default=default)


def divide(node: exp.Div) -> exp.Expr:
    """Write a division.

    Parameters
    ----------
    node
        The division; used up.

    Returns
    -------
    quotient : `sqlglot.exp.Expr`
        A double.
    """
    above, below = _double(without_parens(node.this)), without_parens(node.expression)
    if _constant(below):
        return exp.Div(this=above, expression=below)
    infinite = exp.Mul(this=above.copy(), expression=_special("Infinity"))
    at_zero = exp.EQ(this=below.copy(), expression=exp.Literal.number(0))
    return _choose((at_zero, infinite), default=exp.Div(this=above, expression=below))


def _constant(node: exp.Expr) -> bool:
    # Whether it is a number that is not zero; literals come as casts.
    bare = node.this if isinstance(node, exp.Cast) else node
    return constant_number(bare) not in (None, 0)


def _power(arguments: Sequence[exp.Expr]) -> exp.Expr:
    base, exponent = (_double(without_parens(item)) for item in arguments)
    zero = exp.Literal.number(0)
    negative = exp.LT(this=base.copy(), expression=zero)
    broken = exp.NEQ(this=exponent.copy(), expression=_call("floor", exponent.copy()))
    at_zero = exp.EQ(this=base.copy(), expression=zero.copy())
    below = exp.LT(this=exponent.copy(), expression=zero.copy())
    size = exp.Mul(this=exponent.copy(), expression=_call("ln", _call("abs", base.copy())))
    turned = exp.Mul(
        this=_call("power", _call("sign", base.copy()), exponent.copy()), expression=_special("Infinity")
    )
    return _choose(
        (exp.And(this=negative, expression=broken), _special("NaN")),
        (exp.And(this=at_zero, expression=below), _special("Infinity")),
        (at_zero.copy(), _call("power", base.copy(), exponent.copy())),
        (exp.GT(this=size, expression=_number(_MOST_EXPONENT)), turned),
        (exp.LT(this=size.copy(), expression=_number(_LEAST_EXPONENT)), _number(0.0)),
        default=_call("power", base, exponent),
    )


def _root(value: exp.Expr) -> exp.Expr:
    negative = exp.LT(this=value.copy(), expression=exp.Literal.number(0))
    return _choose((negative, _special("NaN")), default=_call("sqrt", value))


def _logarithm(name: str) -> Callable[[exp.Expr], exp.Expr]:
    def spell(value: exp.Expr) -> exp.Expr:
        zero = exp.Literal.number(0)
        return _choose(
            (exp.LT(this=value.copy(), expression=zero), _special("NaN")),
            (exp.EQ(this=value.copy(), expression=zero.copy()), _special("-Infinity")),
            default=_call(name, _double(value)),
        )

    return spell


def _arc(name: str) -> Callable[[exp.Expr], exp.Expr]:
    def spell(value: exp.Expr) -> exp.Expr:
        outside = exp.GT(this=_call("abs", value.copy()), expression=exp.Literal.number(1))
        return _choose((outside, _special("NaN")), default=_call(name, value))

    return spell


def _exponential(value: exp.Expr) -> exp.Expr:
    return _choose(
        (exp.GT(this=value.copy(), expression=_number(_MOST_EXPONENT)), _special("Infinity")),
        (exp.LT(this=value.copy(), expression=_number(_LEAST_EXPONENT)), _number(0.0)),
        default=_call("exp", _double(value)),
    )


_GUARDED: dict[str, Callable[[exp.Expr], exp.Expr]] = {
    "ACOS": _arc("acos"),
    "ASIN": _arc("asin"),
    "EXP": _exponential,
    "LOG": _logarithm("ln"),
    "LOG10": _logarithm("log10"),
    "SQRT": _root,
}


def _guard(spell: Callable[[exp.Expr], exp.Expr]) -> Callable[[Sequence[exp.Expr]], exp.Expr]:
    return lambda arguments: spell(without_parens(arguments[0]))


GUARDED = {name: _guard(spell) for name, spell in _GUARDED.items()} | {"POWER": _power}
"""Functions that are not defined everywhere, by their names in ADQL."""


def fmod(arguments: Sequence[exp.Expr]) -> exp.Expr:
    """Write the remainder of two doubles.

    Parameters
    ----------
    arguments
        Dividend and divisor.

    Returns
    -------
    remainder : `sqlglot.exp.Expr`
        With the sign of the dividend.
    """
    above, below = (_double(without_parens(item)) for item in arguments)
    is_constant = _constant(arguments[1])
    times = _call("trunc", exp.Div(this=above.copy(), expression=below.copy()))
    rest = exp.Sub(this=above, expression=exp.Mul(this=below.copy(), expression=times))
    if is_constant:
        return exp.Paren(this=rest)
    at_zero = exp.EQ(this=below, expression=exp.Literal.number(0))
    return exp.Paren(this=_choose((at_zero, _special("NaN")), default=rest))


def round_to(arguments: Sequence[exp.Expr]) -> exp.Expr:
    """Write a rounded number.

    Parameters
    ----------
    arguments
        The number, and digits behind the point.

    Returns
    -------
    rounded : `sqlglot.exp.Expr`
        Halves go away from zero, which round(double precision) does not.
    """
    return _scaled(arguments, _round)


def truncate_to(arguments: Sequence[exp.Expr]) -> exp.Expr:
    """Write a truncated number.

    Parameters
    ----------
    arguments
        The number, and digits behind the point.

    Returns
    -------
    truncated : `sqlglot.exp.Expr`
    """
    return _scaled(arguments, lambda value: _call("trunc", value))


def _round(value: exp.Expr) -> exp.Expr:
    # The double below a half: half a number more would round 0.49999999999999994 up.
    half = exp.Mul(this=_call("sign", value.copy()), expression=_number(0.49999999999999994))
    return _call("trunc", exp.Add(this=value, expression=half))


def _scaled(arguments: Sequence[exp.Expr], spell: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    value = _double(without_parens(arguments[0]))
    whole = exp.GTE(this=_call("abs", value.copy()), expression=_number(_WHOLE))
    if len(arguments) == 1:
        return _choose((whole, value.copy()), default=spell(value))
    places = without_parens(arguments[1])
    number = constant_number(places)
    if number is not None and abs(number) < _MOST_PLACES:
        scale = _number(10.0 ** abs(number))
    else:
        scale = _call("power", _number(10.0), _double(_call("abs", places)))
    # As DuckDB does it; a power of ten below one would be rounded itself.
    more = exp.Div(this=spell(exp.Mul(this=value.copy(), expression=scale.copy())), expression=scale.copy())
    fewer = exp.Mul(this=spell(exp.Div(this=value.copy(), expression=scale.copy())), expression=scale.copy())
    if number is not None:
        if number < 0:
            return exp.Paren(this=fewer)
        return _choose((whole, value), default=more)
    negative = exp.LT(this=places.copy(), expression=exp.Literal.number(0))
    return _choose((negative, fewer), (whole, value), default=more)
