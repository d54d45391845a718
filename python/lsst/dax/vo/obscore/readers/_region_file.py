"""Regions with the columns that describe them, in a file: memory stays flat.

The file is a temporary one without a name, which goes with its process.
"""

from __future__ import annotations

__all__ = ["DESCRIBED", "RegionFile"]

import mmap
import tempfile
import weakref
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import UsageError
from ..rows._fingerprints import hash_binaries
from ..rows._regions import REGION_COLUMNS, describe_regions

DESCRIBED: pa.DataType = pa.struct({**REGION_COLUMNS, "_print": pa.uint64(), "_damaged": pa.bool_()})
"""What is known of a region: the columns of `describe_regions`, the hash of
its encoding, and whether that is damaged."""

# An entry of the file is made of words of eight bytes: this, then the text and
# the encoding, each filled up.
_WORD = 8
_HEAD = np.dtype(
    [
        ("text_words", "<u4"),
        ("region_bytes", "<u4"),
        ("has_text", "u1"),
        ("has_region", "u1"),
        ("damaged", "u1"),
        ("_", "V5"),
        ("numbers", "<f8", 3),
        ("print", "<u8"),
    ]
)
_PADDING = "\0"
_NUMBERS = ("s_ra", "s_dec", "s_fov")


class RegionFile:
    """Describes regions, and keeps what it finds."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._words = 0

    def append(self, encoded: pa.Array) -> np.ndarray:
        """Describe regions and keep them.

        Parameters
        ----------
        encoded
            Encoded regions (``binary``), NULL where there is none.

        Returns
        -------
        places : `numpy.ndarray` [`int64`]
            Where each is in the file.

        Raises
        ------
        UsageError
            Raised if there is no room in the folder of temporary files.
        """
        columns, damaged = describe_regions(encoded)
        sizes = pc.binary_length(encoded).fill_null(0).to_numpy()
        heads = np.zeros(len(encoded), _HEAD)
        heads["has_text"] = columns["s_region"].is_valid().to_numpy(zero_copy_only=False)
        heads["has_region"] = columns["_region"].is_valid().to_numpy(zero_copy_only=False)
        heads["region_bytes"] = np.where(heads["has_region"], sizes, 0)
        heads["damaged"][damaged] = True
        for number, name in enumerate(_NUMBERS):
            heads["numbers"][:, number] = columns[name].to_numpy(zero_copy_only=False)
        heads["print"] = hash_binaries(encoded)
        places = np.empty(len(encoded), np.int64)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            # Nearly all are of one size.
            for size in np.unique(heads["region_bytes"]).tolist():
                rows = np.flatnonzero(heads["region_bytes"] == size)
                whole = len(rows) == len(heads)
                texts, regions = (
                    columns[name] if whole else columns[name].take(pa.array(rows))
                    for name in ("s_region", "_region")
                )
                entries = _entries(heads if whole else heads[rows], texts, regions)
                self._file.write(entries)
                places[rows] = self._words + np.arange(len(rows)) * entries.shape[1]
                self._words += entries.size
            self._file.flush()
        except OSError as err:
            raise UsageError(
                f"The folder of temporary files {tempfile.gettempdir()} cannot be written: "
                f"{err.strerror or err}; name a larger one in TMPDIR, it takes some 250 bytes for each region"
            ) from err
        return places

    def take(self, places: np.ndarray) -> pa.StructArray:
        """Return what is known of regions.

        Parameters
        ----------
        places
            Where they are; none of them may be there twice or often.

        Returns
        -------
        described : `pyarrow.StructArray`
            Of type `DESCRIBED`, one entry for each place.
        """
        words = self._map()
        heads = _gather(words, places, _HEAD.itemsize // _WORD).view(_HEAD).reshape(-1)
        layouts = heads["text_words"].astype(np.uint64) << np.uint64(32) | heads["region_bytes"]
        pieces, order = [], []
        for layout in np.unique(layouts).tolist():
            rows = np.flatnonzero(layouts == layout)
            length = _length(layout >> 32, layout & 0xFFFFFFFF)
            pieces.append(_described(heads[rows], _gather(words, places[rows], length)))
            order.append(rows)
        if len(pieces) == 1:
            return pieces[0]
        if not pieces:
            return pa.array([], DESCRIBED)
        return pa.concat_arrays(pieces).take(pa.array(np.argsort(np.concatenate(order))))

    def _map(self) -> np.ndarray:
        """Map the file anew: pages that stay mapped count as memory of the process."""
        if self._file is None:
            return np.empty(0, np.uint64)
        mapped = mmap.mmap(self._file.fileno(), self._words * _WORD, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, np.uint64)


def _length(text_words: int, region_bytes: int) -> int:
    return _HEAD.itemsize // _WORD + text_words - (-region_bytes // _WORD)


def _gather(words: np.ndarray, places: np.ndarray, length: int) -> np.ndarray:
    """Copy so many words from each place."""
    if not len(places):
        return np.empty((0, length), np.uint64)
    # Elements that overlap: five times as fast as rows of a sliding window.
    count = len(words) - length + 1
    windows = np.ndarray((count,), f"V{length * _WORD}", words, strides=(_WORD,))
    found: np.ndarray = windows[places].view(np.uint64).reshape(-1, length)
    return found


def _entries(heads: np.ndarray, texts: pa.Array, regions: pa.Array) -> np.ndarray:
    """Lay entries out, whose encodings are of one size."""
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    text_words = -(-longest // _WORD)
    region_bytes = int(heads["region_bytes"][0])
    heads = heads.copy()
    heads["text_words"] = text_words
    begin = _HEAD.itemsize + text_words * _WORD
    content = np.zeros((len(heads), _length(text_words, region_bytes) * _WORD), np.uint8)
    content[:, : _HEAD.itemsize] = heads.view(np.uint8).reshape(len(heads), -1)
    padded = pc.ascii_rpad(texts.fill_null(""), text_words * _WORD, _PADDING)
    content[:, _HEAD.itemsize : begin] = _content(padded).reshape(len(heads), -1)
    content[:, begin : begin + region_bytes] = _content(regions.fill_null(b"")).reshape(len(heads), -1)
    entries: np.ndarray = content.view(np.uint64)
    return entries


def _content(column: pa.Array) -> np.ndarray:
    """Return the bytes of texts or encodings, one after the other."""
    _, offsets, data = column.buffers()
    if data is None:
        return np.empty(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


def _described(heads: np.ndarray, entries: np.ndarray) -> pa.StructArray:
    """Read entries of one layout."""
    content = entries.view(np.uint8)
    begin = _HEAD.itemsize + int(heads["text_words"][0]) * _WORD
    end = begin + int(heads["region_bytes"][0])
    texts = _of_one_size(pa.string(), heads["has_text"], content[:, _HEAD.itemsize : begin])
    fields = [
        pa.array(np.ascontiguousarray(heads["numbers"][:, number]), from_pandas=True)
        for number in range(len(_NUMBERS))
    ]
    fields += [
        pc.ascii_rtrim(texts, _PADDING),
        _of_one_size(pa.binary(), heads["has_region"], content[:, begin:end]),
        pa.array(np.ascontiguousarray(heads["print"])),
        pa.array(heads["damaged"].astype(bool)),
    ]
    return pa.StructArray.from_arrays(fields, fields=list(DESCRIBED))


def _of_one_size(kind: pa.DataType, there: np.ndarray, content: np.ndarray) -> pa.Array:
    rows, size = content.shape
    ends = np.arange(rows + 1, dtype=np.int32) * np.int32(size)
    mask = None if there.all() else pa.py_buffer(np.packbits(there.astype(bool), bitorder="little"))
    buffers = [mask, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(content))]
    return pa.Array.from_buffers(kind, rows, buffers)
