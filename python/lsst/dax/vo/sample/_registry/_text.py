"""Columns of text made of numbers, without a Python object for each value."""

__all__ = ["base64_column", "fixed_width", "hex_column", "make_ids"]

import numpy as np
import pyarrow as pa

from ._sky import Integers

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_BASE64 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)

type Bytes = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


def make_ids(milliseconds: Integers, order: Integers, rng: np.random.Generator) -> Bytes:
    """Make identifiers as the Butler does: UUIDs of version 7.

    Parameters
    ----------
    milliseconds
        When each dataset came in, since 1970.
    order
        Its number within that millisecond, below 256.
    rng
        Source of chance.

    Returns
    -------
    ids : `numpy.ndarray`
        Sixteen bytes for each; none is twice.
    """
    size = len(milliseconds)
    ids = np.empty((size, 2), ">u8")
    chance = rng.integers(0, 1 << 62, size, dtype=np.uint64)
    ids[:, 0] = (milliseconds << 16) | (7 << 12) | (order << 4) | (chance & np.uint64(15)).astype(np.int64)
    ids[:, 1] = chance | np.uint64(1 << 63)
    return ids.view(np.uint8).reshape(size, 16)


def hex_column(rows: Bytes) -> pa.StringArray:
    """Write bytes as hexadecimal text.

    Parameters
    ----------
    rows
        As many bytes for each row.
    """
    text = np.empty((len(rows), rows.shape[1] * 2), np.uint8)
    text[:, 0::2] = _HEX[rows >> 4]
    text[:, 1::2] = _HEX[rows & 15]
    return fixed_width(text)


def base64_column(rows: Bytes) -> pa.StringArray:
    """Write bytes as base64.

    Parameters
    ----------
    rows
        As many bytes for each row.
    """
    size, length = rows.shape
    groups = -(-length // 3)
    padded = np.zeros((size, groups * 3), np.uint8)
    padded[:, :length] = rows
    first, second, third = (padded[:, offset::3] for offset in range(3))
    text = np.empty((size, groups, 4), np.uint8)
    text[..., 0] = _BASE64[first >> 2]
    text[..., 1] = _BASE64[(first & 3) << 4 | second >> 4]
    text[..., 2] = _BASE64[(second & 15) << 2 | third >> 6]
    text[..., 3] = _BASE64[third & 63]
    flat = text.reshape(size, groups * 4)
    if missing := groups * 3 - length:
        flat[:, -missing:] = ord("=")
    return fixed_width(flat)


def fixed_width(text: Bytes) -> pa.StringArray:
    """Make a column of ASCII text, as long in each row.

    Parameters
    ----------
    text
        The characters.
    """
    size, length = text.shape
    offsets = np.arange(size + 1, dtype=np.int32) * np.int32(length)
    return pa.StringArray.from_buffers(size, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))
