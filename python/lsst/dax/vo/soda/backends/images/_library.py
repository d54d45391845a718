"""Cutouts of objects that only their library knows, by its own section reads."""

from __future__ import annotations

__all__ = ["open_reader", "open_with_library"]

import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lsst.images import Box, ColorImage, Image, MaskedImage
from lsst.images.serialization import ArchiveReadError, InvalidComponentError, open_archive, write_archive

from ....errors import UnsupportedError
from ..._ast import AST_LOCK
from ..._box import PixelBox
from ..._coverage import Coverage, Outside
from ..._image import Buffer, CutImage, Pixels
from ..._projection import Projection
from ..._provenance import Card, in_time_system, is_stencil_card
from ..._request import Detail
from .._fits_file import FitsFile
from .._header import format_card
from .._outside import STENCIL_PLANE, blanked, no_mask
from .._source import Source
from ._cut import STENCIL_DESCRIPTION, not_divisible
from ._damage import DAMAGE
from ._sky import to_projection
from ._tree import CHANNELS, parse_schema

if TYPE_CHECKING:
    from astropy.io.fits import Header as AstropyHeader
    from lsst.images.serialization import Reader

# Cards that the library writes itself.
_OWN_CARDS = re.compile(
    "SIMPLE|BITPIX|NAXIS|EXTEND|FMTVER|DATAMODL|INDXADDR|INDXSIZE|JSONADDR|JSONSIZE|DATE|CHECKSUM|DATASUM"
)

# Objects of one plane, or of three that are colors.
_FLAT = ("image", "color_image")

# A cutout is sent once and read once: compressing it costs more time than
# the bytes are worth.
_UNCOMPRESSED = dict.fromkeys(("image", "mask", "variance", *CHANNELS, "mask_fractions"))


@contextmanager
def open_with_library(file: FitsFile) -> Iterator[CutImage]:
    """Open a FITS file of `lsst.images` for cutting.

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
        Raised if it is damaged, of an unknown schema, or no image.
    """
    with open_reader(file) as reader:
        yield _LibraryImage(reader, file)


@contextmanager
def open_reader(file: FitsFile) -> Iterator[Reader[Any]]:
    """Open a FITS file of `lsst.images` by the library.

    Parameters
    ----------
    file
        The file.

    Yields
    ------
    reader : `lsst.images.serialization.Reader`

    Raises
    ------
    UnsupportedError
        Raised if it is damaged, or of an unknown schema.
    """
    stream = io.BufferedReader(_Stream(file.source))
    try:
        opened = open_archive(stream, format="fits")
        reader = opened.__enter__()
    except DAMAGE as err:
        raise _unknown_or_damaged(file) from err
    try:
        yield reader
    finally:
        opened.__exit__(None, None, None)


