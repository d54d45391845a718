"""Cells as bytes: what the binary forms of VOTable and FITS share."""

from __future__ import annotations

__all__ = ["Numbers", "binary_array", "pad_texts", "to_lines", "to_numbers"]

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._cells import bytes_of, list_offsets
from ._layout import Layout

type Numbers = np.ndarray[Any, Any]


def binary_array(content: Numbers, offsets: Numbers) -> pa.Array:
    """Make an array of type ``binary`` of bytes that are there.

    Parameters
    ----------
    content
        The bytes of all cells, as numbers of any kind.
    offsets
        Where cells begin and end, in bytes.

    Returns
    -------
    cells : `pyarrow.Array`
    """
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(content))]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def pad_texts(cells: pa.Array, size: int) -> Numbers:
    """Cut texts, or fill them up with NUL.

    Parameters
    ----------
    cells
        Array of type ``binary``; none is missing.
    size
        Bytes of each.

    Returns
    -------
    lines : `numpy.ndarray` [`numpy.uint8`], shape ``(rows, size)``
    """
    cells = pc.binary_slice(cells, 0, size)
    lengths = pc.binary_length(cells).to_numpy()
    lines = np.zeros((len(cells), size), np.uint8)
    first = np.arange(len(cells)) * size
    places = np.arange(lengths.sum()) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
    lines.reshape(-1)[places] = np.frombuffer(bytes_of(cells), np.uint8)
    return lines


def to_numbers(values: pa.Array, layout: Layout, *, null: int | None, unknown: str) -> Numbers:
    """Return elements as they lie in bytes.

    Parameters
    ----------
    values
        Array of the type that the layout names.
    layout
        What they are.
    null
        Stands for a missing integer.
    unknown
        Character that stands for a missing logical value.

    Returns
    -------
    numbers : `numpy.ndarray`
        Of the layout's code; bits are `bool`.  Missing numbers are NaN, and
        missing bits 0.
    """
    if layout.kind == "real":
        return np.asarray(values.to_numpy(zero_copy_only=False), layout.code)
    if layout.kind == "integer":
        if values.null_count:
            values = values.fill_null(null)
        return np.asarray(values.to_numpy(), layout.code)
    is_true = values.fill_null(False).to_numpy(zero_copy_only=False)
    if layout.kind == "bits":
        return np.asarray(is_true, bool)
    codes = np.where(is_true, ord("T"), ord("F")).astype(np.uint8)
    if values.null_count:
        codes[values.is_null().to_numpy(zero_copy_only=False)] = ord(unknown)
    return codes


def to_lines(values: pa.Array, count: int, layout: Layout, *, null: int | None, unknown: str) -> Numbers:
    """Return lists of one length as lines of elements.

    Parameters
    ----------
    values
        Array of lists.
    count
        Numbers of each.
    layout, null, unknown
        As for `to_numbers`.

    Returns
    -------
    lines : `numpy.ndarray`, shape ``(rows, count)``
        A missing list, and one of another length, has missing elements.
    """
    lengths = np.diff(list_offsets(values).to_numpy())
    numbers = to_numbers(values.flatten(), layout, null=null, unknown=unknown)
    whole = lengths == count
    if whole.all():
        return numbers.reshape(-1, count)
    missing = to_numbers(pa.nulls(1, layout.arrow), layout, null=null, unknown=unknown)
    lines = np.full((len(values), count), missing, numbers.dtype)
    lines[whole] = numbers[np.repeat(whole, lengths)].reshape(-1, count)
    return lines
