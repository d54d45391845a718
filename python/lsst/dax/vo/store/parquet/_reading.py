"""Opening a table, and watching whether another one takes its place."""

from __future__ import annotations

__all__ = ["UNBOUNDED", "ParquetStore", "Watch", "open_store", "watch_store"]

import contextlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import pyarrow as pa

from ...dali import Column
from ...errors import TransientError, UsageError
from .._layout import columns_from_text
from .._location import ParquetLocation
from .._table_writer import COLUMNS, FORMATTED, UNSORTED
from ._places import Place, place_of
from ._table import read_told

_LOG = logging.getLogger(__name__)

# Between reading the pointer and opening its table, the table may be replaced.
_ATTEMPTS = 5
# How often somebody looks whether a table far away has been replaced.
_WATCH_SECONDS = 5.0
UNBOUNDED = "unbounded"
"""Name of what a table tells of columns whose bounds it does not have."""

_OWN = frozenset({COLUMNS, FORMATTED, UNSORTED, UNBOUNDED})


@final
@dataclass(frozen=True, slots=True)
class ParquetStore:
    """One table of a store, as it was when it was opened."""

    location: ParquetLocation
    """Where the store is."""

    columns: tuple[Column, ...]
    """The public columns, in order."""

    path: Path
    """The file of the table, or a copy on this machine.  It may be removed;
    who has it open, can read it to the end."""

    table: str
    """Name of the table in the store."""

    told: Mapping[str, str] = field(default_factory=dict, repr=False)
    """All that the table tells about itself."""

    @property
    def properties(self) -> Mapping[str, str]:
        """What the writer told about the table, and ``rows``, their count."""
        return {name: value for name, value in self.told.items() if name not in _OWN}

    @property
    def formatted(self) -> tuple[str, ...]:
        """Columns of which the table holds formats."""
        return tuple(filter(None, self.told.get(FORMATTED, "").split(",")))

    @property
    def unsorted(self) -> int:
        """Rows that updates have put behind those along the sky."""
        return int(self.told.get(UNSORTED, "0"))

    @property
    def is_current(self) -> bool:
        """Whether no other table has taken its place."""
        return place_of(self.location).read_pointer() == self.table


def open_store(location: ParquetLocation) -> ParquetStore:
    """Read what a store tells about its table; see `~lsst.dax.vo.store.open_store`.

    Parameters
    ----------
    location
        Where the store is.  A table that is far away is copied to this
        machine, once.

    Returns
    -------
    store : `ParquetStore`
    """
    place = place_of(location)
    for _ in range(_ATTEMPTS):
        name = place.read_pointer()
        with contextlib.suppress(_ReplacedError):
            return _open_table(place, location, name)
    raise TransientError(f"The store {location} is being replaced again and again; try again later")


class _ReplacedError(Exception):
    """Another table has taken the place of this one."""


def _open_table(place: Place, location: ParquetLocation, name: str, *, is_copy: bool = True) -> ParquetStore:
    again = f"make the store again with 'butler vo export REPO {location}'"
    try:
        path = place.bring(name)
        told = read_told(path)
        columns = columns_from_text(told[COLUMNS])
    except FileNotFoundError as err:
        if place.read_pointer() != name:
            raise _ReplacedError from err
        raise UsageError(f"The table {name} of the store {location} is gone; {again}") from err
    except PermissionError as err:
        raise TransientError(f"The store {location} cannot be read now: {err.strerror}") from err
    except (pa.ArrowException, OSError, LookupError, ValueError) as err:
        if place.is_remote and is_copy:
            # The copy may be, on a disk that was full or a machine that went
            # down: another one tells.
            path.unlink(missing_ok=True)
            return _open_table(place, location, name, is_copy=False)
        raise UsageError(f"The table {name} of the store {location} is damaged; {again}") from err
    return ParquetStore(location, columns, path, name, told)


@final
class Watch:
    """Tells whether a table is still the one that counts.

    Of a table far away, a thread of its own looks now and then: no query
    waits for it, nor for the copy of a new table, and a place that does not
    answer for a while stops nothing.

    Parameters
    ----------
    store
        The table.
    place
        Where it is.
    """

    def __init__(self, store: ParquetStore, place: Place) -> None:
        self._store = store
        self._place = place
        self._replaced = False
        self._closing = threading.Event()
        if place.is_remote:
            threading.Thread(target=self._look, name="watch-store", daemon=True).start()

    @property
    def is_current(self) -> bool:
        """Whether no other table has taken its place.

        Raises
        ------
        VoError
            Raised if a store in a folder cannot be read.
        """
        return not self._replaced if self._place.is_remote else self._store.is_current

    def close(self) -> None:
        """Look no more."""
        self._closing.set()

    def _look(self) -> None:
        complained = False
        while not self._closing.wait(_WATCH_SECONDS):
            try:
                name = self._place.read_pointer()
                if name != self._store.table:
                    self._place.bring(name)
                    self._replaced = True
                    return
                complained = False
            except Exception as err:  # whatever it is, the next look may go well
                if not complained:
                    _LOG.warning("The table goes on to be served as it was: %s", err)
                complained = True


def watch_store(store: ParquetStore) -> Watch:
    """Watch a table.

    Parameters
    ----------
    store
        The table.

    Returns
    -------
    watch : `Watch`
        To be closed by the caller.
    """
    return Watch(store, place_of(store.location))
