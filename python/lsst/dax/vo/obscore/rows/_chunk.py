"""Some datasets of one type, column by column."""

from __future__ import annotations

__all__ = ["Chunk", "Coded", "coded_texts", "repeat"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._formats import id_texts


@dataclass(frozen=True, slots=True)
class Coded:
    """A column as its distinct values and a code for each row."""

    codes: np.ndarray
    """For each row the index of its value."""

    values: Sequence[Any]
    """The distinct values; `None` where there is none."""

    @classmethod
    def of(cls, column: Sequence[Any] | pa.Array) -> Coded:
        """Find the distinct values of a column.

        Parameters
        ----------
        column
            Integers or texts, one for each row.

        Returns
        -------
        coded : `Coded`
        """
        encoded = pa.array(column).dictionary_encode(null_encoding="encode")
        return cls(encoded.indices.to_numpy(), encoded.dictionary.to_pylist())

    def map(self, function: Callable[[Any], Any], kind: pa.DataType) -> pa.Array:
        """Compute a column from the distinct values.

        Parameters
        ----------
        function
            Called once for each distinct value.
        kind
            Type of the result.

        Returns
        -------
        column : `pyarrow.Array`
            One value for each row; of texts their codes and the distinct
            texts (type ``dictionary``), which travel on as they are.
        """
        found = pa.array([function(value) for value in self.values], kind)
        codes = pa.array(self.codes, pa.int32())
        return coded_texts(codes, found) if kind == pa.string() else found.take(codes)

    def take(self, indices: np.ndarray) -> Coded:
        """Choose rows.

        Parameters
        ----------
        indices
            Their numbers.

        Returns
        -------
        coded : `Coded`
        """
        return Coded(self.codes[indices], self.values)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some datasets of one type: what the registry knows about them."""

    dataset_type: str
    """Name of the dataset type."""

    ids: bytes
    """UUIDs, 16 bytes each."""

    run: Coded
    """RUN collections."""

    dimensions: Mapping[str, Coded]
    """Values of all dimensions, required and implied."""

    records: Mapping[str, Coded]
    """Dimension records by element, of the elements that were asked for;
    `None` where the registry has none."""

    regions: pa.Array
    """Encoded regions, NULL without one: ``binary``, or a dictionary of it
    where datasets share regions; or a ``struct`` of what is already known of
    them."""

    times_ns: tuple[pa.Array, pa.Array]
    """Begin and end, TAI nanoseconds; NULL where open."""

    sizes: pa.Array
    """Bytes of each dataset's file; NULL where unknown."""

    @property
    def size(self) -> int:
        """Number of datasets."""
        return len(self.ids) // 16

    def take(self, indices: np.ndarray) -> Chunk:
        """Choose datasets.

        Parameters
        ----------
        indices
            Their numbers.

        Returns
        -------
        chunk : `Chunk`
        """
        rows = pa.array(indices)
        begin, end = self.times_ns
        return Chunk(
            self.dataset_type,
            np.frombuffer(self.ids, "V16")[indices].tobytes(),
            self.run.take(indices),
            {name: column.take(indices) for name, column in self.dimensions.items()},
            {name: column.take(indices) for name, column in self.records.items()},
            self.regions.take(rows),
            (begin.take(rows), end.take(rows)),
            self.sizes.take(rows),
        )

    def id_texts(self) -> pa.Array:
        """Write the UUIDs in their usual form.

        Returns
        -------
        texts : `pyarrow.Array`
        """
        return id_texts(self.ids)


def coded_texts(codes: pa.Array, texts: pa.Array) -> pa.Array:
    """Return a column of texts of which many rows have the same.

    Parameters
    ----------
    codes
        For each row the place of its text.
    texts
        The distinct texts, some of them NULL.

    Returns
    -------
    column : `pyarrow.Array`
        Type ``dictionary``, without NULLs in the dictionary: Arrow cannot
        put such ones together.
    """
    if texts.null_count:
        codes = pc.if_else(texts.is_valid().take(codes), codes, pa.scalar(None, codes.type))
        texts = texts.fill_null("")
    return pa.DictionaryArray.from_arrays(codes, texts)


def repeat(value: Any, kind: pa.DataType, size: int) -> pa.Array:
    """Return a column with the same value in each row.

    Parameters
    ----------
    value
        The value, or `None`.
    kind
        Type of the column.
    size
        Number of rows.

    Returns
    -------
    column : `pyarrow.Array`
        Of texts, their codes and the distinct text.
    """
    if value is None:
        return pa.nulls(size, kind)
    if kind == pa.string():
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), pa.array([value], kind))
    return pa.repeat(pa.scalar(value, kind), size)
