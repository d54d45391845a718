"""Which dataset types a repository has, and where datasets of them are looked for."""

from __future__ import annotations

__all__ = ["SearchPath", "SearchPaths", "join_paths"]

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lsst.daf.butler import (  # type: ignore[attr-defined]  # CollectionType is not in its __all__
    Butler,
    CollectionInfo,
    CollectionType,
    DatasetType,
    MissingCollectionError,
)

# What changes in a repository is seen after so long.
_LIFETIME_S = 60.0
# Of a RUN that nobody configured, and that is in so many chains, the first
# ones are searched: raw data may be in thousands of chains of users.
_MOST_PARENTS = 20
_MOST_COLLECTIONS = 2000


@dataclass(frozen=True, slots=True)
class SearchPath:
    """Collections in the order in which they are searched, and what they hold."""

    runs: Mapping[str, int]
    """RUN and TAGGED collections, each with its place."""

    calibrations: Mapping[str, int]
    """CALIBRATION collections, each with its place."""

    held: Mapping[str, frozenset[str]]
    """Names of the dataset types of each, by collection."""

    def rank(self, collection: str) -> int | None:
        """Tell how early a collection is searched.

        Parameters
        ----------
        collection
            The collection.

        Returns
        -------
        rank : `int` or `None`
            `None` if it is not searched.
        """
        found = self.runs.get(collection)
        return found if found is not None else self.calibrations.get(collection)

    def where(self, kinds: Iterable[DatasetType]) -> dict[str, list[str]]:
        """Return the collections that hold datasets of some types.

        Parameters
        ----------
        kinds
            The dataset types.

        Returns
        -------
        where : `dict` [`str`, `list` [`str`]]
            RUN and TAGGED collections by dataset type.
        """
        return self._holding(kinds, self.runs)

    def where_valid(self, kinds: Iterable[DatasetType]) -> dict[str, list[str]]:
        """Return the CALIBRATION collections that hold datasets of some types.

        Parameters
        ----------
        kinds
            The dataset types.

        Returns
        -------
        where : `dict` [`str`, `list` [`str`]]
            By dataset type.
        """
        return self._holding(kinds, self.calibrations)

    def _holding(self, kinds: Iterable[DatasetType], collections: Iterable[str]) -> dict[str, list[str]]:
        found = {kind.name: [item for item in collections if kind.name in self.held[item]] for kind in kinds}
        return {name: where for name, where in found.items() if where}


def join_paths(paths: Collection[SearchPath]) -> SearchPath:
    """Return what is in any of several paths, for one search for all.

    Parameters
    ----------
    paths
        The paths.

    Returns
    -------
    path : `SearchPath`
    """
    if len(paths) == 1:
        return next(iter(paths))
    runs = dict.fromkeys(name for path in paths for name in path.runs)
    calibrations = dict.fromkeys(name for path in paths for name in path.calibrations)
    held = {name: types for path in paths for name, types in path.held.items()}
    return SearchPath(_numbered(runs), _numbered(calibrations), held)


class SearchPaths:
    """Finds, and remembers for a while, where to search; safe for threads.

    Parameters
    ----------
    configured
        Collections that are searched for any dataset, after its own RUN:
        names and patterns.  By default those that are the Butler's own
        default; if it has none, the chains that a RUN is in; if it is in
        none, all RUN collections.
    clock
        Seconds since any moment.
    """

    def __init__(
        self, configured: Sequence[str] = (), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._configured = tuple(configured)
        self._clock = clock
        self._lock = threading.Lock()
        self._end = -1.0
        self._kinds: dict[str, DatasetType] = {}
        self._paths: dict[str, SearchPath] = {}
        self._flat: dict[tuple[str, ...], list[CollectionInfo]] = {}

    def kinds(self, butler: Butler) -> Mapping[str, DatasetType]:
        """Return all dataset types by name.

        Parameters
        ----------
        butler
            The repository.

        Returns
        -------
        kinds : `~collections.abc.Mapping` [`str`, `DatasetType`]
        """
        with self._lock:
            self._refresh()
            if not self._kinds:
                self._kinds = {kind.name: kind for kind in butler.registry.queryDatasetTypes()}
            return self._kinds

    def find(self, butler: Butler, runs: Iterable[str]) -> dict[str, SearchPath]:
        """Return where datasets that belong to others are searched.

        Parameters
        ----------
        butler
            The repository.
        runs
            RUN collections of these others.

        Returns
        -------
        paths : `dict` [`str`, `SearchPath`]
            Of each RUN: itself comes first.
        """
        with self._lock:
            self._refresh()
            for run in runs:
                if run not in self._paths:
                    self._paths[run] = self._find(butler, run)
            return {run: self._paths[run] for run in runs}

    def _find(self, butler: Butler, run: str) -> SearchPath:
        names = self._configured or tuple(butler.collections.defaults) or _parents(butler, run)
        if names not in self._flat:
            self._flat[names] = _flatten(butler, names)
        infos = {info.name: info for info in self._flat[names]}
        if run not in infos:
            infos = {info.name: info for info in _flatten(butler, [run])} | infos
        found = list(dict.fromkeys([run, *infos])) if run in infos else list(infos)
        return SearchPath(
            _numbered(
                name for name in found if infos[name].type in (CollectionType.RUN, CollectionType.TAGGED)
            ),
            _numbered(name for name in found if infos[name].type is CollectionType.CALIBRATION),
            {name: infos[name].dataset_types or frozenset() for name in found},
        )

    def _refresh(self) -> None:
        if self._clock() >= self._end:
            self._kinds, self._paths, self._flat = {}, {}, {}
            self._end = self._clock() + _LIFETIME_S


def _parents(butler: Butler, run: str) -> tuple[str, ...]:
    """Return the chains that a RUN is in; if it is in none, all collections."""
    try:
        (info,) = butler.collections.query_info(run, include_parents=True)
    except MissingCollectionError:
        return ()
    found = sorted(info.parents or ())[:_MOST_PARENTS]
    return tuple(found or butler.collections.query("*", {CollectionType.RUN, CollectionType.CALIBRATION}))


def _flatten(butler: Butler, names: Sequence[str]) -> list[CollectionInfo]:
    """Return collections without chains, in the order in which they are searched."""
    flat: dict[str, None] = {}
    for name in names:
        # One that is gone takes the others not with it.
        with contextlib.suppress(MissingCollectionError):
            flat |= dict.fromkeys(butler.collections.query(name, flatten_chains=True))
    chosen = list(flat)[:_MOST_COLLECTIONS]
    if not chosen:
        return []
    infos = {info.name: info for info in butler.collections.query_info(chosen, include_summary=True)}
    return [infos[name] for name in chosen if name in infos]


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}
