"""What of a repository is exported, and how."""

from __future__ import annotations

__all__ = ["ExportChoice"]

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportChoice:
    """What of a repository is exported, and how."""

    collections: Sequence[str] | None = None
    """Collections to search in order, instead of the configuration's."""

    dataset_types: Sequence[str] | None = None
    """Only these of the configured dataset types."""

    where: str | None = None
    """A further expression that data IDs must fulfil."""

    limit: int | None = None
    """Most rows."""

    reader: Literal["bulk", "public"] | None = None
    """How the registry is read: ``bulk`` from its database, ``public``
    through the Butler's interface; by default in bulk where that fits."""

    on_error: Literal["fail", "null"] = "fail"
    """What happens to a row of which something cannot be made, such as a
    damaged region: an error, or NULL in its place."""

    parts: Path | None = None
    """Folder for finished parts, with which an interrupted export goes on;
    the caller removes it in the end."""
