"""Rows on their way into a table: as they come, then sorted along the sky.

Each batch is sorted when it arrives and goes to disk.  In the end the sorted
batches are merged: the range of the sort key is cut into pieces of about as
many rows as fit into memory with ease, and the rows of a piece are one slice
of each batch, so that memory does not grow with the rows.
"""

from __future__ import annotations

__all__ = ["Staging"]

import itertools
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._bounds import bound_regions

_PIECE_ROWS = 100_000
# Columns of all batches that are mapped at once.
_COLUMNS_MAPPED = 8
_AXES = ("x", "y", "z")
# Rows without a region come last.
_LAST = np.iinfo(np.int64).max


class Staging:
    """Takes rows in any order and gives them back sorted.

    Parameters
    ----------
    path
        A file that does not exist; the caller removes it in the end.
    schema
        Schema of the rows.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        bounds = [pa.field(f"_{axis}{end}", pa.float64()) for end in (0, 1) for axis in _AXES]
        self.schema = pa.schema([*schema, *bounds, pa.field("_hpx", pa.int64())])
        """Schema of the rows that come back: with box and sort key."""
        self._path = path
        self._file = pa.OSFile(str(path), "wb")
        self._segments: list[tuple[int, int]] = []
        self._keys: list[np.ndarray[tuple[int], np.dtype[np.uint64]]] = []

    def add(self, rows: pa.Table) -> None:
        """Take rows.

        Parameters
        ----------
        rows
            Rows of the schema.
        """
        (batch,) = rows.combine_chunks().to_batches()
        bounds = bound_regions(batch["_region"])
        keys = np.where(bounds.pixel < 0, _LAST, bounds.pixel)
        order = np.argsort(keys, kind="stable")
        sides = [
            pa.array(values[:, axis], from_pandas=True)
            for values in (bounds.low, bounds.high)
            for axis in range(3)
        ]
        hidden = [*sides, pa.array(bounds.pixel, mask=bounds.pixel < 0)]
        full = pa.RecordBatch.from_arrays([*batch.columns, *hidden], schema=self.schema)
        # A stream for each batch: a file has one dictionary for all of them.
        start = self._file.tell()
        with pa.ipc.new_stream(self._file, self.schema) as writer:
            writer.write(full.take(pa.array(order)))
        self._segments.append((start, self._file.tell() - start))
        self._keys.append(keys[order].astype(np.uint64))

    def read_sorted(self) -> Iterator[pa.RecordBatch]:
        """Give the rows back, once, when all have come.

        Returns
        -------
        batches : `~collections.abc.Iterator` [`pyarrow.RecordBatch`]
            All rows along the sky, those without a region last.
        """
        self.close()
        if not self._keys:
            return
        edges = self._cut()
        with self._path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        content = pa.py_buffer(mapped)
        batches = [
            pa.ipc.open_stream(content.slice(start, size)).read_next_batch() for start, size in self._segments
        ]
        places = [np.searchsorted(keys, edges) for keys in self._keys]
        for piece, (low, high) in enumerate(itertools.pairwise(edges)):
            slices = [
                batches[i].slice(place[piece], place[piece + 1] - place[piece])
                for i, place in enumerate(places)
                if place[piece + 1] > place[piece]
            ]
            if high - low == 1:
                # One key alone, perhaps of very many rows.
                yield from slices
                mapped.madvise(mmap.MADV_DONTNEED)
            elif slices:
                yield _sort(pa.Table.from_batches(slices), mapped)

    def close(self) -> None:
        """Finish the file; again is no harm."""
        if not self._file.closed:
            self._file.close()

    def _cut(self) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        keys = np.concatenate(self._keys)
        keys.sort()
        samples = keys[::_PIECE_ROWS]
        # A key that fills a piece is made a piece of its own.
        heavy = samples[1:][samples[1:] == samples[:-1]]
        return np.unique(np.concatenate([samples, heavy, heavy + np.uint64(1), [keys[-1] + np.uint64(1)]]))


def _sort(rows: pa.Table, mapped: mmap.mmap) -> pa.RecordBatch:
    """Sort rows that lie in a mapped file, along the sky."""
    order = pc.sort_indices(rows["_hpx"])
    arrays = []
    for number, column in enumerate(rows.columns, 1):
        arrays.append(column.take(order).combine_chunks())
        # The pages around what was read count as memory of this process, in
        # the end the whole file; the kernel keeps them anyway.
        if number % _COLUMNS_MAPPED == 0 or number == rows.num_columns:
            mapped.madvise(mmap.MADV_DONTNEED)
    return pa.RecordBatch.from_arrays(arrays, schema=rows.schema)
