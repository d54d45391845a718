"""VOTable documents: Arrow batches in, bytes out, a column at a time.

Version 1.4: STILTS 3.4 does not know 1.5.  astropy's writer is not used, because it writes documents
that are not legal (infinities as ``+InF``, IDs invented and repeated, the
INFO after a TABLE moved before it, empty numeric PARAMs turned into zeros).
"""

__all__ = [
    "VOTABLE_MEDIA_TYPE",
    "Info",
    "Serialization",
    "describe_votable",
    "votable_error",
    "write_votable",
]

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa

from ...errors import VoError
from .._cells import iter_pieces
from .._descriptors import InputParam, ServiceDescriptor
from .._faults import message_of
from .._layout import null_of
from .._table import Column, ResultTable, RowLimit
from ._binary import Base64Stream, encode_rows
from ._tabledata import render_rows

type Serialization = Literal["TABLEDATA", "BINARY", "BINARY2"]

VOTABLE_MEDIA_TYPE = "application/x-votable+xml"
"""Media type of a VOTable without parameters."""

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://www.ivoa.net/xml/VOTable/v1.3'
    ' http://www.ivoa.net/xml/VOTable/VOTable-1.4.xsd">\n'
)
_SYSTEMS = {
    "icrs": '<COOSYS ID="icrs" system="ICRS"/>\n',
    "utc": '<TIMESYS ID="utc" timescale="UTC" refposition="UNKNOWN" timeorigin="MJD-origin"/>\n',
}
# XML 1.0 (2.2) has no way to write these, not even as references.
_ILLEGAL_TABLE = dict.fromkeys(
    [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF]
)


@dataclass(frozen=True, slots=True)
class Info:
    """One INFO element."""

    name: str
    """Name, for example ``standardID`` or a DataOrigin name."""

    value: str
    """Value."""

    content: str = ""
    """Text of the element, for people."""

    is_global: bool = False
    """Whether it is about the document, and stands at its beginning, and not
    about the results."""


def write_votable(
    table: ResultTable,
    *,
    serialization: Serialization = "TABLEDATA",
    infos: Sequence[Info] = (),
    descriptors: Sequence[ServiceDescriptor] = (),
    description: str = "",
) -> Iterator[bytes]:
    """Write a result as a VOTable document.

    Parameters
    ----------
    table
        Columns, rows and their limit.  Rows beyond the limit are left out
        and marked by ``QUERY_STATUS=OVERFLOW`` after the table.
    serialization
        How the rows are written.
    infos
        INFO elements: of the document, or of the results RESOURCE, after
        ``QUERY_STATUS``.
    descriptors
        Service descriptors, each a ``meta`` RESOURCE after the results.
    description
        One sentence about the table.

    Yields
    ------
    chunk : `bytes`
        Parts of the document, UTF-8.

    Notes
    -----
    A `~lsst.dax.vo.errors.VoError` raised while rows are read ends the table
    and is told by ``QUERY_STATUS=ERROR`` after it (TAP 1.1, 3.3).

    Missing values are empty cells in TABLEDATA and flags in BINARY2.  BINARY
    has neither: integers that are missing are the least number of their type
    (255 of ``unsignedByte``), which VALUES says, numbers are NaN, logical
    values ``?``, and texts are empty.  Missing elements of arrays are the
    same in all three.  Texts of type ``char`` are ASCII in both binary forms,
    where ``?`` stands for all else; TABLEDATA has every character.

    References
    ----------
    VOTable 1.4; DALI 1.1, 4.4.
    """
    before, after, render = _enclose(serialization, table.columns)
    yield (_HEAD + _results_head(table.columns, infos, description, serialization) + before).encode()
    rows = RowLimit(table)
    trailer = ""
    try:
        for batch in rows:
            for piece in iter_pieces(batch):
                yield render(piece)
    except VoError as err:
        trailer = _render_info(Info("QUERY_STATUS", "ERROR", message_of(err)))
    if rows.overflow:
        trailer = _render_info(Info("QUERY_STATUS", "OVERFLOW"))
    yield after() + f"</TABLE>\n{trailer}{_results_tail(descriptors)}".encode()


def describe_votable(
    columns: Sequence[Column],
    *,
    infos: Sequence[Info] = (),
    descriptors: Sequence[ServiceDescriptor] = (),
    description: str = "",
    name: str | None = None,
    overflow: bool = False,
) -> bytes:
    """Write a VOTable document that has all but the rows.

    Parameters
    ----------
    columns
        Metadata of the columns.
    infos, descriptors, description
        As for `write_votable`.
    name
        Name of the table.
    overflow
        Whether there were more rows than could be sent.

    Returns
    -------
    document : `bytes`
        Its TABLE has no DATA.
    """
    head = _HEAD + _results_head(columns, infos, description, "TABLEDATA", name)
    trailer = _render_info(Info("QUERY_STATUS", "OVERFLOW")) if overflow else ""
    return f"{head}</TABLE>\n{trailer}{_results_tail(descriptors)}".encode()


