"""The point spread function of an image at its center, as a FITS file."""

from __future__ import annotations

__all__ = ["write_psf"]

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from .._ast import AST_LOCK
from .._box import PixelBox
from .._image import CutImage
from .._provenance import Card
from ..backends._fits_file import FitsFile
from ..backends._header import Header, padded
from ..backends.psf import PsfImage, compute_psf, find_psf
from ..picture import fit_plane


def write_psf(file: FitsFile, image: CutImage, cards: Sequence[Card]) -> bytes:
    """Write the image of a star at the center of an image.

    Parameters
    ----------
    file
        The file.
    image
        Its image.
    cards
        Cards that say which dataset it is.

    Returns
    -------
    content : `bytes`
        A FITS file of one HDU, in double precision.  Its cards PSF_X and PSF_Y say where the star
        is in the parent's pixels, PSF_RA and PSF_DEC where on the sky; the
        WCS is the tangent plane there, PSFMODEL the class of the model.

    Raises
    ------
    UnsupportedError
        Raised if there is none, or it cannot be computed.
    """
    box = image.box
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    found = compute_psf(file, x, y)
    x, y = found.place or (x, y)
    kind = find_psf(file)
    header = Header([])
    height, width = found.values.shape
    header.set("SIMPLE", True, "conforms to FITS standard")
    header.set("BITPIX", -64, "double precision")
    header.set("NAXIS", 2, "number of axes")
    header.set("NAXIS1", width)
    header.set("NAXIS2", height)
    header.set("PSFMODEL", kind.name if kind is not None else "", "Class of the model")
    header.set("PSF_X", x, "[pix] Column of the star in the parent image, from 0")
    header.set("PSF_Y", y, "[pix] Row of the star in the parent image, from 0")
    for key, value, comment in (*_wcs(image, found, x, y), *cards):
        header.set(key, value, comment)
    return header.to_bytes() + padded(np.ascontiguousarray(found.values, dtype=">f8").tobytes())


def _wcs(image: CutImage, found: PsfImage, x: float, y: float) -> Iterator[Card]:
    with AST_LOCK:
        projection = image.projection()
        # The box of which the place is the center.
        around = PixelBox(math.floor(x), math.ceil(x), math.floor(y), math.ceil(y))
        plane = None if projection is None else fit_plane(projection, around)
    if plane is None:
        return
    yield "PSF_RA", plane.lon_deg, "[deg] Right ascension of the star, ICRS"
    yield "PSF_DEC", plane.lat_deg, "[deg] Declination of the star"
    # The star is at the center of a pixel.
    yield from replace(plane, x=float(found.x + 1), y=float(found.y + 1)).cards()
