"""Request parameters, as every DALI service receives them."""

__all__ = ["Hangup", "ParamSet"]

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Self

from ..errors import MultiValuedError, UsageError, quoted


class Hangup:
    """Whether somebody still waits for an answer, and what to stop if not.

    The front tells it when a client goes away, and so does a job that is
    aborted.  All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: list[Callable[[], None]] = []
        self._happened = False

    @property
    def happened(self) -> bool:
        """Whether nobody waits any more."""
        return self._happened

    def add(self, stop: Callable[[], None]) -> None:
        """Say what is to be called when nobody waits any more.

        Parameters
        ----------
        stop
            Ends the work, from any thread and also twice; called at once if
            nobody waits already.
        """
        with self._lock:
            if not self._happened:
                self._stops.append(stop)
                return
        stop()

    def happen(self) -> None:
        """Stop all work on the answer."""
        with self._lock:
            self._happened = True
            stops, self._stops = self._stops, []
        for stop in stops:
            stop()


@dataclass(frozen=True, slots=True)
class ParamSet:
    """The parameters of one request, in the order in which they came.

    GET and POST, query string, form and command line meet here before any
    parsing: names are folded to upper case (DALI 1.1, 2.1: names are
    case-insensitive), values and their multiplicity are kept as sent.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    """Names in upper case, and values."""

    files: Mapping[str, BinaryIO] = field(default_factory=dict, compare=False)
    """Files that were sent along, by the names of their parts of the form;
    they can be read until the request has its answer."""

    hangup: Hangup = field(default_factory=Hangup, compare=False, repr=False)
    """Tells when nobody waits for the answer any more."""

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[tuple[str, str]],
        *,
        files: Mapping[str, BinaryIO] | None = None,
        hangup: Hangup | None = None,
    ) -> Self:
        """Make a set of parameters from names in any case, and values.

        Parameters
        ----------
        pairs
            Names and values, decoded, in order.
        files
            Files that were sent along.
        hangup
            Tells when nobody waits for the answer any more.

        Returns
        -------
        params : `ParamSet`
        """
        folded = tuple((name.upper(), value) for name, value in pairs)
        return cls(folded, files or {}, hangup or Hangup())

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

    def choice(self, name: str, accepted: Sequence[str]) -> str | None:
        """Return the value of a parameter that is one of some words.

        Parameters
        ----------
        name
            Name of the parameter, upper case.
        accepted
            The words; a value may be in any case.

        Returns
        -------
        word : `str` or `None`
            As it is spelled in ``accepted``; `None` when the parameter was
            not sent, or is blank, as forms send it.

        Raises
        ------
        UsageError
            Raised if the value is none of them; the message lists them.
        """
        value = self.single(name)
        if value is None or not value.strip():
            return None
        for word in accepted:
            if word.lower() == value.strip().lower():
                return word
        raise UsageError(
            f"{name}={quoted(value)} is not accepted; give one of {', '.join(accepted)}",
            parameter=name,
            value=value,
        )

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
