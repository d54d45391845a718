"""One number for all that is behind a row: it changes when the row may.

It is made from what the registry and the datastore say of a dataset and from
the configuration, not from the finished row, so that nothing needs to be made
to find out that nothing has changed.
"""

from __future__ import annotations

__all__ = ["Fingerprints", "Words", "hash_binaries", "hash_bytes", "hash_values", "mix"]

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._chunk import Chunk, Coded

type Words = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]
"""64 bits for each row."""

# Odd numbers of 64 bits (the fractions of the golden ratio and of pi).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(0x243F6A8885A308D3)
_SHIFT = np.uint64(29)
_MASK = (1 << 64) - 1
# Records of one element whose hashes are kept: detectors of visits come by
# millions.
_MOST_RECORDS = 200_000


class Fingerprints:
    """Computes the fingerprints of the datasets of one type.

    Parameters
    ----------
    seed
        What all of them depend on, such as the configuration.
    """

    def __init__(self, seed: str) -> None:
        self._seed = np.uint64(hash_bytes(seed.encode()))
        self._records: dict[str, dict[Any, int]] = {}

    def of(self, chunk: Chunk, also: Sequence[Words] = ()) -> pa.Array:
        r"""Compute fingerprints.

        Parameters
        ----------
        chunk
            The datasets.
        also
            Hashes of what else is behind each row; 0, where there is
            nothing, changes nothing.

        Returns
        -------
        prints : `pyarrow.Array` [`int64`]
            One for each dataset, whatever the others in the chunk are.
            Equal numbers come of different content with a probability of
            2\ :sup:`-64`.
        """
        words: Words = np.full(chunk.size, self._seed)
        words = mix(words, hash_values(chunk.run))
        for name in sorted(chunk.dimensions):
            words = mix(words, hash_values(chunk.dimensions[name]))
        for element in sorted(chunk.records):
            words = mix(words, self._of_records(element, chunk.records[element]))
        words = mix(words, _of_regions(chunk.regions))
        for numbers in (*chunk.times_ns, chunk.sizes):
            words = mix(words, numbers.cast(pa.int64()).fill_null(-1).to_numpy().view(np.uint64))
        for more in also:
            words = np.where(more == 0, words, mix(words, more))
        return pa.array(words.view(np.int64))

    def _of_records(self, element: str, records: Coded) -> Words:
        known = self._records.setdefault(element, {})
        if len(known) > _MOST_RECORDS:
            known.clear()
        found = np.array([_word_of_record(record, known) for record in records.values], np.uint64)
        words: Words = found[records.codes]
        return words


def _word_of_record(record: Any, known: dict[Any, int]) -> int:
    if record is None:
        return 0
    key = record.dataId.required_values
    if (found := known.get(key)) is None:
        found = known[key] = hash_bytes(repr(sorted(record.toDict().items())).encode())
    return found


def hash_bytes(content: bytes) -> int:
    """Make 64 bits of anything.

    Parameters
    ----------
    content
        Any bytes.

    Returns
    -------
    word : `int`
    """
    return int.from_bytes(blake2b(content, digest_size=8).digest())


def hash_values(column: Coded) -> Words:
    """Make 64 bits of each value.

    Parameters
    ----------
    column
        Values of a dimension.

    Returns
    -------
    words : `numpy.ndarray` [`uint64`]
        Integers as they are, other values by a hash of their text; that of a
        value does not depend on the others.
    """
    words = np.array([_word_of(value) for value in column.values], np.uint64)
    found: Words = words[column.codes]
    return found


def _word_of(value: Any) -> int:
    return value & _MASK if type(value) is int else hash_bytes(repr(value).encode())


def _of_regions(regions: pa.Array) -> Words:
    if pa.types.is_struct(regions.type):
        words: Words = pc.struct_field(regions, "_print").to_numpy()
        return words
    return hash_binaries(regions)


def hash_binaries(column: pa.Array) -> Words:
    """Make 64 bits of each value of a column of bytes.

    Parameters
    ----------
    column
        Type ``binary``, or a dictionary of it.

    Returns
    -------
    words : `numpy.ndarray` [`uint64`]
        0 for NULL, 1 for no bytes.
    """
    valid = np.asarray(column.is_valid())
    if not valid.any():
        return np.zeros(len(column), np.uint64)
    if pa.types.is_dictionary(column.type):
        known = hash_binaries(column.dictionary)
        codes = column.indices.fill_null(0).to_numpy()
        found: Words = np.where(valid, known[codes], np.uint64(0))
        return found
    words = valid.astype(np.uint64)
    _, offsets, data = column.buffers()
    if data is None:
        return words
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    content = np.frombuffer(data, np.uint8)
    lengths = np.where(valid, np.diff(ends), 0)
    for length in np.unique(lengths[lengths > 0]).tolist():
        rows = np.flatnonzero(lengths == length)
        first, last = int(ends[rows[0]]), int(ends[rows[-1]]) + length
        if last - first == len(rows) * length:
            table = content[first:last].reshape(-1, length)
        else:
            table = content[ends[rows][:, np.newaxis] + np.arange(length)]
        padded = np.zeros((len(rows), -(-length // 8) * 8), np.uint8)
        padded[:, :length] = table
        total: Words = np.full(len(rows), np.uint64(length))
        for word in padded.view(np.uint64).T:
            total = mix(total, word)
        words[rows] = total
    return words


def mix(words: Words, more: Words) -> Words:
    """Combine two columns of bits, in this order.

    Parameters
    ----------
    words, more
        The columns.

    Returns
    -------
    words : `numpy.ndarray` [`uint64`]
    """
    mixed = (words ^ more) * _STEP
    mixed ^= mixed >> _SHIFT
    found: Words = mixed * _FOLD + words
    return found
