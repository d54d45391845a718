"""What is wrong with something, or may be."""

from __future__ import annotations

__all__ = ["Finding", "error", "nearest", "warning"]

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or may be."""

    severity: Literal["error", "warning"]
    """An error makes an export fail, or breaks the standard."""

    place: str
    """Where it is."""

    what: str
    """What is wrong."""

    mend: str
    """What to do about it."""

    def describe(self) -> str:
        """Say all of it in one line.

        Returns
        -------
        text : `str`
        """
        place = f"{self.place}: " if self.place else ""
        return " ".join(f"{self.severity}: {place}{self.what}; {self.mend}".split())


def error(place: str, what: str, mend: str) -> Finding:
    """Make a finding that is an error.

    Parameters
    ----------
    place, what, mend
        The parts of the finding.

    Returns
    -------
    finding : `Finding`
    """
    return Finding("error", place, what, mend)


def warning(place: str, what: str, mend: str) -> Finding:
    """Make a finding that is a warning.

    Parameters
    ----------
    place, what, mend
        The parts of the finding.

    Returns
    -------
    finding : `Finding`
    """
    return Finding("warning", place, what, mend)


def nearest(name: str, known: Iterable[str], *, most: int = 8) -> str:
    """Suggest a name that exists.

    Parameters
    ----------
    name
        The name that does not.
    known
        Those that do.
    most
        How many are listed where none is near.

    Returns
    -------
    text : `str`
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there are none"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"there are {', '.join(names[:most])}{more}"
