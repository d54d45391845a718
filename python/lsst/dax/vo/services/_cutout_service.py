"""What the SODA service is made of: where files are, what they cover, who cuts them."""

from __future__ import annotations

__all__ = ["cutout_locator", "find_example", "open_runner"]

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from .. import __version__
from ..config import ServiceConfig
from ..dali import Interval
from ..errors import UsageError, VoError, quoted
from ..query import Engine, OneOf, Search, Within, plan_search
from ..repo import Dataset, Repositories
from ..soda import (
    Backend,
    CutoutCache,
    CutoutExample,
    CutoutRunner,
    CutoutSource,
    Extent,
    LocalRunner,
    Locate,
    PooledRunner,
    WorkerPool,
)
from ._jobs import open_folder

_DID = "obs_publisher_did"
# Images that are looked at for the examples.
_LOOKED_AT = 50


def cutout_locator(
    repositories: Repositories,
    find_extents: Callable[[Sequence[Dataset]], Mapping[str, Extent]],
    *,
    backend: Backend = Backend.AUTO,
) -> Locate:
    """Return the function that finds what a SODA request is about.

    Parameters
    ----------
    repositories
        The repositories that are served.
    find_extents
        From datasets to what they cover, by dataset id.
    backend
        What reads the files.  Services leave it at the default: whatever
        asks for a dataset gets the same bytes, wherever it is served.

    Returns
    -------
    locate : `~lsst.dax.vo.soda.Locate`
        From identifiers, and whether extents are needed, to the files; an
        error where there is none that can be cut.
    """

    def locate(texts: Sequence[str], needs_extent: bool) -> list[CutoutSource | VoError]:
        # Cutting reads the file, and says itself when it is not there.
        datasets = repositories.find(texts, look=False)
        sources = [_source_of(*pair, backend) for pair in zip(texts, datasets, strict=True)]
        if not needs_extent:
            return sources
        known = find_extents([dataset for dataset in datasets if isinstance(dataset, Dataset)])
        return [
            replace(source, extent=known.get(str(source.dataset_id)))
            if isinstance(source, CutoutSource)
            else source
            for source in sources
        ]

    return locate


def _source_of(text: str, dataset: Dataset | VoError, backend: Backend) -> CutoutSource | VoError:
    if isinstance(dataset, VoError):
        return dataset
    if not dataset.is_sky_image:
        return UsageError(
            f"ID={quoted(text)} is a {dataset.dataset_type}, from which nothing can be cut along the sky; "
            "its DataLink leads to the whole file",
            parameter="ID",
            value=text,
        )
    try:
        uri = dataset.require_file()
    except VoError as err:
        return err
    return CutoutSource(
        uri, dataset.uuid, dataset.dataset_type, dataset.data_id, backend=backend, is_raw=dataset.is_raw
    )


def find_example(engine: Engine, locate: Locate) -> CutoutExample | None:
    """Find an image for the page of examples.

    Parameters
    ----------
    engine
        Holds the rows of images.
    locate
        From identifiers to files that can be cut.

    Returns
    -------
    example : `~lsst.dax.vo.soda.CutoutExample` or `None`
        `None` if there is none that can be cut.

    Raises
    ------
    TransientError
        Raised if the store cannot be read.
    """
    constraints = (OneOf("dataproduct_type", ("image",)), Within("calib_level", (Interval(2, 4),)))
    search = Search((_DID, "s_ra", "s_dec"), constraints)
    rows = [
        row
        for batch in engine.run(plan_search(search, engine.catalog), maxrec=_LOOKED_AT).batches
        for row in batch.to_pylist()
        if row["s_ra"] is not None and row["s_dec"] is not None
    ]
    for row, source in zip(rows, locate([row[_DID] for row in rows], False), strict=True):
        if isinstance(source, CutoutSource):
            return CutoutExample(row[_DID], row["s_ra"], row["s_dec"])
    return None


@contextmanager
def open_runner(config: ServiceConfig) -> Iterator[CutoutRunner]:
    """Open what cuts: processes, and the folder of what they made.

    Parameters
    ----------
    config
        Folder and limits.

    Yields
    ------
    runner : `~lsst.dax.vo.soda.CutoutRunner`
        Closed in the end.

    Raises
    ------
    UsageError
        Raised if the folder cannot be used.
    """
    limits = config.limits
    workers = _processors() if limits.cutout_workers is None else limits.cutout_workers
    if workers == 0:
        yield LocalRunner()
        return
    with open_folder(config) as folder:
        cache = CutoutCache(folder / "cutouts", limits.cutout_cache_mb * 2**20)
        pool = WorkerPool(
            workers, seconds=limits.cutout_seconds, memory_bytes=limits.cutout_memory_mb * 2**20
        )
        runner = PooledRunner(pool, cache, __version__)
        try:
            yield runner
        finally:
            runner.close()


def _processors() -> int:
    # Those that this process may use: a container has fewer than its host.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
