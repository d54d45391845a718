"""Datasets that belong to others: of the same observation, or near it on the sky."""

from __future__ import annotations

__all__ = ["RelatedDatasets"]

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from lsst.daf.butler import Butler

from .._dataset import Dataset
from .._memory import Memory
from .._repository import Repository
from ._registry_queries import RegistryQueries
from ._registry_tables import open_tables
from ._related_search import RelatedSearch
from ._relations import Choice, Related, Relations
from ._search_path import SearchPaths
from ._sources import describe_sources

_ALL = Choice()


class RelatedDatasets:
    """Finds datasets that belong to those of a repository; safe for threads.

    Parameters
    ----------
    repository
        The repository.
    collections
        Collections that are searched, after the RUN of the dataset itself:
        names and patterns.  By default the Butler's own default; if it has
        none, the chains that the RUN is in; if it is in none, all.
    choose
        From a dataset to what is of interest for it.
    most
        How many of one family are found for one dataset; more are left away.
    keep_s
        How long an answer counts, in seconds: new datasets are seen after
        so long.
    clock
        Seconds that only grow.

    Notes
    -----
    Each method takes a few look-ups, however many datasets there are.
    """

    def __init__(
        self,
        repository: Repository,
        collections: Sequence[str] = (),
        *,
        choose: Callable[[Dataset], Choice] = lambda _dataset: _ALL,
        most: int = 500,
        keep_s: float = 60,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository = repository
        self._paths = SearchPaths(collections, clock=clock)
        self._choose = choose
        self._most = most
        self._known: Memory[UUID, Relations] = Memory(keep_s, clock=clock)
        self._numbers: Memory[str, Any] = Memory(keep_s, clock=clock)

    def find(self, datasets: Sequence[Dataset]) -> dict[UUID, Relations]:
        """Find what belongs to datasets.

        Parameters
        ----------
        datasets
            Datasets of this repository.

        Returns
        -------
        relations : `dict` [`uuid.UUID`, `Relations`]
            Of each dataset type and data ID one, from the RUN of the dataset
            or else the first collection that has it; never the dataset
            itself.

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        known = self._known.recall(dataset.uuid for dataset in datasets)
        unknown = [dataset for dataset in datasets if dataset.uuid not in known]
        if unknown:
            # One transaction: without it, SQLite begins one for each key.
            with self._repository.session() as butler, butler.query():
                found = self._search(butler, unknown).run()
            self._known.keep(found)
            known |= found
        return known

    def calibration_types(self) -> frozenset[str]:
        """Return the names of the dataset types of calibrations.

        Returns
        -------
        names : `frozenset` [`str`]

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        with self._repository.session() as butler:
            kinds = self._paths.kinds(butler)
        return frozenset(name for name, kind in kinds.items() if kind.isCalibration())

    def detector_images(
        self, wanted: Mapping[UUID, Collection[tuple[str | None, int, int]]], coadds: Sequence[Dataset]
    ) -> dict[UUID, list[Related]]:
        """Find the images of detectors in visits, of which coadds were made.

        Parameters
        ----------
        wanted
            By coadd: instrument, if it is known, visit and detector.
        coadds
            The coadds.

        Returns
        -------
        images : `dict` [`uuid.UUID`, `list` [`Related`]]
            In the order that was asked for; without those that are not
            there.

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        if not coadds:
            return {}
        with self._repository.session() as butler:
            return self._search(butler, coadds).detector_images(wanted)

    def _search(self, butler: Butler, datasets: Sequence[Dataset]) -> RelatedSearch:
        registry = open_tables(butler, self._numbers) or RegistryQueries(butler)
        return RelatedSearch(
            butler,
            registry,
            self._paths.find(butler, {dataset.run for dataset in datasets}),
            self._paths.kinds(butler),
            describe_sources(registry, datasets),
            {dataset.uuid: self._choose(dataset) for dataset in datasets},
            self._most,
        )
