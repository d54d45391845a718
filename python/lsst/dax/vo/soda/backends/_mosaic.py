"""Detectors that are read out by amplifiers, one HDU for each.

Raw images of Rubin and others hold each amplifier as it was read: with
prescan and overscan, and from whichever corner it began.  The cards DATASEC
and DETSEC say which pixels are of the sky, and where on the detector these
are.  Put together they are the trimmed image in the detector's own pixels,
as afw's `assembleTrimmedCcd` has it with the geometry of the camera.
"""

from __future__ import annotations

__all__ = ["Amplifier", "Mosaic", "find_mosaic", "mosaic_header"]

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from .._image import Buffer
from ._codecs import stored_type
from ._fits_file import Box, FitsFile
from ._hdu import Hdu
from ._header import Header

_SECTION = re.compile(r"\[\s*(\d{1,9})\s*:\s*(\d{1,9})\s*,\s*(\d{1,9})\s*:\s*(\d{1,9})\s*\]")

# What is true of one amplifier only: its name, its sections, its WCS and its
# place in the detector (IRAF's LTM and its like).
_ONE_AMPLIFIER = re.compile(
    r"EXTNAME|EXTVER|EXTTYPE|(DATA|DET|BIAS|TRIM|CCD|AMP|PRE|POST)SEC[A-Z]?|(LT|AT|DT)[MV]\d.*"
    r"|WCSAXES[A-Z]?|WCSNAME[A-Z]?|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME)\d[A-Z]?|(CD|PC)\d_\d[A-Z]?"
    r"|(PV|PS)\d_\d+[A-Z]?|[AB]P?_(ORDER|DMAX|\d+_\d+)|LONPOLE[A-Z]?|LATPOLE[A-Z]?|GS_XMIN|GS_YMIN|GS_WCS"
)

# What has to be the same of all amplifiers for one image of them.
_ALIKE = ("BSCALE", "BZERO", "BLANK", "ZBLANK")


