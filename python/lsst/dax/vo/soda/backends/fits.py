"""Cutouts of plain FITS images and of afw Exposure files, without afw."""

from __future__ import annotations

__all__ = ["open_image"]

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...errors import UnsupportedError
from .._ast import AST_LOCK
from .._box import PixelBox
from .._coverage import Coverage, Outside
from .._image import Buffer, CutImage, Pixels
from .._projection import Projection
from .._provenance import Card
from .._request import Detail
from ._fits_file import FitsFile
from ._hdu import Hdu
from ._header import BLOCK, LOOKUP_NAMES, LOOKUP_TABLES, Header, padded
from ._masks import readable_mask, set_stencil_plane
from ._mosaic import mosaic_header
from ._outside import blanked, no_mask
from ._pixels import physical
from ._plane import image_header, set_origin, shift_wcs
from ._planes import PLANES, find_planes
from ._tan_sip import WCS_KEYWORD, is_followed_by, tan_sip_cards

# Cards that say what the data of an HDU are.
_DATA = re.compile(r"NAXIS\d+|BSCALE|BZERO|BLANK|BUNIT|DATAMIN|DATAMAX|GROUPS|PCOUNT|GCOUNT|CHECKSUM|DATASUM")
_ARCHIVE_POINTER = re.compile(r"AR_HDU|ARCHIVE_ID_.*|EXPINFO_V")
# Where an object of lsst.images has its tree and its index; without these it
# is a FITS file like any.
_TREE_POINTERS = frozenset({"DATAMODL", "FMTVER", "INDXADDR", "INDXSIZE", "JSONADDR", "JSONSIZE"})


@contextmanager
def open_image(file: FitsFile, hdu: int | str | None = None) -> Iterator[CutImage]:
    """Open a FITS image for cutting.

    Parameters
    ----------
    file
        The file.
    hdu
        Number or EXTNAME of the HDU to take; by default it is found, as
        `find_planes` says.

    Yields
    ------
    image : `CutImage`

    Raises
    ------
    UnsupportedError
        Raised if it is damaged, or holds no image of two axes.
    """
    yield _FitsImage(file, hdu)


