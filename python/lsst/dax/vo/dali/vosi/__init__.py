"""VOSI: what a service tells about itself.

Capabilities and availability are built from the models of ``vo-models``,
whose documents of these two kinds are valid against the schemas of the IVOA.
Its tableset is not (``xtype`` is an element that the schema does not have,
and ``column@std`` is missing), so that one is written here.
"""

from ._availability import Availability, write_availability
from ._capabilities import (
    Capability,
    LanguageFeature,
    TapCapability,
    examples_capability,
    vosi_capabilities,
    write_capabilities,
)
from ._models import XML_MEDIA_TYPE
from ._tables import ForeignKey, write_table_description, write_tableset

__all__ = [
    "XML_MEDIA_TYPE",
    "Availability",
    "Capability",
    "ForeignKey",
    "LanguageFeature",
    "TapCapability",
    "examples_capability",
    "vosi_capabilities",
    "write_availability",
    "write_capabilities",
    "write_table_description",
    "write_tableset",
]
