"""Service descriptors: how a document tells its reader what to call next.

TAP, SIAv2 and DataLink documents all carry them (DataLink 1.1, 4).
"""

__all__ = ["InputParam", "ServiceDescriptor"]

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class InputParam:
    """One PARAM of the group ``inputParams``.

    Exactly one of the three kinds of DataLink 1.1, 4.1: fixed (``value``),
    from the results (``ref``), or chosen by the user (neither).
    """

    name: str
    """Name of the parameter."""

    datatype: str = "char"
    """VOTable type word."""

    arraysize: str | None = "*"
    """VOTable array size; `None` for a scalar."""

    value: str = ""
    """A value that the client must send; empty for the other two kinds."""

    ref: str | None = None
    """XML ID of the FIELD whose cell the client must send."""

    ucd: str | None = None
    """UCD1+ words; with name and unit they say what the parameter is."""

    unit: str | None = None
    """VOUnits text."""

    xtype: str | None = None
    """DALI xtype."""

    description: str = ""
    """One sentence."""

    minimum: str | None = None
    """``VALUES/MIN``, a scalar."""

    maximum: str | None = None
    """``VALUES/MAX``, a scalar, or a whole shape for circle and polygon."""

    options: tuple[str, ...] = ()
    """``VALUES/OPTION``."""


@dataclass(frozen=True, slots=True)
class ServiceDescriptor:
    """A ``meta`` RESOURCE that describes a service call."""

    access_url: str
    """URL to which the parameters are added."""

    standard_id: str
    """IVOID of the standard, for example ``ivo://ivoa.net/std/SODA#sync-1.0``."""

    params: tuple[InputParam, ...]
    """What the call takes."""

    xml_id: str | None = None
    """XML ID, by which a ``service_def`` cell names it; unique in a document."""

    name: str = ""
    """Short name for people."""

    description: str = ""
    """One sentence."""

    content_type: str | None = None
    """Media type of the answer."""

    utype: Literal["adhoc:service", "adhoc:this"] = "adhoc:service"
    """``adhoc:this`` for the service that wrote the document, which then
    describes itself (DataLink 1.1, 4.3)."""
