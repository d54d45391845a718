"""What belongs to a dataset, and what of it is of interest."""

from __future__ import annotations

__all__ = ["Choice", "Chosen", "Related", "Relations"]

from dataclasses import dataclass
from uuid import UUID

type Chosen = bool | tuple[str, ...] | None
"""Which dataset types are of interest: `None` and `True` for what is usual,
`False` for none, otherwise names and patterns of exactly those."""


@dataclass(frozen=True, slots=True)
class Related:
    """A dataset that belongs to another."""

    uuid: UUID
    """Its id."""

    dataset_type: str
    """Its dataset type."""

    is_image: bool
    """Whether it is an image."""


@dataclass(frozen=True, slots=True)
class Relations:
    """What belongs to a dataset."""

    coderived: tuple[Related, ...] = ()
    """Other products of the same observation or patch: raw data first, then
    images, backgrounds and tables."""

    auxiliary: tuple[Related, ...] = ()
    """What helps in using it: by default, the summary of its visit."""

    candidates: tuple[Related, ...] = ()
    """What may have been made from it, by observation and place."""

    calibrations: tuple[Related, ...] = ()
    """Calibrations that are valid at its time."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dataset types are of interest for a dataset."""

    coderived: Chosen = None
    """Of those of the same observation."""

    auxiliary: Chosen = None
    """Of those that help in using it."""

    candidates: Chosen = None
    """Of those that may have been made from it."""

    calibrations: Chosen = None
    """Of calibrations."""

    inputs: Chosen = None
    """Of those of which it was made: for coadds that tell visits and
    detectors only, those of the images, the best first."""
