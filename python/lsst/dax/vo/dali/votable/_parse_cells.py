"""The cells of TABLEDATA: from texts to Arrow, a column at a time."""

from __future__ import annotations

__all__ = ["parse_cells", "without_nan"]

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ...errors import UsageError, quoted
from .._layout import SCALARS, TEXTS, parse_arraysize
from .._table import Column, arrow_type

_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def parse_cells(column: Column, null: str | None, cells: Sequence[str]) -> pa.Array:
    """Convert the texts of a column.

    Parameters
    ----------
    column
        Its metadata.
    null
        Text that stands for a missing number.
    cells
        The texts; an empty one is a missing value.

    Returns
    -------
    values : `pyarrow.Array`

    Raises
    ------
    UsageError
        Raised if a text is none of the column's type.
    """
    texts = pa.array(cells, pa.string())
    if column.datatype in TEXTS:
        return pc.if_else(pc.equal(texts, ""), None, texts)
    texts = pc.ascii_trim_whitespace(texts)
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    if not pa.types.is_list(arrow_type(column)):
        return without_nan(_parse_scalars(column, null, texts))
    if column.datatype == "bit":
        # Its digits need no blanks between them.
        texts = pc.replace_substring_regex(pc.replace_substring(texts, " ", ""), "([01])", r"\1 ")
        texts = pc.ascii_trim_whitespace(texts)
    words = pc.ascii_split_whitespace(texts)
    count = parse_arraysize(column.arraysize)
    parts = SCALARS[column.datatype].parts
    lengths = pc.list_value_length(words)
    wrong = pc.not_equal(pc.bit_wise_and(lengths, parts - 1), 0)
    if count is not None:
        wrong = pc.not_equal(lengths, count * parts)
    if pc.any(wrong, min_count=0).as_py():
        wanted = "an even number of" if count is None else f"{count * parts}"
        raise _refuse(column, texts.filter(wrong)[0].as_py(), f"{wanted} numbers with blanks between them")
    numbers = _parse_scalars(column, null, words.flatten())
    offsets = pc.cumulative_sum(pc.fill_null(lengths, 0))
    offsets = pa.concat_arrays([pa.array([0], offsets.type), offsets])
    return pa.ListArray.from_arrays(offsets, numbers, mask=words.is_null())


def without_nan(values: pa.Array) -> pa.Array:
    """Make missing values of those that are no number, which VOTable has for that.

    Parameters
    ----------
    values
        Values of a column of scalars.

    Returns
    -------
    values : `pyarrow.Array`
    """
    return pc.if_else(pc.is_nan(values), None, values) if pa.types.is_floating(values.type) else values


def _parse_scalars(column: Column, null: str | None, texts: pa.Array) -> pa.Array:
    layout = SCALARS[column.datatype]
    if layout.kind in ("logical", "bits"):
        return _parse_booleans(column, texts)
    if null is not None and null.strip():
        texts = pc.if_else(pc.equal(texts, null.strip()), None, texts)
    if layout.kind == "integer" and pc.any(pc.starts_with(texts, "+"), min_count=0).as_py():
        texts = pc.replace_substring_regex(texts, r"^\+", "")
    try:
        return texts.cast(layout.arrow)
    except pa.ArrowInvalid:
        raise _refuse(
            column, _find_wrong(texts, layout.arrow), f"a number of type {column.datatype}"
        ) from None


def _parse_booleans(column: Column, texts: pa.Array) -> pa.Array:
    distinct = pc.dictionary_encode(texts)
    values: list[bool | None] = []
    for text in distinct.dictionary.to_pylist():
        value = _BOOLEANS.get(text.lower())
        if value is None and text != "?":
            raise _refuse(column, text, "true, false, T, F, 1, 0 or ?")
        values.append(value)
    return pa.array(values, pa.bool_()).take(distinct.indices)


def _find_wrong(texts: pa.Array, kind: pa.DataType) -> str:
    # Halving finds the first text that cannot be cast.
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            texts.slice(low, middle - low).cast(kind)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return str(texts[low].as_py())


def _refuse(column: Column, text: str, wanted: str) -> UsageError:
    return UsageError(
        f"The column {quoted(column.name)} of the VOTable has a cell with {quoted(text)}; give {wanted}"
    )
