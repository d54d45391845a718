"""VOTables that clients send: the first table, as Arrow.

astropy's reader is not used: it fetches whatever a STREAM refers to, takes
document types, guesses where a document is wrong, and makes a Python object
of every cell that is no plain number.
"""

from __future__ import annotations

__all__ = ["read_votable"]

import binascii
import io
import xml.parsers.expat as expat
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa

from ...errors import UsageError, quoted
from .._layout import SCALARS, TEXTS, parse_arraysize
from .._table import Column, arrow_type
from ._parse_binary import parse_rows
from ._parse_cells import parse_cells

_PIECE = 2**18
# Rows of TABLEDATA that wait as Python texts.
_ROWS_PER_CHUNK = 20_000
_MOST_COLUMNS = 1000
_ENCODINGS = ("UTF-8", "UTF-16", "ISO-8859-1", "US-ASCII")
_FORMS = ("TABLEDATA", "BINARY", "BINARY2")


def read_votable(
    data: bytes | BinaryIO, *, max_rows: int | None = None
) -> tuple[tuple[Column, ...], pa.Table]:
    """Read the first table of a VOTable document.

    Parameters
    ----------
    data
        The document, or a stream that it can be read from.
    max_rows
        Rows that the table may have; reading stops at the first one more.

    Returns
    -------
    columns : `tuple` [`Column`, ...]
        The metadata of its FIELDs; ``arraysize`` 1 is left out.
    rows : `pyarrow.Table`
        Columns of the same names, of the types that `arrow_type` says.

    Raises
    ------
    UsageError
        Raised if the document is not a VOTable, has no table, or has one
        that cannot be read.

    Notes
    -----
    TABLEDATA, BINARY and BINARY2 are read, all datatypes, but for arrays of
    texts.  A missing value is an empty cell, the ``null`` of VALUES, or what
    BINARY2 flags, and a number (no element of an array) that is NaN; an empty
    text is a missing one but in BINARY2, because the other two cannot tell
    them apart.  Document types, entities and data
    outside the document are refused.

    References
    ----------
    VOTable 1.4 and before; TAP 1.1, 2.7.6.
    """
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    handler = _Handler(max_rows)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.buffer_size = 2**16
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.characters
    parser.XmlDeclHandler = _check_encoding
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    try:
        while not handler.is_done and (piece := stream.read(_PIECE)):
            parser.Parse(piece, False)
        if not handler.is_done:
            parser.Parse(b"", True)
    except expat.ExpatError as err:
        raise UsageError(
            f"The VOTable is not well-formed XML: {err}; check the file with a VOTable validator"
        ) from err
    return handler.result()


def _check_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is None or encoding.upper() in _ENCODINGS:
        return
    # The parser takes others by a table of all bytes, and knows no better
    # than ValueError and LookupError for those that have none.
    every_byte = bytes(range(256))
    try:
        is_read = len(every_byte.decode(encoding, "replace")) == len(every_byte)
    except (LookupError, ValueError):
        is_read = False
    if not is_read:
        raise UsageError(
            f"The encoding {quoted(encoding)} of the VOTable is not read; give {', '.join(_ENCODINGS)}, or "
            "another one with one byte for each character"
        )


def _refuse_doctype(*_: object) -> None:
    raise UsageError("The VOTable has a document type (DOCTYPE); send it without one")


