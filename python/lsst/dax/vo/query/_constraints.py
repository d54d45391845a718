"""What a search can ask of the columns of a row.

A cell without a value fulfils no constraint (SIA 2.0, 2.1).
"""

from __future__ import annotations

__all__ = ["Between", "Constraint", "HasState", "Identified", "Intersects", "OneOf", "Overlaps", "Within"]

from dataclasses import dataclass
from typing import final

from ..dali import Interval, Stencil


@final
@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of some."""

    column: str
    """Name of the column; ``_repo`` for the label of the repository."""

    values: tuple[str | int, ...]
    """The values."""


@final
@dataclass(frozen=True, slots=True)
class Identified:
    """The identifier is one of some, in any case."""

    column: str
    """Name of the column."""

    texts: tuple[str, ...]
    """The identifiers."""


@final
@dataclass(frozen=True, slots=True)
class HasState:
    """A list of states such as ``/I/Q/U/`` has one of some (ObsCore 1.1, B.6.6)."""

    column: str
    """Name of the column."""

    states: tuple[str, ...]
    """The states, without slashes."""


@final
@dataclass(frozen=True, slots=True)
class Intersects:
    """The region shares a point with one of some shapes."""

    column: str
    """Name of the column that shows the region."""

    stencils: tuple[Stencil, ...]
    """The shapes."""


@final
@dataclass(frozen=True, slots=True)
class Overlaps:
    """The interval between two columns shares a value with one of some."""

    low: str
    """Name of the column with the lower end."""

    high: str
    """Name of the column with the upper end."""

    intervals: tuple[Interval, ...]
    """The intervals."""


@final
@dataclass(frozen=True, slots=True)
class Within:
    """The value lies in one of some closed intervals."""

    column: str
    """Name of the column."""

    intervals: tuple[Interval, ...]
    """The intervals."""


@final
@dataclass(frozen=True, slots=True)
class Between:
    """The time lies in one of some closed intervals."""

    column: str
    """Name of a column with times in the form of DALI."""

    periods: tuple[tuple[str | None, str | None], ...]
    """First and last time, ``YYYY-MM-DDThh:mm:ss`` with or without six
    decimals; `None` for an open end."""


type Constraint = Between | HasState | Identified | Intersects | OneOf | Overlaps | Within
