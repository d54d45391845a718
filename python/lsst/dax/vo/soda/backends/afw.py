"""Cutouts by `lsst.afw`, where it is installed: its own section reads.

afw reads the box, with all of an Exposure that its readers know, and writes
it to memory; the `fits` backend then makes the rest of the cutout, which is
the same for both.  That backend is faster, and keeps components for which no
reader is installed; this one is for those who want what afw makes of a file.
"""

from __future__ import annotations

__all__ = ["faults", "open_image"]

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from lsst.resources import ResourcePath

from ...errors import UnsupportedError
from .._ast import AST_LOCK
from .._box import PixelBox
from .._coverage import Coverage
from .._image import Buffer, CutImage, Pixels
from .._projection import Floats, Projection
from .._provenance import Card
from .._request import Detail
from . import fits
from ._fits_file import FitsFile
from ._installed import is_installed
from ._plane import shift_wcs
from ._source import Source

_PLANES = ("IMAGE", "MASK", "VARIANCE")

# cfitsio takes these for filters and directives (CFITSIO User's Reference
# Guide, 10).
_EXTENDED_NAME = re.compile(r"[\[\]()+!]|://")


@contextmanager
def open_image(uri: ResourcePath, file: FitsFile) -> Iterator[CutImage]:
    """Open a FITS image with `lsst.afw`.

    Parameters
    ----------
    uri
        The file.
    file
        The same, open.

    Yields
    ------
    image : `CutImage`

    Raises
    ------
    UnsupportedError
        Raised if afw is not installed, or does not read the file.
    """
    if not is_installed("lsst.afw"):
        raise UnsupportedError(
            "The backend 'afw' needs lsst.afw, which is not installed here; set up the Rubin science "
            "pipelines, or use the backend 'auto', which reads the same files"
        )
    with ExitStack() as stack, faults(file):
        yield _AfwImage(_read_name(uri, file, stack), file)


class _AfwImage:
    def __init__(self, source: Any, file: FitsFile) -> None:
        from lsst.afw import image

        self._file = file
        self._has_planes = _has_planes(file)
        with AST_LOCK:
            make = image.ExposureFitsReader if self._has_planes else image.ImageFitsReader
            self._reader = make(source)
            bbox = self._reader.readBBox()
        self._box = PixelBox(bbox.getMinX(), bbox.getMaxX(), bbox.getMinY(), bbox.getMaxY())

    @property
    def box(self) -> PixelBox:
        # Docstring inherited.
        return self._box

    def projection(self) -> Projection | None:
        # Docstring inherited.
        if not self._has_planes:
            # An image of afw has none; the header of the file may.
            with fits.open_image(self._file) as image:
                return image.projection()
        with AST_LOCK:
            wcs = self._reader.readWcs()
        if wcs is None:
            return None

        def to_sky(x: Floats, y: Floats) -> tuple[Floats, Floats]:
            return _transform(wcs.pixelToSkyArray, x, y)

        def to_pixel(first: Floats, second: Floats) -> tuple[Floats, Floats]:
            return _transform(wcs.skyToPixelArray, first, second)

        return Projection(to_sky, to_pixel)

    def pixels(self, box: PixelBox) -> Pixels:
        # Docstring inherited.
        with AST_LOCK:
            array = self._read_image(box).array
        # Numbers of up to 24 bits are exact in the smaller one.
        is_small = array.dtype == np.float32 or array.dtype.itemsize <= 2
        return np.asarray(array, dtype=np.float32 if is_small else np.float64)

    def cut(
        self, box: PixelBox, detail: Detail, cards: Sequence[Card], coverage: Coverage | None = None
    ) -> tuple[Buffer, ...]:
        # Docstring inherited.
        content = self._write_exposure(box, detail) if self._has_planes else self._write_image(box)
        # afw's file holds just the box; details, cards and coverage are
        # what the other backend makes of it.
        with fits.open_image(FitsFile(_Memory(self._file.source.name, content))) as image:
            return image.cut(box, detail, cards, coverage)

    def _write_exposure(self, box: PixelBox, detail: Detail) -> bytes:
        from lsst.afw import image

        with AST_LOCK:
            if detail is Detail.EXPOSURE:
                exposure = self._reader.read(bbox=_bbox(box))
            else:
                # The exact WCS goes along; PSF and the like need not be read.
                planes = (
                    self._reader.readMaskedImage(bbox=_bbox(box))
                    if detail is Detail.MASKED_IMAGE
                    else image.makeMaskedImage(self._reader.readImage(bbox=_bbox(box)))
                )
                exposure = image.makeExposure(planes, self._reader.readWcs())
                exposure.setMetadata(self._reader.readMetadata())
            return _written(exposure)

    def _write_image(self, box: PixelBox) -> bytes:
        with AST_LOCK:
            content = _written(self._read_image(box), self._reader.readMetadata())
        # afw keeps where the first pixel was; a celestial WCS it copies as
        # that of the whole image.
        cut = FitsFile(_Memory(self._file.source.name, content))
        header = cut.primary.header.copy()
        shift_wcs(header, box.x0 - self._box.x0, box.y0 - self._box.y0)
        return header.to_bytes() + content[cut.primary.data_offset :]

    def _read_image(self, box: PixelBox) -> Any:
        read = self._reader.readImage if self._has_planes else self._reader.read
        return read(bbox=_bbox(box))