class _Handler:
    """Collects the first TABLE while the parser goes through the document."""

    def __init__(self, max_rows: int | None) -> None:
        self.is_done = False
        self._max_rows = max_rows
        self._path: list[str] = []
        self._text: list[str] = []
        self._columns: list[Column] = []
        self._nulls: list[str | None] = []
        self._form = ""
        self._row: list[str] = []
        self._rows: list[list[str]] = []
        self._chunks: list[pa.Table] = []
        self._count = 0
        self._bytes = bytearray()
        self._base64 = ""
        self._collect = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.is_done:
            return
        tag = name.rpartition(" ")[2]
        path = self._path
        if tag == "TD":
            if attributes.get("encoding", "none") != "none":
                raise UsageError("The VOTable has cells (TD) with an encoding; send their texts plainly")
            self._text, self._collect = [], True
        elif not path and tag != "VOTABLE":
            raise UsageError(f"The document is no VOTable: it begins with <{tag[:50]}>")
        elif tag == "FIELD" and path[-1] == "TABLE":
            self._add_field(attributes)
        elif tag == "VALUES" and path[-1] == "FIELD":
            self._nulls[-1] = attributes.get("null")
        elif tag == "DESCRIPTION" and path[-1] == "FIELD":
            self._text, self._collect = [], True
        elif path and path[-1] == "DATA":
            if tag not in _FORMS:
                raise UsageError(f"The data of the VOTable are in {tag[:50]}; give {', '.join(_FORMS)}")
            self._form = tag
        elif tag == "STREAM" and path[-1] in _FORMS:
            if "href" in attributes or attributes.get("encoding") != "base64":
                raise UsageError(
                    "The STREAM of the VOTable is not inside it; send the data in it, with encoding base64"
                )
            self._text, self._collect = [], True
        path.append(tag)

    def characters(self, text: str) -> None:
        if self._collect:
            self._text.append(text)
            if self._path[-1] == "STREAM":
                self._decode(is_last=False)

    def end(self, _: str) -> None:
        if self.is_done:
            return
        tag = self._path.pop()
        if tag == "TD":
            self._row.append("".join(self._text))
            self._collect = False
        elif tag == "TR":
            self._end_row()
        elif tag == "DESCRIPTION" and self._collect:
            text = " ".join("".join(self._text).split())
            self._columns[-1] = replace(self._columns[-1], description=text)
            self._collect = False
        elif tag == "STREAM" and self._collect:
            self._decode(is_last=True)
            self._collect = False
        elif tag == "TABLE":
            self.is_done = True

    def result(self) -> tuple[tuple[Column, ...], pa.Table]:
        columns = tuple(self._columns)
        if not columns:
            raise UsageError("The VOTable has no table with columns (FIELD); send one")
        if self._form in ("BINARY", "BINARY2"):
            has_flags = self._form == "BINARY2"
            arrays = parse_rows(columns, self._nulls, self._bytes, has_flags, self._max_rows)
            return columns, pa.Table.from_arrays(arrays, schema=self._schema())
        self._end_chunk()
        return columns, pa.concat_tables(self._chunks)

    def _schema(self) -> pa.Schema:
        return pa.schema([pa.field(column.name, arrow_type(column)) for column in self._columns])

    def _add_field(self, attributes: dict[str, str]) -> None:
        given = {key: value.strip() or None for key, value in attributes.items()}
        name, datatype = given.get("name"), given.get("datatype")
        if name is None:
            raise UsageError(f"Column {len(self._columns) + 1} of the VOTable has no name")
        if any(column.name == name for column in self._columns):
            raise UsageError(f"The VOTable has two columns with the name {quoted(name)}; give each its own")
        if len(self._columns) == _MOST_COLUMNS:
            raise UsageError(f"The VOTable has more than {_MOST_COLUMNS} columns; send those that are used")
        if datatype not in TEXTS and datatype not in SCALARS:
            raise UsageError(
                f"The column {quoted(name)} of the VOTable has the datatype {quoted(datatype or '')}; "
                f"give one of {', '.join([*TEXTS, *SCALARS])}"
            )
        size = given.get("arraysize")
        try:
            parse_arraysize(size)
        except ValueError:
            raise UsageError(
                f"The column {quoted(name)} of the VOTable has the arraysize {quoted(size or '')}; "
                "give n, n* or *"
            ) from None
        if datatype in TEXTS and size is not None and "x" in size:
            raise UsageError(f"The column {quoted(name)} of the VOTable has arrays of texts; give one text")
        self._nulls.append(None)
        self._columns.append(
            Column(
                name,
                datatype,
                # An array of one is written as none (erratum 3 of VOTable 1.3).
                arraysize=None if size == "1" else size,
                xtype=given.get("xtype"),
                unit=given.get("unit"),
                ucd=given.get("ucd"),
                utype=given.get("utype"),
            )
        )

    def _end_row(self) -> None:
        row, self._row = self._row, []
        self._count += 1
        if len(row) != len(self._columns):
            raise UsageError(
                f"Row {self._count} of the VOTable has {len(row)} cells (TD); "
                f"its table has {len(self._columns)} columns (FIELD)"
            )
        if self._max_rows is not None and self._count > self._max_rows:
            raise UsageError(f"The VOTable has more than {self._max_rows} rows; send fewer")
        self._rows.append(row)
        if len(self._rows) == _ROWS_PER_CHUNK:
            self._end_chunk()

    def _end_chunk(self) -> None:
        rows, self._rows = self._rows, []
        texts = zip(*rows, strict=True) if rows else [()] * len(self._columns)
        arrays = [
            parse_cells(column, null, cells)
            for column, null, cells in zip(self._columns, self._nulls, texts, strict=True)
        ]
        self._chunks.append(pa.Table.from_arrays(arrays, schema=self._schema()))

    def _decode(self, *, is_last: bool) -> None:
        text = self._base64 + "".join("".join(self._text).split())
        whole = len(text) if is_last else len(text) // 4 * 4
        try:
            self._bytes += binascii.a2b_base64(text[:whole], strict_mode=bool(whole))
        except ValueError as err:
            raise UsageError(
                "The STREAM of the VOTable is not proper base64; check how it was written"
            ) from err
        self._base64 = text[whole:]
        self._text = []
