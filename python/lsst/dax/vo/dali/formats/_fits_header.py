"""Headers of FITS files."""

from __future__ import annotations

__all__ = ["Card", "end_header", "fill_block"]

from collections.abc import Iterable
from dataclasses import dataclass

_BLOCK = 2880
# What a card has room for, between quotes.
_MOST_CHARACTERS = 68


@dataclass(frozen=True, slots=True)
class Card:
    """One line of a header (FITS 4.0, 4.2)."""

    keyword: str
    """Keyword, up to eight characters."""

    value: str | int | bool
    """Value; a text that is too long is cut, what is not ASCII becomes ``?``."""

    comment: str = ""
    """Comment; left out where there is no room."""

    def render(self) -> bytes:
        """Return the card's 80 bytes.

        Returns
        -------
        line : `bytes`
        """
        match self.value:
            case bool():
                value = f"{'T' if self.value else 'F':>20}"
            case int():
                value = f"{self.value:>20}"
            case str():
                plain = "".join(letter if " " <= letter <= "~" else "?" for letter in self.value)
                value = f"'{_cut(plain):<8}'"
        line = f"{self.keyword:<8}= {value}"
        if self.comment and len(line) + 3 + len(self.comment) <= 80:
            line += f" / {self.comment}"
        return f"{line:<80}".encode("ascii")


def end_header(cards: Iterable[Card]) -> bytes:
    """Write a header.

    Parameters
    ----------
    cards
        All cards but the last one.

    Returns
    -------
    header : `bytes`
        Whole blocks.
    """
    content = b"".join(card.render() for card in cards) + f"{'END':<80}".encode()
    return content + fill_block(len(content), b" ")


def fill_block(size: int, fill: bytes) -> bytes:
    """Return what fills the last block.

    Parameters
    ----------
    size
        Bytes that are there.
    fill
        The byte to fill it with: blanks in headers, zeros in data.

    Returns
    -------
    filling : `bytes`
    """
    return fill * (-size % _BLOCK)


def _cut(text: str) -> str:
    """Double the quotes of a text, and cut it where the card ends, but not within a pair."""
    room, kept = _MOST_CHARACTERS, []
    for letter in text:
        shown = "''" if letter == "'" else letter
        room -= len(shown)
        if room < 0:
            break
        kept.append(shown)
    return "".join(kept)
