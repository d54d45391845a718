"""Datasets from the registry, through the public query interface alone.

It works on a direct repository and on a Butler server.
"""

from __future__ import annotations

__all__ = ["PublicReader"]

from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import batched
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
from lsst.daf.butler import Butler, DatasetType

from ._chunk import Coded
from ._elements_reader import region_key_of_each_dataset
from ._page_reader import Page, Search, search_query, told
from ._records_reader import encode, is_damaged_region

_ROWS_ALIVE = 200
# The element with a record for each detector image.
_REGIONS = "visit_detector_region"


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
        # Their regions are left to who looks them up one by one, once one of
        # them is damaged: then a query for all of them ends at that place.
        read: list[bytes] = []
        with told(search.dataset_type.name):
            try:
                for page in self._iter_pages(search, regions=True):
                    read.append(page.ids)
                    yield page
                return
            except RuntimeError as err:
                if not is_damaged_region(err):
                    raise
            known = np.frombuffer(b"".join(read), "V16")
            for page in self._iter_pages(search, regions=False):
                left = np.flatnonzero(~np.isin(np.frombuffer(page.ids, "V16"), known))
                if len(left):
                    yield page.take(left)

    def _iter_pages(self, search: Search, *, regions: bool) -> Iterator[Page]:
        kind = search.dataset_type
        with self._butler.query() as query:
            rows = self._rows(search_query(query, search), search, regions=regions)
            for columns in _iter_columns(iter(rows), self._page_size, _converters(kind)):
                ids = b"".join(columns[f"{kind.name}.dataset_id"])
                runs = columns.get(f"{kind.name}.run")
                encoded = columns.get(f"{_REGIONS}.region")
                yield Page(
                    ids,
                    Coded(np.zeros(len(ids) // 16, np.int32), [search.run])
                    if runs is None
                    else Coded.of(runs),
                    {key: Coded.of(columns[key]) for key in kind.dimensions.names},
                    None if encoded is None else pa.array(encoded, pa.binary()),
                )

    def _rows(self, query: Any, search: Search, *, regions: bool) -> Any:
        """Choose the query that brings regions along, if it finds all datasets."""
        name, dimensions = search.dataset_type.name, search.dataset_type.dimensions
        # Each column of a row takes about a microsecond.
        fields = {name: {"dataset_id"} if search.run is not None else {"dataset_id", "run"}}
        rows = query.general(dimensions, dataset_fields=fields, find_first=search.find_first)
        if search.limit is not None:
            return rows.limit(search.limit)
        joined = self._joined(query, search, fields) if regions else None
        # A join drops datasets without a region.
        if joined is not None and joined.count(discard=True) == rows.count(discard=True):
            return joined
        # Neighbours look up the same records.
        return rows.order_by("exposure") if "exposure" in dimensions else rows

    def _joined(self, query: Any, search: Search, fields: dict[str, set[str]]) -> Any:
        """Return the query with a region for each dataset, where there is one."""
        dimensions = search.dataset_type.dimensions
        key = region_key_of_each_dataset(dimensions)
        if key is None or key[0] != _REGIONS:
            return None
        if "visit" not in dimensions:
            instruments = self._instruments()
            if len(instruments) != 1:
                # An expression must name the instrument.
                return None
            x = query.expression_factory
            query = query.join_dimensions(["visit"]).where(x.visit == x.exposure, instrument=instruments[0])
            dimensions = dimensions.union(dimensions.universe.conform(["visit"]))
        return query.general(
            dimensions, f"{_REGIONS}.region", dataset_fields=fields, find_first=search.find_first
        )

    def _instruments(self) -> list[str]:
        return [
            record.name
            for record in self._butler.query_dimension_records("instrument", explain=False, limit=None)
        ]


def _converters(dataset_type: DatasetType) -> dict[str, Callable[[Any], Any]]:
    return {f"{dataset_type.name}.dataset_id": attrgetter("bytes"), f"{_REGIONS}.region": encode}


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
