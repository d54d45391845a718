"""Units of values, and factors from one to another: IN_UNIT (ADQL 2.1, 4.10)."""

from __future__ import annotations

__all__ = ["FACTOR", "conversion_factor"]

import warnings
from typing import Any

from sqlglot import exp

from .._passes import Context, error_at
from .._tree import constant_number, function_name
from ._functions import FUNCTIONS
from ._types import column_of, describe

FACTOR = "factor"
"""Under which a call of IN_UNIT has its factor noted."""


def conversion_factor(value: exp.Expr, target: exp.Expr, context: Context) -> float:
    """Return what a value must be multiplied by to be in a unit.

    Parameters
    ----------
    value
        A number; its unit comes from the columns in it.
    target
        The unit in quotes, in VOUnits syntax.
    context
        Query and catalog.

    Returns
    -------
    factor : `float`

    Raises
    ------
    QueryError
        Raised if the unit is none, or the value has none, or one that
        measures something else.
    """
    text = str(target.this).strip()
    wanted = _parse(text) if text else None
    if wanted is None:
        raise error_at(
            context, target, f"'{text}' is no unit; write one of VOUnits, such as 'deg', 'arcsec' or 'km/s'"
        )
    own = _unit_of(value)
    if own is None or own == _dimensionless():
        raise error_at(context, value, "IN_UNIT takes a value with a unit, this one has none")
    try:
        factor: float = own.to(wanted)
    except _conversion_error() as err:
        shown = own.to_string() or "none"
        raise error_at(context, value, f"The unit of this value is {shown}, which is never {text!r}") from err
    return factor


def _unit_of(node: exp.Expr) -> Any:
    # None where it is not known, or not one.
    match node:
        case exp.Paren() | exp.Neg():
            return _unit_of(node.this)
        case exp.Literal():
            return _dimensionless()
        case exp.Mul():
            left, right = _unit_of(node.this), _unit_of(node.expression)
            return None if left is None or right is None else left * right
        case exp.Div():
            left, right = _unit_of(node.this), _unit_of(node.expression)
            return None if left is None or right is None else left / right
        case exp.Add() | exp.Sub():
            left, right = _unit_of(node.this), _unit_of(node.expression)
            return left if left == right else None
        case exp.Anonymous():
            return _unit_of_call(node)
    column = column_of(node) or describe(node)
    return _dimensionless() if column.unit is None else _parse(column.unit)


def _unit_of_call(node: exp.Anonymous) -> Any:
    name = function_name(node) or ""
    inner = _unit_of(node.expressions[0]) if node.expressions else None
    match name:
        case "SQRT":
            return None if inner is None else inner**0.5
        case "POWER":
            exponent = constant_number(node.expressions[1])
            return None if inner is None or exponent is None else inner**exponent
        case "IN_UNIT":
            return _parse(str(node.expressions[1].name))
    function = FUNCTIONS[name]
    if function.unit == "same":
        return inner
    return _dimensionless() if function.unit is None else _parse(function.unit)


def _parse(text: str) -> Any:
    # Columns of other people's tables have units in other ways, too.
    from astropy import units

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for form in ("vounit", "cds", "generic"):
            try:
                return units.Unit(text, format=form, parse_strict="raise")
            except (ValueError, TypeError, units.UnitsError):
                continue
    return None


def _dimensionless() -> Any:
    from astropy import units

    return units.dimensionless_unscaled


def _conversion_error() -> type[Exception]:
    from astropy import units

    found: type[Exception] = units.UnitConversionError
    return found
