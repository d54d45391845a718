"""The inputs of a dataset, as its file tells them.

Four things are read, and what is damaged tells nothing:

- cards that daf_butler writes (`lsst.daf.butler.DatasetProvenance`), of FITS
  files of `lsst.images`, `lsst.afw` and others: ``LSST BUTLER INPUT 0 ID``;
- the same in the metadata of Parquet files: ``LSST.BUTLER.INPUT.0.ID``;
- tables of visits and detectors in a coadd: ``CoaddInputs`` in the archive of
  afw, and the provenance of a ``CellCoadd``;
- ids of the templates of a ``DifferenceImage``.
"""

from __future__ import annotations

__all__ = ["read_inputs"]

import re
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import numpy as np
from lsst.resources import ResourcePath

from ...errors import UnsupportedError
from .._inputs import FileInputs
from ._afw_archive import read_archive
from ._fits_file import FitsFile
from ._hdu import Hdu
from ._open import open_source
from ._source import Source

# With any prefix that a writer chose, and blanks or dots between words.
_CARD = re.compile(
    rb"HIERARCH (?:[!-<>-~]+ )*INPUT (\d{1,7}) ID *= *'([0-9A-Fa-f-]{32,36}) *'", re.IGNORECASE
)
_COUNT = re.compile(rb"HIERARCH (?:[!-<>-~]+ )*N_INPUTS *= *(\d{1,9})", re.IGNORECASE)
_META = re.compile(rb"LSST\.BUTLER\.INPUT\.(\d{1,7})\.ID: *['\"]?([0-9A-Fa-f-]{32,36})\b")
_META_COUNT = re.compile(rb"LSST\.BUTLER\.N_INPUTS: *(\d{1,9})\b")
# Parquet: the length of the metadata and a mark are the last bytes.
_PARQUET, _TAIL = b"PAR1", 8
_MAX_METADATA = 2**26
# Catalogs of afw have their cards in the table.
_HEADERS = 2
_COLUMN = re.compile(r"(\d{0,9})([LXBIJKAEDCMPQ])(?:[A-Z]?(?:\(\d*\))?)?")
_BYTES = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
_MOST_ROWS = 100_000


def read_inputs(uri: ResourcePath, *, tables: bool = False) -> FileInputs:
    """Read what a file says of its inputs.

    Parameters
    ----------
    uri
        A file in FITS or Parquet; others tell nothing.
    tables
        Whether tables of visits and detectors are read of a file that tells
        ids as well.

    Returns
    -------
    inputs : `FileInputs`

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    TransientError
        Raised if the store of the file does not answer.
    UnsupportedError
        Raised if it cannot be read.
    """
    with open_source(uri) as source:
        if source.size > 2 * _TAIL and source.read(0, len(_PARQUET)) == _PARQUET:
            return _read_parquet(source)
        try:
            file = FitsFile(source)
        except UnsupportedError:
            return FileInputs()
        found = _read_cards(file)
        if found.ids and not tables:
            return found
        told = _read_tables(file, found.count)
        return FileInputs(found.ids or told.ids, told.count, told.detectors)


def _read_cards(file: FitsFile) -> FileInputs:
    for number in range(_HEADERS):
        try:
            hdu = file.hdu(number)
        except UnsupportedError:
            break
        if hdu is None:
            break
        cards = hdu.header.cards
        pairs = [(match[1], match[2]) for card in cards if (match := _CARD.match(card)) is not None]
        counts = [int(match[1]) for card in cards if (match := _COUNT.match(card)) is not None]
        if pairs or counts:
            return _of_pairs(pairs, counts)
    return FileInputs()


def _of_pairs(pairs: Iterable[tuple[bytes, bytes]], counts: Iterable[int]) -> FileInputs:
    numbered = sorted((int(number), text) for number, text in pairs)
    parsed = list(_parse_ids(text.decode() for _, text in numbered))
    ids = tuple(dict.fromkeys(parsed))
    # One that is told twice is one.
    return FileInputs(ids, max([0, *counts, len(parsed)]) - len(parsed) + len(ids))


def _parse_ids(texts: Iterable[object]) -> Iterator[UUID]:
    for text in texts:
        try:
            yield UUID(str(text))
        except ValueError:
            continue


