"""VOTable documents: written a column at a time, and read."""

from ._document import (
    VOTABLE_MEDIA_TYPE,
    Info,
    Serialization,
    describe_votable,
    votable_error,
    write_votable,
)
from ._reader import read_votable
from ._tabledata import DALI_NUMBERS, escape_text, format_numbers

__all__ = [
    "DALI_NUMBERS",
    "VOTABLE_MEDIA_TYPE",
    "Info",
    "Serialization",
    "describe_votable",
    "escape_text",
    "format_numbers",
    "read_votable",
    "votable_error",
    "write_votable",
]
