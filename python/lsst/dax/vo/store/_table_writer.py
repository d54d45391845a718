"""Writing a table that is one file, and changing single rows of any table."""

from __future__ import annotations

__all__ = [
    "COLUMNS",
    "FORMATTED",
    "UNSORTED",
    "KnowingUpdater",
    "TableWriter",
    "explaining",
    "id_bytes",
    "plain_ids",
]

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, override

import numpy as np
import pyarrow as pa

from ..dali import Column
from ..errors import UsageError
from ._home import Home
from ._known import Changes, KnownTable, Table
from ._layout import FORMAT_PREFIX, batch_schema, columns_to_text
from ._spool import Spool
from ._store import Updater, Writer

COLUMNS, FORMATTED, UNSORTED = "columns", "formatted", "unsorted"
"""Names of what a table tells about itself, beside the properties."""


class TableWriter(Writer):
    """Writes a table and puts it in the place of the one before.

    A context manager; see `~lsst.dax.vo.store.Writer`.  Rows are collected
    and sorted in a file beside the table.

    Parameters
    ----------
    home
        Where the store is, or will be.
    store
        Its name, for messages.
    columns, properties, formatted
        See `~lsst.dax.vo.store.open_writer`.

    Raises
    ------
    UsageError
        Raised if a column has a type or name that the store cannot hold.
    """

    def __init__(
        self,
        home: Home,
        store: str,
        columns: Sequence[Column],
        properties: Mapping[str, str],
        *,
        formatted: Collection[str] = (),
    ) -> None:
        self.schema = batch_schema(columns, formatted=formatted)
        self._home = home
        self._store = store
        self._columns = tuple(columns)
        self._formatted = frozenset(formatted)
        self._properties = dict(properties)

    def __enter__(self) -> Self:
        self._table = self._home.enter()
        try:
            self._spool = Spool(self._table.with_suffix(".staged"), self.schema, self._explained)
        except BaseException:
            self._home.leave(discard=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        done = False
        try:
            if kind is None:
                with self._explained():
                    self._commit()
                done = True
        finally:
            try:
                self._spool.close()
            finally:
                self._home.leave(discard=not done)

    @override
    def write(self, batch: pa.RecordBatch) -> None:
        # Docstring inherited.
        self._spool.write(batch)

    def _commit(self) -> None:
        self._fill(self._spool.read_sorted())
        self._home.publish(self._table)

    @abstractmethod
    def _fill(self, ordered: Iterable[pa.RecordBatch]) -> None:
        """Make the table, of rows along the sky."""

    def _explained(self) -> AbstractContextManager[None]:
        return explaining(self._store, pa.ArrowException, OSError)

    def _told(self, count: int, *, unsorted: int = 0) -> dict[str, str]:
        """Return all that a table tells about itself."""
        return self._properties | {
            "rows": str(count),
            COLUMNS: columns_to_text(self._columns),
            FORMATTED: ",".join(sorted(self._formatted)),
            UNSORTED: str(unsorted),
        }

    def _stored_name(self, name: str) -> str:
        """Return the name that a column has in the table."""
        return FORMAT_PREFIX + name if name in self._formatted else name

    def _storable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Name columns and types as the table has them."""
        arrays = list(batch.columns)
        place = batch.schema.get_field_index("_id")
        arrays[place] = pa.ExtensionArray.from_storage(pa.uuid(), arrays[place])
        return pa.RecordBatch.from_arrays(arrays, [self._stored_name(name) for name in batch.schema.names])


class KnowingUpdater(Updater):
    """What all updaters share; comes before the writer among the bases."""

    _columns: tuple[Column, ...]
    _properties: dict[str, str]
    # A collection of texts, of which kind the writer says.
    _formatted: Any
    _explained: Callable[[], AbstractContextManager[None]]

    def __enter__(self) -> Self:
        # That of the writer, the next one among the bases.
        super().__enter__()  # type: ignore[safe-super]
        try:
            with self._explained():
                base, ids, prints = self._read_base()
                self._known = KnownTable(
                    base,
                    ids,
                    prints,
                    columns=self._columns,
                    properties=self._properties,
                    formatted=self._formatted,
                )
        except BaseException:
            self.__exit__(UsageError, None, None)
            raise
        return self

    @property
    @override
    def changes(self) -> Changes:
        # Docstring inherited.
        return self._known.changes

    @override
    def find_fresh(self, ids: bytes, prints: pa.Array) -> np.ndarray:
        # Docstring inherited.
        return self._known.find_fresh(ids, prints)

    @abstractmethod
    def _read_base(self) -> tuple[Table, bytes, np.ndarray]:
        """Return the table as it is, and ids and fingerprints of its rows."""


@contextlib.contextmanager
def explaining(store: str, *kinds: type[Exception]) -> Iterator[None]:
    """Make errors ours.

    Parameters
    ----------
    store
        Name of the store.
    *kinds
        What cannot be written raises.

    Yields
    ------
    nothing : `None`

    Raises
    ------
    UsageError
        Raised in the place of one of these.
    """
    try:
        yield
    except kinds as err:
        raise UsageError(f"The store {store} cannot be written: {str(err).splitlines()[0]}") from err


def id_bytes(column: pa.ChunkedArray) -> bytes:
    """Return UUIDs.

    Parameters
    ----------
    column
        Of type ``uuid``, or 16 bytes each.

    Returns
    -------
    ids : `bytes`
        16 for each.
    """
    ids = pa.chunked_array([plain_ids(chunk) for chunk in column.chunks], pa.binary(16))
    content = ids.combine_chunks()
    if isinstance(content, pa.ChunkedArray):
        content = pa.concat_arrays(content.chunks or [pa.array([], pa.binary(16))])
    start = 16 * content.offset
    data = memoryview(content.buffers()[1]) if len(content) else memoryview(b"")
    return bytes(data[start : start + 16 * len(content)])


def plain_ids(column: pa.Array) -> pa.Array:
    """Return UUIDs as 16 bytes each.

    Parameters
    ----------
    column
        Of type ``uuid``, or 16 bytes each.

    Returns
    -------
    ids : `pyarrow.FixedSizeBinaryArray`
    """
    return column.storage if isinstance(column, pa.ExtensionArray) else column
