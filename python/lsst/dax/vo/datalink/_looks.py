"""What can be made of datasets, found out by looking at one of each kind.

A links document must not promise what nobody can deliver, and must not open
thousands of files either.  The datasets of one type in one run were written by
the same software with the same configuration: one of them is looked at, by a
process that cuts, and what is found counts for all.
"""

from __future__ import annotations

__all__ = ["Looks"]

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from uuid import UUID

from ..errors import TransientError, VoError
from ..repo import Dataset
from ..soda import Facts

_LOG = logging.getLogger(__name__)

type _Kind = tuple[str, str, str, str]

# Kinds that are remembered; a survey of ten years has some thousand runs.
_MOST_KINDS = 10_000

# Kinds of one request that are looked at; the others are by later requests.
_MOST_NEW = 8

# A request waits so long; what is found later counts for the next one.
_PATIENCE_S = 2.0

# A file that could not be read is looked at again after that time, or another.
_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class _Known:
    facts: Facts | None
    until_s: float


class Looks:
    """Remembers what can be made of each kind of dataset; safe for threads.

    Parameters
    ----------
    look
        Looks at the file of a dataset.
    patience_s
        Seconds that one request waits.
    clock
        Seconds from any beginning.
    """

    def __init__(
        self,
        look: Callable[[Dataset], Facts],
        *,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._patience_s = patience_s
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[_Kind, _Known] = OrderedDict()
        self._under_way: dict[_Kind, tuple[Future[None], float]] = {}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="looks")

    def find(self, datasets: Sequence[Dataset]) -> Mapping[UUID, Facts]:
        """Tell what can be made of datasets.

        Parameters
        ----------
        datasets
            Datasets whose files are there.

        Returns
        -------
        facts : `~collections.abc.Mapping` [`uuid.UUID`, `Facts`]
            Of those whose kind is known; others may be a moment later.
        """
        kinds = {_kind_of(dataset): dataset for dataset in datasets}
        new = [(kind, dataset) for kind, dataset in kinds.items() if not self._is_known(kind)]
        under_way = [self._start(kind, dataset) for kind, dataset in new[:_MOST_NEW]]
        waited = [one for one in under_way if one is not None]
        if waited:
            # Since they began: of the families of one document, the first
            # has waited long enough.
            patience_s = max(end_s for _, end_s in waited) - self._clock()
            wait([one for one, _ in waited], max(0.0, patience_s))
        found: dict[UUID, Facts] = {}
        with self._lock:
            for dataset in datasets:
                known = self._known.get(_kind_of(dataset))
                if known is not None and known.facts is not None:
                    found[dataset.uuid] = known.facts
        return found

    def close(self) -> None:
        """Look at nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _is_known(self, kind: _Kind) -> bool:
        with self._lock:
            known = self._known.get(kind)
            if known is None or known.until_s <= self._clock():
                return False
            self._known.move_to_end(kind)
            return True

    def _start(self, kind: _Kind, dataset: Dataset) -> tuple[Future[None], float] | None:
        """Return what looks at it, and until when that is waited for."""
        with self._lock:
            found = self._under_way.get(kind)
            if found is None:
                try:
                    started = self._threads.submit(self._run, kind, dataset)
                except RuntimeError:
                    # The service shuts down.
                    return None
                found = self._under_way[kind] = started, self._clock() + self._patience_s
            return found

    def _run(self, kind: _Kind, dataset: Dataset) -> None:
        facts, until_s = None, self._clock() + _AGAIN_S
        try:
            facts, until_s = self._look(dataset), float("inf")
        except TransientError as err:
            # Its store does not answer, or all processes are busy: nothing is
            # promised of this kind for a moment.
            until_s = min(until_s, self._clock() + err.retry_after)
        except VoError:
            # The one that was looked at is damaged: for a while.
            pass
        except Exception:  # of a defect, whoever reads links sees nothing
            _LOG.exception("Nobody knows what can be made of %s", dataset.describe())
        finally:
            with self._lock:
                self._known[kind] = _Known(facts, until_s)
                self._under_way.pop(kind, None)
                while len(self._known) > _MOST_KINDS:
                    self._known.popitem(last=False)


def _kind_of(dataset: Dataset) -> _Kind:
    return dataset.label, dataset.dataset_type, dataset.run, dataset.storage_class