def _read_parquet(source: Source) -> FileInputs:
    tail = source.read(source.size - _TAIL, _TAIL)
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != _PARQUET or not 0 < size <= min(source.size - _TAIL, _MAX_METADATA):
        return FileInputs()
    # Texts stand in Thrift's compact form as they are.
    footer = source.read(source.size - _TAIL - size, size)
    pairs = {(match[1], match[2]) for match in _META.finditer(footer)}
    return _of_pairs(pairs, [int(match[1]) for match in _META_COUNT.finditer(footer)])


def _read_tables(file: FitsFile, count: int) -> FileInputs:
    try:
        if file.is_of_images:
            return _read_tree(file, count)
        detectors = _read_coadd_inputs(file)
    except UnsupportedError:
        return FileInputs(count=count)
    return FileInputs((), max(count, len(detectors)), detectors)


def _read_coadd_inputs(file: FitsFile) -> tuple[tuple[str | None, int, int], ...]:
    archive = read_archive(file)
    if archive is None:
        return ()
    found: dict[tuple[str | None, int, int], None] = {}
    for number in archive.find("CoaddInputs"):
        # The first table has visits alone, the second has their detectors.
        for row in archive.get(number).parts[1:2]:
            for values in row[:_MOST_ROWS]:
                if "visit" in values and "ccd" in values:
                    found[None, int(values["visit"][0]), int(values["ccd"][0])] = None
    return tuple(found)


def _read_tree(file: FitsFile, count: int) -> FileInputs:
    from .images import known_layout
    from .images._archive import find_hdus, parse_reference

    layout = known_layout(file)
    templates = layout.tree.get("templates")
    listed = templates if isinstance(templates, list) else []
    told = (item.get("dataset_id") for item in listed if isinstance(item, dict))
    ids = tuple(dict.fromkeys(_parse_ids(told)))
    if ids:
        return FileInputs(ids, max(count, len(ids)))
    provenance = layout.tree.get("provenance")
    try:
        place = provenance["inputs"]["columns"][0]["data"]["source"]  # type: ignore[index]
        instrument = provenance["instrument"]  # type: ignore[index]
    except (TypeError, LookupError):
        return FileInputs(count=count)
    key = parse_reference(str(place).partition("[")[0])
    if key is None:
        return FileInputs(count=count)
    (hdu,) = find_hdus(file, layout, [key])
    columns = _read_columns(file, hdu, ("visit", "detector", "instrument"))
    if not {"visit", "detector"} <= set(columns):
        return FileInputs(count=count)
    visits, numbers = columns["visit"].tolist(), columns["detector"].tolist()
    names: list[str | None] = [instrument if isinstance(instrument, str) else None] * len(visits)
    if isinstance(instrument, dict) and "instrument" in columns:
        by_number = {number: name for name, number in instrument.items()}
        names = [by_number.get(number) for number in columns["instrument"].tolist()]
    detectors = tuple(dict.fromkeys(zip(names, visits, numbers, strict=True)))
    return FileInputs((), max(count, len(detectors)), detectors)


def _read_columns(file: FitsFile, hdu: Hdu, names: Iterable[str]) -> dict[str, Any]:
    """Read columns of single whole numbers; others are not there."""
    header = hdu.header
    width, rows = header.integer("NAXIS1") or 0, header.integer("NAXIS2") or 0
    data, at, found = file.read_data(hdu), 0, {}
    if not 0 < rows <= _MOST_ROWS or width * rows > len(data):
        raise file.source.truncated()
    table = np.frombuffer(data, "u1", width * rows).reshape(rows, width)
    for number in range(1, (header.integer("TFIELDS") or 0) + 1):
        form = _COLUMN.fullmatch(header.text(f"TFORM{number}"))
        if form is None:
            raise file.source.truncated()
        repeat, code = int(form[1] or 1), form[2]
        size = -(-repeat // 8) if code == "X" else repeat * _BYTES[code]
        name = header.text(f"TTYPE{number}")
        if name in names and repeat == 1 and code in "BIJK" and at + size <= width:
            kind = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8"}[code]
            values = np.ascontiguousarray(table[:, at : at + size]).view(kind)[:, 0]
            zero = header.integer(f"TZERO{number}", 0) or 0
            # FITS 4.0, 5.3: unsigned numbers; those of 64 bits wrap around.
            zero = zero or (2**63 if header.number(f"TZERO{number}") == 2**63 else 0)
            found[name] = np.array([int(value) + zero for value in values.tolist()], dtype=object)
        at += size
    return found
