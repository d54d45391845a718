"""What a repository holds, as far as a configuration cares."""

from __future__ import annotations

__all__ = ["Chain", "HeldKind", "Inventory"]

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldKind:
    """A dataset type of which there are datasets."""

    name: str
    """Its name."""

    storage_class: str
    """Name of its storage class."""

    dimensions: tuple[str, ...]
    """All its dimensions."""

    required: tuple[str, ...]
    """Those that a data ID must give."""

    runs: int
    """RUN collections that hold any."""

    datasets: int | None = None
    """How many, those hidden by others included; `None` if not counted."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A CHAINED collection."""

    name: str
    """Its name."""

    runs: int
    """RUN collections with images, or summaries of visits, in it."""

    members: int
    """All collections in it, those of chains in it included."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a repository holds."""

    label: str
    """Its label."""

    images: tuple[HeldKind, ...]
    """Dataset types of images on the sky, by name."""

    summaries: tuple[HeldKind, ...]
    """Dataset types with a summary of each visit, the best first."""

    instruments: tuple[str, ...]
    """Instruments, by name."""

    bands: frozenset[str]
    """Bands of the physical filters."""

    runs: tuple[str, ...]
    """RUN collections that hold any of these types, the last names first."""

    chains: tuple[Chain, ...]
    """CHAINED collections with any of these runs, by name."""
