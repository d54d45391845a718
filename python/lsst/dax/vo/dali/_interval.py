"""DALI intervals: two numbers, open ends written as infinities."""

__all__ = ["Interval", "format_interval", "parse_interval", "parse_numbers"]

import math
import re
from dataclasses import dataclass

from ..errors import UsageError, quoted

_NUMBER = re.compile(r"[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|inf(inity)?|nan)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval; a scalar is an interval of equal ends."""

    low: float
    """Lower end, may be minus infinity."""

    high: float
    """Upper end, may be plus infinity."""


def parse_numbers(text: str, *, parameter: str, accepted: str) -> tuple[float, ...]:
    """Parse blank-separated numbers.

    Parameters
    ----------
    text
        Numbers as DALI 1.1 (3.3) has them; infinities in any of the
        spellings that clients send (``+Inf``, ``inf``, ``infinity``).  A
        bare ``+`` decoded to a blank by the URL rules is harmless.
    parameter
        Name of the parameter, for the message.
    accepted
        What is accepted, for the message.

    Returns
    -------
    numbers : `tuple` [`float`, ...]

    Raises
    ------
    UsageError
        Raised if a word is not a number, or is NaN.
    """
    words = text.split()
    numbers = tuple(float(word) if _NUMBER.fullmatch(word) else math.nan for word in words)
    if not numbers or any(math.isnan(number) for number in numbers):
        raise UsageError(
            f"{parameter}={quoted(text)} is not accepted; give {accepted}", parameter=parameter, value=text
        )
    return numbers


def parse_interval(text: str, *, parameter: str) -> Interval:
    """Parse an interval, or a scalar as an interval of equal ends.

    Parameters
    ----------
    text
        ``low high`` or ``value``.
    parameter
        Name of the parameter, for the message.

    Returns
    -------
    interval : `Interval`

    Raises
    ------
    UsageError
        Raised if there are not one or two numbers, or low > high.
    """
    accepted = "one number, or two numbers 'low high' with low <= high (open ends: -Inf, +Inf)"
    numbers = parse_numbers(text, parameter=parameter, accepted=accepted)
    if len(numbers) > 2 or numbers[0] > numbers[-1]:
        raise UsageError(
            f"{parameter}={quoted(text)} is not accepted; give {accepted}", parameter=parameter, value=text
        )
    return Interval(numbers[0], numbers[-1])


def format_interval(interval: Interval) -> str:
    """Write an interval as DALI has it.

    Parameters
    ----------
    interval
        The interval.

    Returns
    -------
    text : `str`
        ``low high``; infinities as ``-Inf`` and ``+Inf``.
    """
    return f"{_format_number(interval.low)} {_format_number(interval.high)}"


def _format_number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
