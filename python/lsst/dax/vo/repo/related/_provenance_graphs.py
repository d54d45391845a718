"""What was made from what, as the provenance graphs of RUN collections tell.

Pipelines of Rubin leave a dataset ``run_provenance`` in each RUN collection
that is finished, a file of `lsst.pipe.base.quantum_graph` with all quanta and
datasets.  Of a dataset, its own node is read, and those of the quanta beside
it: a few kB, however large the graph is.
"""

from __future__ import annotations

__all__ = ["Lineage", "ProvenanceGraphs"]

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lsst.daf.butler import Butler
from lsst.resources import ResourcePath

from .._dataset import Dataset
from .._memory import Memory
from .._repository import Repository

if TYPE_CHECKING:
    from lsst.pipe.base.quantum_graph import ProvenanceQuantumGraphReader

_LOG = logging.getLogger(__name__)
_DATASET_TYPE = "run_provenance"
# Datasets never change; new graphs come.
_KEEP_S = 600.0
# Graphs that stay open, and nodes of each that stay in memory, some kB each.
_MOST_OPEN = 4
_MOST_NODES = 20_000
# Addresses that are read at once: nodes are looked for one at a time.
_PAGE_BYTES = 2**16
# A flat field may be in ten thousand quanta.
_MOST_QUANTA = 500


@dataclass(frozen=True, slots=True)
class Lineage:
    """Neighbours of a dataset in the graphs."""

    inputs: tuple[UUID, ...] | None = None
    """What it was made from; `None` if no graph tells."""

    outputs: tuple[UUID, ...] = ()
    """What was made from it."""


class ProvenanceGraphs:
    """Reads the provenance graphs of a repository; safe for threads.

    Parameters
    ----------
    repository
        The repository.
    keep_s
        How long an answer counts, in seconds: new graphs are seen after so
        long.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, repository: Repository, *, keep_s: float = _KEEP_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._repository = repository
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._end = -1.0
        self._graphs: dict[str, ResourcePath] = {}
        self._open: OrderedDict[str, _OpenGraph] = OrderedDict()
        self._known: Memory[UUID, Lineage] = Memory(keep_s, clock=clock)

    def runs(self) -> frozenset[str]:
        """Return the RUN collections that have a graph.

        Returns
        -------
        runs : `frozenset` [`str`]

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        return frozenset(self._list())

    def find(self, datasets: Sequence[Dataset]) -> dict[UUID, Lineage]:
        """Find inputs and outputs of datasets.

        Parameters
        ----------
        datasets
            Datasets of this repository.

        Returns
        -------
        lineages : `dict` [`uuid.UUID`, `Lineage`]
            Of those that are in a graph.  A graph that cannot be read tells
            nothing, and is logged.

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        graphs = self._list()
        if not graphs:
            return {}
        known = self._known.recall(dataset.uuid for dataset in datasets)
        unknown = [dataset.uuid for dataset in datasets if dataset.uuid not in known]
        found: dict[UUID, Lineage] = dict.fromkeys(unknown, Lineage())
        # Inputs of a RUN may be of any other one: all graphs are asked.
        for run in graphs if unknown else ():
            try:
                with self._borrow(run, graphs[run]) as graph:
                    for uuid, told in graph.find(unknown):
                        before = found[uuid]
                        inputs = told.inputs if before.inputs is None else before.inputs
                        found[uuid] = Lineage(inputs, (*before.outputs, *told.outputs))
            except ImportError:
                _LOG.warning("Provenance graphs are not read: lsst-pipe-base is not installed")
                break
            except Exception as err:  # a damaged graph may fail in any way, and is one source of several
                _LOG.warning(
                    "The provenance graph of %s cannot be read: %s", run, " ".join(str(err).split())[:300]
                )
        self._known.keep(found)
        return {uuid: told for uuid, told in (known | found).items() if told != Lineage()}

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _list(self) -> dict[str, ResourcePath]:
        with self._lock:
            if self._clock() >= self._end:
                with self._repository.session() as butler:
                    self._graphs = _list_graphs(butler)
                self._end = self._clock() + self._keep_s
            return self._graphs

    @contextmanager
    def _borrow(self, run: str, uri: ResourcePath) -> Iterator[_OpenGraph]:
        # Lent to one thread at a time; another one opens the file again.
        with self._lock:
            graph = self._open.pop(run, None)
        if graph is None:
            graph = _OpenGraph(uri)
        try:
            yield graph
        except BaseException:
            graph.close()
            raise
        with self._lock:
            old = [graph] if run in self._open or graph.is_full else []
            if not old:
                self._open[run] = graph
                while len(self._open) > _MOST_OPEN:
                    old.append(self._open.popitem(last=False)[1])
        for one in old:
            one.close()


class _OpenGraph:
    """A graph whose file is open."""

    def __init__(self, uri: ResourcePath) -> None:
        from lsst.pipe.base.quantum_graph import ProvenanceQuantumGraphReader

        self._stack = ExitStack()
        opened = ProvenanceQuantumGraphReader.open(uri, page_size=_PAGE_BYTES)
        self._reader: ProvenanceQuantumGraphReader = self._stack.enter_context(opened)

    @property
    def is_full(self) -> bool:
        """Whether so much of it is in memory that it should be closed."""
        return int(self._reader.graph.bipartite_xgraph.number_of_nodes()) > _MOST_NODES

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def find(self, uuids: Iterable[UUID]) -> Iterator[tuple[UUID, Lineage]]:
        """Yield what it tells of datasets, of those that are in it."""
        for uuid in uuids:
            if not self._read(self._reader.read_datasets, uuid):
                continue
            graph: Any = self._reader.graph.bipartite_xgraph
            producers, consumers = list(graph.predecessors(uuid)), list(graph.successors(uuid))[:_MOST_QUANTA]
            for quantum in (*producers, *consumers):
                # Tasks' initial quanta are elsewhere, and have no data.
                self._read(self._reader.read_quanta, quantum)
            inputs = [item for quantum in producers for item in graph.predecessors(quantum)]
            outputs = [item for quantum in consumers for item in graph.successors(quantum)]
            made = [item for item in outputs if self._is_produced(item)]
            yield uuid, Lineage(_unique(inputs) if producers else None, _unique(made))

    def _is_produced(self, uuid: UUID) -> bool:
        if not self._read(self._reader.read_datasets, uuid):
            return False
        return bool(self._reader.graph.bipartite_xgraph.nodes[uuid].get("produced"))

    @staticmethod
    def _read(read: Callable[[list[UUID]], None], uuid: UUID) -> bool:
        try:
            read([uuid])
        except LookupError:
            return False
        return True


def _list_graphs(butler: Butler) -> dict[str, ResourcePath]:
    """Find the graphs, by RUN."""
    if not list(butler.registry.queryDatasetTypes(_DATASET_TYPE)):
        return {}
    refs = butler.query_datasets(_DATASET_TYPE, "*", find_first=False, explain=False, limit=None)
    found = butler.get_many_uris(refs, allow_missing=True)
    return {
        ref.run: where.primaryURI
        for ref, where in sorted(found.items(), key=lambda item: item[0].run)
        if where.primaryURI is not None
    }


def _unique(uuids: Iterable[UUID]) -> tuple[UUID, ...]:
    # Which comes first in the graph, depends on what was read before.
    return tuple(sorted(set(uuids)))
