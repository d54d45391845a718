"""Datasets from the registry, through the public query interface alone.

It works on a direct repository and on a Butler server.
"""

from __future__ import annotations

__all__ = ["PublicReader"]

from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import batched
from operator import attrgetter
from typing import Any

import pyarrow as pa
from lsst.daf.butler import Butler, DatasetType

from ._chunk import Coded
from ._elements_reader import element_of_each_dataset
from ._page_reader import Page, Search, search_query, told
from ._records_reader import encode

_ROWS_ALIVE = 200


class PublicReader:
    """Reads datasets of any Butler.

    Parameters
    ----------
    butler
        The repository; used by one thread at a time.
    page_size
        Datasets in one page.
    """

    def __init__(self, butler: Butler, *, page_size: int) -> None:
        self._butler = butler
        self._page_size = page_size

    def iter_pages(self, search: Search) -> Generator[Page]:
        """Yield what a search finds; see `PageReader`.

        Parameters
        ----------
        search
            What to search for.

        Yields
        ------
        page : `Page`
        """
        kind = search.dataset_type
        converters = _converters(kind)
        with told(kind.name), self._butler.query() as query:
            rows = self._rows(search_query(query, search), search)
            for columns in _iter_columns(iter(rows), self._page_size, converters):
                regions = columns.get(f"{element_of_each_dataset(kind.dimensions)}.region")
                yield Page(
                    b"".join(columns[f"{kind.name}.dataset_id"]),
                    Coded.of(columns[f"{kind.name}.run"]),
                    {key: Coded.of(columns[key]) for key in kind.dimensions.names},
                    None if regions is None else pa.array(regions, pa.binary()),
                )

    def _rows(self, query: Any, search: Search) -> Any:
        name, dimensions = search.dataset_type.name, search.dataset_type.dimensions
        fields = {name: {"dataset_id", "run"}}
        rows = query.general(dimensions, dataset_fields=fields, find_first=search.find_first)
        if search.limit is not None:
            return rows.limit(search.limit)
        element = element_of_each_dataset(dimensions)
        if element is not None:
            # A region for each dataset: it comes cheapest with the dataset,
            # but a join drops datasets without one.
            joined = query.general(
                dimensions, f"{element}.region", dataset_fields=fields, find_first=search.find_first
            )
            if joined.count(discard=True) == rows.count(discard=True):
                rows = joined
        # Neighbours look up the same records.
        return rows.order_by("exposure") if "exposure" in dimensions else rows


def _converters(dataset_type: DatasetType) -> dict[str, Callable[[Any], Any]]:
    element = element_of_each_dataset(dataset_type.dimensions)
    return {f"{dataset_type.name}.dataset_id": attrgetter("bytes"), f"{element}.region": encode}


def _iter_columns(
    rows: Iterator[dict[str, Any]], size: int, converters: Mapping[str, Callable[[Any], Any]]
) -> Iterator[dict[str, list[Any]]]:
    """Turn rows into columns, so many rows at a time."""
    columns: dict[str, list[Any]] = {}
    count = 0
    # Few rows are alive at once, and ids and regions live as bytes: with ten
    # thousand of each, the garbage collector takes a third of an export.
    for block in batched(rows, min(_ROWS_ALIVE, size)):
        for key, values in zip(block[0], zip(*(row.values() for row in block), strict=True), strict=True):
            converter = converters.get(key)
            columns.setdefault(key, []).extend(map(converter, values) if converter else values)
        count += len(block)
        if count >= size:
            yield columns
            columns, count = {}, 0
    if columns:
        yield columns
