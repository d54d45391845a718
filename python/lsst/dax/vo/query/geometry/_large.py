"""Large constants by a short name.

A database hands a constant to a function once for each row, which for a
polygon of a thousand vertices is more work than the query.
"""

from __future__ import annotations

__all__ = ["NAME", "lengthen", "shorten"]

import hashlib
import threading
from collections import OrderedDict

from ...errors import TransientError

NAME = ord("#")
"""First byte of a name; encodings begin with letters or a point."""

# Longer than any common region of an image.
_LONG = 400
# What is remembered in all; a constant has no more than some 500 000 bytes.
_MOST_BYTES = 128_000_000

_LOCK = threading.Lock()
_KEPT: OrderedDict[bytes, bytes] = OrderedDict()


def shorten(encoding: bytes) -> bytes:
    """Return a short name of an encoding that is large, or the encoding itself.

    Parameters
    ----------
    encoding
        Any geometry.

    Returns
    -------
    short : `bytes`
        What `lengthen` takes, in this process, while no more than some
        hundreds of other large ones have come after it.
    """
    if len(encoding) < _LONG:
        return encoding
    name = bytes([NAME]) + hashlib.sha256(encoding).digest()
    with _LOCK:
        _KEPT[name] = encoding
        _KEPT.move_to_end(name)
        total = sum(map(len, _KEPT.values()))
        while total > _MOST_BYTES:
            total -= len(_KEPT.popitem(last=False)[1])
    return name


def lengthen(value: bytes) -> bytes:
    """Return the encoding behind a short name, or the encoding itself.

    Parameters
    ----------
    value
        Made by `shorten`.

    Returns
    -------
    encoding : `bytes`

    Raises
    ------
    TransientError
        Raised if it has been forgotten.
    """
    if value[0] != NAME:
        return value
    with _LOCK:
        found = _KEPT.get(value)
        if found is None:
            raise TransientError("A shape of this query has been forgotten; send the query again")
        _KEPT.move_to_end(value)
    return found
