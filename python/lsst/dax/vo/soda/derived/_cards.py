"""The cards of a header as values."""

from __future__ import annotations

__all__ = ["Value", "parse_cards"]

import re

from ..backends._header import Header

type Value = str | int | float | bool | None

_STRING = re.compile(r"'((?:[^']|'')*)'")
_WORDS = ("COMMENT", "HISTORY", "")


def parse_cards(header: Header) -> list[tuple[str, Value, str]]:
    """Return keyword, value and comment of all cards.

    Parameters
    ----------
    header
        The header.

    Returns
    -------
    cards : `list` [`tuple` [`str`, `Value`, `str`]]
        In order; long strings are put together, blank cards left out.  The
        value of COMMENT and HISTORY is their text; that of a card whose
        value is undefined or no value is `None`.

    References
    ----------
    FITS 4.0, 4.2.1.2: strings that go on in CONTINUE.
    """
    found: list[tuple[str, Value, str]] = []
    for raw in header.cards:
        text = raw.decode("latin-1")
        key = text[:8].rstrip()
        if key == "CONTINUE":
            _continue(found, text[8:])
            continue
        one = Header([raw])
        names = one.keywords()
        if names:
            value = one.get(names[0])
            # FITS 4.0, 4.2.1.1: blanks at the end count for nothing.
            found.append((names[0], value.rstrip() if isinstance(value, str) else value, _comment(text)))
        elif key in _WORDS:
            if text[8:].strip():
                found.append((key, text[8:].rstrip(), ""))
        else:
            found.append((key, text[8:].strip() or None, ""))
    return found


def _continue(found: list[tuple[str, Value, str]], text: str) -> None:
    match = _STRING.match(text.strip())
    if not found or match is None:
        return
    key, value, comment = found[-1]
    if isinstance(value, str) and value.endswith("&"):
        more = text.strip()[match.end() :].partition("/")[2].strip()
        joined = value[:-1] + match[1].replace("''", "'").rstrip()
        found[-1] = key, joined, " ".join(filter(None, (comment, more)))


def _comment(text: str) -> str:
    rest = text[text.index("=") + 1 :].lstrip()
    match = _STRING.match(rest)
    return (rest[match.end() :] if match else rest).partition("/")[2].strip()
