"""Backends of the cutout kernel, chosen by what a file is."""

from __future__ import annotations

__all__ = ["open_image"]

from collections.abc import Iterator
from contextlib import contextmanager

from lsst.resources import ResourcePath

from .._image import CutImage
from ._hdu import FitsFile
from ._source import open_source


@contextmanager
def open_image(uri: ResourcePath) -> Iterator[CutImage]:
    """Open an image with the backend that reads its format.

    Parameters
    ----------
    uri
        The file.

    Yields
    ------
    image : `CutImage`

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    UnsupportedError
        Raised if no backend reads it; the message says why.
    """
    with open_source(uri) as source:
        file = FitsFile(source)
        # The card that every FITS file of lsst.images begins with.
        if "DATAMODL" in file.primary.header:
            from . import images

            with images.open_image(uri, file.primary.header) as image:
                yield image
        else:
            from . import fits

            with fits.open_image(file) as image:
                yield image
