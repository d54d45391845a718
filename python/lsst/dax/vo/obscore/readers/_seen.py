"""Which data IDs were found already, for many millions of them."""

from __future__ import annotations

__all__ = ["SeenDataIds"]

from collections.abc import Mapping, Sequence

import numpy as np

from ..rows._chunk import Coded
from ..rows._fingerprints import Words, hash_values, mix
from ._pages import Page

_SEEDS = (np.uint64(0), np.uint64(0x5851F42D4C957F2D))


class SeenDataIds:
    """Remembers data IDs by 128 bits of their values.

    Two different ones of a hundred million are taken for the same with a
    probability below 1e-22.  Each takes 16 bytes; they are kept in sorted
    runs, of which one is never much longer than all later ones together, so
    that there are few to search and each is sorted few times.

    Parameters
    ----------
    names
        Dimensions of the data IDs, and ``run`` if it makes a difference.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._runs: list[tuple[Words, Words]] = []
        self._pending: list[tuple[Words, Words]] = []

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
        seen, keys = self._find({**page.dimensions, "run": page.run})
        if not seen.any():
            self._pending.append(keys)
            return page
        self._pending.append((keys[0][~seen], keys[1][~seen]))
        return page.take(np.flatnonzero(~seen))

    def remember(self, keys: tuple[Words, Words]) -> None:
        """Remember at `settle` what somebody else has found.

        Parameters
        ----------
        keys
            What `pending_keys` returned then.
        """
        self._pending.append(keys)

    def pending_keys(self) -> tuple[Words, Words]:
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
        pending, self._pending = self._pending, []
        if pending:
            self._add(pending)

    def _find(self, dimensions: Mapping[str, Coded]) -> tuple[np.ndarray, tuple[Words, Words]]:
        keys = self._keys(dimensions)
        seen = np.zeros(len(keys[0]), bool)
        for first, second in self._runs:
            places = np.minimum(np.searchsorted(first, keys[0]), len(first) - 1)
            seen |= (first[places] == keys[0]) & (second[places] == keys[1])
        return seen, keys

    def _add(self, keys: Sequence[tuple[Words, Words]]) -> None:
        first, second = (np.concatenate(parts) for parts in zip(*keys, strict=True))
        while self._runs and len(self._runs[-1][0]) < 2 * len(first):
            run = self._runs.pop()
            first, second = np.concatenate([run[0], first]), np.concatenate([run[1], second])
        if len(first):
            order = np.argsort(first)
            self._runs.append((first[order], second[order]))

    def _keys(self, dimensions: Mapping[str, Coded]) -> tuple[Words, Words]:
        size = len(dimensions[self._names[0]].codes) if self._names else 1
        keys = []
        for seed in _SEEDS:
            words: Words = np.full(size, seed)
            for name in self._names:
                words = mix(words, hash_values(dimensions[name]))
            keys.append(words)
        return keys[0], keys[1]
