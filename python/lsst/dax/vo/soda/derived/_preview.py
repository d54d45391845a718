"""Pictures of whole images."""

from __future__ import annotations

__all__ = ["LONGEST", "draw_preview"]

from collections.abc import Sequence

import numpy as np

from .._ast import AST_LOCK
from .._box import PixelBox
from .._derived import Derived
from .._image import CutImage, Pixels
from .._projection import Floats, Projection
from .._provenance import Card
from ..picture import Layer, PictureOptions, draw
from ._binning import bin_image

LONGEST = {Derived.PREVIEW: 1024, Derived.THUMBNAIL: 256}
"""Pixels of the longest side."""


def draw_preview(image: CutImage, longest: int, *, title: str = "", cards: Sequence[Card] = ()) -> bytes:
    """Draw a picture of a whole image.

    Parameters
    ----------
    image
        The image.
    longest
        Most pixels of a side; the picture is smaller by a whole number, each
        of its pixels the mean of a square.
    title
        Title for its metadata.
    cards
        Cards for its metadata.

    Returns
    -------
    picture : `bytes`
        A PNG: as the image lies, first row lowest, in grey; from black at
        the sky a logarithm (asinh) of brightness.
    """
    box = image.box
    step = max(1, -(-max(box.width, box.height) // longest))

    def read(first: int, rows: int) -> Pixels:
        y0 = box.y0 + first
        return image.pixels(PixelBox(box.x0, box.x1, y0, y0 + rows - 1))

    pixels = bin_image(read, box.height, step)
    with AST_LOCK:
        found = image.projection()
        projection = None if found is None else _binned(found, box, step)
        place = PixelBox(0, pixels.shape[-1] - 1, 0, pixels.shape[-2] - 1)
        layer = Layer(pixels, place, projection)
        return draw([layer], PictureOptions(), Derived.PREVIEW.media_type, title=title, cards=cards)


def _binned(projection: Projection, box: PixelBox, step: int) -> Projection:
    # The center of the first square is (step - 1) / 2 beyond the first pixel.
    shift = (step - 1) / 2

    def to_sky(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        return projection.to_sky(
            np.asarray(x) * step + (box.x0 + shift), np.asarray(y) * step + (box.y0 + shift)
        )

    def to_pixel(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        x, y = projection.to_pixel(lon, lat)
        return (x - box.x0 - shift) / step, (y - box.y0 - shift) / step

    return Projection(to_sky, to_pixel)
