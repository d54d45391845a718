"""Datasets from the registry, through the public query interface alone.

It works on a direct repository and on a Butler server.
"""

from __future__ import annotations

__all__ = ["PublicReader"]

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import batched
from operator import attrgetter
from typing import Any, override

import numpy as np
import pyarrow as pa
from lsst.daf.butler import Butler, DimensionElement

from ..rows._chunk import Coded
from ._described import RegionSource
from ._pages import Page, PageReader, Search, registry_errors, search_query
from ._records import encode, is_damaged_region

_ROWS_ALIVE = 200


class PublicReader(PageReader, RegionSource):
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
        kind = search.dataset_type
        with registry_errors(kind.name), self._butler.query() as query:
            rows = search_query(query, search).general(
                kind.dimensions, dataset_fields=_fields(search), find_first=search.find_first
            )
            if search.limit is not None:
                rows = rows.limit(search.limit)
            name = f"{kind.name}.dataset_id"
            for columns in _iter_columns(rows, self._page_size, {name: attrgetter("bytes")}):
                ids = b"".join(columns[name])
                runs = columns.get(f"{kind.name}.run")
                yield Page(
                    ids,
                    Coded(np.zeros(len(ids) // 16, np.int32), [search.run])
                    if runs is None
                    else Coded.of(runs),
                    {key: Coded.of(columns[key]) for key in kind.dimensions.names},
                )

    @override
    def iter_regions(
        self, element: DimensionElement, governed: Mapping[str, Any], values: Mapping[str, Sequence[Any]]
    ) -> Generator[tuple[dict[str, Coded], pa.Array]]:
        # Docstring inherited.
        names = element.required.names
        with registry_errors(f"regions of {element.name}"), self._butler.query() as query:
            x = query.expression_factory
            query = query.where(
                *(getattr(x, name).in_iterable(few) for name, few in values.items()), **governed
            )
            region = f"{element.name}.region"
            try:
                for columns in _iter_columns(query.general(names, region), self._page_size, {region: encode}):
                    encoded = pa.array(columns[region], pa.binary())
                    yield {name: Coded.of(columns[name]) for name in names}, encoded
            except RuntimeError as err:
                # One that is damaged ends the query for all of them.
                if not is_damaged_region(err):
                    raise


def _fields(search: Search) -> Any:
    # Each column of a row takes about a microsecond.
    return {search.dataset_type.name: {"dataset_id"} if search.run is not None else {"dataset_id", "run"}}


def _iter_columns(
    rows: Iterable[dict[str, Any]], size: int, converters: Mapping[str, Callable[[Any], Any]]
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
