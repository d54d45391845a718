"""Cut a region out of a file: what services, commands and notebooks call."""

from __future__ import annotations

__all__ = ["Cutout", "cut"]

from dataclasses import dataclass

from lsst.resources import ResourcePath

from ..dali import Stencil
from ..errors import UnsupportedError, UsageError
from ._ast import AST_LOCK
from ._box import PixelBox
from ._image import Buffer, CutImage
from ._provenance import Provenance, provenance_cards
from ._request import Detail
from ._stencil import stencil_box


@dataclass(frozen=True, slots=True)
class Cutout:
    """A cutout as a file."""

    parts: tuple[Buffer, ...]
    """The file, in pieces, to be sent one after the other."""

    media_type: str
    """Its media type."""

    filename: str
    """A name to save it under."""

    box: PixelBox
    """The pixels in it, in the coordinates of the parent image."""

    detail: Detail
    """How much of the image it holds."""

    @property
    def content(self) -> bytes:
        """The file in one piece."""
        return b"".join(self.parts)

    @property
    def size(self) -> int:
        """Length of the file, bytes."""
        return sum(len(part) for part in self.parts)

    def describe(self) -> str:
        """Say in a few words what the cutout is.

        Returns
        -------
        text : `str`
            For example ``58 x 60 pixels, columns 10..67, …``.
        """
        return (
            f"{self.box.width} x {self.box.height} pixels, columns {self.box.x0}..{self.box.x1}, "
            f"rows {self.box.y0}..{self.box.y1}, {self.detail.value}, {self.size} bytes"
        )


def cut(
    uri: ResourcePath | str,
    region: Stencil | PixelBox,
    *,
    detail: Detail = Detail.IMAGE,
    provenance: Provenance | None = None,
    max_pixels: int | None = None,
) -> Cutout | None:
    """Cut a region out of an image file.

    Parameters
    ----------
    uri
        A FITS file of any kind that this package reads, local or remote.
    region
        A shape on the sky, or a box of parent pixels.
    detail
        How much of the image the cutout holds.
    provenance
        What its header says of its origin; nothing by default.
    max_pixels
        Most pixels of one plane; without a limit by default.

    Returns
    -------
    cutout : `Cutout` or `None`
        The pixels of the region's bounding box, clipped to the image; `None`
        when the region touches no pixel.

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    UsageError
        Raised if the region is not one, or larger than the limit.
    UnsupportedError
        Raised if the file is no image, is damaged, or has no WCS while the
        region is one on the sky.
    TransientError
        Raised if the store of the file does not answer.

    References
    ----------
    SODA 1.0, 3.3 and 4.1.
    """
    from .backends import open_image

    try:
        path = ResourcePath(uri, forceAbsolute=True)
    except (NotImplementedError, ValueError) as err:
        raise UnsupportedError(
            f"{str(uri)[:200]!r} is no address of a file that can be read; give a path, or an http or s3 URL"
        ) from err
    with open_image(path) as image:
        box = _find_box(image, region, path.basename())
        if box is None:
            return None
        if max_pixels is not None and box.size > max_pixels:
            raise UsageError(
                f"The region covers {box.size} pixels of the image; at most {max_pixels} are served at once: "
                "send a smaller one"
            )
        cards = provenance_cards(provenance, region) if provenance is not None else ()
        parts = image.cut(box, detail, cards)
    return Cutout(parts, "application/fits", _filename(path, box), box, detail)


def _find_box(image: CutImage, region: Stencil | PixelBox, name: str) -> PixelBox | None:
    if isinstance(region, PixelBox):
        return region.clipped_to(image.box)
    with AST_LOCK:
        projection = image.projection()
        if projection is None:
            raise UnsupportedError(
                f"The image in {name!r} has no celestial WCS, so no place on the sky; "
                "cut it by pixels instead"
            )
        return stencil_box(region, projection, image.box)


def _filename(path: ResourcePath, box: PixelBox) -> str:
    stem = path.basename()
    for suffix in (".gz", ".fz", ".fits", ".fit", ".fts"):
        stem = stem.removesuffix(suffix)
    return f"{stem or 'image'}_{box.x0}_{box.y0}_{box.width}x{box.height}.fits"
