"""Tiles as they are stored, unpacked in C without the GIL.

Rice, PLIO and HCOMPRESS are those of cfitsio, which `astropy.io.fits` has;
gzip is zlib.  (ISA-L, measured on shuffled tiles of noise, masks and smooth
planes, is 0 to 20 % faster, which is not worth a dependency.)
"""

from __future__ import annotations

__all__ = ["DECODING_ERRORS", "TileDecoder", "stored_type"]

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
from astropy.io.fits.hdu.compressed import _compression

from ...errors import UnsupportedError
from ._layout import DATA_COLUMNS, Layout

type Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
type Span = tuple[int, int]
type _Unpack = Callable[[bytes, int, int, Span], Array]

DECODING_ERRORS = (ValueError, OverflowError, struct.error, zlib.error, _compression.CfitsioException)
"""What tiles with wrong bytes raise."""

# Bit planes of HCOMPRESS: more than a 64-bit number has would be shifted
# into nothing.
_MAX_BIT_PLANES = 60


class TileDecoder:
    """Unpacks the tiles of one image.

    Parameters
    ----------
    layout
        What the header says of the tiles.

    Raises
    ------
    UnsupportedError
        Raised if the compression is not one of the FITS standard.
    """

    def __init__(self, layout: Layout) -> None:
        self._stored = stored_type(layout.bitpix)
        self._unpack = _unpacker(layout)
        self._rice = _rice_settings(layout) if layout.algorithm == "RICE_1" else None
        self.number_type = np.dtype("i4")
        """Type of what `numbers` returns."""
        if self._rice is not None and not layout.is_quantized:
            self.number_type = _rice_type(self._rice[1])

    def decode(self, column: int, data: memoryview, width: int, height: int, span: Span) -> Array:
        """Unpack one tile, or a part of it.

        Parameters
        ----------
        column
            Which of `DATA_COLUMNS` holds it.
        data
            Its bytes.
        width, height
            Its columns and rows.
        span
            The first pixel that is wanted, and the one after the last.

        Returns
        -------
        pixels : `numpy.ndarray`
            Those of the span, of one dimension, in any byte order.  In
            columns but the first they are values, even if those of other
            tiles are quantized.
        """
        if DATA_COLUMNS[column] == "COMPRESSED_DATA":
            return self._unpack(bytes(data), width, height, span)
        # Pixels that would not quantize: floats as they were.
        plain = bytes(data)
        if DATA_COLUMNS[column] == "GZIP_COMPRESSED_DATA":
            plain = _inflated(plain, width * height)
        return _as_pixels(plain, self._stored, width * height)[span[0] : span[1]]

    def numbers(self, packed: Iterable[bytes], width: int, height: int) -> Iterator[bytes]:
        """Unpack whole numbers of several tiles, with next to no Python between them.

        Parameters
        ----------
        packed
            Bytes of tiles in the first of `DATA_COLUMNS`.
        width, height
            Columns and rows of each.

        Yields
        ------
        numbers : `bytes`
            All those of a tile, of `number_type`.
        """
        size = width * height
        if self._rice is None or self.number_type.itemsize != self._rice[1]:
            return (
                np.ascontiguousarray(self._unpack(one, width, height, (0, size)), self.number_type).tobytes()
                for one in packed
            )
        block, item = self._rice
        return map(_compression.decompress_rice_1_c, packed, repeat(block), repeat(item), repeat(size))


def stored_type(bitpix: int) -> np.dtype[Any]:
    """Return the type of pixels as FITS stores them.

    Parameters
    ----------
    bitpix
        Type, as BITPIX names it.

    Returns
    -------
    dtype : `numpy.dtype`
    """
    return np.dtype("u1" if bitpix == 8 else f">{'f' if bitpix < 0 else 'i'}{abs(bitpix) // 8}")


def _unpacker(layout: Layout) -> _Unpack:
    letter = "f" if layout.bitpix < 0 and not layout.is_quantized else "i"
    match layout.algorithm:
        case "GZIP_1" | "GZIP_2" | "NOCOMPRESS":
            return _plain_unpacker(layout.algorithm, letter)
        case "RICE_1":
            return _rice_unpacker(layout)
        case "PLIO_1":
            return _unpack_plio
        case "HCOMPRESS_1":
            return _hcompress_unpacker(layout)
    raise UnsupportedError(
        f"The compression {layout.algorithm!r} is not known; the FITS standard has GZIP_1, GZIP_2, RICE_1, "
        "PLIO_1, HCOMPRESS_1 and NOCOMPRESS"
    )


