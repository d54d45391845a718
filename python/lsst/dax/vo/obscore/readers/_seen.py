"""Which data IDs were found already, for many millions of them."""

from __future__ import annotations

__all__ = ["SeenDataIds"]

from collections.abc import Sequence

import numpy as np

from ._keys import Keys, SortedKeys, keys_of
from ._pages import Page


class SeenDataIds:
    """Remembers data IDs by their keys, 16 bytes each.

    Parameters
    ----------
    names
        Dimensions of the data IDs, and ``run`` if it makes a difference.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._known = SortedKeys()
        self._pending: list[Keys] = []

    def take_unseen(self, page: Page) -> Page:
        """Leave out what was found before, and remember the rest at `settle`.

        Parameters
        ----------
        page
            Some datasets.

        Returns
        -------
        page : `Page`
        """
        keys = self._keys(page)
        seen = np.zeros(page.size, bool)
        for rows, _ in self._known.find(keys):
            seen[rows] = True
        if not seen.any():
            self._pending.append(keys)
            return page
        self._pending.append((keys[0][~seen], keys[1][~seen]))
        return page.take(np.flatnonzero(~seen))

    def remember(self, keys: Keys) -> None:
        """Remember at `settle` what somebody else has found.

        Parameters
        ----------
        keys
            What `pending_keys` returned then.
        """
        self._pending.append(keys)

    def pending_keys(self) -> Keys:
        """Return the keys of what was found since `settle`.

        Returns
        -------
        keys : `tuple` [`numpy.ndarray`, `numpy.ndarray`]
        """
        if not self._pending:
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        first, second = zip(*self._pending, strict=True)
        return np.concatenate(first), np.concatenate(second)

    def settle(self) -> None:
        """Remember what was found since the last time."""
        self._known.add(self.pending_keys())
        self._pending = []

    def _keys(self, page: Page) -> Keys:
        columns = {**page.dimensions, "run": page.run}
        return keys_of([columns[name] for name in self._names], page.size)
