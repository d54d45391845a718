"""What a service can do."""

from __future__ import annotations

__all__ = [
    "Capability",
    "LanguageFeature",
    "TapCapability",
    "examples_capability",
    "vosi_capabilities",
    "write_capabilities",
]

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pydantic

from ...errors import UsageError
from ..formats import TableFormat
from ._models import render_model

_TAP_ID = "ivo://ivoa.net/std/TAP"
_UPLOAD_ID = "ivo://ivoa.net/std/TAPRegExt#upload-"
_VOTABLE_IDS = {
    "tabledata": "ivo://ivoa.net/std/TAPRegExt#output-votable-td",
    "binary": "ivo://ivoa.net/std/TAPRegExt#output-votable-binary",
    "binary2": "ivo://ivoa.net/std/TAPRegExt#output-votable-binary2",
}


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

    execution_hard_s: int | None = None
    """Seconds that a client may ask for; `None` for no more than the default."""

    uploads: tuple[Literal["inline", "http", "https", "ftp"], ...] = ()
    """Ways to send a table along with a query; none, when it is empty."""

    upload_rows: int | None = None
    """Rows that one table may have; `None` when no number limits them."""

    upload_bytes: int | None = None
    """Bytes that one table may have; told where no number of rows is."""

    retention_s: int | None = None
    """Seconds after which a job is removed; `None` when there are no jobs."""

    retention_hard_s: int | None = None
    """Seconds that a client may ask for; `None` for no more than the default."""


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


def examples_capability(url: str) -> Capability:
    """Return the entry of a service that has examples.

    Parameters
    ----------
    url
        URL under which ``/examples`` lies.

    Returns
    -------
    capability : `Capability`

    References
    ----------
    DALI 1.1, 2.3.
    """
    return Capability("ivo://ivoa.net/std/DALI#examples", f"{url}/examples", for_people=True)


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
    return render_model(model)


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
        upload_method=[models.UploadMethod(ivo_id=f"{_UPLOAD_ID}{method}") for method in item.uploads],
        retention_period=_build_seconds(item.retention_s, item.retention_hard_s),
        execution_duration=_build_seconds(item.execution_s, item.execution_hard_s),
        output_limit=models.DataLimits(
            default=models.DataLimit(value=item.maxrec, unit="row"),
            hard=models.DataLimit(value=item.maxrec_hard, unit="row"),
        ),
        upload_limit=_build_upload_limit(item) if item.uploads else None,
    )


def _build_seconds(default: int | None, hard: int | None) -> Any:
    from vo_models.tapregext.models import TimeLimits

    return None if default is None else TimeLimits(default=default, hard=default if hard is None else hard)


def _build_upload_limit(item: TapCapability) -> Any:
    from vo_models.tapregext.models import DataLimit, DataLimits

    # The schema has room for one limit of a kind, in either unit.
    if item.upload_rows is not None:
        return DataLimits(hard=DataLimit(value=item.upload_rows, unit="row"))
    if item.upload_bytes is not None:
        return DataLimits(hard=DataLimit(value=item.upload_bytes, unit="byte"))
    return None


def _build_formats(table_format: TableFormat) -> list[Any]:
    from vo_models.tapregext.models import OutputFormat

    plain = [table_format.name, *(name for name, options in table_format.aliases.items() if not options)]
    others = [name for name in table_format.accepted if not table_format.media_type.startswith(name)]
    if table_format.name != "votable":
        models = [OutputFormat(mime=table_format.media_type, alias=plain)]
        return [*models, *(OutputFormat(mime=name) for name in others)]
    # Without a parameter it is TABLEDATA.
    models = [OutputFormat(mime=table_format.media_type, alias=plain, ivo_id=_VOTABLE_IDS["tabledata"])]
    models += [OutputFormat(mime=name, ivo_id=_VOTABLE_IDS["tabledata"]) for name in others]
    for serialization in table_format.options["serialization"]:
        wanted = {"serialization": serialization}
        models.append(
            OutputFormat(
                mime=f"{table_format.media_type};serialization={serialization.upper()}",
                alias=[name for name, options in table_format.aliases.items() if options == wanted],
                ivo_id=_VOTABLE_IDS[serialization],
            )
        )
    return models
