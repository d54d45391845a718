"""What a configuration can be compared with: a universe, and a repository."""

from __future__ import annotations

__all__ = ["HeldType", "RepositoryFacts", "Universe"]

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Universe:
    """Dimensions that templates may name."""

    dimensions: frozenset[str]
    """Names of all dimensions."""

    records: Mapping[str, frozenset[str]]
    """What the records of each element have."""


@dataclass(frozen=True, slots=True)
class HeldType:
    """A dataset type that is registered."""

    dimensions: frozenset[str]
    """All its dimensions."""

    elements: frozenset[str]
    """Elements whose records its datasets have."""

    is_held: bool
    """Whether the collections of the configuration hold any."""


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """What a repository has."""

    label: str
    """Its label."""

    collections: tuple[str, ...]
    """Names of all collections."""

    runs: tuple[str, ...]
    """Those that are RUN collections."""

    types: Mapping[str, HeldType]
    """All dataset types, components left out, by name."""

    instruments: tuple[str, ...]
    """Names of the instruments."""

    bands: frozenset[str]
    """Bands of the physical filters."""

    filters: frozenset[str]
    """Physical filters."""
