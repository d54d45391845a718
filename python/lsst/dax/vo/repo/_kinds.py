"""What kinds of datasets a repository knows."""

from __future__ import annotations

__all__ = ["DatasetKind", "find_kinds"]

from dataclasses import dataclass
from operator import attrgetter

from lsst.daf.butler import Butler

from ._dataset import is_image_class


@dataclass(frozen=True, slots=True)
class DatasetKind:
    """A dataset type that is registered."""

    name: str
    """Its name."""

    storage_class: str
    """Name of its storage class."""

    dimensions: frozenset[str]
    """Names of the values of its data IDs."""

    @property
    def is_image(self) -> bool:
        """Whether its datasets are images, by its storage class."""
        return is_image_class(self.storage_class)


def find_kinds(butler: Butler) -> dict[str, DatasetKind]:
    """Look up the dataset types.

    Parameters
    ----------
    butler
        The repository.

    Returns
    -------
    kinds : `dict` [`str`, `DatasetKind`]
        By name.
    """
    return {
        kind.name: DatasetKind(kind.name, kind.storageClass_name, frozenset(kind.dimensions.required))
        for kind in sorted(butler.registry.queryDatasetTypes(), key=attrgetter("name"))
    }
