"""VOSI: what a service tells about itself.

Capabilities and availability are built from the models of ``vo-models``,
whose documents of these two kinds are valid against the schemas of the IVOA.
Its tableset is not (``xtype`` is an element that the schema does not have,
and ``column@std`` is missing), so that one is written here.
"""

from __future__ import annotations

__all__ = [
    "XML_MEDIA_TYPE",
    "Availability",
    "Capability",
    "ForeignKey",
    "LanguageFeature",
    "TapCapability",
    "vosi_capabilities",
    "write_availability",
    "write_capabilities",
    "write_table_description",
    "write_tableset",
]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

import pydantic

from ..errors import UsageError
from ._formats import TableFormat
from ._table import Column, Table

XML_MEDIA_TYPE = "text/xml"
"""Media type of all VOSI documents (VOSI 1.1, 2)."""

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACES = (
    ' xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0"'
    ' xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://www.ivoa.net/xml/VOSITables/v1.0 http://www.ivoa.net/xml/VOSITables/v1.0'
    ' http://www.ivoa.net/xml/VODataService/v1.1 http://www.ivoa.net/xml/VODataService/v1.1"'
)
_TAP_ID = "ivo://ivoa.net/std/TAP"
_VOTABLE_TD_ID = "ivo://ivoa.net/std/TAPRegExt#output-votable-td"


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that a service can do, and where."""

    standard_id: str
    """IVOID of the standard, with its key: ``ivo://ivoa.net/std/SIA#query-2.0``."""

    access_url: str
    """URL of the endpoint."""

    version: str = "1.0"
    """Version of the standard's interface; a missing one would mean 1.0."""

    use: Literal["base", "full"] = "full"
    """``base`` if clients append to the URL, ``full`` if not (VOResource 1.1, 2.2.2)."""

    for_people: bool = False
    """Whether the endpoint is a page: a WebBrowser interface, which has no
    parameters."""


@dataclass(frozen=True, slots=True)
class LanguageFeature:
    """One optional feature of ADQL that works here."""

    kind: str
    """URI of its kind, lower case as ADQL 2.1 wants it:
    ``ivo://ivoa.net/std/tapregext#features-adqlgeo``."""

    form: str
    """Name, or the signature of a user-defined function."""

    description: str = ""
    """One sentence; useful for user-defined functions."""


@dataclass(frozen=True, slots=True)
class TapCapability:
    """What a TAP service can do (TAPRegExt 1.0)."""

    access_url: str
    """Base URL, to which clients append ``/sync``."""

    formats: tuple[TableFormat, ...]
    """What RESPONSEFORMAT accepts."""

    features: tuple[LanguageFeature, ...]
    """Optional features of ADQL, in the order in which they are shown."""

    maxrec: int
    """Rows of an answer when the client names no MAXREC."""

    maxrec_hard: int
    """Rows of an answer, whatever the client says."""

    execution_s: int
    """Seconds after which a query is ended."""

    data_models: tuple[tuple[str, str], ...] = ()
    """IVOID and name of the data models whose tables are there."""

    languages: tuple[str, ...] = ("2.0", "2.1")
    """Versions of ADQL."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a service answers."""

    available: bool
    """Whether it does, now."""

    up_since: datetime | None = None
    """Since when, with a time zone."""

    notes: tuple[str, ...] = ()
    """Sentences for people."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns that refer to those of another table."""

    key_id: str
    """Name, unique in TAP_SCHEMA."""

    from_table: str
    """Qualified name of the table that refers."""

    target_table: str
    """Qualified name of the table referred to."""

    columns: tuple[tuple[str, str], ...]
    """Pairs of column names: referring, referred to."""

    description: str = ""
    """One sentence."""


