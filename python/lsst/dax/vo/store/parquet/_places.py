"""Where stores of Parquet files can be."""

from __future__ import annotations

__all__ = ["Place", "place_of"]

from pathlib import Path
from typing import Protocol, override

from .._folder import FolderHome, read_pointer
from .._home import Home
from .._location import ParquetLocation
from .._pointer import PARQUET


class Place(Protocol):
    """Where tables are, and the pointer to the one that counts."""

    is_remote: bool
    """Whether to look at the pointer takes longer than a query may."""

    def read_pointer(self) -> str:
        """Find the table that counts now.

        Returns
        -------
        name : `str`
            Of its file.

        Raises
        ------
        NotFoundError
            Raised if there is no store.
        UsageError
            Raised if there is something else, or another layout.
        TransientError
            Raised if it cannot be read now.
        """
        ...

    def bring(self, name: str) -> Path:
        """Have a table on this machine.

        Parameters
        ----------
        name
            Of its file.

        Returns
        -------
        path : `pathlib.Path`
            A file that may be removed once it is open.

        Raises
        ------
        FileNotFoundError
            Raised if it is gone.
        TransientError
            Raised if it cannot be read now.
        """
        ...

    def home(self) -> Home:
        """Return where tables are made.

        Returns
        -------
        home : `~lsst.dax.vo.store._home.Home`

        Raises
        ------
        UsageError
            Raised if nothing can be written there.
        """
        ...


class FolderPlace(Place):
    """A folder of this machine.

    Parameters
    ----------
    folder
        The folder.
    """

    is_remote = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    @override
    def read_pointer(self) -> str:
        # Docstring inherited.
        return read_pointer(self._folder, PARQUET).name

    @override
    def bring(self, name: str) -> Path:
        # Docstring inherited.
        return self._folder / name

    @override
    def home(self) -> Home:
        # Docstring inherited.
        return FolderHome(self._folder, PARQUET)


def place_of(location: ParquetLocation) -> Place:
    """Return the place of a store.

    Parameters
    ----------
    location
        Where the store is.

    Returns
    -------
    place : `Place`
        Nothing is looked at yet.

    Raises
    ------
    UsageError
        Raised if the library for it is not installed.
    """
    if isinstance(location.place, Path):
        return FolderPlace(location.place)
    if location.place.startswith("s3://"):
        from ._bucket import BucketPlace

        return BucketPlace(location)
    from ._web import WebPlace

    return WebPlace(location)
