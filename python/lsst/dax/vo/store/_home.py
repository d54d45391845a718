"""Where tables are made, and put into the place of those before."""

from __future__ import annotations

__all__ = ["Home"]

from pathlib import Path
from typing import Protocol


class Home(Protocol):
    """The place of a store, for one writer at a time."""

    def enter(self) -> Path:
        """Take the right to write.

        Returns
        -------
        table : `pathlib.Path`
            Where the new table is to be made: a file of a new name.
            Companions, whose names begin with it, may be there meanwhile.

        Raises
        ------
        UsageError
            Raised if there is something else in the place of the store, or it
            cannot be written.
        TransientError
            Raised if another writer has the right.
        """
        ...

    def publish(self, table: Path) -> None:
        """Make a table the one that counts, at once.

        Parameters
        ----------
        table
            What `enter` returned, closed.
        """
        ...

    def leave(self, *, discard: bool) -> None:
        """Give the right back, and remove what no longer counts.

        Parameters
        ----------
        discard
            Whether the place is also removed, if this writer made it.
        """
        ...
