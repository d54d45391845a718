"""What a repository's configuration says of the links of a dataset."""

from __future__ import annotations

__all__ = ["LinkChoice"]

from collections.abc import Mapping
from types import MappingProxyType

from ..config import LinksConfig, resolve_links
from ..repo import Dataset


class LinkChoice:
    """Tells which links the datasets of each repository have.

    Parameters
    ----------
    entries
        The configured ones: by label, then by dataset type or pattern.

    Notes
    -----
    Dataset types are few: what was resolved is kept.
    """

    def __init__(self, entries: Mapping[str, Mapping[str, LinksConfig]] = MappingProxyType({})) -> None:
        self._entries = entries
        self._resolved: dict[tuple[str, str], LinksConfig] = {}

    def of(self, dataset: Dataset) -> LinksConfig:
        """Return what is configured for a dataset.

        Parameters
        ----------
        dataset
            The dataset.

        Returns
        -------
        links : `~lsst.dax.vo.config.LinksConfig`
            With `None` where nothing is said: as by default.
        """
        key = (dataset.label, dataset.dataset_type)
        found = self._resolved.get(key)
        if found is None:
            found = resolve_links(self._entries.get(dataset.label, {}), dataset.dataset_type)
            self._resolved[key] = found
        return found
