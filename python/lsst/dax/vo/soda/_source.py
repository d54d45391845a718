"""What is cut: a file, and who it is."""

from __future__ import annotations

__all__ = ["CutoutSource"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from lsst.resources import ResourcePath

from ._backend import Backend
from ._extent import Extent


@dataclass(frozen=True, slots=True)
class CutoutSource:
    """A dataset that can be cut: its file, and who it is."""

    uri: ResourcePath
    """The file."""

    dataset_id: UUID | None = None
    """The Butler's dataset id; `None` for a file of no repository."""

    dataset_type: str | None = None
    """Name of the dataset type."""

    data_id: Mapping[str, object] = field(default_factory=dict)
    """Required values of the data ID."""

    extent: Extent | None = None
    """Its wavelengths, times and polarization; `None` when only its file can
    tell."""

    hdu: int | str | None = None
    """Number or name of the HDU with the image; `None` where the file tells."""

    backend: Backend = Backend.AUTO
    """What reads it."""

    is_raw: bool = False
    """Whether the file is as an instrument wrote it."""
