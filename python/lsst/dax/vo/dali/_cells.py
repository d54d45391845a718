"""Rows as text: each cell of a column at once, and each line with one join."""

from __future__ import annotations

__all__ = [
    "NumberStyle",
    "bytes_of",
    "folded",
    "is_same_in_all",
    "iter_pieces",
    "join_rows",
    "list_offsets",
    "number_text",
]

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# A piece of some MB stays in the caches and is soon on its way to the client;
# one that waits for its client is held, with what it was made of.
_BYTES_PER_PIECE = 2 * 2**20
_ROWS_PER_PIECE = 2048


def iter_pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch into pieces that can be rendered at once.

    Parameters
    ----------
    batch
        Rows.

    Yields
    ------
    piece : `pyarrow.RecordBatch`
        Some thousand rows, or fewer if they are wide.
    """
    if not batch.num_rows:
        return
    fitting = _BYTES_PER_PIECE * batch.num_rows // max(batch.nbytes, 1)
    size = max(1, min(_ROWS_PER_PIECE, fitting))
    for start in range(0, batch.num_rows, size):
        yield batch.slice(start, size)


def join_rows(cells: Sequence[pa.Array | str], rows: int, before: str, between: str, after: str) -> bytes:
    """Join cells to lines.

    Parameters
    ----------
    cells
        For each column its texts, without missing ones, or the text that
        stands in all rows.
    rows
        Number of rows.
    before, between, after
        What stands before the first cell, between cells, after the last.

    Returns
    -------
    lines : `bytes`
        UTF-8.
    """
    pieces: list[pa.Array | str] = []
    text = before
    for place, cell in enumerate(cells):
        if place:
            text += between
        if isinstance(cell, str):
            text += cell
        else:
            pieces += [text, cell]
            text = ""
    text += after
    if not pieces:
        return text.encode() * rows
    # The bytes wanted are the data buffer of the joined array.
    return bytes_of(pc.binary_join_element_wise(*pieces, text, ""))


def bytes_of(texts: pa.Array) -> bytes:
    """Return the bytes of texts, one after the other.

    Parameters
    ----------
    texts
        Array of type ``string`` or ``binary``.

    Returns
    -------
    data : `bytes`
    """
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return b""
    first, last = (
        int.from_bytes(offsets[4 * place : 4 * place + 4], "little")
        for place in (texts.offset, texts.offset + len(texts))
    )
    return memoryview(data)[first:last].tobytes()


def is_same_in_all(values: pa.Array) -> bool:
    """Whether a column has one value, or none, in all of its rows.

    Parameters
    ----------
    values
        Any array with at least one row.

    Returns
    -------
    same : `bool`
        `False` also where it is not worth to look: for lists.
    """
    if values.null_count or pa.types.is_nested(values.type):
        return bool(values.null_count == len(values))
    first = values[0]
    if pa.types.is_floating(values.type) and first.as_py() == 0:
        return False  # 0 equals -0, and both are wanted
    # The last row differs where most columns do.
    return first.equals(values[-1]) and bool(pc.all(pc.equal(values, first)).as_py())


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How a format writes what is more than a plain number."""

    nan: str
    """Stands for what is no number."""

    infinity: str
    """Stands for plus infinity."""

    minus_infinity: str
    """Stands for minus infinity."""

    missing: str = ""
    """Stands for a missing value."""

    list_form: tuple[str, str, str] = ("", " ", "")
    """What stands before a list, between its elements and after it."""


def number_text(values: pa.Array, style: NumberStyle, *, hole: str | None = None) -> pa.Array:
    """Return numbers, logical values, or lists of them, as text.

    Parameters
    ----------
    values
        Array of a number type, boolean, or of lists of them.
    style
        How the format writes them.
    hole
        Stands for a missing element of a list, where it is not as for a
        missing value.

    Returns
    -------
    texts : `pyarrow.Array`
        Of type ``string``, none is missing.  The shortest that reads back as
        the same number.
    """
    kind = values.type
    if pa.types.is_list(kind):
        within = style if hole is None else replace(style, missing=hole)
        elements = number_text(values.flatten(), within)
        before, between, after = style.list_form
        texts = pc.binary_join(pa.ListArray.from_arrays(list_offsets(values), elements), between)
        if before or after:
            texts = pc.binary_join_element_wise(before, texts, after, "")
        return pc.if_else(values.is_null(), style.missing, texts)
    texts = values.cast(pa.string())
    if pa.types.is_floating(kind) and not pc.all(pc.is_finite(values), min_count=0).as_py():
        texts = pc.if_else(pc.is_nan(values), style.nan, texts)
        for spelling, wanted in (("inf", style.infinity), ("-inf", style.minus_infinity)):
            texts = pc.if_else(pc.equal(texts, spelling), wanted, texts)
    return texts.fill_null(style.missing) if texts.null_count else texts


def list_offsets(values: pa.Array) -> pa.Array:
    """Return where the lists of an array begin and end among its elements.

    Parameters
    ----------
    values
        Array of lists, perhaps a slice, perhaps with missing ones.

    Returns
    -------
    offsets : `pyarrow.Array`
        Counted from the first element that ``flatten`` gives.
    """
    lengths = pc.fill_null(pc.list_value_length(values), 0).cast(pa.int32())
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])


def folded(values: pa.Array, text_of: Callable[[pa.Array], pa.Array]) -> pa.Array | str:
    """Return the texts of a column, or the one that it has in all rows.

    Parameters
    ----------
    values
        The column.
    text_of
        Makes texts of values.

    Returns
    -------
    texts : `pyarrow.Array` or `str`
    """
    if len(values) > 1 and is_same_in_all(values):
        only: Any = text_of(values.slice(0, 1))[0].as_py()
        return str(only)
    return text_of(values)
