"""Keys of many millions of rows, by 128 bits of their values."""

from __future__ import annotations

__all__ = ["Keys", "SortedKeys", "keys_of"]

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..rows._chunk import Coded
from ..rows._fingerprints import Words, hash_values, mix

_SEEDS = (np.uint64(0), np.uint64(0x5851F42D4C957F2D))

type Keys = tuple[Words, Words]
"""128 bits for each row: two different rows of a hundred million have the
same with a probability below 1e-22."""


def keys_of(columns: Sequence[Coded], size: int) -> Keys:
    """Make the keys of rows.

    Parameters
    ----------
    columns
        What the rows are told apart by.
    size
        Number of rows.

    Returns
    -------
    keys : `tuple` [`numpy.ndarray` [`uint64`], `numpy.ndarray` [`uint64`]]
        That of a row does not depend on the others.
    """
    first: Words
    second: Words
    first, second = (np.full(size, seed) for seed in _SEEDS)
    for column in columns:
        words = hash_values(column)
        first, second = mix(first, words), mix(second, words)
    return first, second


class SortedKeys:
    """Keys, each with what belongs to it.

    They are kept in sorted runs, of which one is never much longer than all
    later ones together, so that there are few to search and each is sorted
    few times.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray[Any, Any], ...]] = []

    def add(self, keys: Keys, *more: np.ndarray[Any, Any]) -> None:
        """Add keys.

        Parameters
        ----------
        keys
            Keys that are not there yet.
        *more
            Columns of what belongs to them; always as many.
        """
        run: tuple[np.ndarray[Any, Any], ...] = (*keys, *more)
        while self._runs and len(self._runs[-1][0]) < 2 * len(run[0]):
            before = self._runs.pop()
            run = tuple(np.concatenate(pair) for pair in zip(before, run, strict=True))
        if len(run[0]):
            order = np.argsort(run[0])
            self._runs.append(tuple(column[order] for column in run))

    def find(self, keys: Keys) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
        """Find keys.

        Parameters
        ----------
        keys
            What to look for.

        Yields
        ------
        rows : `numpy.ndarray` [`int`]
            Places of keys that are there; each is yielded once at most.
        more : `tuple` [`numpy.ndarray`]
            What belongs to each of them.
        """
        for first, second, *more in self._runs:
            places = np.minimum(np.searchsorted(first, keys[0]), len(first) - 1)
            rows = np.flatnonzero((first[places] == keys[0]) & (second[places] == keys[1]))
            if len(rows):
                yield rows, tuple(column[places[rows]] for column in more)
