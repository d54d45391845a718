"""An image of `lsst.images`, cut without reading all of its object."""

from __future__ import annotations

__all__ = ["STENCIL_DESCRIPTION", "ImagesImage", "not_divisible"]

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....errors import UnsupportedError
from ..._ast import AST_LOCK
from ..._box import PixelBox
from ..._coverage import Coverage, Outside
from ..._image import Buffer, Pixels
from ..._projection import Projection
from ..._provenance import Card
from ..._request import Detail
from .._fits_file import Box, FitsFile
from .._hdu import Hdu
from .._header import BLOCK, Header, padded
from .._outside import STENCIL_PLANE, blanked, no_mask, stenciled
from .._pixels import physical
from .._plane import image_header, shift_wcs
from .._tan_sip import WCS_KEYWORD, is_followed_by, tan_sip_cards
from ._archive import Key, Layout, Part, find_hdus, join_parts, make_tree_part
from ._tree import CHANNELS, Plane, add_plane, cut_tree

_NOTE = "images.Projection"

_CONTAINER = ("", "JSON", "INDEX")
_BLANKED = ("image", "variance", *CHANNELS)
_WITH_WCS = ("image", "mask", "variance", *CHANNELS)

STENCIL_DESCRIPTION = "Pixel lies outside the stencil"
"""What the mask plane of pixels outside means, in the words of Rubin's own
service.
"""


class ImagesImage:
    """An open file of `lsst.images`.

    Parameters
    ----------
    file
        The file.
    layout
        Its layout.
    schema
        Name of the schema of its object.
    box
        All its pixels.
    planes
        Where they are.
    """

    def __init__(
        self, file: FitsFile, layout: Layout, schema: str, box: PixelBox, planes: tuple[Plane, ...]
    ) -> None:
        self._file = file
        self._layout = layout
        self._schema = schema
        self._box = box
        self._planes = planes

    @property
    def box(self) -> PixelBox:
        # Docstring inherited.
        return self._box

    def projection(self) -> Projection | None:
        # Docstring inherited.
        return self._file.entry.note(_NOTE, self._read_projection)

    def pixels(self, box: PixelBox) -> Pixels:
        # Docstring inherited.
        planes = [plane for plane in self._planes if plane.name in CHANNELS] or self._planes[:1]
        hdus = self._hdus(planes)
        data = self._file.read_boxes([(hdu, self._within(box)) for hdu in hdus])
        found = [physical(pixels, hdu, box.width, box.height) for pixels, hdu in zip(data, hdus, strict=True)]
        return found[0] if len(found) == 1 else np.stack(found)

    def cut(
        self, box: PixelBox, detail: Detail, cards: Sequence[Card], coverage: Coverage | None = None
    ) -> tuple[Buffer, ...]:
        # Docstring inherited.
        name = self._file.source.name
        tree, planes = cut_tree(self._layout.tree, self._schema, box, detail, name)
        stencil = None
        if coverage is not None and coverage.outside is Outside.MASK:
            if not any(plane.name == "mask" for plane in planes):
                raise no_mask(name, has_mask=any(plane.name == "mask" for plane in self._planes))
            stencil = add_plane(tree, STENCIL_PLANE, STENCIL_DESCRIPTION)
        others: dict[Key, Part] = {}
        if detail is Detail.EXPOSURE:
            others = self._others(tree, planes, box)
        parts = self._plane_parts(planes, box, coverage, stencil) | others
        order = [key for key in self._layout.places if key in parts]
        order.extend(key for key in parts if key not in self._layout.places)
        primary = self._primary(tree["schema_url"], cards)
        tree_part = make_tree_part(self._layout, tree)
        pieces = [*(parts[key] for key in order), tree_part]
        date = next((value for key, value, _ in cards if key == "DATE-CUT"), None)
        if date is not None:
            for header in (primary, tree_part.header, *(parts[plane.key].header for plane in planes)):
                header.set("DATE", date)
        return join_parts(primary, pieces, self._layout.index_header)

    def _read_projection(self) -> Projection | None:
        tree = self._layout.tree.get("sky_projection")
        if tree is None:
            return None
        from ._sky import read_projection

        found = read_projection(tree)
        if found is None:
            raise self._file.source.truncated()
        return found

    def _hdus(self, planes: Sequence[Plane]) -> list[Hdu]:
        hdus = find_hdus(self._file, self._layout, [plane.key for plane in planes])
        for hdu in hdus:
            if hdu.shape != (self._box.width, self._box.height) or not hdu.is_image:
                raise self._file.source.truncated()
        return hdus

    def _within(self, box: PixelBox) -> Box:
        return box.x0 - self._box.x0, box.y0 - self._box.y0, box.width, box.height

    def _primary(self, schema_url: str, cards: Sequence[Card]) -> Header:
        header = self._file.primary.header.copy()
        header.drop(lambda key: key in ("CHECKSUM", "DATASUM"))
        header.set("DATAMODL", schema_url)
        header.extend(cards)
        return header

    def _plane_parts(
        self,
        planes: tuple[Plane, ...],
        box: PixelBox,
        coverage: Coverage | None,
        stencil: tuple[Key, int] | None,
    ) -> dict[Key, Part]:
        dx, dy = box.x0 - self._box.x0, box.y0 - self._box.y0
        hdus = self._hdus(planes)
        pixels = self._file.read_boxes([(hdu, self._within(box)) for hdu in hdus])
        wcs = self._exact_wcs(hdus[0].header, box)
        parts = {}
        for plane, hdu, data in zip(planes, hdus, pixels, strict=True):
            new_wcs = wcs if plane.name in _WITH_WCS else ()
            header = self._plane_header(hdu, keeps_wcs=not new_wcs)
            header.set("NAXIS1", box.width)
            header.set("NAXIS2", box.height)
            shift_wcs(header, dx, dy)
            header.extend(new_wcs)
            _set_origin(header, box)
            if coverage is not None and coverage.outside is Outside.NAN and plane.name in _BLANKED:
                data = blanked(data, hdu.bitpix, coverage.inside, self._file.source.name)
            if stencil is not None and coverage is not None and stencil[0] == plane.key:
                data = stenciled(data, hdu.bitpix, stencil[1], coverage.inside)
                _describe_plane(header, stencil[1])
            parts[plane.key] = Part(header, (data, bytes(-len(data) % BLOCK)))
        if stencil is not None and coverage is not None and stencil[0] not in parts:
            parts[stencil[0]] = _new_mask(parts, planes, stencil, coverage, box)
        return parts

    def _plane_header(self, hdu: Hdu, *, keeps_wcs: bool) -> Header:
        def make() -> Header:
            header = image_header(hdu, is_primary=False)
            if not keeps_wcs:
                header.drop(lambda key: WCS_KEYWORD.fullmatch(key) or key == "MJDREF")
            return header

        return self._file.entry.note(("images.header", hdu.offset, keeps_wcs), make).copy()

    def _exact_wcs(self, header: Header, box: PixelBox) -> tuple[Card, ...]:
        # Readers of FITS alone see the header: the library writes what AST
        # takes for near enough, which may be another projection.
        with AST_LOCK:
            exact = self.projection()
            if exact is None or is_followed_by(exact, header, (self._box.x0, self._box.y0), box):
                return ()
            return tan_sip_cards(exact, box) or ()

    def _others(self, tree: dict[str, Any], planes: tuple[Plane, ...], box: PixelBox) -> dict[Key, Part]:
        # HDUs of a complete object that are no planes.  All are found now, and
        # those of planes with them, in one round trip to a store.
        keys = [key for key in self._layout.places if key[0] not in _CONTAINER]
        hdus = dict(zip(keys, find_hdus(self._file, self._layout, keys), strict=True))
        if tree.get("bounds") is not None:
            tree["bounds"] = self._clip_bounds(tree["bounds"], box)
        changed: dict[Key, Part | None] = {}
        if self._schema == "cell_coadd":
            from ._cells import cut_cells

            changed = cut_cells(self._file, self._layout, tree, box)
        for key in hdus.keys() - {plane.key for plane in planes} - changed.keys():
            changed[key] = Part(hdus[key].header, (padded(self._file.read_data(hdus[key])),))
        return {key: part for key, part in changed.items() if part is not None}

    def _clip_bounds(self, bounds: Any, box: PixelBox) -> Any:
        from lsst.images import NoOverlapError

        from ._damage import DAMAGE
        from ._sky import clip_bounds

        try:
            return clip_bounds(bounds, box)
        except NoOverlapError as err:
            raise not_divisible(self._file.source.name, "no pixel of it is valid") from err
        except DAMAGE as err:
            raise self._file.source.truncated() from err


