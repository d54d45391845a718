"""What every backend offers of an image: the contract between them and `cut`."""

__all__ = ["Buffer", "CutImage", "Pixels"]

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ._box import PixelBox
from ._coverage import Coverage
from ._file_range import FileRange
from ._projection import Projection
from ._provenance import Card
from ._request import Detail

type Buffer = bytes | memoryview | FileRange
"""Bytes, perhaps those of an array, or of a file from which they are still to be read."""

type Pixels = np.ndarray[tuple[int, ...], np.dtype[np.floating]]
"""Physical values, native ``float32`` or ``float64``."""


class CutImage(Protocol):
    """An open image from which boxes of pixels can be cut."""

    @property
    def box(self) -> PixelBox:
        """All its pixels, in parent coordinates."""

    def projection(self) -> Projection | None:
        """Return its WCS; `None` when it has none."""

    def cut(
        self,
        box: PixelBox,
        detail: Detail,
        cards: Sequence[Card],
        coverage: Coverage | None = None,
    ) -> tuple[Buffer, ...]:
        """Make a FITS file of a box of pixels.

        Parameters
        ----------
        box
            Pixels to cut, inside `box`.
        detail
            How much of the image.
        cards
            Cards to add to the primary header.
        coverage
            Which pixels of the box are outside of what was asked for, and
            what to do with them; by default none are.

        Returns
        -------
        parts : `tuple` [`Buffer`, ...]
            The file, in pieces.

        Raises
        ------
        UsageError
            Raised if pixels outside cannot be treated as asked for: masked
            without a mask, or NaN in an image of whole numbers.
        UnsupportedError
            Raised if the image has not that much, or is damaged.
        """

    def pixels(self, box: PixelBox) -> Pixels:
        """Return the pixels of a box, for pictures.

        Parameters
        ----------
        box
            Pixels to read, inside `box`.

        Returns
        -------
        pixels : `numpy.ndarray`, shape ``(height, width)``
            First row first; NaN where the file has blanks.  Of color
            images ``(3, height, width)``: red, green, blue.

        Raises
        ------
        UnsupportedError
            Raised if the image is damaged.
        """
