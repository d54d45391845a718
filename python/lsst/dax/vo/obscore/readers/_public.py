"""Datasets from the registry, through the public query interface alone.

It works on a direct repository and on a Butler server.
"""

from __future__ import annotations

__all__ = ["PublicReader"]

from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import batched
from operator import attrgetter
from typing import Any, override

import numpy as np
import pyarrow as pa
from lsst.daf.butler import Butler, DatasetType

from ..rows._chunk import Coded
from ._elements import region_key_of_each_dataset
from ._pages import Page, PageReader, Search, registry_errors, search_query
from ._records import encode, is_damaged_region

_ROWS_ALIVE = 200
# The element with a record for each detector image.
_REGIONS = "visit_detector_region"


class PublicReader(PageReader):
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

    @override
    def iter_pages(self, search: Search) -> Generator[Page]:
        # Docstring inherited.
        read: list[bytes] = []
        with registry_errors(search.dataset_type.name):
            if search.limit is None:
                try:
                    for page in self._iter_pages(search, joined=True):
                        read.append(page.ids)
                        yield page
                    # A join leaves out datasets without a region.
                    if len(b"".join(read)) == 16 * self._count(search):
                        return
                except RuntimeError as err:
                    # One that is damaged ends the query for all of them.
                    if not is_damaged_region(err):
                        raise
            # Who looks them up one by one, finds out about the others.
            known = np.frombuffer(b"".join(read), "V16")
            for page in self._iter_pages(search, joined=False):
                left = np.flatnonzero(~np.isin(np.frombuffer(page.ids, "V16"), known))
                if len(left):
                    yield page.take(left)

    def _count(self, search: Search) -> int:
        with self._butler.query() as query:
            return int(self._plain(search_query(query, search), search).count(discard=True))

    def _iter_pages(self, search: Search, *, joined: bool) -> Iterator[Page]:
        kind = search.dataset_type
        with self._butler.query() as query:
            found = search_query(query, search)
            rows = self._joined(found, search) if joined else self._plain(found, search)
            if rows is None:
                return
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

    def _plain(self, query: Any, search: Search) -> Any:
        """Return the query for datasets."""
        dimensions = search.dataset_type.dimensions
        rows = query.general(dimensions, dataset_fields=_fields(search), find_first=search.find_first)
        if search.limit is not None:
            return rows.limit(search.limit)
        # Neighbours look up the same records.
        return rows.order_by("exposure") if "exposure" in dimensions else rows

    def _joined(self, query: Any, search: Search) -> Any:
        """Return the query that brings the region of each dataset along, if there is one."""
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
            dimensions, f"{_REGIONS}.region", dataset_fields=_fields(search), find_first=search.find_first
        )

    def _instruments(self) -> list[str]:
        return [
            record.name
            for record in self._butler.query_dimension_records("instrument", explain=False, limit=None)
        ]


def _fields(search: Search) -> Any:
    # Each column of a row takes about a microsecond.
    return {search.dataset_type.name: {"dataset_id"} if search.run is not None else {"dataset_id", "run"}}


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
