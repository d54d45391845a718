"""Where datasets are on the sky, as a registry has it."""

from __future__ import annotations

__all__ = ["find_regions"]

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from lsst.daf.butler import Butler, DatasetRef, DimensionGroup

if TYPE_CHECKING:
    from lsst.sphgeom import Region


def find_regions(butler: Butler, uuids: Iterable[UUID]) -> dict[UUID, Region]:
    """Look up regions, with a query for each kind of data ID.

    Parameters
    ----------
    butler
        The repository.
    uuids
        Dataset ids.

    Returns
    -------
    regions : `dict` [`uuid.UUID`, `lsst.sphgeom.Region`]
        None where a data ID has none.
    """
    wanted: dict[DimensionGroup, list[DatasetRef]] = defaultdict(list)
    for ref in butler.get_many_datasets(uuids):
        wanted[ref.dataId.dimensions].append(ref)
    found: dict[UUID, Region] = {}
    for dimensions, refs in wanted.items():
        found |= _find(butler, dimensions, refs)
    return found


def _find(butler: Butler, dimensions: DimensionGroup, refs: Sequence[DatasetRef]) -> dict[UUID, Region]:
    place = dimensions.region_dimension
    if place is None:
        return {}
    required = dimensions.universe[place].minimal_group
    data_ids = {ref.id: ref.dataId.subset(required) for ref in refs}
    with butler.query() as query:
        records = query.join_data_coordinates(set(data_ids.values())).dimension_records(place)
        # Repositories exist whose datasets name dimension records that were
        # never inserted (DC2's testdata_image_cutouts).
        regions = {record.dataId: record.region for record in records if record.region is not None}
    return {uuid: regions[data_id] for uuid, data_id in data_ids.items() if data_id in regions}