def not_divisible(name: str, reason: str) -> UnsupportedError:
    """Return the error of an object that has no part for the box.

    Parameters
    ----------
    name
        The file.
    reason
        Why.

    Returns
    -------
    error : `UnsupportedError`
    """
    return UnsupportedError(
        f"The complete object in {name!r} cannot be cut here ({reason}); send CUTOUTDETAIL=MaskedImage"
    )


def _set_origin(header: Header, box: PixelBox) -> None:
    # The library's link between the array and the grid of pixels.
    if header.text("CTYPE1A") == "LINEAR":
        for axis, first in ((1, box.x0), (2, box.y0)):
            header.set(f"CRPIX{axis}A", 1.0)
            header.set(f"CRVAL{axis}A", float(first))


def _describe_plane(header: Header, bit: int) -> None:
    header.set(f"MSKN{bit:04d}", STENCIL_PLANE, f"Name for mask plane {bit}.")
    header.set(f"MSKM{bit:04d}", 1 << bit, f"Bitmask for plane n={bit}; always 1<<n.")
    header.set(f"MSKD{bit:04d}", STENCIL_DESCRIPTION)
    if any(key.startswith("MP_") for key in header.keywords()):
        # Of an image that came from afw, which knows planes by these cards.
        header.set(f"MP_{STENCIL_PLANE}", bit)


def _new_mask(
    parts: dict[Key, Part],
    planes: tuple[Plane, ...],
    stencil: tuple[Key, int],
    coverage: Coverage,
    box: PixelBox,
) -> Part:
    # All bits of the masks in the file have names: one more array.
    last = [plane.key for plane in planes if plane.name == "mask"][-1]
    header = parts[last].header.copy()
    header.drop(lambda key: key.startswith(("MSKN", "MSKM", "MSKD", "MP_")))
    header.set("EXTVER", stencil[0][1])
    bits = stenciled(bytes(4 * box.size), 32, stencil[1], coverage.inside)
    _describe_plane(header, stencil[1])
    return Part(header, (bits, bytes(-len(bits) % BLOCK)))
