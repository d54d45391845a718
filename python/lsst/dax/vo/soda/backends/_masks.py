"""Masks of afw: types that its readers know, and a plane for the shape."""

from __future__ import annotations

__all__ = ["readable_mask", "set_stencil_plane"]

import re

import numpy as np

from ...errors import UnsupportedError
from .._image import Buffer
from ._header import Header
from ._outside import STENCIL_PLANE, Bools, stenciled

_PLANE = re.compile(r"MP_(.+)")


def readable_mask(data: Buffer, bitpix: int, header: Header, name: str) -> Buffer:
    """Turn a mask into one of 32 signed bits.

    Parameters
    ----------
    data
        The mask as FITS stores it.
    bitpix
        Its type.
    header
        Its header, which is changed.
    name
        How the message calls the file.

    Returns
    -------
    data : `Buffer`
        afw reads masks of 32 unsigned or 64 bits as zeros; int32 has room
        for the same planes.  Smaller types stay.

    Raises
    ------
    UnsupportedError
        Raised if there are more than 32 planes.
    """
    if bitpix == 64:
        wide = np.frombuffer(data, dtype=">i8") + (header.integer("BZERO", 0) or 0)
        if np.any((wide < -(2**31)) | (wide >= 2**32)):
            raise UnsupportedError(
                f"The mask of {name!r} uses more than 32 planes, which FITS masks cannot hold; "
                "send CUTOUTDETAIL=Image"
            )
        data = wide.astype(">u4").tobytes() if np.any(wide >= 2**31) else wide.astype(">i4").tobytes()
    elif bitpix == 32 and header.number("BZERO") == 2**31:
        data = (np.frombuffer(data, dtype=">u4") ^ np.uint32(2**31)).astype(">u4").tobytes()
    else:
        return data
    header.set("BITPIX", 32)
    header.drop(lambda key: key in ("BZERO", "BSCALE"))
    return data


def set_stencil_plane(data: Buffer, header: Header, inside: Bools, name: str) -> Buffer:
    """Mark the pixels outside of a shape in a mask plane of their own.

    Parameters
    ----------
    data
        The mask, from `readable_mask`.
    header
        Its header; the plane is added to its cards MP_*.
    inside
        Which pixels are inside, shape ``(height, width)``.
    name
        How the message calls the file.

    Returns
    -------
    data : `Buffer`

    Raises
    ------
    UnsupportedError
        Raised if all planes are in use.
    """
    bitpix = header.integer("BITPIX") or 32
    numbers = {match[1]: header.integer(key) for key in header.keywords() if (match := _PLANE.fullmatch(key))}
    # The sign is no plane.  A mask without names may use any bit, the last
    # of them least.
    planes = range(min(abs(bitpix), 32) - (bitpix > 8))
    if STENCIL_PLANE in numbers:
        free = [number for number in planes if number == numbers[STENCIL_PLANE]]
    else:
        free = [number for number in planes if number not in numbers.values()]
    if not free:
        raise UnsupportedError(
            f"All planes of the mask in {name!r} are in use; send OUTSIDE=nan, or OUTSIDE=keep"
        )
    above = [number for number in free if number > max((n or 0 for n in numbers.values()), default=0)]
    bit = (above or free)[0] if numbers else free[-1]
    header.set(f"MP_{STENCIL_PLANE}", bit)
    return stenciled(data, bitpix, bit, inside)
