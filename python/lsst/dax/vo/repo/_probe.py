"""Whether files in stores elsewhere are there: asked of many at once, within a time.

A store that is down keeps its library busy for long: each of them tries again
and again (measured of S3, lsst.resources 30: 15 s for one file, whatever
``AWS_MAX_ATTEMPTS`` says).  So nobody waits for a store longer than
``patience_s``, and one that did not answer at all is not asked again for
``down_s``.
"""

from __future__ import annotations

__all__ = ["StoreProbe"]

import logging
import math
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from ..errors import NotFoundError
from ._dataset import Dataset
from ._file_state import FileState
from ._memory import Memory

_LOG = logging.getLogger(__name__)
_MOST_KNOWN = 200_000
# A file that was not there may come soon, one that was there stays.
_GONE_S = 10.0
_NOT_THERE = (FileState.MISSING, FileState.EMPTY, FileState.UNREADABLE)
# Threads without a question end.
_IDLE_S = 10.0

type _Key = tuple[str, UUID, str]
type _Found = tuple[FileState, int | None]


@dataclass(slots=True)
class _Round:
    """What one caller asks of one store."""

    last_start_s: float
    left: int
    is_idle: bool
    done: threading.Event = field(default_factory=threading.Event)
    begun: set[_Key] = field(default_factory=set)
    found: dict[_Key, _Found] = field(default_factory=dict)


@dataclass(slots=True)
class _Store:
    """One store, and the threads that ask it."""

    questions: queue.SimpleQueue[tuple[_Round, Dataset]] = field(default_factory=queue.SimpleQueue)
    threads: int = 0
    heard_s: float = -math.inf
    down_until_s: float = -math.inf


