"""Which tables count now, as the database tells."""

from __future__ import annotations

__all__ = ["Watch"]

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ....errors import NotFoundError, TransientError, VoError
from ....store import LiveStore, PostgresLocation
from ....store.postgres import PostgresStore, connect, explained, read_store
from ..._catalog import build_catalog
from .._words import UNREADABLE, merge_columns
from ._tables import World

_LOG = logging.getLogger(__name__)

# A server that does not say in that time which table counts has stalled.
_LOOK_SECONDS = 10.0


class Watch:
    """Asks before each query, on a connection of its own.

    Parameters
    ----------
    sources
        One or more stores of one database.

    Raises
    ------
    VoError
        Raised if a store cannot be read, or they do not fit together.
    """

    def __init__(self, sources: Sequence[PostgresLocation | LiveStore]) -> None:
        self._sources = tuple(sources)
        # Held for what takes no time; who looks holds nothing meanwhile.
        self._changed = threading.Condition(threading.Lock())
        self._is_looking = False
        self._begun = 0
        self._ended = 0
        self._failure: VoError | None = None
        self._is_closed = False
        self._connection: Any = None
        self._world: World | None = None
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def look(self) -> World:
        """Return the stores as they are.

        Returns
        -------
        world : `World`

        Raises
        ------
        TransientError
            Raised if a store cannot be read now.
        """
        if self._begin_or_wait():
            self._look_for_all()
        with self._changed:
            failure, world = self._failure, self._world
        if failure is not None or world is None:
            raise TransientError(UNREADABLE) from failure
        return world

    def close(self) -> None:
        """Answer no more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._disconnect()

    def _begin_or_wait(self) -> bool:
        # Who comes while one looks waits for the next look, with all others:
        # what that finds is as new as any of them may ask for.
        end_s = time.monotonic() + _LOOK_SECONDS
        with self._changed:
            wanted = self._begun + 1
            while True:
                if self._is_closed:
                    raise TransientError("The service is being closed; try again later")
                if self._ended >= wanted:
                    return False
                if not self._is_looking:
                    self._is_looking = True
                    self._begun += 1
                    return True
                if not self._changed.wait(max(end_s - time.monotonic(), 0)):
                    _LOG.error("The ObsCore table cannot be read: the database has stalled")
                    raise TransientError(UNREADABLE)

    def _look_for_all(self) -> None:
        failure: VoError | None = TransientError(UNREADABLE)
        try:
            self._look()
            failure = None
        except VoError as err:
            # Its text names the database: that is for the log alone.
            _LOG.error("The ObsCore table cannot be read: %s", err)
            failure = err
        finally:
            with self._changed:
                self._is_looking = False
                self._ended = self._begun
                self._failure = failure
                self._changed.notify_all()
            if self._is_closed:
                self._disconnect()

    def _disconnect(self) -> None:
        with self._changed:
            # Nobody waits here: who is just looking does it then.
            if self._is_looking:
                return
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _look(self) -> World:
        # A connection that was cut is made again once.
        for last in (self._connection is None, True):
            try:
                stores = tuple(map(self._read, self._sources))
            except (TransientError, NotFoundError):
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                if last:
                    raise
            else:
                if self._world is None or self._world.stores != stores:
                    self._world = World(stores, build_catalog(merge_columns(stores)))
                return self._world
        raise AssertionError("the second look is the last")

    def _read(self, source: PostgresLocation | LiveStore) -> PostgresStore | LiveStore:
        if isinstance(source, LiveStore):
            return source
        if self._connection is None:
            self._connection = connect(source)
            self._connection.autocommit = True
        with explained(source, writing=False), _cut_when_stalled(self._connection):
            return read_store(self._connection, source)


@contextlib.contextmanager
def _cut_when_stalled(connection: Any) -> Iterator[None]:
    """Let what waits on a connection fail when it has waited too long."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:

        def cut() -> None:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(_LOOK_SECONDS, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