class _Memory(Source):
    """A file that afw wrote."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(name, len(data))
        self._data = data

    def _read(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]


def _read_name(uri: ResourcePath, file: FitsFile, stack: ExitStack) -> Any:
    # A name when cfitsio takes it for one; else the whole file in memory.
    if uri.isLocal and not _EXTENDED_NAME.search(uri.ospath):
        return uri.ospath
    if not uri.isLocal:
        local = stack.enter_context(uri.as_local())
        if not _EXTENDED_NAME.search(local.ospath):
            return local.ospath
    from lsst.afw.fits import MemFileManager

    content = file.source.read(0, file.source.size)
    manager = MemFileManager(len(content))
    manager.setData(content, len(content))
    return manager


@contextmanager
def faults(file: FitsFile) -> Iterator[None]:
    """Turn errors of afw into those of this package.

    Parameters
    ----------
    file
        The file that it reads.

    Raises
    ------
    UnsupportedError
        Raised for each of afw's.
    """
    from lsst.pex.exceptions import Exception as AfwError

    try:
        yield
    except AfwError as err:
        first = str(err).strip().splitlines()[-1][:200] if str(err).strip() else type(err).__name__
        raise UnsupportedError(
            f"lsst.afw does not read the file {file.source.name!r} ({first}); use the backend 'auto'"
        ) from err


def _has_planes(file: FitsFile) -> bool:
    planes = [file.hdu(number) for number in (1, 2, 3)]
    return not file.primary.is_image and all(
        hdu is not None and name in (hdu.header.text("EXTTYPE").upper(), hdu.header.text("EXTNAME").upper())
        for hdu, name in zip(planes, _PLANES, strict=True)
    )


def _bbox(box: PixelBox) -> Any:
    from lsst.geom import Box2I, Extent2I, Point2I

    return Box2I(Point2I(box.x0, box.y0), Extent2I(box.width, box.height))


def _written(what: Any, *more: Any) -> bytes:
    from lsst.afw.fits import MemFileManager

    manager = MemFileManager()
    what.writeFits(manager, *more)
    content: bytes = manager.getData()
    return content


def _transform(mapping: Any, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    # AST, inside afw, takes no NaN for a number.
    bad = ~(np.isfinite(first) & np.isfinite(second))
    with AST_LOCK:
        a, b = mapping(np.where(bad, 0.0, first), np.where(bad, 0.0, second))
    bad = bad | ~np.isfinite(a) | ~np.isfinite(b)
    return np.where(bad, np.nan, a), np.where(bad, np.nan, b)
