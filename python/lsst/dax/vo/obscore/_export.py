"""The rows of an export, lazily, batch by batch."""

from __future__ import annotations

__all__ = ["infer_obscore_config", "iter_rows"]

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from ..errors import NotFoundError, UsageError
from ._chunk import Chunk
from ._config import ObscoreConfig
from ._parts import Parts
from ._problems import Problems
from ._report import ExportReport
from ._rows import RowMaker
from ._schema import columns_of

if TYPE_CHECKING:
    from ._reader import Butler, DatasetType, Reader
    from ._summaries_reader import Summaries, VisitSummaries

type Fresh = Callable[[bytes, pa.Array], np.ndarray]
"""Says of datasets, by ids and fingerprints, whether their rows are to be made."""


def iter_rows(
    butler: Butler,
    config: ObscoreConfig,
    *,
    label: str,
    collections: Sequence[str] | None = None,
    dataset_types: Sequence[str] | None = None,
    where: str | None = None,
    limit: int | None = None,
    report: ExportReport | None = None,
    pages: Literal["bulk", "public"] | None = None,
    formatted: Collection[str] = (),
    on_error: Literal["fail", "null"] = "fail",
    parts: Path | None = None,
    fresh: Fresh | None = None,
    count: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Make the ObsCore rows of a repository.

    Parameters
    ----------
    butler
        The repository; used by nobody else until the iteration ends.
    config
        What to make of it.
    label
        Label of the repository, which each row carries.
    collections
        Collections to search in order, instead of the configuration's.
    dataset_types
        Only these of the configured dataset types.
    where
        A further expression that data IDs must fulfil.
    limit
        Most rows.
    report
        Counts what goes by.
    pages
        How the registry is read: ``bulk`` from its database, ``public``
        through the Butler's interface; by default in bulk where that fits.
    formatted
        Columns whose texts keep ``{id}`` in the place of the dataset's UUID;
        some of those that `formats_of` finds.
    on_error
        What happens to a row of which something cannot be made, such as a
        damaged region: ``fail``, or ``null`` in its place.
    parts
        Folder for finished parts, with which an interrupted export goes on;
        the caller removes it in the end.
    fresh
        Told ids (16 bytes each) and fingerprints of datasets; says which of
        them are to be made.  By default all are.
    count
        Whether the rows are counted beforehand, for a forecast.

    Yields
    ------
    batch : `pyarrow.RecordBatch`
        The columns of `columns_of`, then the hidden ones of a store.  A
        dataset type that the repository does not have makes no rows.

    Raises
    ------
    NotFoundError
        Raised if a collection does not exist, a dataset type in
        ``dataset_types`` does not, or none of the configured ones does.
    UsageError
        Raised if no collections are given, an expression is not accepted,
        or a template does not fit.
    TransientError
        Raised if the registry does not answer.
    """
    # Whoever needs the names of columns only, does not wait for the Butler.
    from ._page_reader import Search
    from ._reader import Reader
    from ._seen import SeenDataIds
    from ._summaries_reader import VisitSummaries

    report = ExportReport() if report is None else report
    columns = columns_of(config)
    chosen = _choose(config, dataset_types)
    problems = Problems(on_error)
    makers = {
        name: RowMaker(config, name, columns, label, formatted=formatted, problems=problems)
        for name in chosen
    }
    reader = Reader(butler, page_size=config.batch_size, sizes=config.access_estsize, pages=pages)
    # The live table's RUN collections hold datasets side by side.
    by_pattern = collections is None and config.collection_type == "RUN"
    searched = _collections(reader, config, collections)
    kept = None
    if parts is not None:
        choice = (label, searched, chosen, where, limit, sorted(formatted), on_error)
        kept = Parts(parts, f"{_signature(config)} {choice}")
    started = time.perf_counter()
    kinds = _registered(reader, chosen, report, explicit=dataset_types is not None)
    summaries = VisitSummaries(butler, config.visit_summary, searched) if config.visit_summary else None
    searches = {
        kind.name: [
            single
            for constraint in config.dataset_type_constraints.get(kind.name) or (config.where,)
            for single in reader.split(Search(kind, searched, constraint, where, not by_pattern, limit))
        ]
        for kind in kinds
    }
    if count:
        expected = sum(map(reader.count, searches.values()))
        report.expected = expected if limit is None else min(expected, limit)
    left = limit
    for kind in kinds:
        maker, singles = makers[kind.name], searches[kind.name]
        names = [*kind.dimensions.required, *(["run"] if by_pattern else [])]
        seen = SeenDataIds(names) if len(singles) > 1 else None
        report.begin(kind.name, on_the_sky=reader.lies_on_the_sky(kind))
        for number, search in enumerate(singles):
            if left == 0:
                break
            # The rows of a part depend on what was found before.
            before = [(one.collections, one.constraint.model_dump_json()) for one in singles[: number + 1]]
            unit = f"{kind.name} {before}"
            if kept is not None and (found := kept.read(unit, seen)) is not None:
                batches, resumed = found, True
            else:
                chunks = reader.iter_chunks(replace(search, limit=left), maker.elements, seen=seen)
                batches, resumed = _made(chunks, maker, summaries, fresh), False
                if kept is not None:
                    batches = kept.write(unit, batches, seen)
            with closing(batches):
                for batch in batches:
                    report.count(kind.name, batch, resumed=resumed)
                    report.seconds = time.perf_counter() - started
                    left = None if left is None else left - batch.num_rows
                    yield batch
            if seen is not None:
                seen.settle()
        report.seconds = time.perf_counter() - started
        report.problems = problems.describe()
        report.unreadable_summaries = 0 if summaries is None else summaries.unreadable


def _collections(reader: Reader, config: ObscoreConfig, named: Sequence[str] | None) -> tuple[str, ...]:
    if named is None and config.collection_type == "RUN":
        return tuple(reader.match_runs(config.collections or ()))
    searched = tuple(config.collections or ()) if named is None else tuple(named)
    reader.check_collections(searched)
    return searched


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
    chunks: Generator[Chunk], maker: RowMaker, summaries: VisitSummaries | None, fresh: Fresh | None
) -> Generator[pa.RecordBatch]:
    with closing(chunks):
        for chunk in chunks:
            if fresh is not None:
                rows = np.flatnonzero(fresh(chunk.ids, maker.fingerprints(chunk)))
                if not len(rows):
                    continue
                chunk = chunk if len(rows) == chunk.size else chunk.take(rows)
            yield maker.make(chunk, summarize(chunk, summaries))


def summarize(chunk: Chunk, summaries: Summaries | None) -> Mapping[str, pa.Array]:
    """Look up what summaries of visits say, for images of their detectors."""
    visits, detectors, instruments = map(chunk.dimensions.get, ("visit", "detector", "instrument"))
    if summaries is None or visits is None or detectors is None or instruments is None:
        return {}
    return summaries.lookup(
        np.array(visits.values, np.int64)[visits.codes],
        np.array(detectors.values, np.int64)[detectors.codes],
        instruments=[instruments.values[code] for code in instruments.codes.tolist()],
    )


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
    from ._infer_reader import infer_config

    return infer_config(butler, label)
