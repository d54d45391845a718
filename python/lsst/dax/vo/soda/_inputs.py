"""What a file says of the datasets it was made from."""

from __future__ import annotations

__all__ = ["FileInputs"]

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class FileInputs:
    """The inputs that a file tells."""

    ids: tuple[UUID, ...] = ()
    """Butler's ids of its direct inputs, each once, in their order."""

    count: int = 0
    """How many inputs there were: more than ids where a writer left them
    away, since they were too many."""

    detectors: tuple[tuple[str | None, int, int], ...] = ()
    """Instrument, if it is told, visit and detector of the images in a coadd;
    looked for only in files that have no ids."""
