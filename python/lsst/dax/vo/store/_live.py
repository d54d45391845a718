"""The table that daf_butler keeps in a registry, described as a store.

Nothing is made in the registry's database: a query reads the table as it is
when it begins, through expressions for the columns that a store has.
"""

from __future__ import annotations

__all__ = ["LiveStore"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from ..dali import Column
from ._location import LiveLocation, PostgresLocation


@final
@dataclass(frozen=True, slots=True)
class LiveStore:
    """The Butler's own table; it can be read, and never gets old."""

    location: LiveLocation
    """The repository that has it."""

    database: PostgresLocation
    """The registry's database, and schema and name of the table in it."""

    label: str
    """Label of the repository: each row has it."""

    columns: tuple[Column, ...]
    """The public columns, in order."""

    filled: frozenset[str]
    """Those of them that the table has; the others are without values."""

    id_column: str
    """The table's column with the dataset's UUID."""

    region_column: str | None = None
    """Its column with polygons of pgSphere, if it has one."""

    position_column: str | None = None
    """Its column with the middles of these."""

    did_format: str | None = None
    """What is shown as ``obs_publisher_did`` where the table has no values,
    with ``{id}``."""

    properties: Mapping[str, str] = field(default_factory=dict)
    """Label and configuration of the table."""

    @property
    def is_current(self) -> bool:
        """Whether no other table has taken its place: it is always read anew."""
        return True
