"""The HDUs of a FITS file, and boxes of pixels out of them."""

from __future__ import annotations

__all__ = ["FitsFile", "Hdu"]

from dataclasses import dataclass, field
from math import prod

import numpy as np

from ...errors import UnsupportedError
from .._image import Buffer
from ._header import BLOCK, Header
from ._source import Source
from ._tiles import read_tiles

_MAX_HEADER = 4096 * BLOCK
_MAX_HDUS = 10_000
_BITPIX = (8, 16, 32, 64, -32, -64)

# Rows are read one by one when the box is narrower than this part of them.
_NARROW = 0.2


@dataclass(slots=True)
class Hdu:
    """One HDU: its header, and where its bytes are."""

    source: Source
    """The file."""

    header: Header
    """The header, as in the file."""

    offset: int
    """Where the header begins."""

    data_offset: int
    """Where the data begin."""

    data_size: int
    """Bytes of data, without the filling."""

    is_tiled: bool = field(init=False)
    """Whether this is a tile-compressed image."""

    def __post_init__(self) -> None:
        self.is_tiled = self.header.get("ZIMAGE") is True and self.header.text("XTENSION") == "BINTABLE"

    @property
    def end(self) -> int:
        """Where the next HDU begins."""
        return self.data_offset + self.data_size + (-self.data_size % BLOCK)

    @property
    def bitpix(self) -> int:
        """Type of the pixels, as BITPIX names it."""
        return self.header.integer("ZBITPIX" if self.is_tiled else "BITPIX") or 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes, the fastest first, of an image; else empty."""
        if not self.is_tiled and self.header.text("XTENSION") not in ("", "IMAGE"):
            return ()
        prefix = "ZNAXIS" if self.is_tiled else "NAXIS"
        return tuple(
            self.header.integer(f"{prefix}{axis}") or 0
            for axis in range(1, (self.header.integer(prefix) or 0) + 1)
        )

    @property
    def is_image(self) -> bool:
        """Whether there are pixels on two axes."""
        shape = self.shape
        return len(shape) >= 2 and prod(shape) > 0 and self.bitpix in _BITPIX

    def read_all(self) -> bytes:
        """Return header and data, byte for byte, in whole blocks."""
        data = self.source.read(self.offset, self.data_offset + self.data_size - self.offset)
        return data + b"\0" * (-len(data) % BLOCK)

    def read_data(self) -> bytes:
        """Return the data without filling."""
        return self.source.read(self.data_offset, self.data_size)

    def read_box(self, x: int, y: int, width: int, height: int) -> Buffer:
        """Return the pixels of a box, as FITS stores them.

        Parameters
        ----------
        x, y
            First column and row, counted from 0 within the file.
        width, height
            Number of columns and rows.

        Returns
        -------
        data : `Buffer`
            Big-endian, unscaled (BSCALE and BZERO still apply), all planes
            of further axes one after the other.

        Raises
        ------
        UnsupportedError
            Raised if the file is damaged or compressed in an unknown way.
        """
        if self.is_tiled:
            return read_tiles(self.source, self.header, self.data_offset, (x, y, width, height))
        columns, rows, *further = self.shape
        planes = [
            self._read_plane(plane * rows + y, x, width, height, columns) for plane in range(prod(further))
        ]
        return planes[0] if len(planes) == 1 else b"".join(planes)

    def _read_plane(self, row: int, x: int, width: int, height: int, columns: int) -> Buffer:
        item = abs(self.bitpix) // 8
        start = self.data_offset + row * columns * item
        if width == columns:
            return self.source.read(start, height * columns * item)
        if width < _NARROW * columns:
            read, stride, count = self.source.read, columns * item, width * item
            return b"".join(
                [read(offset, count) for offset in range(start + x * item, start + height * stride, stride)]
            )
        block = np.frombuffer(self.source.read(start, height * columns * item), dtype=f"V{item}")
        return block.reshape(height, columns)[:, x : x + width].tobytes()


class FitsFile:
    """A FITS file whose HDUs are found as they are asked for.

    Parameters
    ----------
    source
        The file.

    Raises
    ------
    UnsupportedError
        Raised if it is no FITS file.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._hdus: list[Hdu] = []
        if source.read(0, min(9, source.size)) != b"SIMPLE  =":
            raise UnsupportedError(f"The file {source.name!r} is not FITS; cutouts are made from FITS images")
        self.primary = self._read_hdu(0)
        self._hdus.append(self.primary)

    def hdu(self, index: int) -> Hdu | None:
        """Return an HDU.

        Parameters
        ----------
        index
            Its number, 0 for the primary.

        Returns
        -------
        hdu : `Hdu` or `None`
            `None` when the file has fewer.
        """
        while len(self._hdus) <= index < _MAX_HDUS:
            at = self._hdus[-1].end
            # Whatever follows the last HDU and is no extension is to be
            # disregarded (FITS 4.0, 3.5).
            if at + BLOCK > self.source.size or self.source.read(at, 8) != b"XTENSION":
                return None
            self._hdus.append(self._read_hdu(at))
        return self._hdus[index] if index < len(self._hdus) else None

    def hdus(self) -> list[Hdu]:
        """Return all HDUs."""
        while self.hdu(len(self._hdus)) is not None:
            pass
        return list(self._hdus)

    def _read_hdu(self, offset: int) -> Hdu:
        header, data_offset = self._read_header(offset)
        bitpix, naxis = header.integer("BITPIX"), header.integer("NAXIS")
        axes = [header.integer(f"NAXIS{axis}", -1) for axis in range(1, min(naxis or 0, 999) + 1)]
        parameters, groups = header.integer("PCOUNT", 0), header.integer("GCOUNT", 1)
        numbers = [naxis, parameters, groups, *axes]
        if bitpix not in _BITPIX or any(number is None or number < 0 for number in numbers):
            raise self.source.truncated()
        count = prod(number or 0 for number in axes) if axes else 0
        size = abs(bitpix or 0) // 8 * (groups or 0) * ((parameters or 0) + count)
        return Hdu(self.source, header, offset, data_offset, size)

    def _read_header(self, offset: int) -> tuple[Header, int]:
        text = b""
        step = 4 * BLOCK
        while len(text) < _MAX_HEADER:
            start = offset + len(text)
            # A file whose last block is short is damaged, but readable.
            chunk = self.source.read(start, min(step, self.source.size - start))
            if not chunk:
                break
            text += chunk
            end = _find_end(text)
            if end is not None:
                return Header.from_bytes(text[:end]), offset + end + 80 + (-(end + 80) % BLOCK)
            step *= 2
        raise self.source.truncated()


def _find_end(text: bytes) -> int | None:
    at = text.find(b"END" + b" " * 77)
    while at >= 0 and at % 80:
        at = text.find(b"END" + b" " * 77, at + 1)
    return at if at >= 0 else None