def votable_error(message: str, infos: Sequence[Info] = ()) -> bytes:
    """Write the error document of TAP, SIAv2 and DataLink.

    Parameters
    ----------
    message
        What went wrong, with the standard's fault word in front where the
        standard has one.
    infos
        Further INFO elements.

    Returns
    -------
    document : `bytes`
        A VOTable whose results RESOURCE holds ``QUERY_STATUS=ERROR``.
    """
    body = "".join(map(_render_info, [Info("QUERY_STATUS", "ERROR", message), *infos]))
    return f'{_HEAD}<RESOURCE type="results">\n{body}</RESOURCE>\n</VOTABLE>\n'.encode()


def _results_head(
    columns: Sequence[Column],
    infos: Sequence[Info],
    description: str,
    serialization: Serialization,
    name: str | None = None,
) -> str:
    refs = {column.ref for column in columns}
    return "".join(
        [
            *(_render_info(info) for info in infos if info.is_global),
            '<RESOURCE type="results">\n',
            _render_text("DESCRIPTION", description),
            _render_info(Info("QUERY_STATUS", "OK")),
            *(_render_info(info) for info in infos if not info.is_global),
            *(xml for ref, xml in _SYSTEMS.items() if ref in refs),
            f"<TABLE{_attributes({'name': name})}>\n",
            *(_render_field(column, serialization) for column in columns),
        ]
    )


def _results_tail(descriptors: Iterable[ServiceDescriptor]) -> str:
    return "".join(["</RESOURCE>\n", *map(_render_descriptor, descriptors), "</VOTABLE>\n"])


def _enclose(
    serialization: Serialization, columns: Sequence[Column]
) -> tuple[str, Callable[[], bytes], Callable[[pa.RecordBatch], bytes]]:
    """Return what comes before the rows, what comes after them, and what makes them."""
    if serialization == "TABLEDATA":
        return (
            "<DATA><TABLEDATA>\n",
            lambda: b"</TABLEDATA></DATA>\n",
            lambda piece: render_rows(piece, columns),
        )
    stream = Base64Stream()
    return (
        f'<DATA><{serialization}><STREAM encoding="base64">\n',
        lambda: stream.end() + f"</STREAM></{serialization}></DATA>\n".encode(),
        lambda piece: stream.encode(encode_rows(piece, columns, has_flags=serialization == "BINARY2")),
    )


@lru_cache(maxsize=1024)
def _render_field(column: Column, serialization: Serialization) -> str:
    attributes = {
        "name": column.name,
        "ID": column.xml_id,
        "datatype": column.datatype,
        "arraysize": column.arraysize,
        "xtype": column.xtype,
        "unit": column.unit,
        "ucd": column.ucd,
        "utype": column.utype,
        "ref": column.ref,
    }
    content = _render_text("DESCRIPTION", column.description)
    null = null_of(column)
    # Only here: elsewhere VOTable 1.4 (2.3) advises against it.
    if null is not None and (serialization == "BINARY" or column.arraysize is not None):
        content += f'<VALUES null="{null}"/>'
    return f"<FIELD{_attributes(attributes)}>{content}</FIELD>\n"


def _render_info(info: Info) -> str:
    attributes = {"name": info.name, "value": info.value}
    return f"<INFO{_attributes(attributes)}>{escape(_legal(info.content))}</INFO>\n"


@lru_cache(maxsize=256)
def _render_descriptor(descriptor: ServiceDescriptor) -> str:
    head = {
        "ID": descriptor.xml_id,
        "type": "meta",
        "utype": descriptor.utype,
        "name": descriptor.name or None,
    }
    fixed = [
        InputParam("accessURL", value=descriptor.access_url),
        InputParam("standardID", value=descriptor.standard_id),
    ]
    if descriptor.content_type:
        fixed.append(InputParam("contentType", value=descriptor.content_type))
    return "".join(
        [
            f"<RESOURCE{_attributes(head)}>\n",
            _render_text("DESCRIPTION", descriptor.description),
            *map(_render_param, fixed),
            '<GROUP name="inputParams">\n',
            *map(_render_param, descriptor.params),
            "</GROUP>\n</RESOURCE>\n",
        ]
    )


# Most parameters of a service are the same in every document.
@lru_cache(maxsize=2048)
def _render_param(param: InputParam) -> str:
    attributes = {
        "name": param.name,
        "datatype": param.datatype,
        "arraysize": param.arraysize,
        "xtype": param.xtype,
        "unit": param.unit,
        "ucd": param.ucd,
        "ref": param.ref,
    }
    bounds = [("MIN", param.minimum), ("MAX", param.maximum), *(("OPTION", value) for value in param.options)]
    values = "".join(f"<{tag} value={_quote(value)}/>" for tag, value in bounds if value is not None)
    content = _render_text("DESCRIPTION", param.description) + (
        f"<VALUES>{values}</VALUES>" if values else ""
    )
    # The schema demands the attribute ``value`` even where there is none.
    return f"<PARAM{_attributes(attributes)} value={_quote(param.value)}>{content}</PARAM>\n"


def _render_text(tag: str, text: str) -> str:
    return f"<{tag}>{escape(_legal(text))}</{tag}>" if text else ""


def _attributes(values: Mapping[str, str | None]) -> str:
    return "".join(f" {name}={_quote(value)}" for name, value in values.items() if value is not None)


def _quote(value: str) -> str:
    return quoteattr(_legal(value))


def _legal(text: str) -> str:
    return text.translate(_ILLEGAL_TABLE)
