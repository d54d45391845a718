"""Pixels outside of the shape that was asked for: NaN, or a mask plane."""

from __future__ import annotations

__all__ = ["STENCIL_PLANE", "blanked", "no_mask", "stenciled"]

from typing import Any

import numpy as np

from ...errors import UsageError
from .._image import Buffer
from ._codecs import stored_type

type Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

STENCIL_PLANE = "OUTSIDE_STENCIL"
"""The mask plane of pixels outside, as Rubin's own cutout service names it."""


def blanked(data: Buffer, bitpix: int, inside: Bools, name: str) -> Buffer:
    """Make the pixels outside NaN.

    Parameters
    ----------
    data
        Pixels as FITS stores them, of one or more planes.
    bitpix
        Their type.
    inside
        Which are inside, shape ``(height, width)``.
    name
        How the message calls the file.

    Returns
    -------
    data : `Buffer`

    Raises
    ------
    UsageError
        Raised if they are whole numbers.
    """
    if bitpix > 0:
        raise UsageError(
            f"The image in {name!r} holds whole numbers, of which none is NaN; send OUTSIDE=keep, or "
            "OUTSIDE=mask with CUTOUTDETAIL=MaskedImage if it has a mask",
            parameter="OUTSIDE",
            value="nan",
        )
    pixels = _writable(data, bitpix, inside)
    pixels[:, ~inside] = np.nan
    return memoryview(pixels.reshape(-1).view(np.uint8))


def stenciled(data: Buffer, bitpix: int, bit: int, inside: Bools) -> Buffer:
    """Set a bit of the mask in the pixels outside.

    Parameters
    ----------
    data
        Mask as FITS stores it.
    bitpix
        Its type.
    bit
        Number of the mask plane.
    inside
        Which pixels are inside, shape ``(height, width)``.

    Returns
    -------
    data : `Buffer`
    """
    pixels = _writable(data, bitpix, inside)
    pixels[:, ~inside] |= np.array(1 << bit).astype(pixels.dtype)
    return memoryview(pixels.reshape(-1).view(np.uint8))


def no_mask(name: str, *, has_mask: bool) -> UsageError:
    """Return the error of a cutout that has no mask to hold the shape.

    Parameters
    ----------
    name
        How the message calls the file.
    has_mask
        Whether the file has a mask, and only the cutout has not.

    Returns
    -------
    error : `UsageError`
    """
    other = " or CUTOUTDETAIL=MaskedImage" if has_mask else ""
    what = "A cutout with CUTOUTDETAIL=Image" if has_mask else f"The image in {name!r}"
    return UsageError(
        f"{what} has no mask that could hold the shape; send OUTSIDE=nan{other}",
        parameter="OUTSIDE",
        value="mask",
    )


def _writable(data: Buffer, bitpix: int, inside: Bools) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
    pixels = np.frombuffer(data, dtype=stored_type(bitpix)).reshape(-1, *inside.shape)
    return pixels if pixels.flags.writeable else pixels.copy()
