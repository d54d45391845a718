"""DALI: the words that every protocol shares."""

from ._csv import write_csv, write_tsv
from ._dataset_table import link_datasets
from ._descriptors import InputParam, ServiceDescriptor
from ._faults import FAULTS, Fault, fault_of, message_of
from ._formats import TABLE_FORMATS, AnswerFormat, TableFormat, parse_format, write_table
from ._interval import Interval, format_interval, parse_interval, parse_numbers
from ._origin import DataOrigin
from ._params import ParamSet
from ._response import Response
from ._shape import (
    Circle,
    Polygon,
    Range,
    Stencil,
    format_pos,
    parse_circle,
    parse_polygon,
    parse_pos,
    parse_range,
    to_region,
)
from ._table import Column, ResultTable, RowLimit, Table, arrow_type
from ._vosi import (
    XML_MEDIA_TYPE,
    Availability,
    Capability,
    ForeignKey,
    LanguageFeature,
    TapCapability,
    vosi_capabilities,
    write_availability,
    write_capabilities,
    write_table_description,
    write_tableset,
)
from ._votable import VOTABLE_MEDIA_TYPE, Info, votable_error, write_votable

__all__ = [
    "FAULTS",
    "TABLE_FORMATS",
    "VOTABLE_MEDIA_TYPE",
    "XML_MEDIA_TYPE",
    "AnswerFormat",
    "Availability",
    "Capability",
    "Circle",
    "Column",
    "DataOrigin",
    "Fault",
    "ForeignKey",
    "Info",
    "InputParam",
    "Interval",
    "LanguageFeature",
    "ParamSet",
    "Polygon",
    "Range",
    "Response",
    "ResultTable",
    "RowLimit",
    "ServiceDescriptor",
    "Stencil",
    "Table",
    "TableFormat",
    "TapCapability",
    "arrow_type",
    "fault_of",
    "format_interval",
    "format_pos",
    "link_datasets",
    "message_of",
    "parse_circle",
    "parse_format",
    "parse_interval",
    "parse_numbers",
    "parse_polygon",
    "parse_pos",
    "parse_range",
    "to_region",
    "vosi_capabilities",
    "votable_error",
    "write_availability",
    "write_capabilities",
    "write_csv",
    "write_table",
    "write_table_description",
    "write_tableset",
    "write_tsv",
    "write_votable",
]
