"""The data IDs that belong to a dataset, and sets of look-ups for many."""

from __future__ import annotations

__all__ = ["Lookup", "Source", "describe_sources"]

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lsst.daf.butler import DatasetType

from .._dataset import Dataset
from ._registry import Key, Observation, Registry

_INSTRUMENT = "instrument"
_OBSERVATION = ("visit", "exposure")
_TILE = ("skymap", "tract", "patch")


@dataclass(slots=True)
class Source:
    """A dataset for whose sake others are looked for."""

    dataset: Dataset
    """The dataset."""

    observation: Observation | None = None
    """Its visit or exposure, if it has just one."""

    data_ids: list[dict[str, Any]] = field(default_factory=list)
    """Its data ID, with filter, band, and the exposure of a visit or the
    visit of an exposure; several where these are several."""

    names: frozenset[str] = frozenset()
    """Dimensions of which it has values."""

    anchors: tuple[frozenset[str], ...] = ()
    """Dimensions of which another dataset must have one set, to be of the
    same observation, patch or tract."""

    @property
    def is_observation(self) -> bool:
        """Whether it is of a visit or an exposure."""
        return "visit" in self.dataset.data_id or "exposure" in self.dataset.data_id

    def complete(self, data_ids: list[dict[str, Any]]) -> None:
        """Fill in what the registry says.

        Parameters
        ----------
        data_ids
            Its data IDs, one or more of the same dimensions.
        """
        self.data_ids = data_ids
        self.names = names = frozenset(data_ids[0])
        if self.is_observation:
            self.anchors = tuple(frozenset({_INSTRUMENT, name}) for name in _OBSERVATION if name in names)
        elif "tract" in names:
            self.anchors = (frozenset(name for name in _TILE if name in names),)


@dataclass(slots=True)
class Lookup[Purpose]:
    """One look-up for datasets of several types, by dimensions in common."""

    kinds: dict[str, DatasetType] = field(default_factory=dict)
    """The dataset types by name."""

    sources: dict[Key, list[tuple[Source, str, Purpose]]] = field(default_factory=dict)
    """By key: for which dataset, of which type, and what for."""

    def add(
        self,
        kind: DatasetType,
        data_ids: Iterable[Mapping[str, Any]],
        names: Sequence[str],
        source: Source,
        purpose: Purpose,
    ) -> None:
        """Look for datasets of a type at some data IDs.

        Parameters
        ----------
        kind
            The dataset type.
        data_ids
            Values of the names, and further ones.
        names
            Dimensions of the keys.
        source
            For whose sake.
        purpose
            What for.
        """
        self.kinds[kind.name] = kind
        for key in {tuple(data_id[name] for name in names): None for data_id in data_ids}:
            self.sources.setdefault(key, []).append((source, kind.name, purpose))


def describe_sources(registry: Registry, datasets: Iterable[Dataset]) -> list[Source]:
    """Look up visits, exposures and filters of datasets.

    Parameters
    ----------
    registry
        Their registry.
    datasets
        The datasets.

    Returns
    -------
    sources : `list` [`Source`]
    """
    sources = [Source(dataset) for dataset in datasets]
    for element, other in (("visit", "exposure"), ("exposure", "visit")):
        mine = [source for source in sources if element in source.dataset.data_id]
        keys = {_key(source, element): None for source in mine}
        if not keys:
            continue
        observations = registry.observations(element, keys)
        members = registry.exposures_of(keys) if element == "visit" else registry.visits_of(keys)
        others: dict[Key, list[Any]] = defaultdict(list)
        for key, other_key in members:
            others[key].append(other_key[1])
        for source in mine:
            key = _key(source, element)
            source.observation = observations.get(key)
            told = dict(source.dataset.data_id)
            if source.observation is not None:
                told |= {
                    name: value
                    for name in ("physical_filter", "band")
                    if (value := getattr(source.observation, name)) is not None
                }
            source.complete([{**told, other: number} for number in sorted(others[key])] or [told])
    for source in sources:
        if not source.data_ids:
            source.complete([dict(source.dataset.data_id)])
    return sources


def _key(source: Source, element: str) -> Key:
    return source.dataset.data_id[_INSTRUMENT], source.dataset.data_id[element]
