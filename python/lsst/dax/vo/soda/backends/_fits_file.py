"""The HDUs of a FITS file, and boxes of pixels out of them."""

from __future__ import annotations

__all__ = ["Box", "FitsFile"]

from collections.abc import Sequence
from math import prod

from ...errors import UnsupportedError
from .._image import Buffer
from ._cache import FileEntry
from ._hdu import BITPIX, Hdu
from ._header import BLOCK, Header
from ._source import Source
from ._tiles import TiledBox, decoding_pool, read_tiles

_MAX_HEADER = 4096 * BLOCK
_MAX_HDUS = 10_000

# Bytes of whole planes: reading fewer is done before threads have started.
_PARALLEL = 2**24

type Box = tuple[int, int, int, int]
"""First column and row, counted from 0 within the file, width and height."""


class FitsFile:
    """A FITS file whose HDUs are found as they are asked for.

    Parameters
    ----------
    source
        The file.
    entry
        What is known of it from before; nothing by default.

    Raises
    ------
    UnsupportedError
        Raised if it is no FITS file.
    """

    def __init__(self, source: Source, entry: FileEntry | None = None) -> None:
        self.source = source
        self.entry = entry if entry is not None else FileEntry()
        if 0 not in self.entry.hdus and source.read(0, min(9, source.size)) != b"SIMPLE  =":
            raise UnsupportedError(f"The file {source.name!r} is not FITS; cutouts are made from FITS images")
        self.primary = self.hdu_at(0)
        self._hdus = [self.primary]

    @property
    def is_of_images(self) -> bool:
        """Whether it is an object of `lsst.images`: every such file begins with this card."""
        return "DATAMODL" in self.primary.header

    def hdu_at(self, offset: int) -> Hdu:
        """Return the HDU that begins at a place.

        Parameters
        ----------
        offset
            The place.

        Returns
        -------
        hdu : `Hdu`

        Raises
        ------
        UnsupportedError
            Raised if there is none, or it is damaged.
        """
        found = self.entry.hdus.get(offset)
        if found is None:
            found = self.entry.hdus[offset] = self._read_hdu(offset)
        return found

    def hdus_at(self, offsets: Sequence[int]) -> list[Hdu]:
        """Return the HDUs that begin at several places.

        Parameters
        ----------
        offsets
            The places.

        Returns
        -------
        hdus : `list` [`Hdu`]
            Of a remote file, all are fetched at the same time.

        Raises
        ------
        UnsupportedError
            Raised if there is none at one of them, or it is damaged.
        """
        self.source.prefetch([offset for offset in offsets if offset not in self.entry.hdus])
        return [self.hdu_at(offset) for offset in offsets]

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
            if at not in self.entry.hdus and not self._is_extension(at):
                return None
            self._hdus.append(self.hdu_at(at))
        return self._hdus[index] if 0 <= index < len(self._hdus) else None

    def hdus(self) -> list[Hdu]:
        """Return all HDUs."""
        while self.hdu(len(self._hdus)) is not None:
            pass
        return list(self._hdus)

    def is_cut_off(self) -> bool:
        """Tell whether the file ends within an HDU.

        Returns
        -------
        is_cut_off : `bool`
            One that lost whole HDUs at its end looks like a smaller file.
        """
        last, size = self.hdus()[-1], self.source.size
        rest = size - last.end
        return rest < 0 or (rest > 0 and b"XTENSION".startswith(self.source.read(last.end, min(8, rest))))

    def read_all(self, hdu: Hdu) -> bytes:
        """Return header and data, byte for byte, in whole blocks.

        Parameters
        ----------
        hdu
            What to read.

        Returns
        -------
        data : `bytes`
        """
        data = self.read_kept(hdu.offset, hdu.data_end - hdu.offset)
        return data + b"\0" * (-len(data) % BLOCK)

    def read_data(self, hdu: Hdu) -> bytes:
        """Return the data without filling.

        Parameters
        ----------
        hdu
            What to read.

        Returns
        -------
        data : `bytes`
        """
        return self.read_kept(hdu.data_offset, hdu.data_size)

    def read_box(self, hdu: Hdu, box: Box) -> Buffer:
        """Return the pixels of a box, as FITS stores them.

        Parameters
        ----------
        hdu
            The image.
        box
            The pixels.

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
        return self.read_boxes([(hdu, box)])[0]

    def read_boxes(self, wanted: Sequence[tuple[Hdu, Box]]) -> list[Buffer]:
        """Return the pixels of several boxes, read and decoded together.

        Parameters
        ----------
        wanted
            Images and boxes.

        Returns
        -------
        data : `list` [`Buffer`]
            As from `read_box`, in the same order.

        Raises
        ------
        UnsupportedError
            Raised if the file is damaged or compressed in an unknown way.
        """
        result: list[Buffer] = [b""] * len(wanted)
        tiled = [i for i, (hdu, _) in enumerate(wanted) if hdu.is_tiled]
        for i, data in zip(tiled, self._read_tiled([wanted[i] for i in tiled]), strict=True):
            result[i] = data
        plain = [i for i, (hdu, _) in enumerate(wanted) if not hdu.is_tiled]
        for i, data in zip(plain, self._read_plain([wanted[i] for i in plain]), strict=True):
            result[i] = data
        return result

    def _read_tiled(self, wanted: Sequence[tuple[Hdu, Box]]) -> list[Buffer]:
        boxes = [TiledBox(hdu.header, hdu.data_offset, hdu.data_size, box) for hdu, box in wanted]
        return read_tiles(self.source, self.entry, boxes) if boxes else []

    def _read_plain(self, wanted: Sequence[tuple[Hdu, Box]]) -> list[Buffer]:
        parts = [self._rows(hdu, box, plane) for hdu, box in wanted for plane in range(prod(hdu.shape[2:]))]
        if self.source.is_remote:
            ranges = [
                (start, count)
                for offset, count, stride, rows in parts
                for start in range(offset, offset + rows * stride, stride)
            ]
            pieces = iter(self.source.read_ranges(ranges))
            read: list[Buffer] = [b"".join([next(pieces) for _ in range(rows)]) for _, _, _, rows in parts]
        elif sum(count * rows for _, count, _, rows in parts) < _PARALLEL:
            read = [self.source.read_rows(*part) for part in parts]
        else:
            read = list(decoding_pool().map(lambda part: self.source.read_rows(*part), parts))
        planes = iter(read)
        return [
            joined[0] if len(joined) == 1 else b"".join(joined)
            for joined in ([next(planes) for _ in range(prod(hdu.shape[2:]))] for hdu, _ in wanted)
        ]

    def _rows(self, hdu: Hdu, box: Box, plane: int) -> tuple[int, int, int, int]:
        x, y, width, height = box
        columns, rows = hdu.shape[:2]
        item = abs(hdu.bitpix) // 8
        stride, count = columns * item, width * item
        offset = hdu.data_offset + (plane * rows + y) * stride + x * item
        # Before a list of as many rows as a damaged header claims is made.
        if offset + (height - 1) * stride + count > self.source.size:
            raise self.source.truncated()
        return offset, count, stride, height

    def read_kept(self, offset: int, count: int) -> bytes:
        """Return bytes that the next cutout of the file will need again.

        Parameters
        ----------
        offset
            Where they begin.
        count
            How many.

        Returns
        -------
        data : `bytes`
        """
        # Disks have the page cache for this.
        if not self.source.is_remote or not count:
            return self.source.read(offset, count)
        found = self.entry.kept.get((offset, count))
        if found is None:
            found = self.source.read(offset, count)
            self.entry.keep(offset, found)
        return found

    def _is_extension(self, at: int) -> bool:
        # Whatever follows the last HDU and is no extension is to be
        # disregarded (FITS 4.0, 3.5).
        return at + BLOCK <= self.source.size and self.source.read(at, 8) == b"XTENSION"

    def _read_hdu(self, offset: int) -> Hdu:
        header, data_offset = self._read_header(offset)
        bitpix, naxis = header.integer("BITPIX"), header.integer("NAXIS")
        axes = [header.integer(f"NAXIS{axis}", -1) for axis in range(1, min(naxis or 0, 999) + 1)]
        parameters, groups = header.integer("PCOUNT", 0), header.integer("GCOUNT", 1)
        numbers = [naxis, parameters, groups, *axes]
        if bitpix not in BITPIX or any(number is None or number < 0 for number in numbers):
            raise self.source.truncated()
        count = prod(number or 0 for number in axes) if axes else 0
        size = abs(bitpix or 0) // 8 * (groups or 0) * ((parameters or 0) + count)
        return Hdu(header, offset, data_offset, size)

    def _read_header(self, offset: int) -> tuple[Header, int]:
        text = b""
        step = 4 * BLOCK
        while len(text) < _MAX_HEADER:
            start = offset + len(text)
            # A file whose last block is short is damaged, but readable.
            chunk = self.source.read(start, max(min(step, self.source.size - start), 0))
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