def vosi_capabilities(url: str) -> tuple[Capability, ...]:
    """Return the entries that all services have.

    Parameters
    ----------
    url
        URL under which ``/capabilities`` and ``/availability`` lie.

    Returns
    -------
    capabilities : `tuple` [`Capability`, ...]
    """
    return (
        Capability("ivo://ivoa.net/std/VOSI#capabilities", f"{url}/capabilities"),
        Capability("ivo://ivoa.net/std/VOSI#availability", f"{url}/availability"),
    )


def write_capabilities(capabilities: Iterable[Capability | TapCapability]) -> bytes:
    """Write the document of ``/capabilities``.

    Parameters
    ----------
    capabilities
        What the service can do, one or more.

    Returns
    -------
    document : `bytes`

    Raises
    ------
    UsageError
        Raised if a URL is none: the address that the client used is part of
        it.

    References
    ----------
    VOSI 1.1, 4; TAPRegExt 1.0.
    """
    # Imported when first asked for: 0.15 s that other callers of this room
    # need not wait.
    from vo_models.vosi.capabilities import VOSICapabilities

    try:
        model = VOSICapabilities(capability=[_build_capability(item) for item in capabilities])
    except pydantic.ValidationError as err:
        given = ", ".join(sorted({repr(problem["input"]) for problem in err.errors()}))
        raise UsageError(f"{given} is no URL; send the request to a plain host name and port") from err
    return _render_model(model)


def write_availability(availability: Availability) -> bytes:
    """Write the document of ``/availability``.

    Parameters
    ----------
    availability
        Whether the service answers.

    Returns
    -------
    document : `bytes`

    References
    ----------
    VOSI 1.1, 5.
    """
    from vo_models.vosi.availability import Availability as AvailabilityModel

    since = availability.up_since
    return _render_model(
        AvailabilityModel(
            available=availability.available,
            up_since=since.astimezone(UTC) if since is not None else None,
            note=list(availability.notes),
        )
    )


def write_tableset(
    tables: Sequence[Table],
    *,
    keys: Sequence[ForeignKey] = (),
    schemas: Sequence[tuple[str, str]] = (),
    detail: Literal["min", "max"] = "max",
) -> bytes:
    """Write the document of ``/tables``.

    Parameters
    ----------
    tables
        The published tables; names are written as they are, so names that
        ADQL must quote come quoted.
    keys
        Foreign keys of these tables.
    schemas
        Names and descriptions of schemas.
    detail
        ``min`` leaves the columns out.

    Returns
    -------
    document : `bytes`
        Schemas in the order of their first table.

    References
    ----------
    VOSI 1.1, 6; VODataService 1.1, 3.3.
    """
    about = dict(schemas)
    parts = [_DECLARATION, f"<vosi:tableset{_NAMESPACES}>\n"]
    for schema in dict.fromkeys(table.schema for table in tables):
        parts += ["<schema>", _element("name", schema), _element("description", about.get(schema)), "\n"]
        for table in tables:
            if table.schema == schema:
                parts += ['<table type="table">', *_render_table(table, keys, detail), "</table>\n"]
        parts.append("</schema>\n")
    return "".join([*parts, "</vosi:tableset>\n"]).encode()


def write_table_description(table: Table, *, keys: Sequence[ForeignKey] = ()) -> bytes:
    """Write the document of ``/tables/{name}``.

    Parameters
    ----------
    table
        The table.
    keys
        Foreign keys; those of other tables are left out.

    Returns
    -------
    document : `bytes`

    References
    ----------
    VOSI 1.1, 6.
    """
    content = "".join(_render_table(table, keys, "max"))
    return f'{_DECLARATION}<vosi:table{_NAMESPACES} type="table">{content}</vosi:table>\n'.encode()


def _render_table(table: Table, keys: Sequence[ForeignKey], detail: str) -> Iterable[str]:
    # The order of elements is that of the schema, here and below.
    yield _element("name", table.name)
    yield _element("description", table.description)
    yield _element("utype", table.utype)
    if detail == "min":
        return
    yield "\n"
    yield from map(_render_column, table.columns)
    for key in keys:
        if key.from_table == table.name:
            yield f"<foreignKey>{_element('targetTable', key.target_table)}"
            for names in key.columns:
                source, target = map(_element, ("fromColumn", "targetColumn"), names)
                yield f"<fkColumn>{source}{target}</fkColumn>"
            yield f"{_element('description', key.description)}</foreignKey>\n"


