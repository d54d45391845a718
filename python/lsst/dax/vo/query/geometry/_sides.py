"""Arguments of predicates as they lie in memory."""

from __future__ import annotations

__all__ = ["Bools", "Floats", "Ints", "Side"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ._geometry import POINT_TAG, unit_vectors
from ._large import NAME, lengthen

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
type Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
type Bytes = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Side:
    """Geometries, one for each row of a table."""

    data: Bytes
    offsets: Ints
    """Of each value, and the end of the last."""

    constant: bool
    """Whether all values are the first."""

    size: int
    """Bytes of each; 0 if they differ."""

    @classmethod
    def from_arrow(cls, values: pa.Array | pa.ChunkedArray) -> Side:
        """Take a column, type ``binary``, without NULL."""
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
        _, offset_buffer, data_buffer = values.buffers()
        count = len(values)
        offsets = np.frombuffer(offset_buffer, np.int32)[values.offset : values.offset + count + 1]
        data = np.frombuffer(data_buffer if data_buffer is not None else b"", np.uint8)
        side = cls.from_bytes(data, offsets.astype(np.int64))
        if count and NAME in (data[side.offsets[:1]] if side.size else data[side.offsets[:-1]]):
            return cls.from_values(
                [lengthen(side.value(row)) for row in range(1 if side.constant else count)], count
            )
        return side

    @classmethod
    def from_values(cls, values: Sequence[bytes], count: int | None = None) -> Side:
        """Take a few values, or one of them for many rows."""
        data = np.frombuffer(b"".join(values), np.uint8)
        if count is not None and len(values) == 1:
            offsets = np.full(count + 1, len(values[0]), np.int64)
            offsets[0] = 0
            return cls(data, offsets, True, len(values[0]))
        return cls.from_bytes(data, np.cumsum([0, *map(len, values)]))

    @classmethod
    def from_bytes(cls, data: Bytes, offsets: Ints) -> Side:
        """Take values and where they begin."""
        if len(offsets) < 2:
            return cls(data, offsets, False, 0)
        size = int(offsets[1] - offsets[0])
        if size == 0 or bool((offsets[1:] - offsets[:-1] != size).any()):
            return cls(data, offsets, False, 0)
        values = data[offsets[0] : offsets[-1]].reshape(-1, size)
        constant = values[-1].tobytes() == values[0].tobytes() and bool((values == values[0]).all())
        return cls(data, offsets, constant, size)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def kinds(self) -> Ints:
        """Return the first byte of each."""
        starts = self.offsets[:1] if self.constant else self.offsets[:-1]
        return np.broadcast_to(self.data[starts].astype(np.int64), len(self))

    def kind(self) -> int:
        """Return the first byte of all, or -1 if they differ in kind or size."""
        if not self.size:
            return -1
        firsts = self.data[self.offsets[:1] if self.constant else self.offsets[:-1]]
        first = int(firsts[0])
        return first if self.constant or not (firsts != first).any() else -1

    def all_numbers(self) -> Floats:
        """Return the numbers of all, which are of one size; shape as for `numbers`."""
        start = int(self.offsets[0])
        end = start + self.size * (1 if self.constant else len(self))
        values = self.data[start:end].reshape(-1, self.size)[:, 1:]
        numbers: Floats = np.ascontiguousarray(values).view("<f8")
        return numbers

    def sizes(self) -> Ints:
        """Return the number of bytes of each."""
        if self.size:
            return np.broadcast_to(np.int64(self.size), len(self))
        return np.diff(self.offsets)

    def value(self, row: int) -> bytes:
        """Return one of them."""
        row = 0 if self.constant else row
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def numbers(self, rows: Ints, size: int) -> Floats:
        """Return the numbers of some, all of one kind and size.

        Parameters
        ----------
        rows
            Which ones.
        size
            Bytes of each.

        Returns
        -------
        numbers : `numpy.ndarray`, shape ``(rows, numbers)``
            One row if all values are the same.
        """
        starts = self.offsets[:1] if self.constant else self.offsets[rows]
        first, last = int(starts[0]), int(starts[-1]) + size
        if last - first == len(starts) * size and (len(starts) < 2 or bool(np.all(np.diff(starts) == size))):
            # Side by side, as most often: nothing is gathered.
            parts = np.ascontiguousarray(self.data[first:last].reshape(-1, size)[:, 1:])
        else:
            parts = self.data[starts[:, None] + np.arange(1, size)]
        numbers: Floats = parts.view("<f8")
        return numbers

    def repeats(self) -> Bools:
        """Return whether each is as the one before; never for the first."""
        sizes = self.sizes()
        same = np.zeros(len(self), np.bool_)
        if len(self) < 2:
            return same
        candidates = np.flatnonzero(sizes[1:] == sizes[:-1]) + 1
        for size in np.unique(sizes[candidates]):
            rows = candidates[sizes[candidates] == size]
            here, before = self.offsets[rows], self.offsets[rows - 1]
            # Most that differ do so in their first vertex already.
            alike = np.ones(len(rows), np.bool_)
            for start, end in ((1, min(17, size)), (min(17, size), size)):
                if end > start:
                    left = np.flatnonzero(alike)
                    span = np.arange(start, end)
                    alike[left] = (
                        self.data[here[left, None] + span] == self.data[before[left, None] + span]
                    ).all(axis=1)
            same[rows] = alike & (self.data[here] == self.data[before])
        return same

    def take(self, rows: Ints) -> Side:
        """Return some of them, in ascending order."""
        if self.constant:
            return Side(self.data, self.offsets[: len(rows) + 1], True, self.size)
        if self.size:
            data = self.data[self.offsets[rows][:, None] + np.arange(self.size)].ravel()
            return Side(data, np.arange(len(rows) + 1) * self.size, False, self.size)
        return Side.from_values([self.value(row) for row in rows.tolist()])

    def circles(self) -> tuple[Floats, Floats]:
        """Return middles and radii of circles around them.

        Returns
        -------
        middles : `numpy.ndarray`, shape ``(n, 3)``
        radii : `numpy.ndarray`, shape ``(n,)``
            Radians; half a turn for what is no point, circle or convex
            polygon.
        """
        count = len(self)
        middles, radii = np.tile([0.0, 0.0, 1.0], (count, 1)), np.full(count, np.pi)
        kinds, sizes = self.kinds(), self.sizes()
        for kind, size in {(int(kind), int(size)) for kind, size in zip(kinds, sizes, strict=True)}:
            rows = np.flatnonzero((kinds == kind) & (sizes == size))
            if kind == POINT_TAG[0]:
                middles[rows] = unit_vectors(*self.numbers(rows, size).T)
                radii[rows] = 0.0
            elif kind == ord("c"):
                numbers = self.numbers(rows, size)
                middles[rows], radii[rows] = numbers[:, :3], numbers[:, 4]
            elif kind == ord("p"):
                vertices = self.numbers(rows, size)
                vertices = vertices.reshape(len(vertices), -1, 3)
                sums = vertices.sum(axis=1)
                lengths = np.linalg.norm(sums, axis=1, keepdims=True)
                center = sums / np.maximum(lengths, 1e-300)
                cosines = (vertices * center[:, None, :]).sum(axis=2).min(axis=1)
                middles[rows] = center
                # Rounding of the cosine of a small angle.
                radii[rows] = np.where(cosines > 0.1, np.arccos(np.clip(cosines, -1, 1)) + 3e-8, np.pi)
        return middles, radii
