"""FITS headers as the cards they are.

A header is edited card by card and all others stay as they were, byte for
byte: LSST files hold cards (CONTINUE after a number, HIERARCH with dashes)
that libraries reject or rewrite.
"""

from __future__ import annotations

__all__ = ["BLOCK", "LOOKUP_NAMES", "LOOKUP_TABLES", "Header", "format_card", "padded"]

import math
import re
from collections.abc import Callable, Iterable
from typing import Self

from .._provenance import Card, in_time_system, is_stencil_card

BLOCK = 2880
"""Bytes in a FITS block."""

LOOKUP_TABLES = re.compile(r"(CPDIS|CQDIS|D2IMDIS)\d")
"""Keywords of distortions that are tables in HDUs of their own."""

LOOKUP_NAMES = frozenset({"WCSDVARR", "D2IMARR"})
"""EXTNAME of these HDUs."""

type Value = str | int | float | bool | None

_STRING = re.compile(r"'((?:[^']|'')*)'")
_INTEGER = re.compile(r"[+-]?\d{1,40}")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([EeDd][+-]?\d{1,5})?")
_END = b"END".ljust(80)


class Header:
    """The cards of one header.

    Parameters
    ----------
    cards
        Cards of 80 bytes, in order, without END.
    """

    __slots__ = ("_index", "cards")

    def __init__(self, cards: Iterable[bytes]) -> None:
        self.cards = list(cards)
        self._index: dict[str, int] | None = None

    @classmethod
    def from_bytes(cls, text: bytes) -> Self:
        """Split a header as it stands in a file.

        Parameters
        ----------
        text
            The header up to END, which is dropped.

        Returns
        -------
        header : `Header`
        """
        return cls(text[i : i + 80] for i in range(0, len(text) - 79, 80) if text[i : i + 80] != _END)

    def to_bytes(self) -> bytes:
        """Return the header with END, filled up to whole blocks."""
        return padded(b"".join((*self.cards, _END)), b" ")

    def copy(self) -> Header:
        """Return a header that can be edited on its own."""
        copy = Header(self.cards)
        copy._index = dict(self._find())
        return copy

    def get(self, key: str) -> Value:
        """Return the value of a keyword.

        Parameters
        ----------
        key
            Keyword, without HIERARCH.

        Returns
        -------
        value : `str`, `int`, `float`, `bool` or `None`
            `None` when there is no such card, or it has no legible value.
        """
        at = self._find().get(key)
        return None if at is None else _parse_value(self.cards[at])

    def number(self, key: str) -> float | None:
        """Return the value of a keyword if it is a finite number.

        Parameters
        ----------
        key
            Keyword.

        Returns
        -------
        number : `float` or `None`
        """
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return value

    def integer(self, key: str, default: int | None = None) -> int | None:
        """Return the value of a keyword if it is a whole number of 64 bits.

        Parameters
        ----------
        key
            Keyword.
        default
            What to return otherwise.

        Returns
        -------
        number : `int` or `None`
        """
        number = self.number(key)
        if number is None or number != int(number) or not -(2**63) <= number < 2**63:
            return default
        return int(number)

    def text(self, key: str) -> str:
        """Return the value of a keyword if it is a string.

        Parameters
        ----------
        key
            Keyword.

        Returns
        -------
        text : `str`
            Without trailing blanks; empty when there is none.
        """
        value = self.get(key)
        return value.rstrip() if isinstance(value, str) else ""

    def __contains__(self, key: str) -> bool:
        return key in self._find()

    def card(self, key: str) -> bytes:
        """Return the card of a keyword as it stands.

        Parameters
        ----------
        key
            Keyword that the header has.

        Returns
        -------
        card : `bytes`
            With the CONTINUE cards of a long string.
        """
        at = self._find()[key]
        end = at + 1
        while end < len(self.cards) and self.cards[end][:8] == b"CONTINUE":
            end += 1
        return b"".join(self.cards[at:end])

    def keywords(self) -> list[str]:
        """Return the keywords that have values, in order."""
        return list(self._find())

    def set(self, key: str, value: str | int | float | bool, comment: str = "") -> None:
        """Give a keyword a value, where it stands or at the end.

        Parameters
        ----------
        key
            Keyword.
        value
            Its new value.
        comment
            Comment of a new card; an old one keeps its own if it fits.
        """
        at = self._find().get(key)
        if at is None:
            self._find()[key] = len(self.cards)
            self.cards.append(format_card(key, value, comment))
        else:
            self.cards[at] = format_card(key, value, comment or _comment_of(self.cards[at]))

    def drop(self, is_dropped: Callable[[str], object]) -> None:
        """Take cards out.

        Parameters
        ----------
        is_dropped
            Whether a keyword goes.  Its CONTINUE cards go with it.
        """
        kept: list[bytes] = []
        dropping = False
        for card in self.cards:
            if not (dropping and card[:8] == b"CONTINUE"):
                key = _keyword(card)
                dropping = key is not None and bool(is_dropped(key))
            if not dropping:
                kept.append(card)
        self.cards, self._index = kept, None

    def extend(self, cards: Iterable[Card]) -> None:
        """Set several keywords.

        Parameters
        ----------
        cards
            Keywords, values and comments.
        """
        cards = tuple(cards)
        if any(key == "DATE-CUT" for key, _, _ in cards):
            # Provenance, in place of that of an earlier cutout.
            self.drop(is_stencil_card)
            cards = in_time_system(cards, self.get("TIMESYS"))
        for key, value, comment in cards:
            self.set(key, value, comment)

    def _find(self) -> dict[str, int]:
        if self._index is None:
            index: dict[str, int] = {}
            for at, card in enumerate(self.cards):
                key = _keyword(card)
                if key is not None:
                    index.setdefault(key, at)
            self._index = index
        return self._index


