"""Who does the work of cutting: this process, or others."""

from __future__ import annotations

__all__ = ["CutoutRunner", "Delivery", "LocalRunner", "Outcome", "PooledRunner"]

import enum
import itertools
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, Protocol

from ..dali import Hangup
from ..errors import TransientError, VoError
from ._cache import CutoutCache, SpooledCutout, fingerprint
from ._request import Product
from ._result import Cutout
from ._work import CutoutWork, find_selected, iter_cutouts
from .workers import Made, NoRoomError, Reply, WorkerPool

type Delivery = Cutout | SpooledCutout
"""A cutout, in memory or in a file."""

type Outcome = Delivery | VoError | None
"""A cutout, why there is none, or that no pixel is left of the image."""

_LOOK_S = 0.25
# Products of one file that a worker makes at a stretch.
_PIECE = 32


class CutoutRunner(Protocol):
    """Does the work of cutting."""

    width: int
    """Works of one job that may be done at once."""

    def run(self, work: CutoutWork, hangup: Hangup, *, background: bool = False) -> Iterator[Outcome]:
        """Do some work.

        Parameters
        ----------
        work
            The work.
        hangup
            Tells when nobody waits for it any more.
        background
            Whether it belongs to a job.

        Yields
        ------
        outcome : `Outcome`
            One for each product, in order; cutouts are the caller's, to be
            closed.

        Raises
        ------
        TransientError
            Raised if it cannot be done now, or nobody waits for it.
        """

    def start(self) -> None:
        """Get ready."""

    def close(self) -> None:
        """End."""


class LocalRunner:
    """Does all in the calling thread, and in memory: for commands and notebooks."""

    width = 1

    def run(self, work: CutoutWork, hangup: Hangup, *, background: bool = False) -> Iterator[Outcome]:
        # Docstring inherited.
        del background
        for outcome in iter_cutouts(work):
            if hangup.happened:
                raise TransientError("Nobody waits for the cutout any more")
            yield outcome

    def start(self) -> None:
        # Docstring inherited.
        pass

    def close(self) -> None:
        # Docstring inherited.
        pass


class _Plan(enum.Enum):
    MAKE = enum.auto()


class PooledRunner:
    """Has it done by other processes, unless it was done before.

    Parameters
    ----------
    pool
        The processes.
    cache
        Where cutouts are kept.
    version
        Version of the software.
    """

    def __init__(self, pool: WorkerPool, cache: CutoutCache, version: str) -> None:
        self.width = pool.width
        self._pool = pool
        self._cache = cache
        self._version = version
        self._lock = threading.Lock()
        self._being_made: dict[str, threading.Event] = {}

    def run(self, work: CutoutWork, hangup: Hangup, *, background: bool = False) -> Iterator[Outcome]:
        # Docstring inherited.
        if len(work.products) > 1:
            yield from self._run_all(work, hangup, background)
            return
        name = fingerprint(work, work.products[0], self._version)
        with self._alone(name, hangup):
            # All at once: others wait for it, whatever its client does.
            outcomes = list(self._run_all(work, hangup, background))
        yield from outcomes

    def start(self) -> None:
        # Docstring inherited.
        self._pool.start()

    def close(self) -> None:
        # Docstring inherited.
        self._pool.close()

    def _run_all(self, work: CutoutWork, hangup: Hangup, background: bool) -> Iterator[Outcome]:
        plans = [self._plan(work, product) for product in work.products]
        missing = tuple(
            product for product, plan in zip(work.products, plans, strict=True) if plan is _Plan.MAKE
        )
        replies = self._make(replace(work, products=missing), hangup, background)
        for product, plan in zip(work.products, plans, strict=True):
            if plan is _Plan.MAKE:
                yield next(replies)
            elif isinstance(plan, str):
                # It may have been removed a moment ago.
                found = self._cache.find(plan)
                again = replace(work, products=(product,))
                yield from [found] if found is not None else self._make(again, hangup, background)
            else:
                yield plan

    def _plan(self, work: CutoutWork, product: Product) -> str | VoError | Literal[_Plan.MAKE] | None:
        """Return the name of a cutout that is there, or what is known without making it."""
        try:
            is_selected = find_selected(work, product)
        except VoError as err:
            return err
        if is_selected is False:
            return None
        name = fingerprint(work, product, self._version)
        return name if is_selected and name is not None and self._cache.has(name) else _Plan.MAKE

    def _make(self, work: CutoutWork, hangup: Hangup, background: bool) -> Generator[Outcome]:
        # A worker is not kept waiting for whoever reads what it made.
        for part in itertools.batched(work.products, _PIECE):
            replies = self._collect(replace(work, products=part), hangup, background)
            try:
                for product in part:
                    reply = replies.popleft()
                    if isinstance(reply, NoRoomError) and self._cache.clear():
                        # A cutout that somebody waits for, rather than those
                        # that somebody may ask for again.
                        one = replace(work, products=(product,))
                        reply = self._collect(one, hangup, background).popleft()
                    yield self._keep(work, product, reply)
            finally:
                _forget(replies)

    def _collect(self, work: CutoutWork, hangup: Hangup, background: bool) -> deque[Reply]:
        replies: deque[Reply] = deque()
        self._cache.prepare()
        try:
            replies.extend(self._pool.run(work, self._cache.folder, hangup, background=background))
        except BaseException:
            _forget(replies)
            raise
        return replies

    def _keep(self, work: CutoutWork, product: Product, reply: Reply) -> Outcome:
        if not isinstance(reply, Made):
            return reply
        try:
            return self._cache.keep(fingerprint(work, product, self._version), reply)
        except OSError:
            return TransientError("The cutout cannot be stored now; try again later")

    @contextmanager
    def _alone(self, name: str | None, hangup: Hangup) -> Iterator[None]:
        """Wait once if another thread makes the same cutout; it is kept then, as a rule."""
        if name is None or not self._cache.keeps:
            yield
            return
        with self._lock:
            other = self._being_made.get(name)
            if other is None:
                done = self._being_made[name] = threading.Event()
        if other is not None:
            while not other.wait(_LOOK_S):
                if hangup.happened:
                    raise TransientError("Nobody waits for the cutout any more")
            yield
            return
        try:
            yield
        finally:
            with self._lock:
                del self._being_made[name]
            done.set()


def _forget(replies: Iterable[Reply]) -> None:
    for reply in replies:
        if isinstance(reply, Made):
            reply.path.unlink(missing_ok=True)
