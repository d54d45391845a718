"""How VOTable's types lie in bytes: one table for the writer and the reader."""

from __future__ import annotations

__all__ = ["SCALARS", "TEXTS", "Layout", "null_of", "parse_arraysize"]

import math
import re
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from ._table import Column

type Kind = Literal["text", "logical", "bits", "integer", "real"]

TEXTS = {"char": 1, "unicodeChar": 2}
"""Types of characters, and the bytes of one."""

_SIZE = re.compile(r"(?:\d{1,9}x)*(?:\d{1,9}\*?|\*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Layout:
    """One element of a datatype (VOTable 1.4, 2.1 and 6)."""

    kind: Kind
    """How it is written."""

    code: str
    """NumPy's code of one number, big-endian."""

    arrow: pa.DataType
    """What carries one number."""

    parts: int = 1
    """Numbers of one element: two for the complex types."""


SCALARS: dict[str, Layout] = {
    "boolean": Layout("logical", "u1", pa.bool_()),
    "bit": Layout("bits", "u1", pa.bool_()),
    "unsignedByte": Layout("integer", "u1", pa.uint8()),
    "short": Layout("integer", ">i2", pa.int16()),
    "int": Layout("integer", ">i4", pa.int32()),
    "long": Layout("integer", ">i8", pa.int64()),
    "float": Layout("real", ">f4", pa.float32()),
    "double": Layout("real", ">f8", pa.float64()),
    "floatComplex": Layout("real", ">f4", pa.float32(), 2),
    "doubleComplex": Layout("real", ">f8", pa.float64(), 2),
}
"""All types but those of characters."""


def parse_arraysize(text: str | None) -> int | None:
    """Return how many elements a cell holds.

    Parameters
    ----------
    text
        ``n``, ``n*``, ``*``, or these behind ``mx``; `None` for a scalar.

    Returns
    -------
    count : `int` or `None`
        `None` when it differs from cell to cell.

    Raises
    ------
    ValueError
        Raised if the text is none of them.
    """
    if text is None:
        return 1
    if not _SIZE.fullmatch(text):
        raise ValueError(text)
    return None if text.endswith("*") else math.prod(map(int, text.split("x")))


def null_of(column: Column) -> int | None:
    """Return the number that stands for a missing one, where bytes have no flag for it.

    Parameters
    ----------
    column
        A column.

    Returns
    -------
    number : `int` or `None`
        The least one of a signed type, 255 of ``unsignedByte``; `None` for
        types that are not integers.
    """
    layout = SCALARS.get(column.datatype)
    if layout is None or layout.kind != "integer":
        return None
    if column.datatype == "unsignedByte":
        return 255
    bits: int = layout.arrow.bit_width
    return -(1 << (bits - 1))
