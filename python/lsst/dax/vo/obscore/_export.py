"""The rows of an export, lazily, batch by batch."""

from __future__ import annotations

__all__ = ["infer_obscore_config", "iter_rows"]

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa

from ..errors import NotFoundError, UsageError
from ._config import ObscoreConfig
from ._report import ExportReport
from ._rows import RowMaker
from ._schema import columns_of

if TYPE_CHECKING:
    from ._reader import Butler, PublicReader


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
    from ._reader import PublicReader

    report = ExportReport() if report is None else report
    columns = columns_of(config)
    chosen = _choose(config, dataset_types)
    makers = {name: RowMaker(config, name, columns, label) for name in chosen}
    reader = PublicReader(butler, batch_size=config.batch_size, sizes=config.access_estsize)
    # The live table's RUN collections hold datasets side by side.
    by_pattern = collections is None and config.collection_type == "RUN"
    if by_pattern:
        searched = reader.match_runs(config.collections or ())
    else:
        searched = list(config.collections or ()) if collections is None else list(collections)
        reader.check_collections(searched)
    started = time.perf_counter()
    registered = {name: reader.find_dataset_type(name) for name in chosen}
    report.not_registered += [name for name, found in registered.items() if found is None]
    _check_registered(reader, chosen, report.not_registered, explicit=dataset_types is not None)
    left = limit
    for name, dataset_type in registered.items():
        if dataset_type is None:
            continue
        report.rows[name] = 0
        chunks = reader.iter_chunks(
            dataset_type,
            searched,
            constraints=config.dataset_type_constraints.get(name) or (config.where,),
            also=where,
            elements=makers[name].elements,
            find_first=not by_pattern,
            limit=left,
        )
        with closing(chunks):
            for chunk in chunks:
                batch = makers[name].make(chunk)
                report.rows[name] += batch.num_rows
                if reader.lies_on_the_sky(dataset_type):
                    missing = report.without_region.get(name, 0) + chunk.regions["_region"].null_count
                    report.without_region[name] = missing
                report.seconds = time.perf_counter() - started
                left = None if left is None else left - batch.num_rows
                yield batch
        if left == 0:
            return


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


def _check_registered(
    reader: PublicReader, chosen: Sequence[str], missing: Sequence[str], *, explicit: bool
) -> None:
    if missing and (explicit or len(missing) == len(chosen)):
        known = ", ".join(reader.image_types()) or "none"
        raise NotFoundError(
            f"This repository has no dataset type {', '.join(map(repr, missing))}; "
            f"its image dataset types: {known}"
        )


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