def _plain_unpacker(algorithm: str, letter: str) -> _Unpack:
    def unpack(packed: bytes, width: int, height: int, span: Span) -> Array:
        size, (start, stop) = width * height, span
        plain = packed if algorithm == "NOCOMPRESS" else _inflated(packed, size)
        item = len(plain) // size
        if item not in (1, 2, 4, 8) or len(plain) != item * size:
            raise ValueError("a tile has something else than its pixels")
        if algorithm == "GZIP_2" and item > 1:
            # All first bytes, then all second bytes, and so on.
            shuffled = np.frombuffer(plain, dtype=np.uint8).reshape(item, size)
            pixels = np.empty((stop - start, item), dtype=np.uint8)
            for i in range(item):
                pixels[:, i] = shuffled[i, start:stop]
            return pixels.view(f">{letter}{item}").reshape(-1)
        return _as_pixels(plain, np.dtype("u1" if item == 1 else f">{letter}{item}"), size)[start:stop]

    return unpack


def _rice_settings(layout: Layout) -> tuple[int, int]:
    # Pixels of a block, and bytes of a pixel.
    block = int(layout.settings.get("BLOCKSIZE", 32))
    item = int(layout.settings.get("BYTEPIX", 4))
    if item not in (1, 2, 4) or not 0 < block <= 4096:
        raise UnsupportedError("The Rice parameters of the file are not those of the FITS standard")
    return block, item


def _rice_type(item: int) -> np.dtype[Any]:
    return np.dtype("u1" if item == 1 else f"i{item}")


def _rice_unpacker(layout: Layout) -> _Unpack:
    block, item = _rice_settings(layout)
    kind, decompress = _rice_type(item), _compression.decompress_rice_1_c

    def unpack(packed: bytes, width: int, height: int, span: Span) -> Array:
        size = width * height
        return np.frombuffer(decompress(packed, block, item, size), dtype=kind, count=size)[span[0] : span[1]]

    return unpack


def _unpack_plio(packed: bytes, width: int, height: int, span: Span) -> Array:
    size = width * height
    words = np.frombuffer(packed, dtype=">i2").astype("i2")
    # The line list says itself how long it is, and the decoder believes it.
    if len(words) < 7:
        raise ValueError("a line list without its header")
    length = int(words[2]) if words[2] > 0 else (int(words[4]) << 15) + int(words[3])
    if not 0 < length <= len(words) or int(words[1]) < 0:
        raise ValueError("a line list longer than its tile")
    plain = _compression.decompress_plio_1_c(words.tobytes(), size)
    return np.frombuffer(plain, dtype="i4", count=size)[span[0] : span[1]]


def _hcompress_unpacker(layout: Layout) -> _Unpack:
    smooth, scale = int(layout.settings.get("SMOOTH", 0)), int(layout.settings.get("SCALE", 0))

    def unpack(packed: bytes, width: int, height: int, span: Span) -> Array:
        # The decoder writes as many pixels as the tile says that it has.
        magic, rows, columns, _, _, *planes = struct.unpack_from(">2sIIIq3B", packed)
        if magic != b"\xdd\x99" or (rows, columns) != (height, width) or max(planes) > _MAX_BIT_PLANES:
            raise ValueError("a tile that is not what the table says")
        plain = _compression.decompress_hcompress_1_c(packed, height, width, scale, smooth, 8)
        return np.frombuffer(plain, dtype="i4", count=width * height)[span[0] : span[1]]

    return unpack


def _inflated(packed: bytes, size: int) -> bytes:
    # The trailer says how many bytes come out, so that a few cannot become
    # more than a tile's pixels have.
    most = int.from_bytes(packed[-4:], "little")
    if most % size or most // size not in (1, 2, 4, 8):
        raise ValueError("a tile unpacks to something else than its pixels")
    stream = zlib.decompressobj(31)
    plain = stream.decompress(packed, most)
    if not stream.eof:
        # Only the check sum is left to read.
        plain += stream.decompress(stream.unconsumed_tail, 1)
    if len(plain) != most or not stream.eof:
        raise ValueError("a tile unpacks to something else than its pixels")
    return plain


def _as_pixels(plain: bytes, kind: np.dtype[Any], size: int) -> Array:
    if len(plain) != size * kind.itemsize:
        raise ValueError("a tile has something else than its pixels")
    return np.frombuffer(plain, dtype=kind)