@dataclass(frozen=True, slots=True)
class Amplifier:
    """One amplifier, and where its pixels are."""

    hdu: Hdu
    """Its HDU."""

    x: int
    """First column of its data in the HDU, from 0."""

    y: int
    """First row."""

    column: int
    """First column in the mosaic."""

    row: int
    """First row in the mosaic."""

    width: int
    """Columns of data."""

    height: int
    """Rows of data."""

    is_flipped_x: bool
    """Whether its columns run against the detector's."""

    is_flipped_y: bool
    """Whether its rows do."""

    def place(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Turn places in the mosaic into places in the HDU, from 0.

        Parameters
        ----------
        x, y
            Column and row in the mosaic.

        Returns
        -------
        x, y
            Column and row in the HDU.
        """
        dx, dy = x - self.column, y - self.row
        return (
            self.x + (self.width - 1 - dx if self.is_flipped_x else dx),
            self.y + (self.height - 1 - dy if self.is_flipped_y else dy),
        )

    def place_back(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Turn places in the HDU, from 0, into places in the mosaic.

        Parameters
        ----------
        x, y
            Column and row in the HDU.

        Returns
        -------
        x, y
            Column and row in the mosaic.
        """
        dx, dy = x - self.x, y - self.y
        return (
            self.column + (self.width - 1 - dx if self.is_flipped_x else dx),
            self.row + (self.height - 1 - dy if self.is_flipped_y else dy),
        )


@dataclass(frozen=True, slots=True)
class Mosaic:
    """An image put together from amplifiers."""

    amplifiers: tuple[Amplifier, ...]
    """Its amplifiers, in the order of the file."""

    width: int
    """Columns."""

    height: int
    """Rows."""

    def read_box(self, file: FitsFile, box: Box) -> Buffer:
        """Return the pixels of a box, as FITS stores them.

        Parameters
        ----------
        file
            The file.
        box
            The pixels.

        Returns
        -------
        data : `Buffer`
            Big-endian, unscaled.
        """
        x, y, width, height = box
        result = np.empty((height, width), dtype=stored_type(self.amplifiers[0].hdu.bitpix))
        parts = list(self._touched(box))
        wanted = []
        for amplifier, left, right, low, high in parts:
            x0, y0 = amplifier.place(left, low)
            x1, y1 = amplifier.place(right - 1, high - 1)
            wanted.append((amplifier.hdu, (min(x0, x1), min(y0, y1), right - left, high - low)))
        for (amplifier, left, right, low, high), data in zip(parts, file.read_boxes(wanted), strict=True):
            pixels = np.frombuffer(data, dtype=result.dtype).reshape(high - low, right - left)
            result[low - y : high - y, left - x : right - x] = pixels[
                :: -1 if amplifier.is_flipped_y else 1, :: -1 if amplifier.is_flipped_x else 1
            ]
        return memoryview(result.reshape(-1).view(np.uint8))

    def _touched(self, box: Box) -> Iterator[tuple[Amplifier, int, int, int, int]]:
        x, y, width, height = box
        for amplifier in self.amplifiers:
            left, right = max(x, amplifier.column), min(x + width, amplifier.column + amplifier.width)
            low, high = max(y, amplifier.row), min(y + height, amplifier.row + amplifier.height)
            if left < right and low < high:
                yield amplifier, left, right, low, high


def find_mosaic(file: FitsFile) -> Mosaic | None:
    """Find out whether the images of a file are amplifiers of one detector.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    mosaic : `Mosaic` or `None`
        `None` unless all images have DATASEC and DETSEC, the same type of
        pixels and binning, and fill a rectangle without gap or overlap.
        (Detectors of a camera leave gaps, so that one file of many of them
        is none.)
    """
    images = [hdu for hdu in file.hdus()[1:] if hdu.is_image]
    amplifiers = [_read_amplifier(hdu) for hdu in images]
    found = [amplifier for amplifier in amplifiers if amplifier is not None]
    if len(found) < 2 or len(found) < len(images):
        return None
    binnings = {binning for _, binning in found}
    kinds = {(hdu.bitpix, *(hdu.header.number(key) for key in _ALIKE)) for hdu in images}
    if len(binnings) != 1 or len(kinds) != 1:
        return None
    first_x = min(amplifier.column for amplifier, _ in found)
    first_y = min(amplifier.row for amplifier, _ in found)
    width = max(amplifier.column + amplifier.width for amplifier, _ in found) - first_x
    height = max(amplifier.row + amplifier.height for amplifier, _ in found) - first_y
    parts = [amplifier for amplifier, _ in found]
    if sum(part.width * part.height for part in parts) != width * height or any(
        a.column < b.column + b.width
        and b.column < a.column + a.width
        and a.row < b.row + b.height
        and b.row < a.row + a.height
        for a, b in combinations(parts, 2)
    ):
        return None
    return Mosaic(
        tuple(replace(part, column=part.column - first_x, row=part.row - first_y) for part in parts),
        width,
        height,
    )


def mosaic_header(header: Header) -> None:
    """Make the header of an amplifier that of the whole detector.

    Parameters
    ----------
    header
        The header, which is changed.
    """
    header.drop(lambda key: _ONE_AMPLIFIER.fullmatch(key))
    header.set("EXTNAME", "IMAGE", "Put together from amplifiers by DATASEC, DETSEC")


def _read_amplifier(hdu: Hdu) -> tuple[Amplifier, tuple[int, int]] | None:
    sections = [_SECTION.fullmatch(hdu.header.text(key).strip()) for key in ("DATASEC", "DETSEC")]
    if sections[0] is None or sections[1] is None or len(hdu.shape) != 2:
        return None
    (x0, x1, y0, y1), (column0, column1, row0, row1) = (
        tuple(int(word) for word in section.groups()) for section in sections if section is not None
    )
    width, height = x1 - x0 + 1, y1 - y0 + 1
    if not (1 <= x0 <= x1 <= hdu.shape[0] and 1 <= y0 <= y1 <= hdu.shape[1]):
        return None
    # DETSEC counts pixels of the detector, DATASEC those that were read out,
    # which hold several of them each when CCDSUM is not 1 1.
    columns, rows = abs(column1 - column0) + 1, abs(row1 - row0) + 1
    if columns % width or rows % height:
        return None
    binning = columns // width, rows // height
    column, row = min(column0, column1) - 1, min(row0, row1) - 1
    if column % binning[0] or row % binning[1]:
        return None
    amplifier = Amplifier(
        hdu,
        x=x0 - 1,
        y=y0 - 1,
        column=column // binning[0],
        row=row // binning[1],
        width=width,
        height=height,
        is_flipped_x=column1 < column0,
        is_flipped_y=row1 < row0,
    )
    return amplifier, binning
