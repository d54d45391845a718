"""Backends of the cutout kernel, chosen by what a file is."""

from __future__ import annotations

__all__ = ["Backend", "open_image"]

from collections.abc import Iterator
from contextlib import contextmanager

from lsst.resources import ResourcePath

from ...errors import NotFoundError, UnsupportedError
from .._image import CutImage
from ._cache import FileCache, FileEntry
from ._choice import Backend
from ._hdu import FitsFile
from ._open import open_source

_CACHE = FileCache()


@contextmanager
def open_image(
    uri: ResourcePath,
    key: str | None = None,
    *,
    hdu: int | str | None = None,
    backend: Backend = Backend.AUTO,
) -> Iterator[CutImage]:
    """Open an image with the backend that reads its format.

    Parameters
    ----------
    uri
        The file.
    key
        What names the content of the file for good, such as the id of its
        dataset.  With a key, headers, WCS and tables are remembered from
        one time to the next, and pixels alone are read again; by default
        nothing is.
    hdu
        Number (0 is the primary) or EXTNAME of the HDU that is the image,
        of FITS files that are not of `lsst.images`; by default it is found.
    backend
        What reads it; by default this is chosen by what the file is.

    Yields
    ------
    image : `CutImage`

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    TransientError
        Raised if the store of the file does not answer.
    UnsupportedError
        Raised if no backend reads it; the message says why.
    """
    entry = FileEntry() if key is None else _CACHE.get(key)
    try:
        with open_source(uri, entry) as source:
            file = FitsFile(source, entry)
            with _open(uri, file, hdu, backend) as image:
                yield image
    except (NotFoundError, UnsupportedError):
        # What is remembered may be of a file that is there no more.
        if key is not None:
            _CACHE.drop(key)
        raise


@contextmanager
def _open(uri: ResourcePath, file: FitsFile, hdu: int | str | None, backend: Backend) -> Iterator[CutImage]:
    # The card that every FITS file of lsst.images begins with.
    is_lsst_images = "DATAMODL" in file.primary.header
    if backend is Backend.IMAGES and not is_lsst_images:
        raise UnsupportedError(
            f"The file {file.source.name!r} is no file of lsst.images; use the backend 'auto'"
        )
    if backend is Backend.AFW:
        from . import afw

        with afw.open_image(uri, file) as image:
            yield image
    elif is_lsst_images and backend is not Backend.FITS and hdu is None:
        from . import images

        with images.open_image(file) as image:
            yield image
    else:
        from . import fits

        with fits.open_image(file, hdu) as image:
            yield image
