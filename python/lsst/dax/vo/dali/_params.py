"""Request parameters, as every DALI service receives them."""

__all__ = ["ParamSet"]

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ..errors import MultiValuedError, UsageError, quoted


@dataclass(frozen=True, slots=True)
class ParamSet:
    """The parameters of one request, in the order in which they came.

    GET and POST, query string, form and command line meet here before any
    parsing: names are folded to upper case (DALI 1.1, 2.1: names are
    case-insensitive), values and their multiplicity are kept as sent.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    """Names in upper case, and values."""

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """Make a set of parameters from names in any case, and values.

        Parameters
        ----------
        pairs
            Names and values, decoded, in order.

        Returns
        -------
        params : `ParamSet`
        """
        return cls(tuple((name.upper(), value) for name, value in pairs))

    def values(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter, in order.

        Parameters
        ----------
        name
            Name of the parameter, upper case.

        Returns
        -------
        values : `tuple` [`str`, ...]
            Empty when the parameter was not sent.
        """
        return tuple(value for key, value in self.pairs if key == name)

    def single(self, name: str) -> str | None:
        """Return the value of a parameter that takes at most one.

        Parameters
        ----------
        name
            Name of the parameter, upper case.

        Returns
        -------
        value : `str` or `None`
            `None` when the parameter was not sent.

        Raises
        ------
        MultiValuedError
            Raised if it was sent more than once.
        """
        values = self.values(name)
        if len(values) > 1:
            raise MultiValuedError(name, values)
        return values[0] if values else None

    def required(self, name: str) -> str:
        """Return the value of a parameter that must be sent once.

        Parameters
        ----------
        name
            Name of the parameter, upper case.

        Returns
        -------
        value : `str`

        Raises
        ------
        UsageError
            Raised if it is missing or blank.
        """
        value = self.single(name)
        if value is None or not value.strip():
            raise UsageError(f"{name} is missing; send {name}=<value>", parameter=name)
        return value

    def count(self, name: str) -> int | None:
        """Return the value of a parameter that is an integer >= 0.

        Parameters
        ----------
        name
            Name of the parameter, upper case, for example ``MAXREC``.

        Returns
        -------
        count : `int` or `None`
            `None` when the parameter was not sent.

        Raises
        ------
        UsageError
            Raised if the value is not a non-negative integer.
        """
        value = self.single(name)
        if value is None:
            return None
        digits = value.strip()
        if not (digits.isascii() and digits.isdigit()):
            raise UsageError(
                f"{name}={quoted(value)} is not accepted; give a whole number, 0 or more",
                parameter=name,
                value=value,
            )
        # int() refuses more than 4300 digits; so long a number means "all".
        return int(digits) if len(digits) <= 18 else 10**18
