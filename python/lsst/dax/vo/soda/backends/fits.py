"""Cutouts of plain FITS images and of afw Exposure files, without afw."""

from __future__ import annotations

__all__ = ["open_image"]

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ...errors import UnsupportedError
from .._ast import AST_LOCK
from .._box import PixelBox
from .._image import Buffer, CutImage
from .._projection import Projection
from .._provenance import Card
from .._request import Detail
from ._hdu import FitsFile, Hdu
from ._header import BLOCK, Header, padded
from ._tan_sip import WCS_KEYWORD, is_followed_by, tan_sip_cards

_PLANES = ("image", "mask", "variance")

# Cards of a table that hold a compressed image (FITS 4.0, 10.1); the rest
# are those of the image.
_COMPRESSION = re.compile(
    r"Z(IMAGE|CMPTYPE|BITPIX|NAXIS\d*|TILE\d+|NAME\d+|VAL\d+|MASKCMP|SIMPLE|TENSION|EXTEND|BLOCKED|PCOUNT|GCOUNT"
    r"|HECKSUM|DATASUM|QUANTIZ|DITHER0|BLANK|SCALE|ZERO)|T(TYPE|FORM|UNIT|DISP|NULL|DIM|SCAL|ZERO)\d+|TFIELDS|THEAP"
)
_STRUCTURE = re.compile(r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|CHECKSUM|DATASUM")
_ARCHIVE_POINTER = re.compile(r"AR_HDU|ARCHIVE_ID_.*|EXPINFO_V")
_CRPIX = re.compile(r"CRPIX([12])([A-Z]?)")


@contextmanager
def open_image(file: FitsFile) -> Iterator[CutImage]:
    """Open a FITS image for cutting.

    Parameters
    ----------
    file
        The file.

    Yields
    ------
    image : `CutImage`

    Raises
    ------
    UnsupportedError
        Raised if it is damaged, or holds no image of two axes.
    """
    yield _FitsImage(file)


@dataclass(frozen=True, slots=True)
class _Plane:
    """An HDU with pixels."""

    hdu: Hdu
    number: int


class _FitsImage:
    def __init__(self, file: FitsFile) -> None:
        self._file = file
        self._planes = _find_planes(file)
        self._main = self._planes[0].hdu
        self._xy0 = _read_xy0(self._main.header)
        self._has_planes = len(self._planes) == 3
        self._exact: Projection | None = None

    @property
    def box(self) -> PixelBox:
        # Docstring inherited.
        (x0, y0), (columns, rows) = self._xy0, self._main.shape[:2]
        return PixelBox(x0, x0 + columns - 1, y0, y0 + rows - 1)

    def projection(self) -> Projection | None:
        # Docstring inherited.
        from ._sky import header_projection

        if (exact := self._archive_projection()) is not None:
            return exact
        for header in self._wcs_headers():
            found = header_projection(self._file, self._main, header, *self._xy0)
            if found is not None:
                return found
        return None

    def cut(self, box: PixelBox, detail: Detail, cards: Sequence[Card]) -> tuple[Buffer, ...]:
        # Docstring inherited.
        if detail is Detail.MASKED_IMAGE and not self._has_planes:
            raise UnsupportedError(
                f"The file {self._file.source.name!r} has no mask and variance; send CUTOUTDETAIL=Image"
            )
        if detail is Detail.EXPOSURE:
            _check_complete(self._file)
        if self._main is self._file.primary:
            return self._cut_plane(self._main, box, "image", cards)
        planes = self._planes if detail is not Detail.IMAGE else self._planes[:1]
        keeps_archive = detail is Detail.EXPOSURE and self._has_planes
        wcs = () if keeps_archive else self._exact_wcs(box)
        parts: list[Buffer] = [self._cut_primary(box, keeps_archive, cards)]
        for name, plane in zip(_PLANES, planes, strict=False):
            parts.extend(self._cut_plane(plane.hdu, box, name, wcs))
        if keeps_archive:
            # Tables that objects share are found by their distance from the
            # index, so all of them keep their order.
            parts.extend(hdu.read_all() for hdu in self._file.hdus()[4:])
        return tuple(parts)

    def _wcs_headers(self) -> list[Header]:
        # A MaskedImage of afw has its WCS in the primary header, from which
        # the planes inherit.
        headers = [self._main.header]
        if self._main is not self._file.primary:
            headers.append(self._file.primary.header)
        return [header for header in headers if "CTYPE1" in header]

    def _exact_wcs(self, box: PixelBox) -> tuple[Card, ...]:
        # Without the archive, the header alone says where the pixels are.
        with AST_LOCK:
            exact = self._archive_projection()
            if exact is None or is_followed_by(exact, self._main.header, self._xy0, box):
                return ()
            return tan_sip_cards(exact, box) or ()

    def _archive_projection(self) -> Projection | None:
        if not self._has_planes:
            return None
        if self._exact is None:
            from ._sky import archive_projection

            self._exact = archive_projection(self._file)
        return self._exact

    def _cut_primary(self, box: PixelBox, keeps_archive: bool, cards: Sequence[Card]) -> bytes:
        primary = self._file.primary
        dx, dy = box.x0 - self.box.x0, box.y0 - self.box.y0
        inherits = "CTYPE1" not in self._main.header and "CRPIX1" in primary.header
        header = primary.header.copy()
        if not keeps_archive:
            old = set(header.keywords())
            header.drop(
                lambda key: (
                    _ARCHIVE_POINTER.fullmatch(key)
                    or (key.endswith("_ID") and f"ARCHIVE_ID_{key.removesuffix('_ID')}" in old)
                    or _is_old_pointer(primary.header, key)
                )
            )
        if inherits:
            _shift_wcs(header, dx, dy)
        header.extend(cards)
        if header.cards == primary.header.cards:
            return primary.read_all()
        # Data of a primary HDU that is not the image are none in all files
        # known; a sum that they may carry no longer holds.
        header.drop(lambda key: key in ("CHECKSUM", "DATASUM"))
        return header.to_bytes() + padded(primary.read_data())

    def _cut_plane(self, hdu: Hdu, box: PixelBox, name: str, cards: Sequence[Card]) -> tuple[Buffer, ...]:
        dx, dy = box.x0 - self.box.x0, box.y0 - self.box.y0
        data = hdu.read_box(dx, dy, box.width, box.height)
        header = _image_header(hdu, is_primary=hdu is self._file.primary)
        header.set("NAXIS1", box.width)
        header.set("NAXIS2", box.height)
        if name == "mask":
            data = _readable_mask(data, hdu, header, self._file.source.name)
        _shift_wcs(header, dx, dy)
        _set_origin(header, box, dx, dy, is_lsst=self._xy0_is_recorded(hdu.header))
        if any(key == "CTYPE1" for key, _, _ in cards):
            header.drop(lambda key: WCS_KEYWORD.fullmatch(key))
        header.extend(cards)
        return header.to_bytes(), data, bytes(-len(data) % BLOCK)

    def _xy0_is_recorded(self, header: Header) -> bool:
        return "CRVAL1A" in header and "CRVAL2A" in header


def _check_complete(file: FitsFile) -> None:
    # A file that lost its end may still look like a smaller one.
    last, size = file.hdus()[-1], file.source.size
    index_hdu = file.primary.header.integer("AR_HDU")
    index = file.hdu(index_hdu - 1) if index_hdu else None
    tables = (index.header.integer("AR_NCAT") or 0) if index else 0
    if (
        last.data_offset + last.data_size > size
        or (size > last.end and file.source.read(last.end, min(8, size - last.end)) == b"XTENSION")
        or (index_hdu and (index is None or len(file.hdus()) < index_hdu - 1 + tables))
    ):
        raise file.source.truncated()


def _find_planes(file: FitsFile) -> list[_Plane]:
    first = [file.hdu(i) for i in (1, 2, 3)]
    planes = [_Plane(hdu, i) for i, hdu in enumerate(first, start=1) if hdu is not None and hdu.is_image]
    if not file.primary.is_image and len(planes) == 3 and _are_exposure(planes):
        return planes
    number = 0
    while (hdu := file.hdu(number)) is not None:
        if hdu.is_image:
            return [_Plane(hdu, number)]
        number += 1
    raise UnsupportedError(
        f"The file {file.source.name!r} holds no image; cutouts are made from FITS images of two axes"
    )


def _are_exposure(planes: list[_Plane]) -> bool:
    # afw writes EXTTYPE; the name stands in where it was lost.
    kinds = [plane.hdu.header.text("EXTTYPE") or plane.hdu.header.text("EXTNAME") for plane in planes]
    same_shape = len({plane.hdu.shape[:2] for plane in planes}) == 1
    return same_shape and [kind.upper() for kind in kinds] == [name.upper() for name in _PLANES]


def _read_xy0(header: Header) -> tuple[int, int]:
    # afw's rule: the A WCS is the parent's pixel grid when it refers to the
    # first pixel.
    if all(header.number(f"CRPIX{axis}A") == 1 for axis in (1, 2)):
        x0, y0 = header.integer("CRVAL1A"), header.integer("CRVAL2A")
        if x0 is not None and y0 is not None:
            return x0, y0
    return 0, 0


def _image_header(hdu: Hdu, *, is_primary: bool) -> Header:
    header = hdu.header.copy()
    if not hdu.is_tiled:
        header.drop(lambda key: key in ("CHECKSUM", "DATASUM"))
        return header
    unnamed = header.text("EXTNAME") == "COMPRESSED_IMAGE"
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
    return Header([*head.cards, *header.cards])


def _shift_wcs(header: Header, dx: int, dy: int) -> None:
    for key in header.keywords():
        match = _CRPIX.fullmatch(key)
        value = header.number(key) if match else None
        # LSST's A WCS is anchored to the first pixel, whichever that is.
        if match is None or value is None or (match[2] == "A" and _is_parent_grid(header)):
            continue
        header.set(key, float(value) - (dx if match[1] == "1" else dy))


def _is_parent_grid(header: Header) -> bool:
    return header.text("CTYPE1A").upper() in ("", "LINEAR") and header.number("CRPIX1A") == 1


def _set_origin(header: Header, box: PixelBox, dx: int, dy: int, *, is_lsst: bool) -> None:
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


def _readable_mask(data: Buffer, hdu: Hdu, header: Header, name: str) -> Buffer:
    # afw reads masks of 32 unsigned or 64 bits as zeros; int32 has room for
    # the same planes.
    if hdu.bitpix == 64:
        wide = np.frombuffer(data, dtype=">i8") + (header.integer("BZERO", 0) or 0)
        if np.any((wide < -(2**31)) | (wide >= 2**32)):
            raise UnsupportedError(
                f"The mask of {name!r} uses more than 32 planes, which FITS masks cannot hold"
            )
        data = wide.astype(">u4").tobytes() if np.any(wide >= 2**31) else wide.astype(">i4").tobytes()
    elif hdu.bitpix == 32 and header.number("BZERO") == 2**31:
        data = (np.frombuffer(data, dtype=">u4") ^ np.uint32(2**31)).astype(">u4").tobytes()
    else:
        return data
    header.set("BITPIX", 32)
    header.drop(lambda key: key in ("BZERO", "BSCALE"))
    return data


def _is_old_pointer(header: Header, key: str) -> bool:
    return key.endswith("_ID") and b"archive ID for" in header.card(key)
