"""What is looked up in a registry to find what belongs to a dataset."""

from __future__ import annotations

__all__ = ["Found", "Key", "Observation", "Registry", "Valid", "Where"]

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from lsst.daf.butler import DatasetType, Timespan

type Key = tuple[Any, ...]
"""Values of some dimensions, in an order that is told beside them."""

type Where = Mapping[str, Sequence[str]]
"""Collections by the name of the dataset type that is looked for in them."""


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset that was found in a collection."""

    uuid: UUID
    """Its id."""

    kind: DatasetType
    """Its dataset type."""

    collection: str
    """The collection; of a Butler that is asked in public, its RUN."""

    values: Mapping[str, Any]
    """Required values of its data ID."""


@dataclass(frozen=True, slots=True)
class Valid:
    """A calibration, and when it is valid."""

    found: Found
    """The dataset."""

    timespan: Timespan
    """When it is valid in the collection in which it was found."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a registry knows of a visit or an exposure."""

    timespan: Timespan | None
    """When it was."""

    physical_filter: str | None
    """Its filter."""

    band: str | None
    """Band of the filter."""


class Registry(ABC):
    """Looks up many keys at once; two implementations, of the same answers."""

    @abstractmethod
    def find(
        self, kinds: Sequence[DatasetType], names: Sequence[str], keys: Collection[Key], where: Where
    ) -> list[Found]:
        """Find datasets by some values of their data IDs.

        Parameters
        ----------
        kinds
            Dataset types, all of the same dimensions.
        names
            Required dimensions of theirs: closed, such as instrument and
            visit.
        keys
            Values of these.
        where
            RUN and TAGGED collections of each dataset type.

        Returns
        -------
        found : `list` [`Found`]
            In no order; the same one from several collections.
        """

    @abstractmethod
    def find_valid(
        self, kinds: Sequence[DatasetType], names: Sequence[str], keys: Collection[Key], where: Where
    ) -> list[Valid]:
        """Find calibrations by some values of their data IDs.

        Parameters
        ----------
        kinds, names, keys
            As of `find`.
        where
            CALIBRATION collections of each dataset type.

        Returns
        -------
        found : `list` [`Valid`]
            Of all times.
        """

    @abstractmethod
    def visits_of(self, exposures: Collection[Key]) -> list[tuple[Key, Key]]:
        """Return exposures with their visits, both as instrument and number."""

    @abstractmethod
    def exposures_of(self, visits: Collection[Key]) -> list[tuple[Key, Key]]:
        """Return visits with their exposures, both as instrument and number."""

    @abstractmethod
    def observations(self, element: str, keys: Collection[Key]) -> dict[Key, Observation]:
        """Look up visits or exposures.

        Parameters
        ----------
        element
            ``visit`` or ``exposure``.
        keys
            Instrument and number of each.

        Returns
        -------
        observations : `dict` [`tuple`, `Observation`]
            Of those that there are.
        """

    @abstractmethod
    def overlapping(
        self, element: str, names: Sequence[str], keys: Collection[Key], other: str, columns: Sequence[str]
    ) -> list[tuple[Key, Key]]:
        """Find what lies at the same place of the sky.

        Parameters
        ----------
        element
            ``visit_detector_region``, ``visit``, ``patch`` or ``tract``.
        names
            Its dimensions.
        keys
            Values of these.
        other
            What is looked for, likewise an element.
        columns
            Its dimensions.

        Returns
        -------
        pairs : `list` [`tuple`]
            Keys and what overlaps them, or nearly does: neighbours that
            share a pixel of the sky may be among it.
        """
