"""Physical values of pixels."""

from __future__ import annotations

__all__ = ["physical", "read_physical"]

from typing import Any

import numpy as np

from .._image import Buffer, Pixels
from ._codecs import stored_type
from ._fits_file import Box, FitsFile
from ._hdu import Hdu

# Types whose values all fit into float32.
_SINGLE = (8, 16, -32)


def read_physical(file: FitsFile, hdu: Hdu, box: Box) -> Pixels:
    """Return the values of a box of pixels.

    Parameters
    ----------
    file
        The file.
    hdu
        The image; of a cube, the first plane.
    box
        The pixels.

    Returns
    -------
    pixels : `numpy.ndarray`, shape ``(height, width)``
        Native ``float32`` or ``float64``; BSCALE and BZERO are applied, and
        blanks are NaN.

    Raises
    ------
    UnsupportedError
        Raised if the file is damaged or compressed in an unknown way.
    """
    return physical(file.read_box(hdu, box), hdu, box[2], box[3])


def physical(data: Buffer, hdu: Hdu, width: int, height: int) -> Pixels:
    """Turn pixels as FITS stores them into values.

    Parameters
    ----------
    data
        The pixels; of a cube, only the first plane counts.
    hdu
        The HDU whose cards say what they mean.
    width, height
        Columns and rows.

    Returns
    -------
    pixels : `numpy.ndarray`, shape ``(height, width)``
        As from `read_physical`.
    """
    stored: np.ndarray[tuple[int, ...], np.dtype[Any]] = np.frombuffer(
        data, dtype=stored_type(hdu.bitpix), count=width * height
    ).reshape(height, width)
    header = hdu.header
    scale, zero = header.number("BSCALE"), header.number("BZERO")
    values: Pixels = stored.astype(np.float32 if hdu.bitpix in _SINGLE else np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if scale is not None and scale != 1:
            values *= scale
        if zero:
            values += zero
    blank = header.integer("BLANK", header.integer("ZBLANK") if hdu.is_tiled else None)
    if hdu.bitpix > 0 and blank is not None:
        values[stored == blank] = np.nan
    return values