def padded(data: bytes, fill: bytes = b"\0") -> bytes:
    """Fill bytes up to whole FITS blocks.

    Parameters
    ----------
    data
        The bytes.
    fill
        One byte.

    Returns
    -------
    data : `bytes`
    """
    return data + fill * (-len(data) % BLOCK)


def _keyword(card: bytes) -> str | None:
    # Keywords with a value indicator (FITS 4.0, 4.1), and ESO's HIERARCH.
    if card[8:10] == b"= ":
        return card[:8].decode("latin-1").rstrip()
    if card[:9] == b"HIERARCH " and b"=" in card:
        return card[9 : card.index(b"=")].decode("latin-1").strip()
    return None


def _parse_value(card: bytes) -> Value:
    text = card.decode("latin-1")
    text = text[text.index("=") + 1 :].strip()
    if match := _STRING.match(text):
        return match[1].replace("''", "'")
    word = text.partition("/")[0].strip()
    if word in ("T", "F"):
        return word == "T"
    if _INTEGER.fullmatch(word):
        return int(word)
    if _FLOAT.fullmatch(word):
        return float(word.upper().replace("D", "E"))
    return None


def _comment_of(card: bytes) -> str:
    text = card.decode("latin-1")
    text = text[text.index("=") + 1 :].lstrip()
    match = _STRING.match(text)
    return (text[match.end() :] if match else text).partition("/")[2].strip()


def format_card(key: str, value: str | int | float | bool, comment: str = "") -> bytes:
    """Write one card.

    Parameters
    ----------
    key
        Keyword; long ones and those with blanks become HIERARCH.
    value
        Its value; floats keep all their digits, long strings are cut off.
    comment
        Comment, as much of it as fits.

    Returns
    -------
    card : `bytes`
        80 bytes.
    """
    head = f"{key:8}= " if len(key) <= 8 and re.fullmatch(r"[A-Z0-9_-]+", key) else f"HIERARCH {key} = "
    if isinstance(value, bool):
        body = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        # FITS 4.0, 4.2.1: printable ASCII, quotes doubled, eight or more.
        plain = "".join(c if " " <= c <= "~" else "?" for c in value).replace("'", "''")
        room = 78 - len(head)
        plain = plain[:room]
        # Half of a doubled quote must not be left at the end.
        if (len(plain) - len(plain.rstrip("'"))) % 2:
            plain = plain[:-1]
        body = f"'{plain:8}'".ljust(20)
    elif isinstance(value, int):
        body = f"{value:>20}"
    else:
        body = f"{_format_float(value):>20}"
    card = head + (body if head.startswith(key) else body.strip())
    if comment and len(card) + 3 < 80:
        card = f"{card} / {comment}"
    return card[:80].ljust(80).encode("ascii", "replace")


def _format_float(value: float) -> str:
    # The shortest text that reads back as the same number, with a point.
    text = repr(float(value)).upper()
    if "." not in text:
        text = text.replace("E", ".0E") if "E" in text else text + ".0"
    return text
