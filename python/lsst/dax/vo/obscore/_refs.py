"""Rows of datasets that somebody else has found, as a quantum of a pipeline has."""

from __future__ import annotations

__all__ = ["rows_of_refs", "summaries_of_refs"]

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from uuid import UUID

import pyarrow as pa

from ._config import ObscoreConfig
from ._schema import columns_of
from .readers._refs import DataCoordinate, DatasetRef, LimitedButler, iter_ref_chunks
from .readers._summaries import RefSummaries, Summaries
from .rows._maker import RowMaker


def rows_of_refs(
    refs: Iterable[DatasetRef],
    config: ObscoreConfig,
    *,
    label: str,
    visits: Sequence[DataCoordinate] = (),
    sizes: Callable[[Sequence[UUID]], Mapping[UUID, int]] | None = None,
    summaries: Summaries | None = None,
) -> Iterator[pa.RecordBatch]:
    """Make the ObsCore rows of datasets.

    Parameters
    ----------
    refs
        References of configured dataset types; their data IDs have dimension
        records.
    config
        What to make of them.
    label
        Label of the repository, which each row carries.
    visits
        Data IDs, with records, of the one visit that all exposures belong
        to: its own first, then those of its detectors.  Without it, raw
        images have no region.
    sizes
        Looks up bytes of files by dataset id; `None` if nobody knows them.
    summaries
        What `summaries_of_refs` made; `None` if there are none.

    Yields
    ------
    batch : `pyarrow.RecordBatch`
        As `iter_rows` makes them.

    Raises
    ------
    UsageError
        Raised if a data ID has no dimension records, or a template does not
        fit.
    """
    columns = columns_of(config)
    by_type: dict[str, list[DatasetRef]] = {}
    for ref in refs:
        by_type.setdefault(ref.datasetType.name, []).append(ref)
    for name in config.dataset_types:
        if name not in by_type:
            continue
        maker = RowMaker(config, name, columns, label)
        chunks = iter_ref_chunks(
            by_type[name][0].datasetType,
            by_type[name],
            elements=maker.elements,
            visits=visits,
            sizes=sizes if config.access_estsize else None,
            page_size=config.batch_size,
        )
        for chunk in chunks:
            if summaries is None:
                yield maker.make(chunk)
            else:
                known = chunk.dimensions
                yield maker.make(chunk, summaries.lookup(known), summaries.prints(known))


def summaries_of_refs(butler: LimitedButler, config: ObscoreConfig, refs: Sequence[DatasetRef]) -> Summaries:
    """Look up summaries of visits that somebody else has found.

    Parameters
    ----------
    butler
        Knows where their files are; needs no registry.
    config
        Says which dataset type is the best.
    refs
        Their references.

    Returns
    -------
    summaries : `Summaries`
        For `rows_of_refs`.
    """
    return RefSummaries(butler, config.visit_summary, refs)
