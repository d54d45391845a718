"""What the registry knows before quanta are made: which datasets, in which of them."""

from __future__ import annotations

__all__ = ["chosen_ids", "visits_of_exposures"]

from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Any
from uuid import UUID

from lsst.daf.butler import Butler, MissingDatasetTypeError

from .._config import ObscoreConfig
from ..rows._chunk import Coded
from ._pages import Search, registry_errors, search_query
from ._records import Key, RecordReader

# Values in one list of an SQL query.
_VALUES_PER_QUERY = 500


def visits_of_exposures(butler: Butler, exposures: Iterable[Key], *, with_detectors: bool) -> dict[Key, Any]:
    """Find the visit of each exposure that has its region.

    Parameters
    ----------
    butler
        The repository.
    exposures
        Instruments and exposures.
    with_detectors
        Whether a visit counts only if any of its detectors has a region.

    Returns
    -------
    visits : `dict` [`tuple`, `int` or `None`]
        As an export chooses it among several; `None` where there is none.
    """
    keys = list(dict.fromkeys(exposures))
    if not keys:
        return {}
    columns = zip(("instrument", "exposure"), zip(*keys, strict=True), strict=True)
    found = RecordReader(butler).visits_of_exposures({name: Coded.of(values) for name, values in columns})
    visits = {key: found.values[code] for key, code in zip(keys, found.codes, strict=True)}
    if not with_detectors:
        return visits
    placed = _with_regions(butler, {(key[0], visit) for key, visit in visits.items() if visit is not None})
    return {key: visit if (key[0], visit) in placed else None for key, visit in visits.items()}


def _with_regions(butler: Butler, visits: Iterable[Key]) -> set[Key]:
    """Return the visits of which any detector has a region."""
    by_instrument: dict[Any, list[Any]] = {}
    for instrument, visit in visits:
        by_instrument.setdefault(instrument, []).append(visit)
    found: set[Key] = set()
    for instrument, numbers in by_instrument.items():
        for block in batched(sorted(numbers), _VALUES_PER_QUERY):
            with butler.query() as query:
                query = query.where(query.expression_factory.visit.in_iterable(block), instrument=instrument)
                rows = query.general(["visit", "detector"], "visit_detector_region.region")
                found.update((instrument, row["visit"]) for row in rows)
    return found


def chosen_ids(
    butler: Butler, config: ObscoreConfig, name: str, collections: Sequence[str]
) -> set[UUID] | None:
    """Find the datasets that the configuration's expressions let through.

    Parameters
    ----------
    butler
        The repository.
    config
        The configuration.
    name
        Name of the dataset type.
    collections
        Collections, searched in order.

    Returns
    -------
    ids : `set` [`uuid.UUID`] or `None`
        `None` if there is no expression, which lets all through.

    Raises
    ------
    UsageError
        Raised if an expression is not accepted.
    """
    constraints = config.dataset_type_constraints.get(name) or (config.where,)
    if any(not constraint.where for constraint in constraints):
        return None
    found: set[UUID] = set()
    with registry_errors(name):
        try:
            kind = butler.get_dataset_type(name)
        except MissingDatasetTypeError:
            return found
        for constraint in constraints:
            search = Search(kind, tuple(collections), constraint)
            with butler.query() as query:
                rows = search_query(query, search).general(
                    kind.dimensions, dataset_fields={name: {"dataset_id"}}, find_first=True
                )
                found.update(row[f"{name}.dataset_id"] for row in rows)
    return found
