"""Boxes of pixels, in the coordinates of the parent image."""

from __future__ import annotations

__all__ = ["PixelBox", "parse_pixels"]

import operator
import re
from dataclasses import dataclass
from typing import final

from ..errors import UsageError, quoted

_ACCEPTED = (
    "four whole numbers 'x0 x1 y0 y1', the first and last pixel of each axis, inclusive, "
    "with x0 <= x1 and y0 <= y1 (open ends: -Inf, +Inf)"
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_INFINITE = re.compile(r"([+-]?)inf(inity)?", re.IGNORECASE | re.ASCII)

FARTHEST = 10**18
"""What stands for infinity: no FITS axis is that long, and eighteen digits
fit every arithmetic that is done with them."""


@final
@dataclass(frozen=True, slots=True)
class PixelBox:
    """A box of whole pixels; first and last belong to it.

    Coordinates are those of the parent image as LSST counts them: the first
    pixel of the file is ``xy0``, (0, 0) where the file names no other, and
    pixel ``n`` covers ``n - 0.5 <= x < n + 0.5``.
    """

    x0: int
    """First column."""

    x1: int
    """Last column, inclusive."""

    y0: int
    """First row."""

    y1: int
    """Last row, inclusive."""

    def __post_init__(self) -> None:
        # Whole numbers of numpy are what boxes are computed as, and would be
        # written into headers as floats.
        for name in ("x0", "x1", "y0", "y1"):
            value = getattr(self, name)
            if type(value) is not int:
                object.__setattr__(self, name, operator.index(value))

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.x1 - self.x0 + 1

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.y1 - self.y0 + 1

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def clipped_to(self, other: PixelBox) -> PixelBox | None:
        """Return the part of this box inside another.

        Parameters
        ----------
        other
            The other box, in the same coordinates.

        Returns
        -------
        box : `PixelBox` or `None`
            `None` when they have no pixel in common.
        """
        x0, x1 = max(self.x0, other.x0), min(self.x1, other.x1)
        y0, y1 = max(self.y0, other.y0), min(self.y1, other.y1)
        return PixelBox(x0, x1, y0, y1) if x0 <= x1 and y0 <= y1 else None

    def __str__(self) -> str:
        return f"{self.x0} {self.x1} {self.y0} {self.y1}"


def parse_pixels(text: str, *, parameter: str = "PIXELS") -> PixelBox:
    """Parse ``x0 x1 y0 y1``.

    Parameters
    ----------
    text
        Four whole numbers; infinities stand for the ends of the image, as in
        the ranges of DALI.
    parameter
        Name of the parameter, for the message.

    Returns
    -------
    box : `PixelBox`

    Raises
    ------
    UsageError
        Raised if there are not four whole numbers in order.
    """
    numbers = [_parse_pixel(word) for word in text.split()]
    match numbers:
        case [int(x0), int(x1), int(y0), int(y1)] if x0 <= x1 and y0 <= y1:
            return PixelBox(x0, x1, y0, y1)
    raise UsageError(
        f"{parameter}={quoted(text)} is not accepted; give {_ACCEPTED}", parameter=parameter, value=text
    )


def _parse_pixel(word: str) -> int | None:
    if _WHOLE.fullmatch(word):
        return int(word)
    if match := _INFINITE.fullmatch(word):
        return -FARTHEST if match[1] == "-" else FARTHEST
    return None
