"""Cutouts of files of `lsst.images`, by its own section reads."""

from __future__ import annotations

__all__ = ["open_image"]

import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io.fits import VerifyError
from lsst.images import Box
from lsst.images.fits import InvalidFitsArchiveError
from lsst.images.serialization import ArchiveReadError, InvalidComponentError, open_archive, write_archive
from lsst.resources import ResourcePath

from ...errors import UnsupportedError
from .._ast import AST_LOCK
from .._box import PixelBox
from .._image import CutImage
from .._projection import Floats, Projection
from .._provenance import Card
from .._request import Detail
from ._header import Header, format_card

if TYPE_CHECKING:
    from astropy.io.fits import Header as AstropyHeader
    from lsst.images.serialization import Reader

# What the library raises on damaged files, from itself, pydantic, astropy
# and zlib.
_DAMAGE = (
    ArchiveReadError,
    InvalidFitsArchiveError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
    VerifyError,
    zlib.error,
)

# Cards that the library writes itself.
_OWN_CARDS = re.compile(
    "SIMPLE|BITPIX|NAXIS|EXTEND|FMTVER|DATAMODL|INDXADDR|INDXSIZE|JSONADDR|JSONSIZE|DATE|CHECKSUM|DATASUM"
)

# A cutout is sent once and read once: compressing it costs more time than
# the bytes are worth.
_UNCOMPRESSED = {"image": None, "mask": None, "variance": None, "red": None, "green": None, "blue": None}


@contextmanager
def open_image(uri: ResourcePath, primary: Header) -> Iterator[CutImage]:
    """Open a FITS file of `lsst.images` for cutting.

    Parameters
    ----------
    uri
        The file.
    primary
        Its primary header.

    Yields
    ------
    image : `CutImage`

    Raises
    ------
    UnsupportedError
        Raised if it is damaged, or no image.
    """
    name = uri.basename()
    # The library reads and writes its projections with AST wherever it likes.
    with AST_LOCK:
        try:
            opened = open_archive(uri, format="fits")
            reader = opened.__enter__()
        except _DAMAGE as err:
            raise _damaged(name) from err
        try:
            yield _LsstImage(reader, primary, name)
        finally:
            opened.__exit__(None, None, None)


class _LsstImage:
    def __init__(self, reader: Reader[Any], primary: Header, name: str) -> None:
        self._reader = reader
        self._primary = primary
        self._name = name
        box = self._component("bbox")
        if not isinstance(box, Box):
            raise UnsupportedError(f"The file {name!r} holds no image; cutouts are made from images")
        self._box = PixelBox(box.x.min, box.x.max, box.y.min, box.y.max)

    @property
    def box(self) -> PixelBox:
        # Docstring inherited.
        return self._box

    def projection(self) -> Projection | None:
        # Docstring inherited.
        found = self._component("sky_projection")
        if found is None:
            return None
        forward, backward = found.pixel_to_sky_transform, found.sky_to_pixel_transform

        def to_sky(x: Floats, y: Floats) -> tuple[Floats, Floats]:
            return _applied(forward, x, y)

        def to_pixel(first: Floats, second: Floats) -> tuple[Floats, Floats]:
            return _applied(backward, first, second)

        return Projection(to_sky, to_pixel)

    def cut(self, box: PixelBox, detail: Detail, cards: Sequence[Card]) -> tuple[bytes, ...]:
        # Docstring inherited.
        bbox = Box.factory[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
        try:
            subset = self._read(bbox, detail)
        except _DAMAGE as err:
            raise self._unreadable(bbox, detail, err) from err
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
            return (path.read_bytes(),)

    def _read(self, bbox: Box, detail: Detail) -> Any:
        schema = self._reader.info.schema_name
        if detail is Detail.EXPOSURE or schema in ("image", "color_image"):
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
            except _DAMAGE:
                return _damaged(self._name)
            reason = " ".join(str(err).split()).rstrip(".")
            return UnsupportedError(
                f"The complete object in {self._name!r} cannot be cut here ({reason}); "
                "send CUTOUTDETAIL=MaskedImage"
            )
        return _damaged(self._name)

    def _component(self, name: str) -> Any:
        try:
            return self._reader.get_component(name)
        except InvalidComponentError:
            return None
        except _DAMAGE as err:
            raise _damaged(self._name) from err

    def _add_cards(self, header: AstropyHeader, cards: Sequence[Card]) -> None:
        from astropy.io.fits import Card as AstropyCard

        # The library carries the cards of the primary header along with
        # whole objects only.
        for key in self._primary.keywords():
            if not _OWN_CARDS.fullmatch(key) and key not in header:
                header.append(AstropyCard.fromstring(self._primary.card(key)), end=True)
        for key, value, comment in cards:
            # Not astropy's own card, which rounds floats.
            header.remove(key, ignore_missing=True)
            header.append(AstropyCard.fromstring(format_card(key, value, comment)), end=True)


def _applied(transform: Any, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    # AST, inside the library, takes no NaN.
    bad = ~(np.isfinite(first) & np.isfinite(second))
    result = transform.apply_forward(x=np.where(bad, 0.0, first), y=np.where(bad, 0.0, second))
    a, b = np.asarray(result.x, dtype=float), np.asarray(result.y, dtype=float)
    bad = bad | ~(np.abs(a) < 1e300) | ~(np.abs(b) < 1e300)
    return np.where(bad, np.nan, a), np.where(bad, np.nan, b)


def _damaged(name: str) -> UnsupportedError:
    return UnsupportedError(f"The file {name!r} is cut short or damaged; fetch it again or ask its publisher")