class StoreProbe:
    """Asks stores for files, and remembers for a while what they said.

    Parameters
    ----------
    patience_s
        Seconds after which no answer is waited for; with 0, nothing is asked.
    budget_s
        Seconds after which no further file of one call is asked for.
    at_once
        Files of one store that are asked for at the same time.
    keep_s
        Seconds for which a file that was there counts as there.
    down_s
        Seconds for which a store that did not answer is not asked again, and
        for which one that did counts as there.
    most_of_a_server
        Files of one call that a Butler server is asked for: others need it
        as well, and each takes a request more.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        *,
        patience_s: float = 5.0,
        budget_s: float = 1.0,
        at_once: int = 10,
        keep_s: float = 300.0,
        down_s: float = 10.0,
        most_of_a_server: int = 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience_s = patience_s
        self._budget_s = min(budget_s, patience_s)
        self._at_once = at_once
        self._down_s = down_s
        self._most_of_a_server = most_of_a_server
        self._clock = clock
        self._lock = threading.Lock()
        self._stores: dict[str, _Store] = defaultdict(_Store)
        self._there: Memory[_Key, _Found] = Memory(keep_s, most=_MOST_KNOWN, clock=clock)
        self._gone: Memory[_Key, _Found] = Memory(min(keep_s, _GONE_S), most=_MOST_KNOWN, clock=clock)

    def look(self, datasets: Sequence[Dataset]) -> list[Dataset]:
        """Ask for files that nobody has looked at.

        Parameters
        ----------
        datasets
            Any datasets; those whose file is ``UNCHECKED`` are asked for.

        Returns
        -------
        datasets : `list` [`Dataset`]
            All of them, in order.  Of those that were asked for, the state is
            ``PRESENT`` with the size of the very file, ``EMPTY``,
            ``MISSING``, ``UNREADABLE`` if the store refuses, or
            ``UNREACHABLE`` if it does not answer.  What there was no time for
            stays ``UNCHECKED`` if its store answers others, as does all
            of a long list of datasets of one Butler server.
        """
        wanted = {_key(item): item for item in datasets if item.file_state is FileState.UNCHECKED}
        if not wanted or self._patience_s <= 0:
            return list(datasets)
        known = self._gone.recall(wanted) | self._there.recall(wanted)
        stores: dict[str, list[Dataset]] = defaultdict(list)
        for dataset in wanted.values():
            stores[_store_of(dataset)].append(dataset)
        now_s = self._clock()
        # All stores are asked before the first is waited for.
        rounds = [
            (name, members, self._ask(name, self._choose(name, members, known, now_s), now_s))
            for name, members in stores.items()
        ]
        found: dict[_Key, _Found] = {}
        for name, members, asking in rounds:
            found |= self._collect(name, members, asking, now_s + self._patience_s)
        # What a store says now outdoes what is remembered of its files.
        found = known | found
        return [_with(dataset, found.get(_key(dataset))) for dataset in datasets]

    def _choose(
        self, name: str, datasets: Sequence[Dataset], known: Mapping[_Key, _Found], now_s: float
    ) -> list[Dataset]:
        """Return those of one store that are asked for now."""
        unknown = [dataset for dataset in datasets if _key(dataset) not in known]
        if datasets[0].find_file is not None and len(unknown) > self._most_of_a_server:
            return []
        with self._lock:
            silent_s = now_s - self._stores[name].heard_s
        # What is remembered of files says nothing of whether they can be read now.
        return unknown or (list(datasets[:1]) if silent_s > self._down_s else [])

    def _ask(self, name: str, datasets: Sequence[Dataset], now_s: float) -> _Round | None:
        with self._lock:
            store = self._stores[name]
            if store.down_until_s > now_s:
                return None
            asking = _Round(now_s + self._budget_s, len(datasets), is_idle=not datasets)
            if asking.is_idle:
                return asking
            for dataset in datasets:
                store.questions.put((asking, dataset))
            starting = max(0, min(store.questions.qsize(), self._at_once) - store.threads)
            store.threads += starting
        for _ in range(starting):
            # No pool: Python waits for its threads at the end, and one of
            # them may be in the hands of a store that is down.
            threading.Thread(target=self._answer, args=(store,), name="dax-vo-probe", daemon=True).start()
        return asking

    def _answer(self, store: _Store) -> None:
        while True:
            try:
                self._answer_one(*store.questions.get(timeout=_IDLE_S))
            except queue.Empty:
                with self._lock:
                    # A question may have come since, which counted on this thread.
                    if store.questions.empty():
                        store.threads -= 1
                        return

    def _answer_one(self, asking: _Round, dataset: Dataset) -> None:
        # On its own: a thread that waits keeps no dataset, and no connection.
        state = None
        if self._clock() <= asking.last_start_s:
            with self._lock:
                asking.begun.add(_key(dataset))
            state = _look_at(dataset)
        with self._lock:
            if state is not None:
                asking.found[_key(dataset)] = state
            asking.left -= 1
            if asking.left == 0:
                asking.done.set()

    def _collect(
        self,
        name: str,
        datasets: Sequence[Dataset],
        asking: _Round | None,
        end_s: float,
    ) -> dict[_Key, _Found]:
        """Wait for the answers of one store."""
        silent: _Found = (FileState.UNREACHABLE, None)
        if asking is None:
            return {_key(dataset): silent for dataset in datasets}
        if asking.is_idle:
            return {}
        asking.done.wait(max(0.0, end_s - self._clock()))
        with self._lock:
            answers, begun, store = dict(asking.found), set(asking.begun), self._stores[name]
            if all(state is FileState.UNREACHABLE for state, _ in answers.values()):
                _LOG.warning("The store %s does not answer", name)
                store.down_until_s = self._clock() + self._down_s
                return {_key(dataset): silent for dataset in datasets}
            store.heard_s = self._clock()
        self._there.keep({key: item for key, item in answers.items() if item[0] is FileState.PRESENT})
        self._gone.keep({key: item for key, item in answers.items() if item[0] in _NOT_THERE})
        return dict.fromkeys(begun, silent) | answers


def _key(dataset: Dataset) -> _Key:
    # Copies of a repository have datasets of the same identifiers, and a
    # dataset may have several files.
    return dataset.label, dataset.uuid, dataset.file_name


def _store_of(dataset: Dataset) -> str:
    if dataset.uri is None:
        # A Butler server, which is asked first.
        return f"of the Butler server of {dataset.label!r}"
    return f"{dataset.uri.scheme}://{dataset.uri.netloc.rpartition('@')[2]}"


def _with(dataset: Dataset, found: _Found | None) -> Dataset:
    if found is None or dataset.file_state is not FileState.UNCHECKED:
        return dataset
    state, size = found
    return replace(dataset, file_state=state, size_bytes=dataset.size_bytes if size is None else size)


def _look_at(dataset: Dataset) -> _Found:
    try:
        uri = dataset.require_file()
        if uri.fragment:
            # Of the whole file; a member of it is not measured from afar.
            return (FileState.PRESENT if uri.exists() else FileState.MISSING), None
        size = uri.size()
    except (FileNotFoundError, NotFoundError):
        return FileState.MISSING, None
    except (PermissionError, ValueError):
        # ValueError: of a web server's answer with another status.
        return FileState.UNREADABLE, None
    except Exception as err:
        # Each store's library has errors of its own.
        _LOG.debug("The size of %s %s is not told: %s", dataset.dataset_type, dataset.uuid, err)
        return FileState.UNREACHABLE, None
    return (FileState.PRESENT, size) if size else (FileState.EMPTY, 0)
