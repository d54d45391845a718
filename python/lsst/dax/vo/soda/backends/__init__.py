"""Backends of the cutout kernel, chosen by what a file is."""

from __future__ import annotations

__all__ = ["open_image"]

from collections.abc import Iterator
from contextlib import contextmanager

from lsst.resources import ResourcePath

from .._image import CutImage
from . import fits


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
    with fits.open_image(uri) as image:
        yield image
