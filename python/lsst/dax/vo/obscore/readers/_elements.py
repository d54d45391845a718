"""What the dimensions of a dataset type say about where and when it is."""

from __future__ import annotations

__all__ = [
    "elements_of_regions",
    "elements_of_times",
    "is_image",
    "wanted_elements",
]

from uuid import UUID

from lsst.daf.butler import DatasetType, DimensionGroup

from ...repo import Dataset


def elements_of_regions(group: DimensionGroup) -> list[str]:
    """Return the dimension elements that place datasets on the sky.

    Parameters
    ----------
    group
        Dimensions of the dataset type.

    Returns
    -------
    elements : `list` [`str`]
        Several for datasets that lie in the overlap of their regions; those
        of a visit for exposures, which have no region of their own.
    """
    spatial = [family.choose(group).name for family in group.spatial]
    if "exposure" not in group or len(spatial) == 1:
        return spatial
    if spatial or "visit" not in group.universe:
        return []
    return ["visit_detector_region" if "detector" in group else "visit"]


def elements_of_times(group: DimensionGroup) -> set[str]:
    """Return the dimension elements that place datasets in time.

    Parameters
    ----------
    group
        Dimensions of the dataset type.

    Returns
    -------
    elements : `set` [`str`]
    """
    return {family.choose(group).name for family in group.temporal}


def wanted_elements(group: DimensionGroup, named: set[str]) -> set[str]:
    """Return the elements whose records make columns, or are named by templates.

    Parameters
    ----------
    group
        Dimensions of the dataset type.
    named
        Elements that templates name.

    Returns
    -------
    elements : `set` [`str`]
    """
    there = set(group.elements)
    wanted = (named | elements_of_times(group) | {"exposure", "visit"}) & there
    if "exposure" in group:
        # Templates may name the visit that places an exposure on the sky.
        wanted |= named & {"visit", *elements_of_regions(group)}
    return wanted


def is_image(dataset_type: DatasetType) -> bool:
    """Tell whether a dataset type holds images of the sky.

    Parameters
    ----------
    dataset_type
        The dataset type.

    Returns
    -------
    image : `bool`
        By storage class and dimensions; bias and flat frames do not count.
    """
    if dataset_type.isComponent() or not elements_of_regions(dataset_type.dimensions):
        return False
    return Dataset(
        uuid=UUID(int=0),
        label="",
        dataset_type=dataset_type.name,
        data_id={},
        run="",
        storage_class=dataset_type.storageClass_name,
        uri=None,
    ).is_image
