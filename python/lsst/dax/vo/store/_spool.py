"""Rows on their way to a sink: collected, then given back along the sky."""

from __future__ import annotations

__all__ = ["Spool", "sorted_along_sky"]

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa

from ..errors import UsageError
from ..files import Scratch
from ._staging import Staging

# Rows staged in one go, and batches of them that wait while one is staged.
_STAGED_ROWS = 200_000
_STAGED_AHEAD = 1


class Spool:
    """Takes rows, and sorts and writes them in a thread while the next ones are made.

    Parameters
    ----------
    path
        A file that does not exist; the caller removes it in the end.
    schema
        Schema of the rows.
    explained
        Makes errors of the disk ours.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, explained: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._explained = explained
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._staged: deque[Future[None]] = deque()
        with explained():
            self._staging = Staging(path, schema)
        self._thread = ThreadPoolExecutor(1, "staging")

    @property
    def schema(self) -> pa.Schema:
        """Schema of the rows that come back: with box and sort key."""
        return self._staging.schema

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows.

        Parameters
        ----------
        batch
            Rows with the columns of the schema, in any order.

        Raises
        ------
        UsageError
            Raised if a column is missing or of another type, or the disk is
            full.
        """
        try:
            batch = batch.select(self._schema.names).cast(self._schema)
        except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
            raise UsageError(f"These rows do not fit the table: {str(err).splitlines()[0]}") from err
        self._waiting.append(batch)
        if sum(waiting.num_rows for waiting in self._waiting) >= _STAGED_ROWS:
            self._stage()

    def read_sorted(self) -> Iterator[pa.RecordBatch]:
        """Give the rows back, once.

        Returns
        -------
        batches : `~collections.abc.Iterator` [`pyarrow.RecordBatch`]
            All rows along the sky, those without a region last.
        """
        self._stage()
        self._wait(0)
        return self._ahead(self._staging.read_sorted())

    def close(self) -> None:
        """Finish the file, whatever is still to be written."""
        self._thread.shutdown(cancel_futures=True)
        with contextlib.suppress(OSError):
            self._staging.close()

    def _ahead(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Sort the next rows while those before are written."""
        ahead = self._thread.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = self._thread.submit(next, batches, None)
            yield batch

    def _stage(self) -> None:
        rows = pa.Table.from_batches(self._waiting, self._schema)
        self._waiting = []
        if rows.num_rows:
            self._staged.append(self._thread.submit(self._staging.add, rows))
            self._wait(_STAGED_AHEAD)

    def _wait(self, most: int) -> None:
        """Wait until so many batches at most are still to be staged."""
        with self._explained():
            while len(self._staged) > most:
                self._staged.popleft().result()


def sorted_along_sky(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Generator[pa.RecordBatch]:
    """Sort any number of rows.

    Parameters
    ----------
    batches
        The rows; all are taken before the first comes back.
    schema
        Their schema, with the hidden column ``_region``.

    Yields
    ------
    batch : `pyarrow.RecordBatch`
        The rows along the sky, those without a region last.

    Raises
    ------
    UsageError
        Raised if the folder for temporary files is full.
    """
    with _explained():
        scratch = Scratch()
    try:
        with contextlib.closing(Spool(scratch.path / "rows", schema, _explained)) as spool:
            for batch in batches:
                spool.write(batch)
            for batch in spool.read_sorted():
                yield batch.select(schema.names)
    finally:
        scratch.remove()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as err:
        reason = str(err).splitlines()[0]
        raise UsageError(
            f"The rows cannot be kept in the folder for temporary files: {reason}; "
            "name a larger one in TMPDIR"
        ) from err
