"""Datasets from the registry, with all that their rows need.

Nothing is asked for twice: a page reader brings ids, runs and dimension
values, records of dimensions come from `RecordReader`, and regions from
`DescribedRegions`.  Where the registry is a database, pages and regions are
read in bulk.
"""

from __future__ import annotations

__all__ = ["Butler", "DatasetType", "Reader"]

import logging
import re
import weakref
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import batched, islice
from typing import Any, Literal, override
from uuid import UUID

import numpy as np
import pyarrow as pa
from lsst.daf.butler import Butler, CollectionInfo, DatasetType, DimensionElement, MissingDatasetTypeError
from lsst.daf.butler.registry import CollectionType  # type: ignore[attr-defined]

from ...errors import NotFoundError, UnsupportedError, UsageError
from ...repo import recorded_sizes
from ..rows._chunk import Chunk, Coded
from ._bulk import BulkReader
from ._chunks import make_chunk
from ._described import DescribedRegions, RegionSource
from ._elements import elements_of_regions, is_image, wanted_elements
from ._pages import DoesNotFitError, Page, Search, registry_errors, search_query
from ._public import PublicReader
from ._records import RecordReader
from ._seen import SeenDataIds

_LOG = logging.getLogger(__name__)
_SHOWN_NAMES = 20
_RUNS_PER_SEARCH = 100


