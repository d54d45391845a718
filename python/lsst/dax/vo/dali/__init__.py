"""DALI: the words that every protocol shares."""

from ._descriptors import InputParam, ServiceDescriptor
from ._faults import FAULTS, Fault, fault_of, message_of
from ._interval import Interval, format_interval, parse_interval, parse_numbers
from ._params import ParamSet
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
from ._response import Response
from ._table import Column, ResultTable, RowLimit, Table, arrow_type
from ._votable import VOTABLE_MEDIA_TYPE, Info, votable_error, write_votable

__all__ = [
    "FAULTS",
    "VOTABLE_MEDIA_TYPE",
    "Circle",
    "Column",
    "Fault",
    "Info",
    "InputParam",
    "Interval",
    "ParamSet",
    "Polygon",
    "Range",
    "Response",
    "ResultTable",
    "RowLimit",
    "ServiceDescriptor",
    "Stencil",
    "Table",
    "arrow_type",
    "fault_of",
    "format_interval",
    "format_pos",
    "message_of",
    "parse_circle",
    "parse_interval",
    "parse_numbers",
    "parse_polygon",
    "parse_pos",
    "parse_range",
    "to_region",
    "votable_error",
    "write_votable",
]
