"""The rows of an export, lazily, batch by batch."""

from __future__ import annotations

__all__ = ["Fresh", "Watch", "infer_obscore_config", "iter_rows"]

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from .. import __version__
from ..errors import NotFoundError, UsageError
from ._choice import ExportChoice
from ._collector import spared_collector
from ._config import ObscoreConfig
from ._parts import Parts
from ._problems import Problems
from ._report import ExportReport
from ._schema import columns_of
from .rows._chunk import Chunk
from .rows._maker import RowMaker

if TYPE_CHECKING:
    from .readers._pages import Search
    from .readers._reader import Butler, DatasetType, Reader
    from .readers._seen import SeenDataIds
    from .readers._summaries import VisitSummaries

type Fresh = Callable[[bytes, pa.Array], np.ndarray]
"""Says of datasets, by ids and fingerprints, whether their rows are to be made."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks at an export that goes on."""

    tell: Callable[[ExportReport], None]
    """Told the report from time to time."""

    count: bool = False
    """Whether datasets are counted beforehand, for a forecast: that takes a
    microsecond for each."""


def iter_rows(
    butler: Butler,
    config: ObscoreConfig,
    choice: ExportChoice | None = None,
    *,
    label: str,
    origin: str = "",
    formatted: Collection[str] = (),
    report: ExportReport | None = None,
    watch: Watch | None = None,
    fresh: Fresh | None = None,
) -> Generator[pa.RecordBatch]:
    """Make the ObsCore rows of a repository.

    Parameters
    ----------
    butler
        The repository; used by nobody else until the iteration ends or is
        closed.
    config
        What to make of it.
    choice
        What of it; by default all that the configuration says.
    label
        Label of the repository, which each row carries.
    origin
        What tells the repository from others: parts of another one are
        refused.
    formatted
        Columns whose texts keep ``{id}`` in the place of the dataset's UUID;
        some of those that `formats_of` finds.
    report
        Counts what goes by.
    watch
        Told the report from time to time.
    fresh
        Told ids (16 bytes each) and fingerprints of datasets; says which of
        them are to be made.  By default all are.

    Yields
    ------
    batch : `pyarrow.RecordBatch`
        The columns of `columns_of`, then the hidden ones of a store.  A
        dataset type that the repository does not have makes no rows.

    Raises
    ------
    NotFoundError
        Raised if a collection does not exist, a dataset type that is chosen
        does not, none of the configured ones does, or the collections hold
        none of their datasets.
    UsageError
        Raised if no collections are given, an expression is not accepted,
        or a template does not fit.
    TransientError
        Raised if the registry does not answer.
    """
    # Whoever needs the names of columns only, does not wait for the Butler.
    from .readers._reader import Reader
    from .readers._summaries import VisitSummaries

    choice = choice or ExportChoice()
    report = ExportReport() if report is None else report
    started = time.perf_counter()
    names = _choose(config, choice.dataset_types)
    columns = columns_of(config)
    problems = Problems(choice.on_error)
    makers = {
        name: RowMaker(config, name, columns, label, formatted=formatted, problems=problems) for name in names
    }
    reader = Reader(butler, page_size=config.batch_size, sizes=config.access_estsize, pages=choice.reader)
    plan = _Plan.of(reader, config, choice, names, report)
    for kind in plan.kinds:
        report.begin(kind.name, on_the_sky=reader.lies_on_the_sky(kind))
    if watch is not None and watch.count:
        expected = sum(map(reader.count, plan.searches.values()))
        report.expected = expected if choice.limit is None else min(expected, choice.limit)
    summaries = None
    if config.visit_summary:
        summaries = VisitSummaries(butler, config.visit_summary, plan.collections)
    with ExitStack() as stack:
        stack.enter_context(spared_collector())
        parts = None
        if choice.parts is not None:
            signature = (__version__, origin, label, _signature(config), choice.where, choice.limit)
            parts = stack.enter_context(
                closing(Parts(choice.parts, repr((*signature, sorted(formatted), choice.on_error)), problems))
            )
        left = choice.limit
        for kind, unit, search, seen in plan.iter_searches():
            if left == 0:
                break
            maker = makers[kind.name]
            resumed = parts is not None and parts.has(unit)
            if parts is not None and resumed:
                batches = parts.read(unit, seen)
            else:
                chunks = reader.iter_chunks(replace(search, limit=left), maker.elements, seen=seen)
                batches = _made(chunks, maker, summaries, fresh, report)
                if parts is not None:
                    batches = parts.write(unit, batches, seen)
            with closing(batches):
                for batch in batches:
                    report.count(kind.name, batch, resumed=resumed)
                    left = None if left is None else left - batch.num_rows
                    if batch.num_rows:
                        yield batch
                    report.seconds = time.perf_counter() - started
                    if watch is not None:
                        watch.tell(report)
            if seen is not None:
                seen.settle()
            report.problems = problems.describe()
            report.unreadable_summaries = 0 if summaries is None else summaries.unreadable
    report.seconds = time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is searched, in order."""

    collections: tuple[str, ...]
    kinds: tuple[DatasetType, ...]
    searches: Mapping[str, Sequence[Search]]
    by_run: bool
    """Whether datasets of several runs with one data ID stand side by side."""

    @classmethod
    def of(
        cls,
        reader: Reader,
        config: ObscoreConfig,
        choice: ExportChoice,
        names: Sequence[str],
        report: ExportReport,
    ) -> _Plan:
        from .readers._pages import Search

        # As in the live table, with patterns for RUN collections.
        by_run = choice.collections is None and config.collection_type == "RUN"
        if by_run:
            collections = tuple(reader.match_runs(config.collections or ()))
        else:
            named = config.collections if choice.collections is None else choice.collections
            collections = tuple(named or ())
            reader.check_collections(collections)
        kinds = _registered(reader, names, report, explicit=choice.dataset_types is not None)
        report.empty_collections = reader.empty_collections(collections, [kind.name for kind in kinds])
        if len(report.empty_collections) == len(collections):
            raise NotFoundError(
                f"There is nothing to export: {', '.join(map(repr, collections))} "
                f"{'holds' if len(collections) == 1 else 'hold'} no dataset of the types "
                f"{', '.join(kind.name for kind in kinds)}; name other collections"
            )
        searches = {
            kind.name: [
                single
                for constraint in config.dataset_type_constraints.get(kind.name) or (config.where,)
                for single in reader.split(
                    Search(kind, collections, constraint, choice.where, not by_run, choice.limit)
                )
            ]
            for kind in kinds
        }
        return cls(collections, tuple(kinds), searches, by_run)

    def iter_searches(self) -> Iterator[tuple[DatasetType, str, Search, SeenDataIds | None]]:
        """Yield each search, its name, and what knows the data IDs found before."""
        from .readers._seen import SeenDataIds

        for kind in self.kinds:
            searches = self.searches[kind.name]
            names = [*kind.dimensions.required, *(["run"] if self.by_run else [])]
            seen = SeenDataIds(names) if len(searches) > 1 else None
            # The rows of a part depend on what was found before.
            unit = blake2b(kind.name.encode(), digest_size=16)
            for search in searches:
                unit.update(f"{search.collections} {search.constraint.model_dump_json()}".encode())
                yield kind, unit.hexdigest(), search, seen


def _registered(
    reader: Reader, names: Sequence[str], report: ExportReport, *, explicit: bool
) -> list[DatasetType]:
    """Return the dataset types that the repository has."""
    found = {name: reader.find_dataset_type(name) for name in names}
    missing = [name for name, kind in found.items() if kind is None]
    report.not_registered += missing
    if missing and (explicit or len(missing) == len(names)):
        known = ", ".join(reader.image_types()) or "none"
        raise NotFoundError(
            f"This repository has no dataset type {', '.join(map(repr, missing))}; "
            f"its image dataset types: {known}"
        )
    return [kind for kind in found.values() if kind is not None]


def _made(
    chunks: Generator[Chunk],
    maker: RowMaker,
    summaries: VisitSummaries | None,
    fresh: Fresh | None,
    report: ExportReport,
) -> Generator[pa.RecordBatch]:
    """Make the rows of datasets, or of the fresh ones among them.

    While the rows of some are made in a thread, the next ones are read.
    """
    with closing(chunks), ThreadPoolExecutor(1, "rows") as thread:
        ahead = None
        for chunk in chunks:
            report.looked_at += chunk.size
            also = () if summaries is None else summaries.prints(chunk.dimensions)
            if fresh is not None:
                rows = np.flatnonzero(fresh(chunk.ids, maker.fingerprints(chunk, also)))
                chunk, also = chunk.take(rows), tuple(words[rows] for words in also)
            told = {} if summaries is None else summaries.lookup(chunk.dimensions)
            job = thread.submit(maker.make, chunk, told, also)
            if ahead is not None:
                yield ahead.result()
            ahead = job
        if ahead is not None:
            yield ahead.result()


def _signature(config: ObscoreConfig) -> str:
    return config.model_dump_json(exclude={"batch_size", "origin", "parquet_compression", "csv_null_string"})


def _choose(config: ObscoreConfig, dataset_types: Sequence[str] | None) -> list[str]:
    if not config.dataset_types:
        raise UsageError(
            "The configuration names no dataset types; say under 'dataset_types:' what to export"
        )
    if dataset_types is None:
        return list(config.dataset_types)
    for name in dataset_types:
        if name not in config.dataset_types:
            raise UsageError(
                f"The dataset type {name!r} is not configured; configured: {', '.join(config.dataset_types)}",
                parameter="dataset-type",
                value=name,
            )
    return [name for name in config.dataset_types if name in dataset_types]


def infer_obscore_config(butler: Butler, label: str) -> ObscoreConfig:
    """Make a configuration for a repository that comes without one.

    Parameters
    ----------
    butler
        The repository.
    label
        Its label, also taken as the name of the ObsCore collection.

    Returns
    -------
    config : `ObscoreConfig`
        Every dataset type of images on the sky, with a calibration level by
        its dimensions and name, from all RUN collections that hold any.

    Raises
    ------
    NotFoundError
        Raised if the repository holds no such images.
    """
    from .readers._inspect import infer_config

    return infer_config(butler, label)