class Reader(RegionSource):
    """Reads datasets of a repository, some at a time.

    Parameters
    ----------
    butler
        The repository; used by one thread at a time.
    page_size
        Datasets in one chunk.
    sizes
        Whether sizes of files are looked up.
    pages
        How pages are read: ``bulk`` from the registry's database, ``public``
        through `lsst.daf.butler.Butler.query`; by default in bulk where that
        fits.

    Raises
    ------
    UnsupportedError
        Raised if ``bulk`` is asked for and does not fit.
    """

    def __init__(
        self,
        butler: Butler,
        *,
        page_size: int,
        sizes: bool,
        pages: Literal["bulk", "public"] | None = None,
    ) -> None:
        self._butler = butler
        self._sizes = sizes
        self._records = RecordReader(butler)
        self._public = PublicReader(butler, page_size=page_size)
        self._bulk: BulkReader | None = None
        self._only_bulk = pages == "bulk"
        self._infos: dict[str, list[CollectionInfo]] = {}
        if pages != "public":
            try:
                self._bulk = BulkReader(butler, page_size=page_size, sizes=sizes)
            except DoesNotFitError as err:
                # On all that follows, hours may be lost.
                self._fall_back("this repository", err, level=logging.WARNING)
        # No cycle: connections are closed when nobody has this any more.
        self._described = DescribedRegions(butler, self._records, weakref.proxy(self))

    def match_runs(self, patterns: Sequence[str]) -> list[str]:
        """Return the RUN collections whose names match.

        Parameters
        ----------
        patterns
            Regular expressions for whole names; none at all match every name.

        Returns
        -------
        runs : `list` [`str`]

        Raises
        ------
        UsageError
            Raised if a pattern is no regular expression, or none matches.
        """
        try:
            compiled = [re.compile(pattern) for pattern in patterns]
        except re.error as err:
            raise UsageError(f"collections: {err.pattern!r} is no regular expression: {err}") from err
        with registry_errors("collections"):
            infos = self._butler.collections.query_info(
                "*", collection_types=CollectionType.RUN, include_summary=True
            )
        self._infos |= {info.name: [info] for info in infos}
        runs = [info.name for info in infos]
        found = [run for run in runs if not compiled or any(item.fullmatch(run) for item in compiled)]
        if not found:
            raise UsageError(f"collections: no RUN collection matches {', '.join(patterns)}")
        return found

    def check_collections(self, names: Sequence[str]) -> None:
        """Check that collections exist.

        Parameters
        ----------
        names
            Names of collections.

        Raises
        ------
        NotFoundError
            Raised if one does not exist; the message tells those that do.
        UsageError
            Raised if none is given.
        """
        with registry_errors("collections"):
            known = dict.fromkeys(self._butler.collections.query("*"))
        shown = ", ".join(islice(known, _SHOWN_NAMES)) + (", …" if len(known) > _SHOWN_NAMES else "")
        if not names:
            raise UsageError(f"No collections are given; name those to export, in order. There are: {shown}")
        for name in names:
            if name not in known:
                raise NotFoundError(f"There is no collection {name!r} in this repository; there are: {shown}")

    def find_dataset_type(self, name: str) -> DatasetType | None:
        """Look up a dataset type.

        Parameters
        ----------
        name
            Its name.

        Returns
        -------
        dataset_type : `lsst.daf.butler.DatasetType` or `None`
            `None` if it is not registered.
        """
        with registry_errors(name):
            try:
                return self._butler.get_dataset_type(name)
            except MissingDatasetTypeError:
                return None

    def image_types(self) -> list[str]:
        """Return the names of the dataset types that hold images of the sky.

        Returns
        -------
        names : `list` [`str`]
            Sorted.
        """
        with registry_errors("dataset types"):
            return sorted(kind.name for kind in self._butler.registry.queryDatasetTypes() if is_image(kind))

    def lies_on_the_sky(self, dataset_type: DatasetType) -> bool:
        """Tell whether the datasets of a type have regions.

        Parameters
        ----------
        dataset_type
            The dataset type.

        Returns
        -------
        lies : `bool`
        """
        return bool(elements_of_regions(dataset_type.dimensions))

    def split(self, search: Search) -> list[Search]:
        """Search one collection after the other, in order.

        Each search then is one range of an index, where a search of several
        collections at once makes the database sort all that it finds (5
        microseconds each); and each is a part that can be finished.

        Parameters
        ----------
        search
            What to search for.

        Returns
        -------
        searches : `list` [`Search`]
            For the collections that have such datasets.  The datasets that
            one finds count before those of the ones after it.
        """
        name = search.dataset_type.name
        infos = [
            info
            for info in self._held(search.collections)
            if info.dataset_types is None or name in info.dataset_types
        ]
        # Of runs side by side there may be thousands, and each search takes
        # milliseconds.
        blocks = batched(infos, 1 if search.find_first else _RUNS_PER_SEARCH)
        return [
            replace(
                search,
                collections=tuple(info.name for info in block),
                # Only there is a data ID found twice in one collection.
                find_first=search.find_first and block[0].type is CollectionType.CALIBRATION,
                run=block[0].name if len(block) == 1 and block[0].type is CollectionType.RUN else None,
            )
            for block in blocks
        ]

    def empty_collections(self, names: Sequence[str], dataset_types: Collection[str]) -> list[str]:
        """Find the collections that hold nothing.

        Parameters
        ----------
        names
            Collections.
        dataset_types
            What they are to hold.

        Returns
        -------
        empty : `list` [`str`]
            Those without a dataset of any of these types.
        """
        return [
            name
            for name in names
            if not any(
                info.dataset_types is None or not info.dataset_types.isdisjoint(dataset_types)
                for info in self._held([name])
            )
        ]

    def _held(self, names: Sequence[str]) -> list[CollectionInfo]:
        """Return what is in collections, chains taken apart, in order, each once."""
        found: dict[str, CollectionInfo] = {}
        for name in names:
            if name not in self._infos:
                with registry_errors("collections"):
                    # The order of several is not promised.
                    self._infos[name] = list(
                        self._butler.collections.query_info(name, flatten_chains=True, include_summary=True)
                    )
            found |= {info.name: info for info in self._infos[name] if info.name not in found}
        return list(found.values())

    def count(self, searches: Sequence[Search]) -> int:
        """Count datasets, for a forecast.

        Parameters
        ----------
        searches
            What to search for.

        Returns
        -------
        count : `int`
            At least as many as are found in the end.
        """
        total = 0
        for search in searches:
            with registry_errors(search.dataset_type.name), self._butler.query() as query:
                found = search_query(query, search).datasets(
                    search.dataset_type.name, collections=list(search.collections), find_first=False
                )
                total += found.count(exact=False, discard=True)
        return total

    def iter_chunks(
        self, search: Search, elements: set[str], *, seen: SeenDataIds | None = None
    ) -> Generator[Chunk]:
        """Read what a search finds.

        Parameters
        ----------
        search
            What to search for.
        elements
            Dimension elements whose records are wanted.
        seen
            Leaves out what an earlier search has found.

        Yields
        ------
        chunk : `Chunk`
            Each dataset once.

        Raises
        ------
        UsageError
            Raised if an expression is not accepted.
        TransientError
            Raised if the registry does not answer.
        """
        wanted = wanted_elements(search.dataset_type.dimensions, elements)
        left = search.limit
        if seen is not None:
            # Any number may have been found before.
            search = replace(search, limit=None)
        with closing(self._iter_pages(search)) as pages:
            for page in pages:
                if seen is not None:
                    page = seen.take_unseen(page)
                if left is not None and page.size > left:
                    page = page.take(np.arange(left))
                if page.size:
                    chunk = self._make_chunk(search.dataset_type, page, wanted)
                    yield chunk
                    left = None if left is None else left - chunk.size
                if left == 0:
                    return

    @override
    def iter_regions(
        self, element: DimensionElement, governed: Mapping[str, Any], values: Mapping[str, Sequence[Any]]
    ) -> Generator[tuple[dict[str, Coded], pa.Array]]:
        # Docstring inherited.
        yield from self._first_that_fits(
            f"regions of {element.name}", lambda reader: reader.iter_regions(element, governed, values)
        )

    def _iter_pages(self, search: Search) -> Generator[Page]:
        yield from self._first_that_fits(search.dataset_type.name, lambda reader: reader.iter_pages(search))

    def _first_that_fits[T](
        self, what: str, read: Callable[[BulkReader | PublicReader], Generator[T]]
    ) -> Generator[T]:
        if self._bulk is not None:
            try:
                yield from read(self._bulk)
            except DoesNotFitError as err:
                self._fall_back(what, err)
            else:
                return
        yield from read(self._public)

    def _fall_back(self, what: str, err: DoesNotFitError, *, level: int = logging.INFO) -> None:
        if self._only_bulk:
            raise UnsupportedError(f"{what} cannot be read in bulk: {err}") from err
        _LOG.log(level, "%s is read through the Butler's public interface, which is slower: %s", what, err)

    def _make_chunk(self, kind: DatasetType, page: Page, wanted: set[str]) -> Chunk:
        if page.sizes is None:
            page = replace(page, sizes=self._file_sizes(page.ids))
        return make_chunk(kind, page, wanted, self._records, self._described)

    def _file_sizes(self, ids: bytes) -> pa.Array:
        if not self._sizes:
            return pa.nulls(len(ids) // 16, pa.int64())
        uuids = [UUID(bytes=ids[start : start + 16]) for start in range(0, len(ids), 16)]
        with registry_errors("the datastore's records"):
            sizes = recorded_sizes(self._butler, uuids)
        return pa.array([sizes.get(uuid) for uuid in uuids], pa.int64())
