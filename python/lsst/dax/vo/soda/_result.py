"""What was cut, as a file."""

from __future__ import annotations

__all__ = ["Cutout", "CutoutAnswer"]

from collections.abc import Iterator
from dataclasses import dataclass

from ._box import PixelBox
from ._file_range import FileRange
from ._image import Buffer
from ._request import Detail


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
        return b"".join(self.chunks())

    @property
    def size(self) -> int:
        """Length of the file, bytes."""
        return sum(map(len, self.parts))

    def chunks(self) -> Iterator[bytes]:
        """Return the file in pieces, to be sent one after the other.

        Yields
        ------
        chunk : `bytes`
            Part of the file.

        Raises
        ------
        UnsupportedError
            Raised if the file that was cut has been cut short meanwhile.
        """
        for piece in self.pieces():
            yield bytes(piece)

    def pieces(self) -> Iterator[memoryview]:
        """Return the file in pieces that are not copied, to be written one after the other.

        Yields
        ------
        piece : `memoryview`
            Part of the file, until the next is asked for.

        Raises
        ------
        UnsupportedError
            Raised if the file that was cut has been cut short meanwhile.
        """
        for part in self.parts:
            if isinstance(part, FileRange):
                yield from part.pieces()
            else:
                yield memoryview(part)

    def close(self) -> None:
        """Do nothing: what is in memory needs no closing."""

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


@dataclass(frozen=True, slots=True)
class CutoutAnswer:
    """A file that answers a request: a cutout, or a package of several."""

    media_type: str
    """Its media type."""

    filename: str
    """A name to save it under."""

    chunks: Iterator[bytes]
    """Its content, read once."""

    size: int | None = None
    """Its length, bytes; `None` if it is made while it is read."""

    description: str = ""
    """What a cutout is, in a few words."""