def _render_column(column: Column) -> str:
    type_attributes = "".join(
        f" {name}={quoteattr(value)}"
        for name, value in (("arraysize", column.arraysize), ("extendedType", column.xtype))
        if value is not None
    )
    return "".join(
        [
            f'<column std="{str(column.std).lower()}">',
            _element("name", column.name),
            _element("description", column.description),
            _element("unit", column.unit),
            _element("ucd", column.ucd),
            _element("utype", column.utype),
            f'<dataType xsi:type="vs:VOTableType"{type_attributes}>{column.datatype}</dataType>',
            "<flag>indexed</flag>" if column.indexed else "",
            "<flag>principal</flag>" if column.principal else "",
            "</column>\n",
        ]
    )


def _element(tag: str, text: str | None) -> str:
    # The schema has types without an empty value: no text, no element.
    return f"<{tag}>{escape(text)}</{tag}>" if text else ""


def _build_capability(item: Capability | TapCapability) -> Any:
    from vo_models.voresource.models import Capability as CapabilityModel

    if isinstance(item, TapCapability):
        return _build_tap(item)
    return CapabilityModel(standard_id=pydantic.AnyUrl(item.standard_id), interface=[_build_interface(item)])


def _build_interface(item: Capability) -> Any:
    from vo_models.vodataservice.models import ParamHTTP
    from vo_models.voresource.models import AccessURL, WebBrowser

    url = [AccessURL(value=pydantic.AnyUrl(item.access_url), use=item.use)]
    if item.for_people:
        return WebBrowser(access_url=url)
    return ParamHTTP(role="std", version=item.version, access_url=url)


def _build_tap(item: TapCapability) -> Any:
    from vo_models.tapregext import models

    features = [
        models.LanguageFeatureList(
            type=kind,
            feature=[
                models.LanguageFeature(form=feature.form, description=feature.description or None)
                for feature in item.features
                if feature.kind == kind
            ],
        )
        for kind in dict.fromkeys(feature.kind for feature in item.features)
    ]
    language = models.Language(
        name="ADQL",
        version=[
            models.Version(value=version, ivo_id=f"ivo://ivoa.net/std/ADQL#v{version}")
            for version in item.languages
        ],
        description="Astronomical Data Query Language",
        language_features=features,
    )
    return models.TableAccess(
        interface=[_build_interface(Capability(_TAP_ID, item.access_url, version="1.1", use="base"))],
        data_model=[models.DataModelType(value=name, ivo_id=ivoid) for ivoid, name in item.data_models],
        language=[language],
        output_format=[model for table_format in item.formats for model in _build_formats(table_format)],
        execution_duration=models.TimeLimits(default=item.execution_s, hard=item.execution_s),
        output_limit=models.DataLimits(
            default=models.DataLimit(value=item.maxrec, unit="row"),
            hard=models.DataLimit(value=item.maxrec_hard, unit="row"),
        ),
    )


def _build_formats(table_format: TableFormat) -> list[Any]:
    from vo_models.tapregext.models import OutputFormat

    identifier = _VOTABLE_TD_ID if table_format.name == "votable" else None
    usual = OutputFormat(
        mime=table_format.media_type, alias=[table_format.name, *table_format.aliases], ivo_id=identifier
    )
    others = [name for name in table_format.accepted if name != table_format.media_type]
    return [usual, *(OutputFormat(mime=name, ivo_id=identifier) for name in others)]


def _render_model(model: Any) -> bytes:
    document: bytes = model.to_xml(encoding="UTF-8", xml_declaration=True, skip_empty=True)
    return document
