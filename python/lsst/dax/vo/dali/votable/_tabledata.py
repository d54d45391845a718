"""The rows of TABLEDATA."""

from __future__ import annotations

__all__ = ["DALI_NUMBERS", "escape_text", "format_numbers", "render_rows"]

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._cells import NumberStyle, bytes_of, folded, join_rows, number_text
from .._layout import SCALARS, TEXTS, null_of
from .._table import Column

DALI_NUMBERS = NumberStyle("NaN", "+Inf", "-Inf")
"""VOTable 1.4 (2.1), DALI 1.1 (3.3): NaN, +Inf and -Inf are spelt exactly so."""

# XML 1.0 (2.2) has no way to write these, not even as references.
_ILLEGAL = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
_REFERENCES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))


def render_rows(batch: pa.RecordBatch, columns: Sequence[Column]) -> bytes:
    """Write rows as TR elements.

    Parameters
    ----------
    batch
        The rows.
    columns
        Metadata of the columns.

    Returns
    -------
    content : `bytes`
        UTF-8.
    """
    cells = [
        folded(values, partial(_cell_text, column=column))
        for values, column in zip(batch.columns, columns, strict=True)
    ]
    return join_rows(cells, batch.num_rows, "<TR><TD>", "</TD><TD>", "</TD></TR>\n")


def _cell_text(values: pa.Array, column: Column) -> pa.Array:
    if column.datatype in TEXTS:
        return escape_text(values.fill_null(""))
    return format_numbers(values, column)


def format_numbers(
    values: pa.Array, column: Column, style: NumberStyle = DALI_NUMBERS, *, hole: str | None = None
) -> pa.Array:
    """Return the cells of a column that has no texts, as text.

    Parameters
    ----------
    values
        The column.
    column
        Its metadata.
    style
        How to write them.
    hole
        Stands for a missing element of a list; by default, what VOTable has
        for that.

    Returns
    -------
    texts : `pyarrow.Array`
    """
    layout = SCALARS[column.datatype]
    if layout.kind == "bits":
        values = values.cast(pa.list_(pa.uint8()) if pa.types.is_nested(values.type) else pa.uint8())
    if hole is None:
        hole = {"real": "NaN", "logical": "?", "bits": "0"}.get(layout.kind) or str(null_of(column))
    return number_text(values, style, hole=hole)


def escape_text(texts: pa.Array) -> pa.Array:
    """Return texts as XML has them.

    Parameters
    ----------
    texts
        Array of type ``string``.

    Returns
    -------
    texts : `pyarrow.Array`
        Without the characters that XML cannot hold.
    """
    # Most columns need nothing, and a look at their bytes is far cheaper
    # than a replacement that finds nothing.
    data = bytes_of(texts)
    if not data:
        return texts
    if np.frombuffer(data, np.uint8).min() < 0x20 or b"\xef\xbf" in data:
        texts = pc.replace_substring_regex(texts, _ILLEGAL, "")
    for raw, reference in _REFERENCES:
        if raw.encode() in data:
            texts = pc.replace_substring(texts, raw, reference)
    return texts
