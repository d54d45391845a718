"""Where libraries write that know files only."""

from __future__ import annotations

__all__ = ["Sink"]

import io
from typing import override


class Sink(io.RawIOBase):
    """A file that is written once, from its beginning to its end, and read in between."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    @override
    def writable(self) -> bool:
        # Docstring inherited.
        return True

    @override
    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        # Docstring inherited.
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    @override
    def tell(self) -> int:
        # Docstring inherited.
        return self._written

    def take(self) -> bytes:
        """Return what was written since the last time.

        Returns
        -------
        data : `bytes`
        """
        parts, self._parts = self._parts, []
        return b"".join(parts)
