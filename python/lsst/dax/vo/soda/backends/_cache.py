"""What is remembered of files between cutouts: all but their pixels.

A Butler dataset never changes, so that its id stands for the content.  Of a
file that was cut before, headers, places of HDUs, the WCS, tile tables and
the archive are here, and the next cutout asks the store for pixels only.
"""

from __future__ import annotations

__all__ = ["FileCache", "FileEntry"]

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from ._hdu import Hdu

# A calexp of 4096 x 4096 pixels has 0.4 MB of tile tables and 0.1 to 2 MB of
# archive; headers and AST objects are a few hundred kB.
_MAX_FILES = 256
_MAX_KEPT = 128 * 2**20
_MAX_KEPT_OF_A_FILE = 8 * 2**20


@dataclass(slots=True, eq=False)
class FileEntry:
    """What is known of one file.

    Everything in it is immutable, or only ever added to; threads may share
    it.
    """

    stamp: tuple[int, ...] | None = None
    """Size of the file and, on disks, when it was written."""

    hdus: dict[int, Hdu] = field(default_factory=dict)
    """HDUs by the place where they begin."""

    notes: dict[Hashable, object] = field(default_factory=dict)
    """What a backend worked out: layouts of tiles, the WCS."""

    kept: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """Bytes of a remote file, by where they begin and how many they are."""

    def forget(self) -> None:
        """Forget all that is known of the file."""
        self.stamp = None
        self.hdus, self.notes, self.kept = {}, {}, {}

    def note[T](self, name: Hashable, make: Callable[[], T]) -> T:
        """Return what was worked out before, or work it out.

        Parameters
        ----------
        name
            What it is.
        make
            Works it out.

        Returns
        -------
        note : ``T``
        """
        if name not in self.notes:
            self.notes[name] = make()
        return self.notes[name]  # type: ignore[return-value]

    def keep(self, offset: int, data: bytes) -> None:
        """Remember bytes of the file.

        Parameters
        ----------
        offset
            Where they begin.
        data
            The bytes; too many are not kept.
        """
        if self.kept_size + len(data) <= _MAX_KEPT_OF_A_FILE:
            self.kept[offset, len(data)] = data

    @property
    def kept_size(self) -> int:
        """How many bytes are kept."""
        return sum(count for _, count in list(self.kept))


class FileCache:
    """Entries of the files that were used last; safe for threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, FileEntry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> FileEntry:
        """Return the entry of a file, an empty one at first.

        Parameters
        ----------
        key
            What names the file for good, such as a dataset id.

        Returns
        -------
        entry : `FileEntry`
        """
        with self._lock:
            entry = self._entries.setdefault(key, FileEntry())
            self._entries.move_to_end(key)
            kept = sum(entry.kept_size for entry in self._entries.values())
            while len(self._entries) > 1 and (len(self._entries) > _MAX_FILES or kept > _MAX_KEPT):
                kept -= self._entries.popitem(last=False)[1].kept_size
            return entry

    def drop(self, key: Hashable) -> None:
        """Forget a file.

        Parameters
        ----------
        key
            What it was got by.
        """
        with self._lock:
            self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)
