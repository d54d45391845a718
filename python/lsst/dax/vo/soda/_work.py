"""Cutouts of one file as a piece of work, and how it is done.

A piece of work can be sent to another process; what does it is the same
code everywhere.  Each file is opened once, for however many cutouts.
"""

from __future__ import annotations

__all__ = ["CutoutWork", "ImageFile", "find_selected", "iter_cutouts"]

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from lsst.resources import ResourcePath

from ..errors import UnsupportedError, UsageError, VoError
from ._ast import AST_LOCK
from ._backend import Backend
from ._box import PixelBox
from ._coverage import Coverage, Outside, coverage
from ._derived import Derived
from ._extent import Extent, selects
from ._formats import FITS, SUFFIXES
from ._image import CutImage
from ._projection import Projection
from ._provenance import Card, Provenance, provenance_cards
from ._region import Region, format_region
from ._request import Detail, Product
from ._result import Cutout
from ._stencil import region_box
from .picture import Layer, PictureOptions, draw

_DEFAULT = PictureOptions()


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that is cut."""

    uri: str
    """Path or URL."""

    key: str | None = None
    """What tells it from others as long as it does not change: its dataset
    id.  Without one, nothing about it is remembered."""

    provenance: Provenance | None = None
    """What the headers say of its origin."""

    extent: Extent | None = None
    """Its wavelengths, times and polarization; `None` for those in its header."""

    hdu: int | str | None = None
    """Number or name of the HDU with the image; `None` where the file tells."""

    backend: Backend = Backend.AUTO
    """What reads it."""

    is_raw: bool = False
    """Whether the file is as an instrument wrote it."""


@dataclass(frozen=True, slots=True)
class CutoutWork:
    """Some cutouts of one file, or some pictures of the same three."""

    files: tuple[ImageFile, ...]
    """One file; three for red, green and blue."""

    products: tuple[Product, ...]
    """What to cut."""

    detail: Detail = Detail.IMAGE
    """How much of the image."""

    outside: Outside = Outside.KEEP
    """What becomes of pixels outside of a region."""

    media_type: str = FITS
    """FITS, PNG or JPEG."""

    picture: PictureOptions = _DEFAULT
    """How pictures are drawn."""

    max_pixels: int | None = None
    """Most pixels of one plane of a cutout; `None` for no limit."""

    derived: Derived | None = None
    """What is made of the whole image in place of a cutout."""

    @property
    def noun(self) -> str:
        """What it makes, in a word."""
        return "cutout" if self.derived is None else self.derived.value

    @property
    def advice(self) -> str:
        """What to do if it needs too much time or memory."""
        if self.derived is not None:
            return "read the file of the dataset itself"
        return "ask for a smaller region, or CUTOUTDETAIL=Image"


def iter_cutouts(work: CutoutWork) -> Iterator[Cutout | VoError | None]:
    """Do a piece of work.

    Parameters
    ----------
    work
        What to cut.

    Yields
    ------
    outcome : `Cutout`, `VoError` or `None`
        One for each product, in order: the cutout, why there is none, or
        `None` if no pixel is left of the image.

    Notes
    -----
    Images are opened when the first product needs them, which a filter may
    leave nothing of.
    """
    with ExitStack() as stack:
        images = _Images(work.files, stack)
        for product in work.products:
            try:
                yield _make(work, product, images)
            except VoError as err:
                yield err


def _make(work: CutoutWork, product: Product, images: _Images) -> Cutout | None:
    if work.derived is not None:
        return _derive(work.files[0], work.derived)
    if not _is_selected(work, product):
        return None
    return _cut(work, product, images.open())


def find_selected(work: CutoutWork, product: Product) -> bool | None:
    """Tell whether filters leave anything, without looking into files.

    Parameters
    ----------
    work
        The work.
    product
        One of its products.

    Returns
    -------
    is_selected : `bool` or `None`
        `None` if only the file can tell.

    Raises
    ------
    UnsupportedError
        Raised if nobody can tell.
    """
    if not _has_filters(product):
        return True
    if any(file.extent is None for file in work.files):
        return None
    return _is_selected(work, product)


def _has_filters(product: Product) -> bool:
    return product.band is not None or product.time is not None or bool(product.pols)


def _is_selected(work: CutoutWork, product: Product) -> bool:
    return not _has_filters(product) or all(
        selects(_extent_of(file), band=product.band, time=product.time, pols=product.pols)
        for file in work.files
    )


def _extent_of(file: ImageFile) -> Extent:
    if file.extent is not None:
        return file.extent
    from .backends._extent import read_extent

    return read_extent(_path_of(file.uri))


def _derive(file: ImageFile, derived: Derived) -> Cutout:
    from .derived import make_derived

    return make_derived(
        _path_of(file.uri), derived, key=file.key, provenance=file.provenance, is_raw=file.is_raw
    )


class _Images:
    """The images of a piece of work: opened once, and if that fails, it has failed for all products."""

    def __init__(self, files: Sequence[ImageFile], stack: ExitStack) -> None:
        self._files = files
        self._stack = stack
        self._found: Sequence[CutImage] | VoError | None = None

    def open(self) -> Sequence[CutImage]:
        if self._found is None:
            try:
                self._found = [self._open(file) for file in self._files]
            except VoError as err:
                self._found = err
        if isinstance(self._found, VoError):
            raise self._found
        return self._found

    def _open(self, file: ImageFile) -> CutImage:
        from .backends import open_image

        return self._stack.enter_context(
            open_image(_path_of(file.uri), file.key, hdu=file.hdu, backend=file.backend, is_raw=file.is_raw)
        )


def _path_of(uri: str) -> ResourcePath:
    try:
        return ResourcePath(uri, forceAbsolute=True)
    except (NotImplementedError, ValueError) as err:
        raise UnsupportedError(
            f"{uri[:200]!r} is no address of a file that can be read; give a path, or an http or s3 URL"
        ) from err


def _cut(work: CutoutWork, product: Product, images: Sequence[CutImage]) -> Cutout | None:
    region = product.region
    names = [_path_of(file.uri).basename() for file in work.files]
    boxes: list[PixelBox] = []
    for name, image in zip(names, images, strict=True):
        box = _find_box(image, region, name)
        if box is None:
            return None
        if work.max_pixels is not None and box.size > work.max_pixels:
            raise UsageError(
                f"The region covers {box.size} pixels of the image; at most {work.max_pixels} are served at "
                "once: send a smaller one"
            )
        boxes.append(box)
    provenance, box = work.files[0].provenance, boxes[0]
    cards = (
        provenance_cards(
            provenance,
            region,
            band=product.band,
            time=product.time,
            pols=product.pols,
            outside=work.outside,
        )
        if provenance is not None
        else ()
    )
    covered = [_coverage_of(work, region, *pair) for pair in zip(images, boxes, strict=True)]
    if work.media_type == FITS:
        parts = images[0].cut(box, work.detail, cards, covered[0])
    else:
        layers = [_layer(*item) for item in zip(images, boxes, covered, strict=True)]
        parts = (_draw(work, layers, region, cards),)
    return Cutout(parts, work.media_type, _filename(names[0], box, work.media_type), box, work.detail)


def _find_box(image: CutImage, region: Region | None, name: str) -> PixelBox | None:
    if region is None or isinstance(region, PixelBox):
        return region_box(region, None, image.box)
    with AST_LOCK:
        return region_box(region, _projection_of(image, name), image.box)


def _projection_of(image: CutImage, name: str) -> Projection:
    projection = image.projection()
    if projection is None:
        raise UnsupportedError(
            f"The image in {name!r} has no celestial WCS, so no place on the sky; cut it by pixels instead "
            "(PIXELS=x0 x1 y0 y1)"
        )
    return projection


def _coverage_of(work: CutoutWork, region: Region | None, image: CutImage, box: PixelBox) -> Coverage | None:
    # Boxes of pixels have nothing outside.
    if work.outside is Outside.KEEP or region is None:
        return None
    with AST_LOCK:
        return Coverage(coverage(region, image.projection(), box), work.outside)


def _layer(image: CutImage, box: PixelBox, covered: Coverage | None) -> Layer:
    pixels = image.pixels(box)
    if covered is not None:
        # A picture has no mask: what is outside is transparent.
        pixels = pixels.copy()
        pixels[..., ~covered.inside] = float("nan")
    with AST_LOCK:
        return Layer(pixels, box, image.projection())


def _draw(work: CutoutWork, layers: Sequence[Layer], region: Region | None, cards: Sequence[Card]) -> bytes:
    provenance = work.files[0].provenance
    dataset_type = provenance.dataset_type if provenance is not None else None
    title = " ".join(filter(None, (dataset_type, format_region(region) if region is not None else "")))
    with AST_LOCK:
        return draw(layers, work.picture, work.media_type, title=title, cards=cards)


def _filename(name: str, box: PixelBox, media_type: str) -> str:
    for suffix in (".gz", ".fz", ".fits", ".fit", ".fts"):
        name = name.removesuffix(suffix)
    return f"{name or 'image'}_{box.x0}_{box.y0}_{box.width}x{box.height}{SUFFIXES[media_type]}"
