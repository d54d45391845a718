"""The FITS container of `lsst.images`: HDUs, a tree in JSON, and an index.

The primary header says where the last two HDUs are: a table of JSON texts,
of which the first is the tree of the object, and an index of all HDUs.
"""

from __future__ import annotations

__all__ = [
    "FORMAT",
    "Key",
    "Layout",
    "Part",
    "find_hdus",
    "join_parts",
    "known_layout",
    "make_tree_part",
    "parse_reference",
    "read_layout",
]

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._image import Buffer
from .._fits_file import FitsFile
from .._hdu import Hdu
from .._header import Header, padded

FORMAT = 1
"""Version of the container that is known here (card FMTVER)."""

type Key = tuple[str, int]
"""EXTNAME and EXTVER of an HDU."""

# Values of the index; EXTNAME is as wide as the longest name.
_INDEX_COLUMNS = ("EXTNAME", "EXTVER", "XTENSION", "ZIMAGE", "HDRADDR", "DATADDR", "DATSIZE")
_INDEX_FORM = re.compile(r"(\d{0,4})([AJLK])")
_WIDEST = 1000
_KINDS = {"J": ">i4", "K": ">i8", "L": "S1"}
_REFERENCE = re.compile(r"fits:([\w/\-]+)(?:,(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Part:
    """An HDU to be written."""

    header: Header
    """Its header."""

    data: tuple[Buffer, ...]
    """Its data, filled up to whole blocks."""

    @property
    def size(self) -> int:
        """Bytes of data."""
        return sum(len(piece) for piece in self.data)


@dataclass(frozen=True, slots=True)
class Layout:
    """What the container says of a file, without pixels.

    Nothing in it changes, and the same file gives the same.
    """

    tree: dict[str, Any]
    """The tree of the object; not to be changed."""

    texts: tuple[bytes, ...]
    """All JSON texts, that of the tree first."""

    places: dict[Key, int]
    """Where HDUs begin, by EXTNAME and EXTVER, in the order of the file."""

    tree_header: Header
    """Header of the table of texts."""

    index_header: Header
    """Header of the index."""


def read_layout(file: FitsFile) -> Layout:
    """Read tree and index.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    layout : `Layout`

    Raises
    ------
    UnsupportedError
        Raised if the file is damaged.
    """
    tree_hdu, index_hdu = (_tail_hdu(file, keyword) for keyword in ("JSONADDR", "INDXADDR"))
    rows = _table(file, index_hdu)
    if rows is None or not set(_INDEX_COLUMNS) <= set(rows.dtype.names or ()):
        raise file.source.truncated()
    names = [name.decode("latin-1").strip("\0 ").upper() for name in rows["EXTNAME"].tolist()]
    keys = list(zip(names, rows["EXTVER"].tolist(), strict=True))
    texts = _read_texts(file, tree_hdu)
    try:
        tree = json.loads(texts[0])
    except (ValueError, RecursionError, IndexError) as err:
        raise file.source.truncated() from err
    if not isinstance(tree, dict):
        raise file.source.truncated()
    places = dict(zip(keys, rows["HDRADDR"].tolist(), strict=True))
    return Layout(tree, tuple(texts), places, tree_hdu.header, index_hdu.header)


def known_layout(file: FitsFile) -> Layout:
    """Return tree and index, which are read once as long as the file is remembered.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    layout : `Layout`

    Raises
    ------
    UnsupportedError
        Raised if the file is damaged.
    """
    # The same for every cutout of a file, since files do not change.
    return file.entry.note("images.Layout", lambda: read_layout(file))


def find_hdus(file: FitsFile, layout: Layout, keys: Sequence[Key]) -> list[Hdu]:
    """Return HDUs.

    Parameters
    ----------
    file
        The file.
    layout
        Its layout.
    keys
        EXTNAME and EXTVER of each.

    Returns
    -------
    hdus : `list` [`Hdu`]
        In the same order; of a remote file, they are fetched together.

    Raises
    ------
    UnsupportedError
        Raised if there is none, or another where the index says.
    """
    offsets = [layout.places.get(key, 0) for key in keys]
    if not all(0 < offset < file.source.size for offset in offsets):
        raise file.source.truncated()
    hdus = file.hdus_at(offsets)
    for key, hdu in zip(keys, hdus, strict=True):
        if (hdu.header.text("EXTNAME").upper(), hdu.header.integer("EXTVER", 1)) != key:
            raise file.source.truncated()
    return hdus


def make_tree_part(layout: Layout, tree: dict[str, Any]) -> Part:
    """Make the HDU of JSON texts.

    Parameters
    ----------
    layout
        Layout of the file that is cut; texts to which its tree points are
        taken over.
    tree
        The tree of the cutout.

    Returns
    -------
    part : `Part`
    """
    # The library's own form: no blanks, and the words NaN and Infinity.
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    texts = [text, *layout.texts[1:]]
    ends = np.cumsum([len(one) for one in texts]).tolist()
    places = np.array([[len(one), end - len(one)] for one, end in zip(texts, ends, strict=True)])
    header = layout.tree_header.copy()
    header.drop(lambda key: key in ("THEAP", "CHECKSUM", "DATASUM"))
    header.set("NAXIS1", 8)
    header.set("NAXIS2", len(texts))
    header.set("PCOUNT", ends[-1])
    header.set("TFORM1", f"PB({max(len(one) for one in texts)})")
    return Part(header, (padded(b"".join((places.astype(">i4").tobytes(), *texts))),))


def parse_reference(source: object) -> Key | None:
    """Parse how a tree refers to an HDU.

    Parameters
    ----------
    source
        For example ``fits:MASK,2``.

    Returns
    -------
    key : `tuple` [`str`, `int`] or `None`
        EXTNAME and EXTVER; `None` if it is no such reference.
    """
    match = _REFERENCE.fullmatch(source) if isinstance(source, str) else None
    return None if match is None else (match[1], int(match[2] or 1))


def join_parts(primary: Header, parts: Sequence[Part], index: Header) -> tuple[Buffer, ...]:
    """Put a file together.

    Parameters
    ----------
    primary
        Header of the primary HDU, which has no data; places of the tree and
        the index are filled in.
    parts
        HDUs; the last is the one of JSON texts.
    index
        Header of the index, as in the file that is cut.

    Returns
    -------
    pieces : `tuple` [`Buffer`, ...]
        The file.
    """
    headers = [part.header.to_bytes() for part in parts]
    at = len(primary.to_bytes())
    rows: list[tuple[Any, ...]] = [(b"", 1, b"IMAGE", b"F", 0, at, 0)]
    for part, header in zip(parts, headers, strict=True):
        name, kind = part.header.text("EXTNAME"), part.header.text("XTENSION")
        rows.append(
            (
                name.encode("latin-1"),
                part.header.integer("EXTVER", 1),
                kind.encode("latin-1"),
                b"T" if part.header.get("ZIMAGE") is True else b"F",
                at,
                at + len(header),
                part.size,
            )
        )
        at += len(header) + part.size
    widest = max(len(row[0]) for row in rows)
    forms = (f"{widest}A", "J", "8A", "L", "K", "K", "K")
    kinds = [f"S{widest}", ">i4", "S8", "S1", ">i8", ">i8", ">i8"]
    table = np.array(rows, dtype=list(zip(_INDEX_COLUMNS, kinds, strict=True)))
    index = index.copy()
    index.set("NAXIS1", table.dtype.itemsize)
    index.set("NAXIS2", len(rows))
    index.set("TFIELDS", len(forms))
    for number, (name, form) in enumerate(zip(_INDEX_COLUMNS, forms, strict=True), start=1):
        index.set(f"TTYPE{number}", name)
        index.set(f"TFORM{number}", form)
    index.drop(lambda key: key in ("CHECKSUM", "DATASUM"))
    last = (index.to_bytes(), padded(table.tobytes()))
    primary = primary.copy()
    primary.set("JSONADDR", rows[-1][4])
    primary.set("JSONSIZE", at - rows[-1][4])
    primary.set("INDXADDR", at)
    primary.set("INDXSIZE", sum(len(piece) for piece in last))
    pieces: list[Buffer] = [primary.to_bytes()]
    for part, header in zip(parts, headers, strict=True):
        pieces.extend((header, *part.data))
    return (*pieces, *last)


def _tail_hdu(file: FitsFile, keyword: str) -> Hdu:
    offset = file.primary.header.integer(keyword)
    if offset is None or not 0 < offset < file.source.size:
        raise file.source.truncated()
    return file.hdu_at(offset)


def _read_texts(file: FitsFile, hdu: Hdu) -> list[bytes]:
    header = hdu.header
    form = re.match(r"1?([PQ])B", header.text("TFORM1"))
    rows, width = header.integer("NAXIS2") or 0, header.integer("NAXIS1") or 0
    if form is None or header.text("EXTNAME") != "JSON" or width != (8 if form[1] == "P" else 16):
        raise file.source.truncated()
    data = file.read_data(hdu)
    heap = header.integer("THEAP", rows * width) or 0
    if len(data) < rows * width:
        raise file.source.truncated()
    places = np.frombuffer(data, dtype=">i4" if form[1] == "P" else ">i8", count=2 * rows)
    texts = []
    for count, offset in places.reshape(rows, 2).tolist():
        if count < 0 or offset < 0 or heap + offset + count > len(data):
            raise file.source.truncated()
        texts.append(bytes(data[heap + offset : heap + offset + count]))
    return texts


def _table(file: FitsFile, hdu: Hdu) -> Any:
    # The rows of a table of plain columns; None if it is none.
    header = hdu.header
    fields: list[tuple[str, str]] = []
    count = header.integer("TFIELDS") or 0
    if not 0 < count <= len(_INDEX_COLUMNS):
        return None
    for number in range(1, count + 1):
        form = _INDEX_FORM.fullmatch(header.text(f"TFORM{number}"))
        width = int(form[1] or 1) if form else 0
        if form is None or not 0 < width <= _WIDEST or (form[2] != "A" and width != 1):
            return None
        kind = f"S{width}" if form[2] == "A" else _KINDS[form[2]]
        fields.append((header.text(f"TTYPE{number}"), kind))
    if len({name for name, _ in fields}) != len(fields):
        return None
    kinds = np.dtype(fields)
    rows, data = header.integer("NAXIS2") or 0, file.read_data(hdu)
    if kinds.itemsize != header.integer("NAXIS1") or len(data) < rows * kinds.itemsize:
        return None
    return np.frombuffer(data, dtype=kinds, count=rows)
