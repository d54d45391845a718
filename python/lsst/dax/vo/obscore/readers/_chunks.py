"""Pages become chunks: records, regions and times of their datasets."""

from __future__ import annotations

__all__ = ["make_chunk"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lsst.daf.butler import DatasetType, DimensionGroup, Timespan

from ..rows._chunk import Chunk, Coded
from ._described import DescribedRegions, encoded_regions
from ._elements import elements_of_regions, elements_of_times
from ._pages import Page
from ._records import Records


def make_chunk(
    kind: DatasetType,
    page: Page,
    wanted: set[str],
    records: Records,
    described: DescribedRegions | None = None,
) -> Chunk:
    """Look up all that rows need.

    Parameters
    ----------
    kind
        The dataset type.
    page
        Some datasets of it, with their sizes.
    wanted
        Dimension elements whose records are wanted.
    records
        Looks up records.
    described
        Knows regions; without it, they are described later.

    Returns
    -------
    chunk : `Chunk`
        Those of the datasets whose dimensions are known.
    """
    group = kind.dimensions
    dimensions, known = records.complete(group, page.dimensions)
    if known is not None:
        # As the Butler has it: without its records, no dataset is found.
        rows = np.flatnonzero(known)
        page = page.take(rows)
        dimensions = {name: column.take(rows) for name, column in dimensions.items()}
    placed = _placed(group, dimensions, records)
    found = {
        element: records.lookup(element, placed if element not in group.elements else dimensions)
        for element in sorted(wanted)
    }
    return Chunk(
        dataset_type=kind.name,
        ids=page.ids,
        run=page.run,
        dimensions=dimensions,
        records=found,
        regions=_regions(group, placed, page.size, records, described),
        times_ns=_times([found[item] for item in sorted(elements_of_times(group))], page.size),
        sizes=pa.nulls(page.size, pa.int64()) if page.sizes is None else page.sizes,
    )


def _placed(group: DimensionGroup, dimensions: Mapping[str, Coded], records: Records) -> Mapping[str, Coded]:
    """Add the visit of each exposure, which has its region."""
    if all(element in group.elements for element in elements_of_regions(group)):
        return dimensions
    return {**dimensions, "visit": records.visits_of_exposures(dimensions)}


def _regions(
    group: DimensionGroup,
    placed: Mapping[str, Coded],
    size: int,
    records: Records,
    described: DescribedRegions | None,
) -> pa.Array:
    elements = elements_of_regions(group)
    if described is not None:
        return described.lookup(elements, placed, size)
    regions = encoded_regions(elements, placed, size, records)
    values = pa.array(regions.values, pa.binary())
    return pa.DictionaryArray.from_arrays(pa.array(regions.codes, pa.int32()), values)


def _times(records: Sequence[Coded], size: int) -> tuple[pa.Array, pa.Array]:
    """Return begin and end of the time that the records have in common."""
    earliest, latest = Timespan(None, None).nsec
    bounds = []
    for index, closest in enumerate((pc.max_element_wise, pc.min_element_wise)):
        columns = [column.map(lambda record: _bound(record, index), pa.int64()) for column in records]  # noqa: B023
        if not columns:
            bounds.append(pa.nulls(size, pa.int64()))
            continue
        common = closest(*columns, skip_nulls=False)
        open_ended = pc.equal(common, earliest if index == 0 else latest)
        bounds.append(pc.if_else(open_ended, pa.scalar(None, pa.int64()), common))
    begin, end = bounds
    empty = pc.fill_null(pc.greater_equal(begin, end), False)
    nothing = pa.scalar(None, pa.int64())
    return pc.if_else(empty, nothing, begin), pc.if_else(empty, nothing, end)


def _bound(record: Any, index: int) -> int | None:
    timespan = None if record is None else record.timespan
    if timespan is None or timespan.isEmpty():
        return None
    bound: int = timespan.nsec[index]
    return bound
