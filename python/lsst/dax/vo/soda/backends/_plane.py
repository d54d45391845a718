"""The header of a cutout: the parent's, with what the cut changes."""

from __future__ import annotations

__all__ = ["image_header", "set_origin", "shift_wcs"]

import re

from .._box import PixelBox
from ._hdu import Hdu
from ._header import Header

# Cards of a table that hold a compressed image (FITS 4.0, 10.1); the rest
# are those of the image.
_COMPRESSION = re.compile(
    r"Z(IMAGE|CMPTYPE|BITPIX|NAXIS\d*|TILE\d+|NAME\d+|VAL\d+|MASKCMP|SIMPLE|TENSION|EXTEND|BLOCKED|PCOUNT|GCOUNT"
    r"|HECKSUM|DATASUM|QUANTIZ|DITHER0|BLANK|SCALE|ZERO)|T(TYPE|FORM|UNIT|DISP|NULL|DIM|SCAL|ZERO)\d+|TFIELDS|THEAP"
)
_STRUCTURE = re.compile(r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|CHECKSUM|DATASUM")
_CRPIX = re.compile(r"CRPIX([12])([A-Z]?)")
_CTYPE = re.compile(r"CTYPE([12])([A-Z]?)")


def image_header(hdu: Hdu, *, is_primary: bool) -> Header:
    """Return the header of an image, as it is uncompressed.

    Parameters
    ----------
    hdu
        The image.
    is_primary
        Whether it becomes the primary HDU.

    Returns
    -------
    header : `Header`
        A copy, without sums, which will not hold.
    """
    header = hdu.header.copy()
    if not hdu.is_tiled:
        header.drop(lambda key: key in ("CHECKSUM", "DATASUM"))
        return header
    unnamed = header.text("EXTNAME") == "COMPRESSED_IMAGE"
    # Blanks of whole numbers have this keyword when they are not compressed.
    blank = header.integer("ZBLANK") if hdu.bitpix > 0 and "BLANK" not in header else None
    header.drop(
        lambda key: _COMPRESSION.fullmatch(key) or _STRUCTURE.fullmatch(key) or (unnamed and key == "EXTNAME")
    )
    head = Header([])
    if is_primary:
        head.set("SIMPLE", True, "conforms to FITS standard")
    else:
        head.set("XTENSION", "IMAGE", "Image extension")
    head.set("BITPIX", hdu.bitpix, "type of pixels")
    head.set("NAXIS", len(hdu.shape), "number of axes")
    for axis, length in enumerate(hdu.shape, start=1):
        head.set(f"NAXIS{axis}", length)
    if not is_primary:
        head.set("PCOUNT", 0, "required keyword; must = 0")
        head.set("GCOUNT", 1, "required keyword; must = 1")
    if blank is not None:
        head.set("BLANK", blank, "value of pixels without one")
    return Header([*head.cards, *header.cards])


def shift_wcs(header: Header, dx: int, dy: int) -> None:
    """Move the reference pixels of all WCS of a header.

    Parameters
    ----------
    header
        The header, which is changed.
    dx, dy
        Columns and rows that were cut off before the first one.
    """
    shifts = {"1": dx, "2": dy}
    for key in header.keywords():
        if (axis := _CTYPE.fullmatch(key)) and (missing := f"CRPIX{axis[1]}{axis[2]}") not in header:
            # Its default is 0 (FITS 4.0, 8.2).
            header.set(missing, -float(shifts[axis[1]]), "Reference pixel")
            continue
        if key in ("CNPIX1", "CNPIX2") and "AMDX1" in header:
            # The plate solutions of the Digitized Sky Survey begin here.
            header.set(key, (header.number(key) or 0.0) + shifts[key[-1]])
            continue
        match = _CRPIX.fullmatch(key)
        value = header.number(key) if match else None
        # LSST's A WCS is anchored to the first pixel, whichever that is.
        if match is None or value is None or (match[2] == "A" and _is_parent_grid(header)):
            continue
        header.set(key, float(value) - shifts[match[1]])


def set_origin(header: Header, box: PixelBox, dx: int, dy: int, *, is_lsst: bool) -> None:
    """Say where the cutout is in its parent.

    Parameters
    ----------
    header
        The header, which is changed.
    box
        The pixels, in parent coordinates.
    dx, dy
        Columns and rows that were cut off before the first one.
    is_lsst
        Whether the parent says where it is in its own parent by LSST's
        WCS A; else it is in IRAF's way, by LTV.
    """
    for axis, first, shift in ((1, box.x0, dx), (2, box.y0, dy)):
        old = header.number(f"LTV{axis}")
        if is_lsst and _is_parent_grid(header):
            header.set(f"CRPIX{axis}A", 1.0)
            header.set(f"CRVAL{axis}A", float(first))
            if old is not None:
                header.set(f"LTV{axis}", float(-first))
        else:
            # IRAF's convention: what to add to the parent's coordinates.
            header.set(f"LTV{axis}", (old or 0.0) - shift, "Offset of this section in its parent")


def _is_parent_grid(header: Header) -> bool:
    return header.text("CTYPE1A").upper() in ("", "LINEAR") and header.number("CRPIX1A") == 1