class _Stream(io.RawIOBase):
    """A source as the file that the library reads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the beginning of the file")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._source.size - self._at))
        buffer[:count] = self._source.read(self._at, count) if count else b""
        self._at += count
        return count


class _LibraryImage:
    def __init__(self, reader: Reader[Any], file: FitsFile) -> None:
        self._reader = reader
        self._file = file
        self._name = file.source.name
        box = self._component("bbox")
        if not isinstance(box, Box):
            raise UnsupportedError(f"The file {self._name!r} holds no image; cutouts are made from images")
        self._box = PixelBox(box.x.min, box.x.max, box.y.min, box.y.max)

    @property
    def box(self) -> PixelBox:
        # Docstring inherited.
        return self._box

    def projection(self) -> Projection | None:
        # Docstring inherited.
        found = self._component("sky_projection")
        return None if found is None else to_projection(found)

    def pixels(self, box: PixelBox) -> Pixels:
        # Docstring inherited.
        try:
            with AST_LOCK:
                found = self._read(_bbox(box), Detail.IMAGE)
        except DAMAGE as err:
            raise _unknown_or_damaged(self._file) from err
        array = np.moveaxis(found.array, -1, 0) if isinstance(found, ColorImage) else found.array
        return np.asarray(array, dtype=_float_of(array.dtype))

    def cut(
        self, box: PixelBox, detail: Detail, cards: Sequence[Card], coverage: Coverage | None = None
    ) -> tuple[Buffer, ...]:
        # Docstring inherited.
        bbox = _bbox(box)
        # The library reads and writes its projections with AST wherever it
        # likes.
        with AST_LOCK:
            try:
                subset = self._read(bbox, detail)
            except DAMAGE as err:
                raise self._unreadable(bbox, detail, err) from err
            if coverage is not None:
                _apply(subset, coverage, self._name, has_mask=self._reader.info.schema_name not in _FLAT)
            return (self._write(subset, bbox, detail, cards),)

    def _write(self, subset: Any, bbox: Box, detail: Detail, cards: Sequence[Card]) -> bytes:
        with tempfile.TemporaryDirectory(prefix="dax-vo-") as folder:
            path = Path(folder) / "cutout.fits"
            try:
                write_archive(
                    subset,
                    path,
                    update_header=lambda header: self._add_cards(header, cards),
                    compression_options=_UNCOMPRESSED,
                    butler_info=self._reader.butler_info,
                )
            except ArchiveReadError as err:
                # A PSF whose library is missing is an error only when used.
                raise self._unreadable(bbox, detail, err) from err
            return path.read_bytes()

    def _read(self, bbox: Box, detail: Detail) -> Any:
        schema = self._reader.info.schema_name
        if detail is Detail.EXPOSURE or schema in _FLAT:
            if detail is Detail.MASKED_IMAGE:
                raise UnsupportedError(
                    f"The file {self._name!r} has no mask and variance; send CUTOUTDETAIL=Image"
                )
            return self._reader.read(bbox=bbox)
        if detail is Detail.MASKED_IMAGE:
            if schema == "masked_image":
                return self._reader.read(bbox=bbox)
            return self._reader.get_component("masked_image", bbox=bbox)
        image = self._reader.get_component("image", bbox=bbox)
        # What the planes share is stored once, beside them.
        return image if image.sky_projection else image.view(sky_projection=self._component("sky_projection"))

    def _unreadable(self, bbox: Box, detail: Detail, err: Exception) -> UnsupportedError:
        if detail is Detail.EXPOSURE:
            # Some parts of an object need packages that are not installed,
            # and some cannot be divided everywhere; its pixels can.
            try:
                self._reader.get_component("masked_image", bbox=bbox)
            except DAMAGE:
                return self._file.source.truncated()
            return not_divisible(self._name, " ".join(str(err).split()).rstrip("."))
        return self._file.source.truncated()

    def _component(self, name: str) -> Any:
        try:
            with AST_LOCK:
                return self._reader.get_component(name)
        except InvalidComponentError:
            return None
        except DAMAGE as err:
            raise self._file.source.truncated() from err

    def _add_cards(self, header: AstropyHeader, cards: Sequence[Card]) -> None:
        from astropy.io.fits import Card as AstropyCard

        # The library carries the cards of the primary header along with
        # whole objects only.
        primary = self._file.primary.header
        for key in primary.keywords():
            if not _OWN_CARDS.fullmatch(key) and key not in header:
                header.append(AstropyCard.fromstring(primary.card(key)), end=True)
        for key in [key for key in header if is_stencil_card(key)]:
            del header[key]
        for key, value, comment in in_time_system(cards, primary.get("TIMESYS")):
            # Not astropy's own card, which rounds floats.
            header.remove(key, ignore_missing=True)
            header.append(AstropyCard.fromstring(format_card(key, value, comment)), end=True)


def _apply(subset: Any, coverage: Coverage, name: str, *, has_mask: bool) -> None:
    outside = ~coverage.inside
    if coverage.outside is Outside.MASK:
        if not isinstance(subset, MaskedImage):
            raise no_mask(name, has_mask=has_mask)
        if STENCIL_PLANE not in subset.mask.schema:
            subset.mask = subset.mask.add_plane(STENCIL_PLANE, STENCIL_DESCRIPTION)
        subset.mask.set(STENCIL_PLANE, outside)
        return
    images = [subset] if isinstance(subset, Image | ColorImage) else [subset.image, subset.variance]
    for image in images:
        if image.array.dtype.kind != "f":
            blanked(b"", 8, coverage.inside, name)
        image.array[outside] = np.nan


def _float_of(kind: np.dtype[Any]) -> type[np.floating[Any]]:
    # Numbers of up to 24 bits are exact in the smaller one.
    return np.float32 if kind == np.float32 or kind.itemsize <= 2 else np.float64


def _bbox(box: PixelBox) -> Box:
    return Box.factory[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]


def _unknown_or_damaged(file: FitsFile) -> UnsupportedError:
    from lsst.images.serialization import public_type_for_schema

    url = file.primary.header.text("DATAMODL")
    schema = parse_schema(url)
    if schema is not None and public_type_for_schema(schema[0]) is not None:
        return file.source.truncated()
    return UnsupportedError(
        f"The file {file.source.name!r} is of the schema {url!r}, which the installed lsst.images does not "
        "know; update lsst.images, or ask the publisher of the file"
    )
