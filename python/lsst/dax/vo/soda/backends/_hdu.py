"""One HDU of a FITS file: its header, and where its bytes are."""

from __future__ import annotations

__all__ = ["BITPIX", "Hdu"]

from dataclasses import dataclass, field

from ._header import BLOCK, Header

BITPIX = (8, 16, 32, 64, -32, -64)
"""Types of pixels that there are (FITS 4.0, 4.4.1.1)."""


@dataclass(slots=True, eq=False)
class Hdu:
    """One HDU: its header, and where its bytes are."""

    header: Header
    """The header, as in the file."""

    offset: int
    """Where the header begins."""

    data_offset: int
    """Where the data begin."""

    data_size: int
    """Bytes of data, without the filling."""

    is_tiled: bool = field(init=False)
    """Whether this is a tile-compressed image."""

    bitpix: int = field(init=False)
    """Type of the pixels, as BITPIX names it."""

    shape: tuple[int, ...] = field(init=False)
    """Lengths of the axes, the fastest first, of an image; else empty."""

    def __post_init__(self) -> None:
        header, kind = self.header, self.header.text("XTENSION")
        self.is_tiled = header.get("ZIMAGE") is True and kind == "BINTABLE"
        self.bitpix = header.integer("ZBITPIX" if self.is_tiled else "BITPIX") or 0
        prefix = "ZNAXIS" if self.is_tiled else "NAXIS"
        axes = min(header.integer(prefix) or 0, 999) if self.is_tiled or kind in ("", "IMAGE") else 0
        self.shape = tuple(header.integer(f"{prefix}{axis}") or 0 for axis in range(1, axes + 1))

    @property
    def data_end(self) -> int:
        """Where the data end, without the filling."""
        return self.data_offset + self.data_size

    @property
    def end(self) -> int:
        """Where the next HDU begins."""
        return self.data_end + (-self.data_size % BLOCK)

    @property
    def is_image(self) -> bool:
        """Whether there are pixels on two axes."""
        return len(self.shape) >= 2 and min(self.shape) > 0 and self.bitpix in BITPIX
