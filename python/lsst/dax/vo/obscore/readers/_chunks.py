"""Pages become chunks: records, regions and times of their datasets."""

from __future__ import annotations

__all__ = ["make_chunk"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lsst.daf.butler import DatasetType, DimensionGroup, Timespan
from lsst.sphgeom import IntersectionRegion, Region

from ..rows._chunk import Chunk, Coded
from ._elements import elements_of_regions, elements_of_times
from ._pages import Page
from ._records import Records, encode


def make_chunk(kind: DatasetType, page: Page, wanted: set[str], records: Records) -> Chunk:
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
        regions=_regions(group, placed, page, records),
        times_ns=_times([found[item] for item in sorted(elements_of_times(group))], page.size),
        sizes=pa.nulls(page.size, pa.int64()) if page.sizes is None else page.sizes,
    )


def _placed(group: DimensionGroup, dimensions: Mapping[str, Coded], records: Records) -> Mapping[str, Coded]:
    """Add the visit of each exposure, which has its region."""
    if all(element in group.elements for element in elements_of_regions(group)):
        return dimensions
    return {**dimensions, "visit": records.visits_of_exposures(dimensions)}


def _regions(group: DimensionGroup, placed: Mapping[str, Coded], page: Page, records: Records) -> pa.Array:
    if page.regions is not None:
        if "exposure" not in group or "visit" in group:
            return page.regions
        # Looked up as the visit with the number of the exposure.
        equal, there = _compare(placed["visit"], placed["exposure"])
        if equal:
            nothing = pa.scalar(None, pa.binary())
            return page.regions if there.all() else pc.if_else(pa.array(there), page.regions, nothing)
    elements = elements_of_regions(group)
    if not elements:
        return pa.nulls(page.size, pa.binary())
    found = [records.regions(element, placed) for element in elements]
    regions = found[0] if len(found) == 1 else _intersect(found)
    values = pa.array(regions.values, pa.binary())
    return pa.DictionaryArray.from_arrays(pa.array(regions.codes, pa.int32()), values)


def _compare(visit: Coded, exposure: Coded) -> tuple[bool, np.ndarray]:
    """Tell whether all visits have the exposures' numbers, and which there are."""
    pairs, codes = np.unique(
        visit.codes.astype(np.int64) * len(exposure.values) + exposure.codes, return_inverse=True
    )
    values = [
        (visit.values[pair // len(exposure.values)], exposure.values[pair % len(exposure.values)])
        for pair in pairs.tolist()
    ]
    return (
        all(first in (None, second) for first, second in values),
        np.array([first is not None for first, _ in values])[codes],
    )


def _intersect(columns: Sequence[Coded]) -> Coded:
    first, second = columns[0], columns[1] if len(columns) == 2 else _intersect(columns[1:])
    combined, codes = np.unique(
        first.codes.astype(np.int64) * len(second.values) + second.codes, return_inverse=True
    )
    pairs = [divmod(int(code), len(second.values)) for code in combined]
    return Coded(codes, [_overlap(first.values[i], second.values[j]) for i, j in pairs])


def _overlap(first: bytes | None, second: bytes | None) -> bytes | None:
    if first is None or second is None:
        return None
    try:
        return encode(IntersectionRegion(Region.decode(first), Region.decode(second)))
    except (RuntimeError, ValueError):
        # Damaged, as the maker of rows tells.
        return b""


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
