"""VOTable documents: Arrow batches in, bytes out, a column at a time.

Version 1.4 with TABLEDATA: STILTS 3.4 does not know 1.5, and DataLink
demands TABLEDATA.  astropy's writer is not used, because it writes documents
that are not legal (infinities as ``+InF``, IDs invented and repeated, the
INFO after a TABLE moved before it, empty numeric PARAMs turned into zeros).
"""

__all__ = ["VOTABLE_MEDIA_TYPE", "Info", "votable_error", "write_votable"]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import VoError
from ._descriptors import InputParam, ServiceDescriptor
from ._faults import message_of
from ._table import Column, ResultTable, RowLimit

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
# Rows rendered at once: some 5 MB of text for the widest ObsCore table.
_ROWS_PER_CHUNK = 4096
# XML 1.0 (2.2) has no way to write these, not even as references.
_ILLEGAL = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
_SPECIAL = "[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
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


def write_votable(
    table: ResultTable,
    *,
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
    infos
        INFO elements of the results RESOURCE, after ``QUERY_STATUS``.
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

    References
    ----------
    VOTable 1.4; DALI 1.1, 4.4.
    """
    yield (_HEAD + _results_head(table.columns, infos, description)).encode()
    rows = RowLimit(table)
    trailer = ""
    try:
        for batch in rows:
            for start in range(0, batch.num_rows, _ROWS_PER_CHUNK):
                yield _render_rows(batch.slice(start, _ROWS_PER_CHUNK))
    except VoError as err:
        trailer = _render_info(Info("QUERY_STATUS", "ERROR", message_of(err)))
    if rows.overflow:
        trailer = _render_info(Info("QUERY_STATUS", "OVERFLOW"))
    tail = f"</TABLEDATA></DATA>\n</TABLE>\n{trailer}</RESOURCE>\n"
    yield (tail + "".join(map(_render_descriptor, descriptors)) + "</VOTABLE>\n").encode()


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


def _results_head(columns: Sequence[Column], infos: Iterable[Info], description: str) -> str:
    refs = {column.ref for column in columns}
    return "".join(
        [
            '<RESOURCE type="results">\n',
            _render_text("DESCRIPTION", description),
            *map(_render_info, [Info("QUERY_STATUS", "OK"), *infos]),
            *(xml for ref, xml in _SYSTEMS.items() if ref in refs),
            "<TABLE>\n",
            *map(_render_field, columns),
            "<DATA><TABLEDATA>\n",
        ]
    )


def _render_rows(batch: pa.RecordBatch) -> bytes:
    # One join for the whole chunk; the bytes wanted are then the data buffer
    # of the joined array.
    pieces: list[pa.Array | str] = []
    before = "<TR><TD>"
    for column in batch.columns:
        pieces += [before, _cell_text(column)]
        before = "</TD><TD>"
    pieces.append("</TD></TR>\n")
    lines = pc.binary_join_element_wise(*[*pieces, ""]).cast(pa.large_string())
    _, offsets, data = lines.buffers()
    first, last = (int.from_bytes(offsets[i * 8 : i * 8 + 8], "little") for i in (0, len(lines)))
    return memoryview(data)[first:last].tobytes()


def _cell_text(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cell_text(column.dictionary).take(column.indices).fill_null("")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        numbers = _cell_text(column.flatten())
        lists = pa.ListArray.from_arrays(_list_offsets(column), numbers)
        return pc.if_else(column.is_null(), "", pc.binary_join(lists, " "))
    if pa.types.is_floating(kind):
        return _number_text(column)
    text = column.cast(pa.string()).fill_null("")
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return text
    return _escape_text(text)


def _list_offsets(column: pa.Array) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(column), 0).cast(pa.int32())
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])


def _number_text(column: pa.Array) -> pa.Array:
    text = column.cast(pa.string())
    if not pc.all(pc.is_finite(column), min_count=0).as_py():
        # VOTable 1.4 (2.1): NaN, +Inf and -Inf are spelt exactly so.
        for spelling, wanted in (("nan", "NaN"), ("-nan", "NaN"), ("inf", "+Inf"), ("-inf", "-Inf")):
            text = pc.if_else(pc.equal(text, spelling), wanted, text)
    return text.fill_null("")


def _escape_text(text: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(text, _SPECIAL), min_count=0).as_py():
        return text
    text = pc.replace_substring_regex(text, _ILLEGAL, "")
    for raw, reference in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;")):
        text = pc.replace_substring(text, raw, reference)
    return text


def _render_field(column: Column) -> str:
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
    return f"<FIELD{_attributes(attributes)}>{content}</FIELD>\n"


def _render_info(info: Info) -> str:
    attributes = {"name": info.name, "value": info.value}
    return f"<INFO{_attributes(attributes)}>{escape(_legal(info.content))}</INFO>\n"


def _render_descriptor(descriptor: ServiceDescriptor) -> str:
    head = {
        "ID": descriptor.xml_id,
        "type": "meta",
        "utype": "adhoc:service",
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
