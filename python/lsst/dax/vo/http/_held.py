"""What answers hold while their clients take them, of all answers together.

A client that does not read keeps its query open: the rows that were read
ahead, the database's own place in the table.  Some dozens of such clients
would take the memory of the machine, and so would some dozens that begin at
once, however fast they read.
"""

__all__ = ["Held", "Part"]

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
from anyio import CancelScope

_FACTOR = 15
"""Bytes that a query holds for each byte of a chunk: with all 37 columns of 8.5
million rows, 28 MB beside chunks of 1.8 MB, most of it in the database and in
Arrow's buffers."""
_FIRST_BYTES = 28 * 2**20
"""What an answer is taken to hold at least, as long as it does not wait for its
client: what its rows need is not known before they come."""
_BRISK_S = 0.1
"""Who has been waited for so short a time will be back at once for more."""
_LOOK_S = 0.1
_PATIENCE_S = 10.0
"""So long a client may take next to nothing also when there is need."""
_SOMETHING_BYTES = 2**20
"""What a client has to take in that time: a few bytes now and then would hold
the memory for days."""


@dataclass(slots=True, eq=False)
class Part:
    """What one answer holds."""

    chunk_bytes: int = 0
    """Size of the chunk that is on its way."""

    most_bytes: int = _FIRST_BYTES
    """What it is taken to hold while a chunk is made."""

    waited_s: float = 0.0
    """How long it has waited for its client, since that has last taken something,
    without the waiting now."""

    since_s: float | None = None
    """When the waiting now began; `None` while a chunk is made: that is not the
    client's fault."""

    taken_bytes: int = 0
    """What the client has taken meanwhile."""

    scope: CancelScope | None = None
    """Ends the waiting for the client."""


class Held:
    """What all answers hold; used in the thread of the event loop alone.

    Parameters
    ----------
    most_bytes
        That all may hold together; more by one answer's part at most.
    clock
        Seconds, from any start.
    """

    def __init__(self, most_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._parts: set[Part] = set()

    @property
    def size(self) -> int:
        """Bytes that all answers hold now."""
        now_s = self._clock()
        return sum(_size_of(part, now_s) for part in self._parts)

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[Part]:
        """Count an answer from before its first chunk until its end.

        Begins when there is room.  Not for ever: who takes nothing is ended
        when others wait.

        Yields
        ------
        part : `Part`
            What it holds.
        """
        while not self.make_room():
            await anyio.sleep(_LOOK_S)
        part = Part()
        self._parts.add(part)
        try:
            yield part
        finally:
            self._parts.discard(part)

    @contextmanager
    def sending(self, part: Part, chunk_bytes: int) -> Iterator[None]:
        """Wait for a client while a chunk is on its way to it.

        Parameters
        ----------
        part
            What the answer holds.
        chunk_bytes
            Size of the chunk.

        Yields
        ------
        nothing : `None`
            The block sends it.

        Raises
        ------
        TimeoutError
            Raised if the waiting was ended, because the memory was needed.
        """
        part.chunk_bytes = chunk_bytes
        part.most_bytes = max(part.most_bytes, _FACTOR * chunk_bytes)
        part.since_s = self._clock()
        part.scope = CancelScope()
        try:
            with part.scope:
                yield
        finally:
            part.waited_s += self._clock() - part.since_s
            part.since_s = None
        if part.scope.cancelled_caught:
            raise TimeoutError("The client takes nothing, and others need the memory")

    def progress(self, part: Part, taken_bytes: int) -> None:
        """Tell that a client has taken something.

        Parameters
        ----------
        part
            What its answer holds; a chunk of it is on its way.
        taken_bytes
            How much it has taken.
        """
        part.taken_bytes += taken_bytes
        if part.taken_bytes >= _SOMETHING_BYTES:
            part.taken_bytes, part.waited_s, part.since_s = 0, 0.0, self._clock()

    def make_room(self) -> bool:
        """Make room for one more answer.

        Returns
        -------
        has_room : `bool`
            Whether there is some; answers whose clients have taken next to
            nothing for a while are ended for that, the longest waiting first.
        """
        left, now_s = self.size, self._clock()
        waiting = [(_waited_s(part, now_s), part) for part in self._parts if part.since_s is not None]
        for waited_s, part in sorted(waiting, key=lambda item: item[0], reverse=True):
            if left <= self._most_bytes or waited_s < _PATIENCE_S:
                break
            if part.scope is not None:
                part.scope.cancel()
            self._parts.discard(part)
            left -= _size_of(part, now_s)
        return left <= self._most_bytes


def _size_of(part: Part, now_s: float) -> int:
    if part.since_s is None or now_s < part.since_s + _BRISK_S:
        return part.most_bytes
    return _FACTOR * part.chunk_bytes


def _waited_s(part: Part, now_s: float) -> float:
    return part.waited_s + (0.0 if part.since_s is None else now_s - part.since_s)
