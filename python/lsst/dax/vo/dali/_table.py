"""What a table of results is, before it has a format."""

from __future__ import annotations

__all__ = ["Column", "ResultTable", "RowLimit", "Table", "arrow_type"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

_SCALARS = {
    "boolean": pa.bool_(),
    "unsignedByte": pa.uint8(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bit": pa.bool_(),
}
# Two numbers each: complex numbers are lists.
_COMPLEX = {"floatComplex": pa.float32(), "doubleComplex": pa.float64()}


@dataclass(frozen=True, slots=True)
class Column:
    """The metadata of one column, as VOTable and TAP_SCHEMA have them."""

    name: str
    """Name, in the spelling that answers use."""

    datatype: str
    """VOTable type word: ``char int long float double boolean short …``."""

    description: str = ""
    """One sentence."""

    arraysize: str | None = None
    """``*``, ``n``, ``n*`` …; `None` for a scalar (never ``1``)."""

    xtype: str | None = None
    """DALI xtype, or ``adql:REGION`` for the STC-S text of ``s_region``."""

    unit: str | None = None
    """VOUnits text; `None` for a pure number."""

    ucd: str | None = None
    """UCD1+ words."""

    utype: str | None = None
    """Utype; ObsCore's carry the prefix ``obscore:``."""

    principal: bool = False
    """Shown by clients at first sight (TAP_SCHEMA)."""

    indexed: bool = False
    """Whether a search on it is fast (TAP_SCHEMA)."""

    std: bool = False
    """Whether a standard defines it (TAP_SCHEMA)."""

    ref: str | None = None
    """XML ID of the COOSYS (``icrs``) or TIMESYS (``utc``) it refers to."""

    xml_id: str | None = None
    """XML ID by which a service descriptor refers to it."""


@dataclass(frozen=True, slots=True)
class Table:
    """The metadata of one published table."""

    schema: str
    """Name of its schema, for example ``ivoa``."""

    name: str
    """Qualified name as a query may write it, for example ``ivoa.ObsCore``."""

    columns: tuple[Column, ...]
    """Its columns, in order."""

    description: str = ""
    """One sentence."""

    utype: str | None = None
    """For example ``ivo://ivoa.net/std/ObsCore#core-1.1``."""


def _do_nothing() -> None:
    """Stop nothing: rows that are there already come from no query."""


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Rows on their way to a client.

    The batches are lazy and are read once; whoever reads them last owns them.
    """

    columns: tuple[Column, ...]
    """Metadata, one for each column of the batches."""

    batches: Iterator[pa.RecordBatch]
    """The rows; may hold more than ``maxrec`` of them, which marks overflow."""

    maxrec: int | None = None
    """Rows that may be sent; `None` for no limit."""

    cancel: Callable[[], None] = _do_nothing
    """Stops the query that makes the rows: from any thread, at any time, also
    twice.  Whoever waits for a batch then gets an error."""


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type that carries a column.

    Parameters
    ----------
    column
        The column's metadata.

    Returns
    -------
    type : `pyarrow.DataType`
        Text is ``string``, numeric arrays are lists of their scalar, and a
        complex number is a list of its two parts.
    """
    if column.datatype in ("char", "unicodeChar"):
        return pa.string()
    if column.datatype in _COMPLEX:
        return pa.list_(_COMPLEX[column.datatype])
    scalar = _SCALARS[column.datatype]
    return scalar if column.arraysize is None else pa.list_(scalar)


class RowLimit:
    """Pass at most ``maxrec`` rows on, and know afterwards if there were more.

    The arrays of the batches that it gives have the types that `arrow_type`
    says, whatever carried the values before: dictionaries, views, decimals.

    Parameters
    ----------
    table
        Rows and their limit.
    """

    def __init__(self, table: ResultTable) -> None:
        self._table = table
        self._types = [arrow_type(column) for column in table.columns]
        self.overflow = False
        """Whether rows were left out; final once the iteration has ended.

        With ``maxrec`` 0 it is `True`: DALI 1.1 (4.4.1) wants the mark on an
        answer that holds the metadata alone.
        """

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        left = self._table.maxrec
        if left == 0:
            self.overflow = True
            return
        for batch in self._table.batches:
            if left is None:
                yield self._conform(batch)
                continue
            if batch.num_rows > left:
                self.overflow = True
                if left:
                    yield self._conform(batch.slice(0, left))
                return
            left -= batch.num_rows
            yield self._conform(batch)

    def _conform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.schema.types == self._types:
            return batch
        arrays = list(map(pa.Array.cast, batch.columns, self._types))
        return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
