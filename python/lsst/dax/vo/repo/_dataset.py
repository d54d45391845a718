"""A dataset as the services see it: what it is, and the file that holds it."""

from __future__ import annotations

__all__ = ["Dataset", "is_image_class"]

import mimetypes
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from lsst.resources import ResourcePath

from ..errors import AuthorizationError, NotFoundError, TransientError, UnsupportedError, VoError
from ._file_state import FileState
from ._identifiers import DatasetId, format_butler_uri
from ._members import member_path

# Ends of the names of storage classes of images, of lsst.afw and lsst.images:
# ExposureF, DecoratedImageU, MaskedImageV2, VisitImage, CellCoadd, MaskX; not
# ExposureCatalog, CoaddInputs, ExposureSummaryStats.
_IMAGE = re.compile(r".*(Exposure|Image|Coadd|Mask)([FDIULX]|V2)?")
# Images without a sky projection that could be cut along.
_PICTURES = frozenset({"ColorImage", "ExtendedPsfImage", "SpectractorImage"})
# Of storage classes that are no images.
_PRODUCTS = (
    (re.compile(r".*Catalog|DataFrame|Arrow(Table|Astropy|Numpy(Dict)?)|AstropyQ?Table"), "#measurements"),
    (re.compile(r"SpectractorSpectrum|FiberSpectrum"), "#spectrum"),
)
# Dimensions that place a dataset on the sky; bias, dark and flat have none.
_SKY_DIMENSIONS = frozenset({"visit", "exposure", "tract", "patch"})
# Images without mask and variance, of lsst.afw and lsst.images.
_SINGLE_PLANE = re.compile(r"(Decorated)?Image[A-Z]?|Mask[A-Z]?")
# Files as instruments wrote them, of whichever storage class: the Butler's
# readers make Exposures of them.
_RAW = frozenset({"raw"})
# Stores that are down are asked again after as long a time (StoreProbe).
_RETRY_AFTER_S = 10
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


def is_image_class(storage_class: str) -> bool:
    """Tell whether a storage class is that of images.

    Parameters
    ----------
    storage_class
        Its name.

    Returns
    -------
    is_one : `bool`
    """
    return _IMAGE.fullmatch(storage_class) is not None


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
    """Where the file is; `None` when the datastore has no record of it, or a
    Butler server has the file."""

    size_bytes: int | None = None
    """Size of the file: measured for a local one, otherwise as recorded;
    `None` when unknown."""

    file_state: FileState = FileState.UNCHECKED
    """What is known about the file."""

    parts: tuple[tuple[str, ResourcePath], ...] = ()
    """Components and their files, of a dataset that is stored in several."""

    stored_name: str | None = None
    """Name of a file that a Butler server has."""

    find_file: Callable[[], ResourcePath] | None = field(default=None, compare=False, repr=False)
    """Asks a Butler server for a URI, which can be read for a while."""

    @property
    def butler_uri(self) -> str:
        """Its identifier, ``butler://<label>/<uuid>``."""
        return format_butler_uri(DatasetId(self.uuid, self.label))

    @property
    def file_name(self) -> str:
        """Name of the file, of a member of a zip file its own; may be empty."""
        if self.uri is None:
            return self.stored_name or ""
        member = member_path(self.uri)
        return self.uri.basename() if member is None else PurePosixPath(member).name

    @property
    def is_image(self) -> bool:
        """Whether it is an image, by its storage class."""
        return is_image_class(self.storage_class)

    @property
    def is_sky_image(self) -> bool:
        """Whether stencils on the sky can be cut out of it."""
        return (
            self.is_image
            and self.storage_class not in _PICTURES
            and any(name in _SKY_DIMENSIONS or name.startswith(("healpix", "htm")) for name in self.data_id)
        )

    @property
    def is_raw(self) -> bool:
        """Whether the file is as the instrument wrote it."""
        return self.dataset_type in _RAW

    @property
    def has_planes(self) -> bool:
        """Whether the file of an image has mask and variance too."""
        return not self.is_raw and _SINGLE_PLANE.fullmatch(self.storage_class) is None

    @property
    def product_type(self) -> str | None:
        """Kind of product, as DataLink has it: ``#image``, ``#measurements`` ..."""
        if self.is_image:
            return "#image"
        return next((term for kind, term in _PRODUCTS if kind.fullmatch(self.storage_class)), None)

    @property
    def media_type(self) -> str:
        """Media type of the file, by its suffix."""
        name = self.file_name.lower()
        for suffix, media_type in _MEDIA_TYPES.items():
            if name.endswith(suffix):
                return media_type
        return mimetypes.guess_type(name)[0] or "application/octet-stream"

    @property
    def file_error(self) -> VoError | None:
        """Why the file cannot be read; `None` when nothing speaks against it."""
        what = f"The file of {self.dataset_type} {self.uuid} of {self.label!r} is {self.file_state.value}"
        match self.file_state:
            case FileState.PRESENT | FileState.UNCHECKED | FileState.MEMBER:
                return None
            case FileState.UNRECORDED | FileState.MISSING:
                return NotFoundError(what)
            case FileState.UNREADABLE:
                return TransientError(what)
            case FileState.OUTSIDE:
                return AuthorizationError(what)
            case FileState.UNREACHABLE:
                return TransientError(f"{what}; try again", retry_after=_RETRY_AFTER_S)
            case _:
                return UnsupportedError(what)

    def describe(self) -> str:
        """Say what it is, for people.

        Returns
        -------
        text : `str`
            Dataset type and data ID.
        """
        values = ", ".join(f"{name} {value}" for name, value in self.data_id.items())
        return f"{self.dataset_type}: {values}" if values else self.dataset_type

    def require_file(self, *, or_member: bool = False) -> ResourcePath:
        """Return where the file is, to read it.

        Parameters
        ----------
        or_member
            Whether it may be a member of a zip file.

        Returns
        -------
        uri : `lsst.resources.ResourcePath`

        Raises
        ------
        NotFoundError
            Raised if there is no such file.
        UnsupportedError
            Raised if it is empty, a Git LFS pointer, or part of a zip file.
        AuthorizationError
            Raised if symbolic links lead out of the datastore.
        TransientError
            Raised if it cannot be read at present.
        """
        error = self.file_error
        if error is not None:
            raise error
        if self.file_state is FileState.MEMBER and not or_member:
            raise UnsupportedError(
                f"The file of {self.dataset_type} {self.uuid} of {self.label!r} is {self.file_state.value}; "
                "it can be had as a whole, but not in part"
            )
        if self.find_file is not None:
            return self.find_file()
        if self.uri is None:
            raise NotFoundError(f"{self.dataset_type} {self.uuid} of {self.label!r} has no file")
        return self.uri
