"""A dataset as the services see it: what it is, and the file that holds it."""

from __future__ import annotations

__all__ = ["Dataset", "FileState"]

import enum
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from lsst.resources import ResourcePath

from ..errors import NotFoundError, TransientError, UnsupportedError, VoError

# Ends of the names of storage classes of images, of lsst.afw and lsst.images:
# ExposureF, DecoratedImageU, MaskedImageV2, VisitImage, CellCoadd, MaskX; not
# ExposureCatalog, CoaddInputs, ExposureSummaryStats.
_IMAGE = re.compile(r".*(Exposure|Image|Coadd|Mask)([FDIULX]|V2)?")
# Images without a sky projection that could be cut along.
_PICTURES = frozenset({"ColorImage", "ExtendedPsfImage", "SpectractorImage"})
# Dimensions that place a dataset on the sky; bias, dark and flat have none.
_SKY_DIMENSIONS = frozenset({"visit", "exposure", "tract", "patch"})
# Instrument files with one HDU for each amplifier: no pixel box of the
# detector is a pixel box of the file.
_UNASSEMBLED = frozenset({"raw"})
_MEDIA_TYPES = {
    ".fits": "application/fits",
    ".fits.fz": "application/fits",
    ".fits.gz": "application/fits",
    ".fit": "application/fits",
    ".fz": "application/fits",
    ".parq": "application/vnd.apache.parquet",
    ".parquet": "application/vnd.apache.parquet",
    ".ecsv": "application/x-ecsv",
    ".yaml": "application/yaml",
    ".json": "application/json",
}


class FileState(enum.Enum):
    """What is known about the file of a dataset."""

    PRESENT = "present"
    UNCHECKED = "recorded in an object store, which was not asked"
    UNRECORDED = "not in the datastore"
    MISSING = "recorded in the datastore, but gone"
    EMPTY = "empty"
    POINTER = "a Git LFS pointer; run 'git lfs pull' in the repository"
    UNREADABLE = "not readable by this service"
    PARTS = "stored in several files"
    MEMBER = "inside a zip file"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset and the file that holds it."""

    uuid: UUID
    """The Butler's dataset id."""

    label: str
    """Label of the repository."""

    dataset_type: str
    """Name of the dataset type."""

    data_id: Mapping[str, Any]
    """Required values of the data ID."""

    run: str
    """RUN collection."""

    storage_class: str
    """Name of the storage class."""

    uri: ResourcePath | None
    """Where the file is; `None` when the datastore has no record of it."""

    size_bytes: int | None = None
    """Size of the file: measured for a local one, otherwise as recorded;
    `None` when unknown."""

    file_state: FileState = FileState.UNCHECKED
    """What is known about the file."""

    @property
    def is_image(self) -> bool:
        """Whether it is an image, by its storage class."""
        return _IMAGE.fullmatch(self.storage_class) is not None

    @property
    def is_sky_image(self) -> bool:
        """Whether stencils on the sky can be cut out of it."""
        return (
            self.is_image
            and self.storage_class not in _PICTURES
            and self.dataset_type not in _UNASSEMBLED
            and any(name in _SKY_DIMENSIONS or name.startswith(("healpix", "htm")) for name in self.data_id)
        )

    @property
    def media_type(self) -> str:
        """Media type of the file, by its suffix."""
        if self.uri is None:
            return "application/octet-stream"
        name = self.uri.basename().lower()
        for suffix, media_type in _MEDIA_TYPES.items():
            if name.endswith(suffix):
                return media_type
        return mimetypes.guess_type(name)[0] or "application/octet-stream"

    @property
    def file_error(self) -> VoError | None:
        """Why the file cannot be read; `None` when nothing speaks against it."""
        what = f"The file of {self.dataset_type} {self.uuid} of {self.label!r} is {self.file_state.value}"
        match self.file_state:
            case FileState.PRESENT | FileState.UNCHECKED:
                return None
            case FileState.UNRECORDED | FileState.MISSING:
                return NotFoundError(what)
            case FileState.UNREADABLE:
                return TransientError(what)
            case _:
                return UnsupportedError(what)

    def require_file(self) -> ResourcePath:
        """Return where the file is, to read it.

        Returns
        -------
        uri : `lsst.resources.ResourcePath`

        Raises
        ------
        NotFoundError
            Raised if there is no such file.
        UnsupportedError
            Raised if it is empty, a Git LFS pointer, or part of a zip file.
        TransientError
            Raised if it cannot be read at present.
        """
        error = self.file_error
        if error is not None:
            raise error
        if self.uri is None:
            raise NotFoundError(f"{self.dataset_type} {self.uuid} of {self.label!r} has no file")
        return self.uri