class _FitsImage:
    def __init__(self, file: FitsFile, hdu: int | str | None) -> None:
        self._file = file
        self._choice = hdu
        self._planes = file.entry.note(("planes", hdu), lambda: find_planes(file, hdu))
        self._main = self._planes.image
        self._mosaic = self._planes.mosaic
        self._has_planes = self._planes.mask is not None
        self._xy0 = _read_xy0(self._main.header) if self._mosaic is None else (0, 0)
        columns, rows = self._main.shape[:2]
        if self._mosaic is not None:
            columns, rows = self._mosaic.width, self._mosaic.height
        x0, y0 = self._xy0
        self._box = PixelBox(x0, x0 + columns - 1, y0, y0 + rows - 1)

    @property
    def box(self) -> PixelBox:
        # Docstring inherited.
        return self._box

    def projection(self) -> Projection | None:
        # Docstring inherited.
        return self._file.entry.note(("projection", self._choice), self._read_projection)

    def cut(
        self,
        box: PixelBox,
        detail: Detail,
        cards: Sequence[Card],
        coverage: Coverage | None = None,
    ) -> tuple[Buffer, ...]:
        # Docstring inherited.
        name = self._file.source.name
        if detail is Detail.MASKED_IMAGE and not self._has_planes:
            if self._file.is_cut_off():
                # They may have been in what is lost.
                raise self._file.source.truncated()
            raise UnsupportedError(f"The file {name!r} has no mask and variance; send CUTOUTDETAIL=Image")
        hdus = self._planes.all if detail is not Detail.IMAGE else (self._main,)
        if coverage is not None and coverage.outside is Outside.MASK and len(hdus) < 3:
            raise no_mask(name, has_mask=self._has_planes)
        keeps_archive = detail is Detail.EXPOSURE and self._has_planes
        if detail is Detail.EXPOSURE and self._file.is_of_images:
            raise UnsupportedError(
                f"The file {name!r} is an object of lsst.images, of which this backend cuts planes, and not "
                "the whole; use the backend 'auto', or CUTOUTDETAIL=MaskedImage"
            )
        if detail is Detail.EXPOSURE:
            _check_complete(self._file)
        is_primary = self._main is self._file.primary
        wcs = () if keeps_archive or is_primary else self._exact_wcs(box)
        parts: list[Buffer] = [] if is_primary else [self._cut_primary(box, keeps_archive, cards)]
        for plane, hdu, data in zip(PLANES, hdus, self._read(hdus, box), strict=False):
            parts.extend(self._cut_plane(hdu, data, box, plane, cards if is_primary else wcs, coverage))
        if keeps_archive:
            parts.append(self._archive())
        else:
            parts.extend(self._lookup_tables(box))
        return tuple(parts)

    def pixels(self, box: PixelBox) -> Pixels:
        # Docstring inherited.
        return physical(self._read((self._main,), box)[0], self._main, box.width, box.height)

    def _read(self, hdus: Sequence[Hdu], box: PixelBox) -> list[Buffer]:
        place = (box.x0 - self._box.x0, box.y0 - self._box.y0, box.width, box.height)
        if self._mosaic is not None:
            return [self._mosaic.read_box(self._file, place)]
        return self._file.read_boxes([(hdu, place) for hdu in hdus])

    def _archive(self) -> bytes:
        # Tables that objects share are found by their distance from the
        # index, so all of them keep their order.
        hdus = self._file.hdus()[4:]
        if not hdus:
            return b""
        return padded(self._file.read_kept(hdus[0].offset, hdus[-1].data_end - hdus[0].offset))

    def _lookup_tables(self, box: PixelBox) -> Iterator[bytes]:
        # Distortions that the WCS in the header looks up, by pixels of the image.
        if not any(LOOKUP_TABLES.fullmatch(key) for key in self._main.header.keywords()):
            return
        for hdu in self._file.hdus():
            if hdu.header.text("EXTNAME").upper() not in LOOKUP_NAMES or hdu is self._main:
                continue
            header = image_header(hdu, is_primary=False)
            for axis, shift in ((1, box.x0 - self._box.x0), (2, box.y0 - self._box.y0)):
                header.set(f"CRVAL{axis}", (header.number(f"CRVAL{axis}") or 0.0) - shift)
            yield header.to_bytes() + padded(self._file.read_data(hdu))

    def _read_projection(self) -> Projection | None:
        from ._sky import header_projection, mosaic_projection

        if self._mosaic is not None:
            return mosaic_projection(self._file, self._mosaic)
        if (exact := self._archive_projection()) is not None:
            return exact
        for header in self._wcs_headers():
            found = header_projection(self._file, self._main, header, *self._xy0)
            if found is not None:
                return found
        return None

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
            if self._mosaic is not None:
                exact = self.projection()
                return () if exact is None else tan_sip_cards(exact, box) or ()
            exact = self._archive_projection()
            if exact is None or is_followed_by(exact, self._main.header, self._xy0, box):
                return ()
            return tan_sip_cards(exact, box) or ()

    def _archive_projection(self) -> Projection | None:
        if not self._has_planes:
            return None
        from ._sky import archive_projection

        return self._file.entry.note("archive projection", lambda: archive_projection(self._file))

    def _cut_primary(self, box: PixelBox, keeps_archive: bool, cards: Sequence[Card]) -> bytes:
        primary = self._file.primary
        inherits = "CTYPE1" not in self._main.header and (
            "CRPIX1" in primary.header or "CTYPE1" in primary.header
        )
        header = primary.header.copy()
        if not keeps_archive:
            old = set(header.keywords())
            header.drop(
                lambda key: (
                    _ARCHIVE_POINTER.fullmatch(key)
                    or (self._file.is_of_images and key in _TREE_POINTERS)
                    or (key.endswith("_ID") and f"ARCHIVE_ID_{key.removesuffix('_ID')}" in old)
                    or _is_old_pointer(primary.header, key)
                )
            )
        if inherits and self._mosaic is None:
            shift_wcs(header, box.x0 - self._box.x0, box.y0 - self._box.y0)
        header.extend(cards)
        if header.cards != primary.header.cards:
            # A sum that the header may carry no longer holds.
            header.drop(lambda key: key in ("CHECKSUM", "DATASUM"))
        if primary.data_size:
            # Pixels of another image, which nobody asked for.
            header.drop(lambda key: _DATA.fullmatch(key))
            header.set("BITPIX", 8)
            header.set("NAXIS", 0)
        return header.to_bytes()

    def _cut_plane(
        self,
        hdu: Hdu,
        data: Buffer,
        box: PixelBox,
        plane: str,
        cards: Sequence[Card],
        coverage: Coverage | None,
    ) -> tuple[Buffer, ...]:
        name = self._file.source.name
        dx, dy = box.x0 - self._box.x0, box.y0 - self._box.y0
        header = image_header(hdu, is_primary=hdu is self._file.primary)
        if self._mosaic is not None:
            mosaic_header(header)
        header.set("NAXIS1", box.width)
        header.set("NAXIS2", box.height)
        if plane == "mask":
            data = readable_mask(data, hdu.bitpix, header, name)
        if coverage is not None:
            if plane == "mask":
                if coverage.outside is Outside.MASK:
                    data = set_stencil_plane(data, header, coverage.inside, name)
            elif coverage.outside is Outside.NAN:
                data = blanked(data, hdu.bitpix, coverage.inside, name)
        shift_wcs(header, dx, dy)
        set_origin(header, box, dx, dy, is_lsst="CRVAL1A" in hdu.header and "CRVAL2A" in hdu.header)
        if any(key == "CTYPE1" for key, _, _ in cards):
            header.drop(lambda key: WCS_KEYWORD.fullmatch(key))
        header.extend(cards)
        return header.to_bytes(), data, bytes(-len(data) % BLOCK)


def _check_complete(file: FitsFile) -> None:
    index_hdu = file.primary.header.integer("AR_HDU")
    index = file.hdu(index_hdu - 1) if index_hdu else None
    tables = (index.header.integer("AR_NCAT") or 0) if index else 0
    if file.is_cut_off() or (index_hdu and (index is None or len(file.hdus()) < index_hdu - 1 + tables)):
        raise file.source.truncated()


def _read_xy0(header: Header) -> tuple[int, int]:
    # afw's rule: the A WCS is the parent's pixel grid when it refers to the
    # first pixel.
    if all(header.number(f"CRPIX{axis}A") == 1 for axis in (1, 2)):
        x0, y0 = header.integer("CRVAL1A"), header.integer("CRVAL2A")
        if x0 is not None and y0 is not None:
            return x0, y0
    return 0, 0


def _is_old_pointer(header: Header, key: str) -> bool:
    return key.endswith("_ID") and b"archive ID for" in header.card(key)
