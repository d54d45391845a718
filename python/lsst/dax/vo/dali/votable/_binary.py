"""The rows of BINARY and BINARY2, and their base64.

A row is made of blocks of cells of fixed size, each a record of NumPy, with
the cells of variable size between them; the length of such a cell belongs to
the block before it.  One join then makes all rows.
"""

from __future__ import annotations

__all__ = ["Base64Stream", "encode_rows"]

import binascii
import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._bytes import Numbers, binary_array, pad_texts, to_lines, to_numbers
from .._cells import bytes_of, is_same_in_all, list_offsets
from .._layout import SCALARS, TEXTS, null_of, parse_arraysize
from .._table import Column

# The missing logical value (VOTable 1.4, 6).
_UNKNOWN = "?"
# Of char, a byte is a character (VOTable 1.4, 2.1); astropy reads no table in
# which one is not ASCII.
_NOT_ASCII = r"[^\x00-\x7f]"


def encode_rows(batch: pa.RecordBatch, columns: Sequence[Column], *, has_flags: bool) -> bytes:
    """Write rows as bytes.

    Parameters
    ----------
    batch
        The rows.
    columns
        Metadata of the columns.
    has_flags
        Whether each row begins with the flags of its missing values
        (BINARY2).  Without them an integer is missing when it is
        `null_of` its column, a text when it is empty, and a number when it
        is NaN.

    Returns
    -------
    content : `bytes`
    """
    rows = _Rows(batch.num_rows)
    if has_flags:
        rows.add_fixed(_null_flags(batch))
    for values, column in zip(batch.columns, columns, strict=True):
        if column.datatype in TEXTS:
            _add_texts(rows, values, column)
        else:
            _add_numbers(rows, values, column)
    return rows.join()


class Base64Stream:
    """Encodes bytes as they come."""

    def __init__(self) -> None:
        self._rest = b""

    def encode(self, content: bytes) -> bytes:
        """Encode all that makes whole groups of three bytes.

        Parameters
        ----------
        content
            The next bytes.

        Returns
        -------
        text : `bytes`
            A line.
        """
        content = self._rest + content
        whole = len(content) // 3 * 3
        self._rest = content[whole:]
        return binascii.b2a_base64(memoryview(content)[:whole])

    def end(self) -> bytes:
        """Encode what is left.

        Returns
        -------
        text : `bytes`
            A line.
        """
        return binascii.b2a_base64(self._rest)


class _Rows:
    """Cells that become rows."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._block: list[Numbers | bytes] = []
        self._pieces: list[pa.Array] = []

    def add_fixed(self, cells: Numbers | bytes) -> None:
        """Add cells of one size: one value, or one line, for each row; or the bytes that all rows have."""
        self._block.append(cells)

    def add_variable(self, counts: Numbers, cells: pa.Array) -> None:
        """Add cells of type ``binary`` and the numbers of their elements."""
        self._block.append(counts.astype(">i4"))
        self._end_block()
        self._pieces.append(cells)

    def join(self) -> bytes:
        """Return the bytes of all rows."""
        self._end_block()
        return bytes_of(pc.binary_join_element_wise(*self._pieces, pa.scalar(b"", pa.binary())))

    def _end_block(self) -> None:
        if not self._block:
            return
        fields = [
            (f"f{place}", f"V{len(cells)}")
            if isinstance(cells, bytes)
            else (f"f{place}", cells.dtype, cells.shape[1:])
            for place, cells in enumerate(self._block)
        ]
        block = np.empty(self._rows, np.dtype(fields))
        for place, cells in enumerate(self._block):
            block[f"f{place}"] = np.void(cells) if isinstance(cells, bytes) else cells
        self._pieces.append(binary_array(block, np.arange(self._rows + 1) * block.dtype.itemsize))
        self._block = []


def _null_flags(batch: pa.RecordBatch) -> Numbers:
    flags = np.zeros((batch.num_rows, batch.num_columns), bool)
    for place, values in enumerate(batch.columns):
        if values.null_count:
            flags[:, place] = values.is_null().to_numpy(zero_copy_only=False)
    return np.packbits(flags, axis=1)


def _add_texts(rows: _Rows, texts: pa.Array, column: Column) -> None:
    count = parse_arraysize(column.arraysize)
    width = TEXTS[column.datatype]
    if width == 1 and pc.any(pc.invert(pc.string_is_ascii(texts)), min_count=0).as_py():
        texts = pc.replace_substring_regex(texts, _NOT_ASCII, "?")
    if count is None and len(texts) and is_same_in_all(texts):
        data = (texts[0].as_py() or "").encode("ascii" if width == 1 else "utf-16-be")
        rows.add_fixed((len(data) // width).to_bytes(4, "big") + data)
        return
    texts = texts.fill_null("") if texts.null_count else texts
    cells = texts.cast(pa.binary()) if width == 1 else _utf_16(texts)
    if count is None:
        rows.add_variable(pc.binary_length(cells).to_numpy() // width, cells)
        return
    rows.add_fixed(pad_texts(cells, count * width))


def _utf_16(texts: pa.Array) -> pa.Array:
    data = bytes_of(texts)
    content = np.frombuffer(data, np.uint8)
    # In UTF-8 each character has one byte that is not 10xxxxxx; those of four
    # bytes take two units of UTF-16.
    units = ((content & 0xC0) != 0x80).astype(np.int64) + (content >= 0xF0)
    ends = np.concatenate([[0], np.cumsum(units)])
    offsets = np.concatenate([[0], np.cumsum(pc.binary_length(texts).to_numpy())])
    return binary_array(np.frombuffer(data.decode().encode("utf-16-be"), np.uint8), 2 * ends[offsets])


def _add_numbers(rows: _Rows, values: pa.Array, column: Column) -> None:
    layout = SCALARS[column.datatype]
    null = null_of(column)
    is_packed = layout.kind == "bits"
    if not pa.types.is_nested(values.type):
        numbers = to_numbers(values, layout, null=null, unknown=_UNKNOWN)
        rows.add_fixed(np.packbits(numbers[:, None], axis=1) if is_packed else numbers)
        return
    count = parse_arraysize(column.arraysize)
    if count is not None:
        lines = to_lines(values, count * layout.parts, layout, null=null, unknown=_UNKNOWN)
        rows.add_fixed(np.packbits(lines, axis=1) if is_packed else lines)
        return
    numbers = to_numbers(values.flatten(), layout, null=null, unknown=_UNKNOWN)
    offsets = list_offsets(values).to_numpy()
    if is_packed:
        lists = [np.packbits(numbers[start:end]).tobytes() for start, end in itertools.pairwise(offsets)]
        rows.add_variable(np.diff(offsets), pa.array(lists, pa.binary()))
        return
    rows.add_variable(np.diff(offsets) // layout.parts, binary_array(numbers, offsets * numbers.itemsize))
