"""Datasets that somebody else has found: references with dimension records.

A task of a pipeline has no registry.  What it has are the references of its
quantum, whose data IDs carry the records that a query would bring.
"""

from __future__ import annotations

__all__ = [
    "DataCoordinate",
    "DatasetRef",
    "LimitedButler",
    "RefRecords",
    "iter_ref_chunks",
]

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched, chain
from typing import Any, override
from uuid import UUID

import numpy as np
import pyarrow as pa
from lsst.daf.butler import (
    DataCoordinate,
    DatasetRef,
    DatasetType,
    DimensionGroup,
    DimensionUniverse,
    LimitedButler,
    SkyPixDimension,
)

from ...errors import UsageError
from ..rows._chunk import Chunk, Coded
from ._chunks import make_chunk
from ._elements import elements_of_regions, wanted_elements
from ._pages import Page
from ._records import Key, Records, distinct_keys, encode


class RefRecords(Records):
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

    @override
    def lookup(self, element: str, dimensions: Mapping[str, Coded]) -> Coded:
        # Docstring inherited.
        codes, keys = distinct_keys([dimensions[name] for name in self._universe[element].required.names])
        found = self._found[element]
        return Coded(codes, [found.get(key) for key in keys])

    @override
    def complete(
        self, group: DimensionGroup, dimensions: Mapping[str, Coded]
    ) -> tuple[dict[str, Coded], None]:
        # Docstring inherited.
        return {name: dimensions[name] for name in group.names}, None

    @override
    def regions(self, element: str, dimensions: Mapping[str, Coded]) -> Coded:
        # Docstring inherited.
        pixels = self._universe[element]
        if isinstance(pixels, SkyPixDimension):
            column = dimensions[element]
            return Coded(column.codes, [encode(pixels.pixelization.pixel(index)) for index in column.values])
        records = self.lookup(element, dimensions)
        return Coded(records.codes, [encode(record and record.region) for record in records.values])

    @override
    def visits_of_exposures(self, dimensions: Mapping[str, Coded]) -> Coded:
        # Docstring inherited.
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
