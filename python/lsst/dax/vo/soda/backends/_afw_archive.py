"""The archive in files of afw: its objects as rows of tables, without afw.

An index says of each object its class and in which tables its rows are.
Nothing here makes objects, and what an object keeps as a pickle stays bytes.
"""

from __future__ import annotations

__all__ = ["Archive", "Persisted", "Row", "read_archive"]

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._fits_file import FitsFile
from ._hdu import Hdu

type Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
type Row = Mapping[str, Array]
"""Values of one row by column, arrays of any length; native, texts as bytes."""

_TFORM = re.compile(r"(\d{0,9})([LXBIJKAED]|[PQ][LBIJKED])(?:\(\d*\))?")
_KINDS = {"L": "S1", "X": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}

# Columns of the index; their names were spelled in two ways.
_INDEX = np.dtype(
    [
        ("id", ">i4"),
        ("table", ">i4"),
        ("part", ">i4"),
        ("row0", ">i4"),
        ("rows", ">i4"),
        ("name", "S64"),
        ("module", "S64"),
    ]
)


@dataclass(frozen=True, slots=True)
class Persisted:
    """An object of the archive."""

    name: str
    """Its class."""

    parts: tuple[tuple[Row, ...], ...]
    """Its rows, table by table."""


class Archive:
    """The objects of a file.

    Parameters
    ----------
    file
        The file.
    number
        Which HDU is the index, counted from 0.
    """

    def __init__(self, file: FitsFile, number: int) -> None:
        self._file = file
        self._number = number
        index = file.hdu(number)
        if index is None or index.header.text("EXTTYPE") not in ("ARCHIVE_INDEX", ""):
            raise file.source.truncated()
        data, count = file.read_data(index), index.header.integer("NAXIS2") or 0
        if index.header.integer("NAXIS1") != _INDEX.itemsize or not 0 <= count * _INDEX.itemsize <= len(data):
            raise file.source.truncated()
        self._index: Any = np.frombuffer(data, _INDEX, count)

    def class_of(self, number: int) -> str | None:
        """Return the class of an object, without reading it.

        Parameters
        ----------
        number
            Its id.

        Returns
        -------
        name : `str` or `None`
            `None` if there is no such object.
        """
        found = self._index[self._index["id"] == number]
        return _text(found["name"][0]) if len(found) else None

    def classes(self) -> frozenset[str]:
        """Return the classes of all objects."""
        return frozenset(_text(name) for name in self._index["name"].tolist())

    def find(self, name: str) -> list[int]:
        """Return the ids of the objects of a class.

        Parameters
        ----------
        name
            The class.

        Returns
        -------
        numbers : `list` [`int`]
        """
        found = [_text(text) == name for text in self._index["name"].tolist()]
        return list(dict.fromkeys(self._index["id"][found].tolist()))

    def get(self, number: int) -> Persisted:
        """Read an object.

        Parameters
        ----------
        number
            Its id.

        Returns
        -------
        persisted : `Persisted`

        Raises
        ------
        UnsupportedError
            Raised if there is no such object, or the file is damaged.
        """
        name = self.class_of(number)
        if name is None:
            raise self._file.source.truncated()
        entries = self._index[self._index["id"] == number]
        parts = [self._rows(entry) for entry in entries[np.argsort(entries["part"])]]
        return Persisted(name, tuple(parts))

    def _rows(self, entry: Any) -> tuple[Row, ...]:
        table, row0, count = (int(entry[key]) for key in ("table", "row0", "rows"))
        if count == 0:
            return ()
        hdu = self._file.hdu(self._number + table) if table > 0 else None
        if hdu is None:
            raise self._file.source.truncated()
        return tuple(_read_rows(self._file, hdu, row0, count))


def read_archive(file: FitsFile) -> Archive | None:
    """Find the archive of a file.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    archive : `Archive` or `None`
        `None` if it has none.

    Raises
    ------
    UnsupportedError
        Raised if it is damaged.
    """
    number = file.primary.header.integer("AR_HDU")
    return None if number is None else Archive(file, number - 1)


def _read_rows(file: FitsFile, hdu: Hdu, row0: int, count: int) -> list[Row]:
    header = hdu.header
    width, height = header.integer("NAXIS1") or 0, header.integer("NAXIS2") or 0
    fields: list[tuple[str, str, int, int]] = []
    at = 0
    for number in range(1, min(header.integer("TFIELDS") or 0, 999) + 1):
        form = _TFORM.fullmatch(header.text(f"TFORM{number}"))
        if form is None:
            raise file.source.truncated()
        repeat, code = int(form[1] or 1), form[2]
        name = header.text(f"TTYPE{number}").replace(".", "_")
        fields.append((name, code, repeat, at))
        at += repeat * _width(code) if code != "X" else -(-repeat // 8)
    if at != width or not 0 <= row0 <= row0 + count <= height:
        raise file.source.truncated()
    points = {name for number, (name, *_) in enumerate(fields, 1) if header.text(f"TCCLS{number}") == "Point"}
    data = file.read_data(hdu)
    heap = header.integer("THEAP", width * height) or 0
    rows: list[Row] = []
    for row in range(row0, row0 + count):
        values: dict[str, Array] = {}
        for name, code, repeat, offset in fields:
            value = _value(file, data, code, repeat, row * width + offset, heap)
            if name in points and len(value) == 2:
                # Files of 2013 have one column for both coordinates.
                values[f"{name}_x"], values[f"{name}_y"] = value[:1], value[1:]
            else:
                values[name] = value
        rows.append(values)
    return rows


def _width(code: str) -> int:
    return {"P": 8, "Q": 16, "A": 1, "X": 1}.get(code[0]) or np.dtype(_KINDS[code]).itemsize


def _value(file: FitsFile, data: bytes, code: str, repeat: int, offset: int, heap: int) -> Array:
    try:
        if code == "A":
            return np.array([data[offset : offset + repeat].split(b"\0")[0]])
        if code == "X":
            return np.frombuffer(data, "u1", -(-repeat // 8), offset)
        if code[0] in "PQ":
            pair = np.frombuffer(data, ">i4" if code[0] == "P" else ">i8", 2, offset)
            repeat, offset, code = int(pair[0]), heap + int(pair[1]), code[1]
            if repeat < 0 or offset < heap:
                raise file.source.truncated()
        values: Array = np.frombuffer(data, _KINDS[code], repeat, offset)
    except ValueError as err:
        raise file.source.truncated() from err
    return values.astype(values.dtype.newbyteorder("="))


def _text(name: bytes) -> str:
    return name.decode("latin-1").strip("\0 ")
