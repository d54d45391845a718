"""What every backend offers of an image: the contract between them and `cut`."""

__all__ = ["Buffer", "CutImage"]

from collections.abc import Sequence
from typing import Protocol

from ._box import PixelBox
from ._projection import Projection
from ._provenance import Card
from ._request import Detail

type Buffer = bytes | memoryview
"""Bytes, perhaps those of an array."""


class CutImage(Protocol):
    """An open image from which boxes of pixels can be cut."""

    @property
    def box(self) -> PixelBox:
        """All its pixels, in parent coordinates."""

    def projection(self) -> Projection | None:
        """Return its WCS; `None` when it has none."""

    def cut(self, box: PixelBox, detail: Detail, cards: Sequence[Card]) -> tuple[Buffer, ...]:
        """Make a FITS file of a box of pixels.

        Parameters
        ----------
        box
            Pixels to cut, inside `box`.
        detail
            How much of the image.
        cards
            Cards to add to the primary header.

        Returns
        -------
        parts : `tuple` [`Buffer`, ...]
            The file, in pieces.

        Raises
        ------
        UnsupportedError
            Raised if the image has not that much, or is damaged.
        """
