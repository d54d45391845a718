"""What an update compares a table with, and what it then does."""

from __future__ import annotations

__all__ = ["Changes", "Course", "KnownTable", "Table", "choose_course"]

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import numpy as np
import pyarrow as pa

from ..dali import Column

# Share of rows that may lie behind those along the sky; each update adds some.
_MOST_UNSORTED = 0.1

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

    @property
    def written(self) -> int:
        """Datasets whose rows are written."""
        return self.added + self.changed

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class Course(Enum):
    """What makes a table the one that it is to be."""

    LEAVE = auto()
    """It is that one."""

    PATCH = auto()
    """Remove what is outdated, and put the new rows behind those along the sky."""

    MERGE = auto()
    """Sort the rows that stay and the new ones together."""

    WRITE = auto()
    """No row stays: write the new ones, as an export does."""


def choose_course(changes: Changes, *, same_form: bool, same_properties: bool, unsorted: int) -> Course:
    """Choose how a table is updated.

    Parameters
    ----------
    changes
        How many rows are touched.
    same_form
        Whether its columns stay as they are.
    same_properties
        Whether what is told about it stays.
    unsorted
        Rows that earlier updates have put behind those along the sky.

    Returns
    -------
    course : `Course`
    """
    if same_form and same_properties and not changes:
        return Course.LEAVE
    if not same_form or not changes.kept:
        return Course.WRITE
    if unsorted + changes.written > _MOST_UNSORTED * (changes.kept + changes.written):
        return Course.MERGE
    return Course.PATCH


class Table(Protocol):
    """What a store tells about its table."""

    @property
    def columns(self) -> tuple[Column, ...]: ...

    @property
    def formatted(self) -> tuple[str, ...]: ...

    @property
    def properties(self) -> Mapping[str, str]: ...

    @property
    def unsorted(self) -> int: ...


class KnownTable:
    """A table as it is, with ids and fingerprints of its rows, beside what it is to be.

    Parameters
    ----------
    table
        The table.
    ids
        UUIDs of its datasets, 16 bytes each, all different.
    prints
        Their fingerprints.
    columns, properties, formatted
        What it is to be like.  Rows of a table with other columns do not stay.

    Notes
    -----
    32 bytes for each row: 270 MB for the table of DP0.2.
    """

    def __init__(
        self,
        table: Table,
        ids: bytes,
        prints: np.ndarray,
        *,
        columns: Sequence[Column],
        properties: Mapping[str, str],
        formatted: Collection[str],
    ) -> None:
        told = {name: value for name, value in table.properties.items() if name != "rows"}
        self._same_form = table.columns == tuple(columns) and set(table.formatted) == set(formatted)
        self._same_properties = told == properties
        self._unsorted = table.unsorted
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
        """Tell which datasets have no row, or another one; see `~lsst.dax.vo.store.Updater`.

        Parameters
        ----------
        ids, prints
            UUIDs of datasets, 16 bytes each, and their fingerprints.

        Returns
        -------
        fresh : `numpy.ndarray` [`bool`]
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

    @property
    def course(self) -> Course:
        """What is to be done, when all datasets have been looked for."""
        return choose_course(
            self.changes,
            same_form=self._same_form,
            same_properties=self._same_properties,
            unsorted=self._unsorted,
        )

    @property
    def unsorted(self) -> int:
        """Rows behind those along the sky, once it is patched."""
        return self._unsorted + self.changes.written

    def find_kept(self, ids: bytes) -> np.ndarray:
        """Tell which rows of the table stay.

        Parameters
        ----------
        ids
            UUIDs of rows that it has, 16 bytes each.

        Returns
        -------
        kept : `numpy.ndarray` [`bool`]
        """
        kept: np.ndarray = self._kept[self._find(_words(ids))]
        return kept

    def outdated(self) -> pa.FixedSizeBinaryArray:
        """Return the ids of the rows that do not stay.

        Returns
        -------
        ids : `pyarrow.FixedSizeBinaryArray`
            16 bytes each.
        """
        content = self._words[~self._kept].tobytes()
        buffers = [None, pa.py_buffer(content)]
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(content) // 16, buffers)

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
