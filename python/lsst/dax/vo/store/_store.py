"""What every kind of store offers."""

from __future__ import annotations

__all__ = ["Store", "Updater", "Writer"]

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import pyarrow as pa

from ..dali import Column
from ._known import Changes
from ._location import Location


class Store(Protocol):
    """One table of a store, as it was when it was opened."""

    @property
    def location(self) -> Location:
        """Where the store is."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """The public columns, in order."""
        ...

    @property
    def properties(self) -> Mapping[str, str]:
        """What the writer told about the table, and ``rows``, their count.

        Of the Butler's own table, whose rows change, without their count.
        """
        ...

    @property
    def is_current(self) -> bool:
        """Whether no other table has taken its place.

        Raises
        ------
        NotFoundError
            Raised if the store is not there any more.
        TransientError
            Raised if it cannot be read now.
        """
        ...


class Writer(Protocol):
    """Writes a table and puts it in the place of the one before.

    A context manager: when its block ends, the rows are sorted along the sky
    and the new table counts.  When the block, or this, raises, or the process
    is killed, the one before does.
    """

    schema: pa.Schema
    """What `write` takes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows.

        Parameters
        ----------
        batch
            Rows with the columns of `schema`, in any order; strings may be
            encoded by dictionaries.

        Raises
        ------
        UsageError
            Raised if a column is missing or of another type, or the disk is
            full.
        """
        ...


class Updater(Writer, Protocol):
    """Changes single rows of a table.

    The caller asks for all datasets that the table is to have whether they
    are fresh, and writes the rows of those that are.  When the block ends,
    rows that were not asked for are removed, and those of fresh datasets
    replaced: at once, as with `Writer`.
    """

    @property
    def changes(self) -> Changes:
        """What has changed."""
        ...

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
            Whether the row of each is to be written.
        """
        ...
