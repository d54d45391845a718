"""As many workers as there are processors, and who gets the next one."""

from __future__ import annotations

__all__ = ["WorkerPool"]

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...dali import Hangup
from ...errors import TransientError, UsageError, VoError
from .._work import CutoutWork
from ._messages import Made, Reply
from ._process import Nursery, Worker, WorkerEndedError

_LOG = logging.getLogger(__name__)

_LOOK_S = 0.25
# What nobody waits for any more may finish in that time: most cutouts do,
# and a worker that lives keeps what it knows of files.
_GRACE_S = 0.5


class WorkerPool:
    """Processes that cut, shared by all threads of a service.

    Whoever waits for an answer comes before jobs, which leave one worker
    free where there are several.  The same file goes to the same worker
    when that one is free: it has it open.

    Parameters
    ----------
    size
        Number of workers.
    seconds
        That one product may take, and that an answer may wait for a worker.
    memory_bytes
        Memory that a worker may use.
    """

    def __init__(self, size: int, *, seconds: float, memory_bytes: int) -> None:
        self.size = size
        """Number of workers."""
        self.width = max(1, size - 1)
        """Number of workers that jobs may have at once."""
        self._seconds = self._patience_s = seconds
        self._nursery = Nursery(memory_bytes)
        self._free = threading.Condition()
        self._idle: dict[int, Worker | None] = dict.fromkeys(range(size))
        self._queues: dict[bool, deque[object]] = {False: deque(), True: deque()}
        self._in_background = 0
        self._is_closed = False

    def start(self) -> None:
        """Begin to load what workers need; it is also done by the first work."""
        self._nursery.start()

    def run(
        self, work: CutoutWork, folder: Path, hangup: Hangup, *, background: bool = False
    ) -> Iterator[Reply]:
        """Have work done.

        Parameters
        ----------
        work
            The work.
        folder
            Where cutouts are written; those that are yielded are the
            caller's.
        hangup
            Tells when nobody waits for it any more.
        background
            Whether it belongs to a job.

        Yields
        ------
        reply : `Reply`
            One for each product, in order.  If the worker dies, or takes
            too long, at one product, that one alone has failed.

        Raises
        ------
        TransientError
            Raised if there is no worker for it in time, or nobody waits.
        """
        done = 0
        while done < len(work.products):
            for reply in self._run(replace(work, products=work.products[done:]), folder, hangup, background):
                done += 1
                yield reply

    def close(self) -> None:
        """End all workers."""
        with self._free:
            self._is_closed = True
            idle, self._idle = self._idle, {}
            self._free.notify_all()
        for worker in idle.values():
            if worker is not None:
                worker.close()
        self._nursery.close()

    def _run(self, work: CutoutWork, folder: Path, hangup: Hangup, background: bool) -> Iterator[Reply]:
        """Yield replies until all are there, or the worker is lost with the last of them."""
        place, worker = self._take(hash(work.files[0].key or work.files[0].uri), hangup, background)
        left = len(work.products)
        try:
            if worker is not None and not worker.is_there():
                self._nursery.end(worker)
                worker = None
            if worker is None:
                worker = self._nursery.make()
            worker.send(work, folder)
            while left:
                reply = worker.receive(_Watch(self._seconds, hangup))
                if reply is ...:
                    if hangup.happened:
                        raise _unwanted()
                    yield UsageError(f"The {work.noun} took more than {self._seconds:g} s; {work.advice}")
                    return
                left -= 1
                if isinstance(reply, Made) and hangup.happened:
                    reply.path.unlink(missing_ok=True)
                    raise _unwanted()
                yield reply
        except WorkerEndedError:
            _LOG.error("A process that cut %s has ended by itself", work.files[0].key or "a file")
            yield VoError(
                f"The process that made the {work.noun} has ended, out of memory perhaps; {work.advice}"
            )
        finally:
            # One that has answered everything waits for work.
            self._give_back(place, worker, is_well=left == 0, background=background)

    def _take(self, preferred: int, hangup: Hangup, background: bool) -> tuple[int, Worker | None]:
        ticket, end_s = object(), time.monotonic() + self._patience_s
        queue = self._queues[background]
        with self._free:
            queue.append(ticket)
            try:
                while not (queue[0] is ticket and self._may_go(background)):
                    if self._is_closed:
                        raise TransientError("The service shuts down; try again later")
                    if hangup.happened:
                        raise _unwanted()
                    if not background and time.monotonic() > end_s:
                        raise TransientError(
                            "All processes that cut are busy; try again later, or make it a job (async)"
                        )
                    self._free.wait(_LOOK_S)
                place = preferred % self.size
                if place not in self._idle:
                    # One that lives rather than one that has to be made.
                    place = max(self._idle, key=lambda number: self._idle[number] is not None)
                self._in_background += background
                return place, self._idle.pop(place)
            finally:
                queue.remove(ticket)
                self._free.notify_all()

    def _may_go(self, background: bool) -> bool:
        if not self._idle:
            return False
        return not background or (not self._queues[False] and self._in_background < self.width)

    def _give_back(self, place: int, worker: Worker | None, *, is_well: bool, background: bool) -> None:
        if worker is not None and not is_well:
            self._nursery.end(worker)
            worker = None
        with self._free:
            self._in_background -= background
            if not self._is_closed:
                self._idle[place] = worker
                worker = None
            self._free.notify_all()
        if worker is not None:
            worker.close()


class _Watch:
    """Tells when waiting for one answer is over."""

    def __init__(self, seconds: float, hangup: Hangup) -> None:
        self._end_s = time.monotonic() + seconds
        self._hangup = hangup
        self._is_unwanted = False

    def __call__(self) -> bool:
        now_s = time.monotonic()
        if self._hangup.happened and not self._is_unwanted:
            self._is_unwanted = True
            self._end_s = min(self._end_s, now_s + _GRACE_S)
        return now_s > self._end_s


def _unwanted() -> TransientError:
    return TransientError("Nobody waits for the cutout any more")
