"""Backends of the cutout kernel, chosen by what a file is."""

from __future__ import annotations

__all__ = ["Backend", "open_file", "open_image", "open_image_in", "read_inputs"]

from collections.abc import Iterator
from contextlib import contextmanager

from lsst.resources import ResourcePath

from ...errors import NotFoundError, UnsupportedError
from .._backend import Backend
from .._image import CutImage
from ._cache import FileCache, FileEntry
from ._fits_file import FitsFile
from ._inputs import read_inputs
from ._open import open_source
from ._planes import find_planes

_CACHE = FileCache()


@contextmanager
def open_image(
    uri: ResourcePath,
    key: str | None = None,
    *,
    hdu: int | str | None = None,
    backend: Backend = Backend.AUTO,
    is_raw: bool = False,
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
    is_raw
        Whether the file is as an instrument wrote it.  Of several detectors
        in such a file nobody here knows which is meant, so that it has to be
        one image, or the amplifiers of one detector.

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
    with (
        open_file(uri, key) as file,
        open_image_in(uri, file, hdu=hdu, backend=backend, is_raw=is_raw) as image,
    ):
        yield image


@contextmanager
def open_file(uri: ResourcePath, key: str | None = None) -> Iterator[FitsFile]:
    """Open a FITS file, whatever is in it.

    Parameters
    ----------
    uri
        The file.
    key
        What names its content for good, as for `open_image`.

    Yields
    ------
    file : `FitsFile`

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    TransientError
        Raised if the store of the file does not answer.
    UnsupportedError
        Raised if it is no FITS file, or damaged.
    """
    entry = FileEntry() if key is None else _CACHE.get(key)
    try:
        with open_source(uri, entry) as source:
            yield FitsFile(source, entry)
    except (NotFoundError, UnsupportedError):
        # What is remembered may be of a file that is there no more.
        if key is not None:
            _CACHE.drop(key)
        raise


@contextmanager
def open_image_in(
    uri: ResourcePath,
    file: FitsFile,
    *,
    hdu: int | str | None = None,
    backend: Backend = Backend.AUTO,
    is_raw: bool = False,
) -> Iterator[CutImage]:
    """Open the image in a file that is open.

    Parameters
    ----------
    uri
        The file.
    file
        The same, open.
    hdu, backend, is_raw
        As for `open_image`.

    Yields
    ------
    image : `CutImage`

    Raises
    ------
    UnsupportedError
        Raised if no backend reads it; the message says why.
    """
    if is_raw and hdu is None and not file.entry.note("is one image", lambda: _is_one_image(file)):
        raise UnsupportedError(
            f"The raw file {file.source.name!r} has several images, and not as amplifiers of one detector; "
            "fetch the file, and cut the one you want with 'butler vo cutout --file ... --hdu ...'"
        )
    if backend is Backend.IMAGES and not file.is_of_images:
        raise UnsupportedError(
            f"The file {file.source.name!r} is no file of lsst.images; use the backend 'auto'"
        )
    if hdu is not None and backend in (Backend.IMAGES, Backend.AFW):
        raise UnsupportedError(
            f"The backend {backend.value!r} takes the image that it finds, not HDU {str(hdu)[:80]!r}; use "
            "the backend 'fits'"
        )
    if backend is Backend.AFW:
        if find_planes(file, None).mosaic is not None:
            raise UnsupportedError(
                f"The file {file.source.name!r} holds the amplifiers of a detector, which lsst.afw does not "
                "put together by itself; use the backend 'auto'"
            )
        from . import afw

        with afw.open_image(uri, file) as image:
            yield image
    elif file.is_of_images and backend is not Backend.FITS and hdu is None:
        from . import images

        with images.open_image(file) as image:
            yield image
    else:
        from . import fits

        with fits.open_image(file, hdu) as image:
            yield image


def _is_one_image(file: FitsFile) -> bool:
    if file.is_of_images or sum(hdu.is_image for hdu in file.hdus()) <= 1:
        return True
    planes = find_planes(file, None)
    return planes.mosaic is not None or planes.mask is not None
