"""Datasets that somebody else has found: references with dimension records.

A task of a pipeline has no registry.  What it has are the references of its
quantum, whose data IDs carry the records that a query would bring.
"""

from __future__ import annotations

__all__ = [
    "Butler",
    "DataCoordinate",
    "DatasetRef",
    "LimitedButler",
    "RefRecords",
    "chosen_ids",
    "iter_ref_chunks",
    "visits_of_exposures",
]

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched, chain
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from lsst.daf.butler import (
    Butler,
    DataCoordinate,
    DatasetRef,
    DatasetType,
    DimensionGroup,
    DimensionUniverse,
    LimitedButler,
    MissingDatasetTypeError,
    SkyPixDimension,
)

from ...errors import UsageError
from .._config import ObscoreConfig
from ..rows._chunk import Chunk, Coded
from ._chunks import make_chunk
from ._elements import elements_of_regions, wanted_elements
from ._pages import Page, Search, search_query, told
from ._records import Key, RecordReader, distinct_keys, encode

# Values in one list of an SQL query.
_VALUES_PER_QUERY = 500


class RefRecords:
    """Looks up dimension records on data IDs, as `RecordReader` does in a registry.

    Parameters
    ----------
    universe
        All dimensions.
    data_ids
        Data IDs with records.
    elements
        The elements whose records are looked up later.
    visit
        Data ID of the visit that all exposures belong to; `None` if they
        belong to none.
    """

    def __init__(
        self,
        universe: DimensionUniverse,
        data_ids: Iterable[DataCoordinate],
        elements: Iterable[str],
        visit: DataCoordinate | None,
    ) -> None:
        self._universe = universe
        self._visit = None if visit is None else visit["visit"]
        self._found: dict[str, dict[Key, Any]] = {
            name: {} for name in elements if not isinstance(universe[name], SkyPixDimension)
        }
        required = {name: universe[name].required.names for name in self._found}
        for data_id in data_ids:
            for name in self._found.keys() & data_id.dimensions.elements:
                key = tuple(data_id[dimension] for dimension in required[name])
                self._found[name].setdefault(key, data_id.records.get(name))

    def lookup(self, element: str, dimensions: Mapping[str, Coded]) -> Coded:
        """Look up the record of an element for each row.

        Parameters
        ----------
        element
            Name of the dimension element.
        dimensions
            Values of at least the dimensions that it requires.

        Returns
        -------
        records : `Coded` [`lsst.daf.butler.DimensionRecord`]
            `None` where no data ID has such a record.
        """
        codes, keys = distinct_keys([dimensions[name] for name in self._universe[element].required.names])
        found = self._found[element]
        return Coded(codes, [found.get(key) for key in keys])

    def complete(
        self, group: DimensionGroup, dimensions: Mapping[str, Coded]
    ) -> tuple[dict[str, Coded], None]:
        """Return the dimensions of each row, which data IDs with records tell.

        Parameters
        ----------
        group
            Dimensions of the rows.
        dimensions
            Values of all of them.

        Returns
        -------
        dimensions : `dict` [`str`, `Coded`]
            The same.
        known : `None`
            All of them are known.
        """
        return {name: dimensions[name] for name in group.names}, None

    def regions(self, element: str, dimensions: Mapping[str, Coded]) -> Coded:
        """Look up the region of an element for each row.

        Parameters
        ----------
        element
            Name of a spatial dimension element.
        dimensions
            Values of at least the dimensions that it requires.

        Returns
        -------
        regions : `Coded` [`bytes`]
            Encoded regions; `None` where there is none.
        """
        pixels = self._universe[element]
        if isinstance(pixels, SkyPixDimension):
            column = dimensions[element]
            return Coded(column.codes, [encode(pixels.pixelization.pixel(index)) for index in column.values])
        records = self.lookup(element, dimensions)
        return Coded(records.codes, [encode(record and record.region) for record in records.values])

    def visits_of_exposures(self, dimensions: Mapping[str, Coded]) -> Coded:
        """Return the visit, for each exposure.

        Parameters
        ----------
        dimensions
            Values of at least ``exposure``.

        Returns
        -------
        visits : `Coded` [`int`]
            The same for all; `None` without one.
        """
        return Coded(np.zeros(len(dimensions["exposure"].codes), np.int32), [self._visit])


def iter_ref_chunks(
    dataset_type: DatasetType,
    refs: Iterable[DatasetRef],
    *,
    elements: set[str],
    visits: Sequence[DataCoordinate],
    sizes: Callable[[Sequence[UUID]], Mapping[UUID, int]] | None,
    page_size: int,
) -> Iterator[Chunk]:
    """Make chunks of references of one dataset type.

    Parameters
    ----------
    dataset_type
        The dataset type.
    refs
        References of it; their data IDs have dimension records.
    elements
        Dimension elements whose records are wanted.
    visits
        Data IDs, with records, of the one visit that all exposures belong
        to: its own, and those of its detectors.
    sizes
        Looks up bytes of files; `None` if they are not wanted.
    page_size
        Datasets in one chunk.

    Yields
    ------
    chunk : `Chunk`
        So many datasets, in the order of the references.

    Raises
    ------
    UsageError
        Raised if a data ID has no dimension records.
    """
    group = dataset_type.dimensions
    wanted = wanted_elements(group, elements)
    placing = {*wanted, *elements_of_regions(group)}
    for block in batched(refs, page_size):
        _check_records(block)
        records = RefRecords(
            group.universe,
            chain((ref.dataId for ref in block), visits),
            placing,
            visits[0] if visits else None,
        )
        yield make_chunk(dataset_type, _page(group, block, sizes), wanted, records)


def _page(
    group: DimensionGroup,
    refs: Sequence[DatasetRef],
    sizes: Callable[[Sequence[UUID]], Mapping[UUID, int]] | None,
) -> Page:
    uuids = [ref.id for ref in refs]
    found = {} if sizes is None else sizes(uuids)
    return Page(
        ids=b"".join(uuid.bytes for uuid in uuids),
        run=Coded.of([ref.run for ref in refs]),
        dimensions={name: Coded.of([ref.dataId[name] for ref in refs]) for name in group.names},
        sizes=pa.array([found.get(uuid) for uuid in uuids], pa.int64()),
    )


def _check_records(refs: Sequence[DatasetRef]) -> None:
    for ref in refs:
        if not ref.dataId.hasRecords():
            raise UsageError(
                f"The data ID {ref.dataId} of {ref.datasetType.name} {ref.id} has no dimension records; "
                "give references with expanded data IDs, as the quanta of a graph have them"
            )


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
    with told(name):
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
