"""The formats in which a table can be asked for, and their names.

One table says what RESPONSEFORMAT accepts, what the capabilities declare and
which writer answers, so that the three cannot drift apart.
"""

__all__ = ["TABLE_FORMATS", "AnswerFormat", "TableFormat", "parse_format", "write_table"]

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ...errors import UsageError
from .._descriptors import ServiceDescriptor
from .._params import ParamSet
from .._table import ResultTable
from ..votable import VOTABLE_MEDIA_TYPE, Info, Serialization, write_votable
from ._arrow import write_arrow
from ._csv import write_csv, write_tsv
from ._fits import write_fits
from ._html import write_html
from ._json import write_json
from ._parquet import write_parquet

type FormatName = Literal["votable", "csv", "tsv", "fits", "parquet", "arrow", "json", "html"]


@dataclass(frozen=True, slots=True)
class TableFormat:
    """One way to write a table."""

    name: FormatName
    """Short form (DALI 1.1, 3.4.3)."""

    media_type: str
    """Content-Type when the short form, or nothing, was asked for."""

    accepted: tuple[str, ...]
    """Media types that ask for it, without parameters; the first is the
    usual one."""

    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Parameters of the media type and the values that can be honoured, all
    in lower case."""

    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Further short forms, and the parameters of the media type that each
    stands for."""


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """The format of one answer."""

    table_format: TableFormat
    """The format."""

    media_type: str
    """Content-Type: what was asked for, when it was asked for by its media
    type (DALI 1.1, 3.4.3)."""

    options: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the media type, names and values in lower case."""


_CHARSET = {"charset": ("utf-8",)}
_HEADER = {**_CHARSET, "header": ("present", "absent")}
_SERIALIZATIONS: dict[str, Serialization] = {
    "tabledata": "TABLEDATA",
    "binary": "BINARY",
    "binary2": "BINARY2",
}

TABLE_FORMATS: tuple[TableFormat, ...] = (
    TableFormat(
        "votable",
        VOTABLE_MEDIA_TYPE,
        (VOTABLE_MEDIA_TYPE, "text/xml", "application/xml"),
        {**_CHARSET, "serialization": tuple(_SERIALIZATIONS)},
        {
            "votable/td": {},
            "votable/b": {"serialization": "binary"},
            "votable/b2": {"serialization": "binary2"},
        },
    ),
    TableFormat("csv", "text/csv;header=present", ("text/csv",), _HEADER),
    TableFormat("tsv", "text/tab-separated-values", ("text/tab-separated-values",), _HEADER),
    TableFormat("fits", "application/fits", ("application/fits", "image/fits")),
    TableFormat(
        "parquet",
        "application/vnd.apache.parquet",
        ("application/vnd.apache.parquet", "application/parquet", "application/x-parquet"),
    ),
    TableFormat("arrow", "application/vnd.apache.arrow.stream", ("application/vnd.apache.arrow.stream",)),
    TableFormat("json", "application/json", ("application/json",), _CHARSET),
    TableFormat("html", "text/html;charset=utf-8", ("text/html",), _CHARSET),
)
"""All formats; the first is the default."""


def parse_format(
    params: ParamSet,
    *,
    names: Sequence[str] = ("RESPONSEFORMAT",),
    formats: Sequence[TableFormat] = TABLE_FORMATS,
) -> AnswerFormat:
    """Choose the format of an answer.

    Parameters
    ----------
    params
        The request.
    names
        Parameters that name a format; the first that was sent counts.  TAP
        has ``FORMAT`` as an older name of ``RESPONSEFORMAT``.
    formats
        What can be written; the first is the default.

    Returns
    -------
    answer : `AnswerFormat`

    Raises
    ------
    UsageError
        Raised if the format is not among them; the message lists them.
    MultiValuedError
        Raised if a parameter was sent more than once.
    """
    sent = [(name, text) for name in names if (text := params.single(name)) is not None and text.strip()]
    if not sent:
        return AnswerFormat(formats[0], formats[0].media_type)
    name, text = sent[0]
    kind, *parts = (part.strip() for part in text.split(";"))
    # A "+" that was not encoded arrives as a blank.
    kind = kind.replace(" ", "+")
    options = _parse_options(parts)
    for table_format in formats:
        short = {table_format.name: {}, **table_format.aliases}.get(kind.lower())
        if not parts and short is not None:
            told = "".join(f";{key}={value.upper()}" for key, value in short.items())
            return AnswerFormat(table_format, table_format.media_type + told, short)
        if kind.lower() in table_format.accepted and all(
            value in table_format.options.get(key, ()) for key, value in options.items()
        ):
            # Blanks out: whatever comes back goes into a header.
            echo = ";".join([kind, *("".join(part.split()) for part in parts if part)])
            return AnswerFormat(table_format, echo, options)
    raise UsageError(
        f"{name}={text[:200]!r} is not accepted; give one of {_list_formats(formats)}",
        parameter=name,
        value=text,
    )


def write_table(
    table: ResultTable,
    answer: AnswerFormat,
    *,
    infos: Sequence[Info] = (),
    descriptors: Sequence[ServiceDescriptor] = (),
    description: str = "",
) -> Iterator[bytes]:
    """Write a result in a format.

    The first rows are read before this returns, so that a query that fails
    at once can still be answered by an error document.

    Parameters
    ----------
    table
        Columns, rows and their limit.
    answer
        The format.
    infos, descriptors, description
        What a VOTable says besides, also the one inside FITS, Parquet and
        Arrow; the other formats have a place for some of it, or none.

    Returns
    -------
    chunks : `~collections.abc.Iterator` [`bytes`]
        Parts of the document.  Where later rows cannot be had, a VOTable
        says so at its end; other formats have no place for that, so the
        iterator raises: what was sent must not look complete.

    Raises
    ------
    VoError
        Raised if the first rows cannot be had.
    """
    if table.maxrec != 0:
        first = list(itertools.islice(table.batches, 1))
        table = replace(table, batches=itertools.chain(first, table.batches))
    options = answer.options
    has_header = options.get("header") != "absent"
    match answer.table_format.name:
        case "votable":
            serialization = _SERIALIZATIONS[options.get("serialization", "tabledata")]
            return write_votable(
                table,
                serialization=serialization,
                infos=infos,
                descriptors=descriptors,
                description=description,
            )
        case "csv":
            return write_csv(table, header=has_header)
        case "tsv":
            return write_tsv(table, header=has_header)
        case "fits":
            return write_fits(table, infos=infos, descriptors=descriptors, description=description)
        case "parquet":
            return write_parquet(table, infos=infos, descriptors=descriptors, description=description)
        case "arrow":
            return write_arrow(table, infos=infos, descriptors=descriptors, description=description)
        case "json":
            return write_json(table, infos=infos)
        case "html":
            return write_html(table, infos=infos, description=description)


def _parse_options(parts: Sequence[str]) -> dict[str, str]:
    pairs = (part.lower().partition("=") for part in parts if part)
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def _list_formats(formats: Sequence[TableFormat]) -> str:
    return ", ".join(f"{item.name} ({' or '.join(item.accepted)})" for item in formats)
