"""Where a store is, as people write it."""

from __future__ import annotations

__all__ = ["StoreLocation", "parse_store"]

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import UnsupportedError, UsageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_ACCEPTED = "give the path of a folder, or duckdb:///path/of/the/folder"


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where a store is."""

    path: Path
    """The folder."""

    def __str__(self) -> str:
        return str(self.path)


def parse_store(text: str) -> StoreLocation:
    """Parse the name of a store.

    Parameters
    ----------
    text
        A path, or ``duckdb:///`` and an absolute path.

    Returns
    -------
    location : `StoreLocation`
        Whether there is a store is not looked at.

    Raises
    ------
    UsageError
        Raised if it is neither.
    UnsupportedError
        Raised for a PostgreSQL database.
    """
    if not text.strip():
        raise UsageError(f"The store has no name; {_ACCEPTED}", value=text)
    if _SCHEME.match(text) is None:
        return StoreLocation(Path(text))
    parts = urlsplit(text)
    match parts.scheme.lower():
        case "duckdb":
            if parts.netloc or parts.query or parts.fragment or not parts.path.strip("/"):
                raise UsageError(
                    f"The store {text!r} is not accepted; a duckdb URL has three slashes and a path: "
                    f"{_ACCEPTED}",
                    value=text,
                )
            return StoreLocation(Path(unquote(parts.path)))
        case "postgresql" | "postgres":
            # The text may hold a password, so it is not repeated.
            raise UnsupportedError(f"Stores in PostgreSQL are not supported; {_ACCEPTED}")
        case other:
            raise UsageError(f"The store has the scheme {other!r}; {_ACCEPTED}", value=text)
