"""The rows that a table has, by id and fingerprint: what an update compares with."""

from __future__ import annotations

__all__ = ["Changes", "KnownRows"]

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

type Words = np.ndarray[tuple[int], np.dtype[np.uint64]]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Changes:
    """How many rows an update touches."""

    added: int = 0
    """Datasets that the table did not have."""

    changed: int = 0
    """Datasets of which the registry says something else than before."""

    removed: int = 0
    """Datasets that are no longer there."""

    kept: int = 0
    """Datasets whose rows stay as they are."""

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class KnownRows:
    """Ids and fingerprints of the rows of a table, and which of them were found again.

    Parameters
    ----------
    ids
        UUIDs of the datasets, 16 bytes each, all different.
    prints
        Their fingerprints.
    same_form
        Whether rows may stay; those of a table with other columns may not.

    Notes
    -----
    32 bytes for each row: 270 MB for the table of DP0.2.
    """

    def __init__(self, ids: bytes, prints: np.ndarray, *, same_form: bool = True) -> None:
        self._same_form = same_form
        words = _words(ids)
        self._keys = _keys(words)
        order = np.argsort(self._keys)
        self._keys = self._keys[order]
        self._words = words[order]
        self._prints = np.asarray(prints, np.int64)[order]
        self._kept = np.zeros(len(order), bool)
        self._replaced = np.zeros(len(order), bool)
        self._added = 0

    def find_fresh(self, ids: bytes, prints: pa.Array) -> np.ndarray:
        """Tell which datasets have no row, or another one than they should.

        Parameters
        ----------
        ids
            UUIDs of datasets, 16 bytes each.
        prints
            Their fingerprints.

        Returns
        -------
        fresh : `numpy.ndarray` [`bool`]
            Whether the row of each is to be made.
        """
        words = _words(ids)
        places = self._find(words)
        there = places >= 0
        same = there & self._same_form
        if len(self._keys):
            same &= self._prints[places] == prints.to_numpy()
        self._kept[places[same]] = True
        self._replaced[places[there & ~same]] = True
        self._added += int((~there).sum())
        fresh: np.ndarray = ~same
        return fresh

    @property
    def changes(self) -> Changes:
        """What was found so far; rows not found again count as removed."""
        kept, changed = int(self._kept.sum()), int(self._replaced.sum())
        return Changes(self._added, changed, len(self._keys) - kept - changed, kept)

    def outdated(self) -> bytes:
        """Return the ids of the rows that do not stay.

        Returns
        -------
        ids : `bytes`
            16 bytes each.
        """
        return self._words[~self._kept].tobytes()

    def _find(self, words: np.ndarray) -> np.ndarray:
        """Return the place of each id, -1 without one."""
        if not len(self._keys):
            return np.full(len(words), -1)
        keys = _keys(words)
        found = np.full(len(keys), -1)
        first = np.searchsorted(self._keys, keys)
        # Two ids may have one key: all places with that key are looked at.
        step = 0
        left = np.arange(len(keys))
        while len(left):
            places = first[left] + step
            inside = places < len(self._keys)
            left, places = left[inside], places[inside]
            alike = self._keys[places] == keys[left]
            left, places = left[alike], places[alike]
            equal = (self._words[places] == words[left]).all(axis=1)
            found[left[equal]] = places[equal]
            left = left[~equal]
            step += 1
        return found


def _words(ids: bytes) -> np.ndarray:
    return np.frombuffer(ids, np.uint64).reshape(-1, 2)


def _keys(words: np.ndarray) -> Words:
    # Ids of one run may share their first half (a time) or their last.
    keys: Words = (words[:, 0] * _FACTOR) ^ words[:, 1]
    return keys
