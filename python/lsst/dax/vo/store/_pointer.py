"""The small file that names the table of a store that counts, and names of tables."""

from __future__ import annotations

__all__ = [
    "DUCKDB",
    "PARQUET",
    "POINTER",
    "TABLE_PREFIX",
    "Kind",
    "format_pointer",
    "parse_pointer",
    "sign_pointer",
    "table_name",
    "table_that_counts",
]

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ._layout import LAYOUT

POINTER = "current.json"
"""Name of the file."""

TABLE_PREFIX = "obscore-"
"""What names of tables begin with, and of what is made on the way to one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the tables of a store are."""

    suffix: str
    """Of their files."""

    prefix: str
    """Of the names of such stores."""

    def name(self, place: Path | str) -> str:
        """Return the name of a store as people write it.

        Parameters
        ----------
        place
            Where it is; without secrets.

        Returns
        -------
        name : `str`
        """
        text = str(place)
        return text if text.startswith("s3://") else f"{self.prefix}{text}"

    def hint(self, name: str) -> str:
        """Return what to say about a file that does not belong to a store.

        Parameters
        ----------
        name
            Of the file.

        Returns
        -------
        text : `str`
            The end of a message; empty if there is nothing to say.
        """
        if not name.lower().endswith(PARQUET.suffix):
            return ""
        return (
            "; a table that was exported with --format parquet cannot be searched by place: "
            f"'butler vo export REPO {PARQUET.prefix}FOLDER' makes a store of Parquet files"
        )


DUCKDB = Kind(".duckdb", "")
"""Databases of DuckDB."""

PARQUET = Kind(".parquet", "parquet:")
"""Parquet files."""


def table_name(kind: Kind) -> str:
    """Name a table that has never been there.

    Parameters
    ----------
    kind
        What it is.

    Returns
    -------
    name : `str`
        Of its file; companions add to this name.
    """
    return f"{TABLE_PREFIX}{uuid.uuid4().hex}{kind.suffix}"


def format_pointer(table: str) -> str:
    """Write a pointer.

    Parameters
    ----------
    table
        Name of the table's file.

    Returns
    -------
    text : `str`
    """
    return json.dumps({"layout": LAYOUT, "table": table}) + "\n"


def sign_pointer(content: bytes) -> bytes:
    """Write a pointer again, so that it leads where it led and is another one.

    Parameters
    ----------
    content
        The pointer.

    Returns
    -------
    content : `bytes`
        No other one is the same.

    Raises
    ------
    ValueError
        Raised if it is no pointer.
    """
    _read(content)
    return (json.dumps({**json.loads(content), "writer": uuid.uuid4().hex}) + "\n").encode()


def table_that_counts(content: bytes) -> str:
    """Read the name of the table alone, whatever its layout.

    Parameters
    ----------
    content
        The pointer.

    Returns
    -------
    name : `str`
        Until a new table counts, this one does.

    Raises
    ------
    ValueError
        Raised if it is no pointer.
    """
    return _read(content)[1]


def parse_pointer(content: bytes, place: Path | str, kind: Kind) -> str:
    """Read a pointer.

    Parameters
    ----------
    content
        The pointer.
    place
        Where the store is, for messages.
    kind
        What its tables should be.

    Returns
    -------
    name : `str`
        Of the table's file in the store.

    Raises
    ------
    UsageError
        Raised if it is damaged, of another layout, or of another kind of store.
    """
    again = f"'butler vo export REPO {kind.name(place)}'"
    try:
        layout, name = _read(content)
    except ValueError as err:
        raise UsageError(f"{place}/{POINTER} is damaged; make the store again with {again}") from err
    if layout != LAYOUT:
        raise UsageError(
            f"The store {kind.name(place)} has the layout {layout!r}, this version reads {LAYOUT}; "
            f"make it again with {again}"
        )
    if not name.endswith(kind.suffix):
        other = next((other for other in (DUCKDB, PARQUET) if name.endswith(other.suffix)), kind)
        if other is not kind:
            raise UsageError(
                f"The tables of this store are {other.suffix} files; name it {other.name(place)}"
            )
    # Only the last part: a pointer leads to nothing outside its folder.
    return Path(name).name


def _read(content: bytes) -> tuple[object, str]:
    try:
        pointer = json.loads(content)
        return pointer["layout"], str(pointer["table"])
    except (TypeError, LookupError) as err:
        raise ValueError("it is no pointer") from err
