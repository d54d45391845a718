"""What is wrong with single rows, and what to do about it."""

from __future__ import annotations

__all__ = ["Problems", "Tell", "refuse"]

from collections.abc import Callable, Mapping, Sequence
from typing import Literal
from uuid import UUID

import numpy as np

from ..errors import UsageError
from .rows._chunk import Chunk

type Tell = Callable[[str, np.ndarray], None]
"""Told what is wrong, and the places of the rows that it is wrong with."""

_MOST_EXAMPLES = 5
# What is wrong quotes the value: each row may have another one.
_MOST_KINDS = 20


def refuse(what: str, rows: np.ndarray) -> None:
    """Raise an error for what is wrong.

    Parameters
    ----------
    what
        What is wrong.
    rows
        Not looked at.

    Raises
    ------
    UsageError
        Raised always.
    """
    del rows
    raise UsageError(what)


class Problems:
    """Collects what is wrong with rows, or refuses it.

    Parameters
    ----------
    on_error
        ``fail`` to raise an error for the first row, ``null`` to go on with
        NULL in the place of what could not be made.
    """

    def __init__(self, on_error: Literal["fail", "null"] = "fail") -> None:
        self._on_error = on_error
        self.counts: dict[str, int] = {}
        """How many rows have each problem."""
        self.others = 0
        """How many rows have problems beside those."""
        self.examples: dict[str, list[UUID]] = {}
        """Ids of the first datasets that have it."""

    def teller(self, chunk: Chunk) -> Tell:
        """Return what rows of a chunk are told to.

        Parameters
        ----------
        chunk
            The datasets.

        Returns
        -------
        tell : `Tell`
        """

        def tell(what: str, rows: np.ndarray) -> None:
            if not len(rows):
                return
            shown = [
                UUID(bytes=chunk.ids[16 * row : 16 * row + 16]) for row in rows[:_MOST_EXAMPLES].tolist()
            ]
            if self._on_error == "fail":
                more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
                raise UsageError(
                    f"{what} (dataset {shown[0]}{more}); mend it, or export NULL in its place with "
                    "--on-error null"
                )
            if what not in self.counts and len(self.counts) == _MOST_KINDS:
                self.others += len(rows)
                return
            self.counts[what] = self.counts.get(what, 0) + len(rows)
            examples = self.examples.setdefault(what, [])
            examples += shown[: _MOST_EXAMPLES - len(examples)]

        return tell

    def add(self, counts: Mapping[str, int], examples: Mapping[str, Sequence[str]], others: int) -> None:
        """Add problems that an earlier export had.

        Parameters
        ----------
        counts, examples, others
            As the attributes have them; ids as texts.
        """
        self.others += others
        for what, count in counts.items():
            self.counts[what] = self.counts.get(what, 0) + count
            known = self.examples.setdefault(what, [])
            known += [UUID(text) for text in examples[what][: _MOST_EXAMPLES - len(known)]]

    def describe(self) -> list[str]:
        """Say what was wrong.

        Returns
        -------
        lines : `list` [`str`]
            One for each kind of problem.
        """
        lines = [
            f"NULL in {count:,} rows: {what} (dataset {', '.join(map(str, self.examples[what]))}"
            + (", …)" if count > len(self.examples[what]) else ")")
            for what, count in self.counts.items()
        ]
        if self.others:
            lines.append(f"NULL in {self.others:,} rows: other values of the same kinds")
        return lines
