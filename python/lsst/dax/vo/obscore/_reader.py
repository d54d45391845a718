"""Datasets from the registry, through the public query interface alone.

It works on a direct repository and on a Butler server.  Nothing is asked for
twice: the query for datasets brings ids, runs and dimension values, and
records of dimensions come from `RecordReader`.
"""

from __future__ import annotations

__all__ = ["Butler", "PublicReader"]

import re
import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import batched, compress, islice
from operator import attrgetter
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy.exc
from lsst.daf.butler import (
    Butler,
    ButlerUserError,
    DatasetType,
    DimensionGroup,
    MissingCollectionError,
    MissingDatasetTypeError,
    Timespan,
)
from lsst.daf.butler.registry import CollectionType  # type: ignore[attr-defined]
from lsst.sphgeom import IntersectionRegion, Region

from ..errors import NotFoundError, TransientError, UsageError
from ..repo import recorded_sizes
from ._chunk import Chunk, Coded
from ._config import Where
from ._elements_reader import (
    element_of_each_dataset,
    elements_of_regions,
    elements_of_times,
    is_image,
    wanted_elements,
)
from ._records_reader import RecordReader, encode
from ._regions import REGION_COLUMNS, describe_regions

_SHOWN_NAMES = 20
_ROWS_ALIVE = 200


class PublicReader:
    """Reads datasets of a repository, some at a time.

    Parameters
    ----------
    butler
        The repository; used by one thread at a time.
    batch_size
        Datasets in one chunk.
    sizes
        Whether sizes of files are looked up.
    """

    def __init__(self, butler: Butler, *, batch_size: int, sizes: bool) -> None:
        self._butler = butler
        self._batch_size = batch_size
        self._sizes = sizes
        self._records = RecordReader(butler)

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
        with _told("collections"):
            runs = self._butler.collections.query("*", collection_types=CollectionType.RUN)
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
        with _told("collections"):
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
        with _told(name):
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
        with _told("dataset types"):
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

    def iter_chunks(
        self,
        dataset_type: DatasetType,
        collections: Sequence[str],
        *,
        constraints: Sequence[Where],
        also: str | None,
        elements: set[str],
        find_first: bool,
        limit: int | None,
    ) -> Generator[Chunk]:
        """Read the datasets of one type.

        Parameters
        ----------
        dataset_type
            The dataset type.
        collections
            Collections, searched in order.
        constraints
            What data IDs must fulfil: one of these.
        also
            A further expression that they must fulfil.
        elements
            Dimension elements whose records are wanted.
        find_first
            Whether of datasets with the same data ID the first one counts.
        limit
            Most datasets.

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
        name = dataset_type.name
        wanted = wanted_elements(dataset_type.dimensions, elements)
        seen: set[bytes] | None = set() if len(constraints) > 1 else None
        left = limit
        for constraint in constraints:
            if left == 0:
                return
            # Rows that an earlier constraint gave may come again.
            most = None if left is None else left + len(seen or ())
            rows = self._iter_rows(
                dataset_type, collections, constraint, also, find_first=find_first, limit=most
            )
            with closing(rows):
                for columns in _iter_columns(rows, self._batch_size, _converters(dataset_type)):
                    if left == 0:
                        return
                    fresh = _unseen(columns, f"{name}.dataset_id", seen)
                    fresh = {key: values[:left] for key, values in fresh.items()}
                    with _told(name):
                        chunk = self._make_chunk(dataset_type, fresh, wanted)
                    if chunk.size:
                        yield chunk
                        left = None if left is None else left - chunk.size

    def _iter_rows(
        self,
        dataset_type: DatasetType,
        collections: Sequence[str],
        constraint: Where,
        also: str | None,
        *,
        find_first: bool,
        limit: int | None,
    ) -> Generator[dict[str, Any]]:
        name, dimensions = dataset_type.name, dataset_type.dimensions
        fields: Any = {name: {"dataset_id", "run"}}
        with _told(name), self._butler.query() as query:
            if constraint.extra_dims:
                query = query.join_dimensions(constraint.extra_dims)
            query = query.join_dataset_search(name, collections=list(collections))
            if constraint.where:
                query = query.where(constraint.where, bind=constraint.bind)
            if also:
                query = query.where(also)
            rows = query.general(dimensions, dataset_fields=fields, find_first=find_first)
            element = element_of_each_dataset(dimensions)
            if limit is not None:
                rows = rows.limit(limit)
            elif element is not None:
                # A region for each dataset: it comes cheapest with the
                # dataset, but a join drops datasets without one.
                joined = query.general(
                    dimensions, f"{element}.region", dataset_fields=fields, find_first=find_first
                )
                if joined.count(discard=True) == rows.count(discard=True):
                    rows = joined
            if "exposure" in dimensions and limit is None:
                # Neighbours look up the same records.
                rows = rows.order_by("exposure")
            yield from rows

    def _make_chunk(
        self, dataset_type: DatasetType, columns: Mapping[str, Sequence[Any]], wanted: set[str]
    ) -> Chunk:
        name, group = dataset_type.name, dataset_type.dimensions
        dimensions = {key: Coded.of(columns[key]) for key in group.names}
        ids = columns[f"{name}.dataset_id"]
        records = {
            element: self._records.lookup(element, self._placed(group, dimensions, element))
            for element in sorted(wanted)
        }
        element = element_of_each_dataset(group)
        if element is not None and f"{element}.region" in columns:
            regions = describe_regions(columns[f"{element}.region"])
        else:
            regions = self._regions(group, dimensions, len(ids))
        return Chunk(
            dataset_type=name,
            ids=b"".join(ids),
            run=Coded.of(columns[f"{name}.run"]),
            dimensions=dimensions,
            records=records,
            regions=regions,
            times_ns=_times([records[item] for item in sorted(elements_of_times(group))], len(ids)),
            sizes=self._file_sizes(ids) if self._sizes else pa.nulls(len(ids), pa.int64()),
        )

    def _file_sizes(self, ids: Sequence[bytes]) -> pa.Array:
        uuids = [UUID(bytes=content) for content in ids]
        sizes = recorded_sizes(self._butler, uuids)
        return pa.array([sizes.get(uuid) for uuid in uuids], pa.int64())

    def _placed(
        self, group: DimensionGroup, dimensions: Mapping[str, Coded], element: str
    ) -> Mapping[str, Coded]:
        if element in group.elements:
            return dimensions
        return {**dimensions, "visit": self._records.visits_of_exposures(dimensions)}

    def _regions(
        self, group: DimensionGroup, dimensions: Mapping[str, Coded], size: int
    ) -> dict[str, pa.Array]:
        elements = elements_of_regions(group)
        if not elements:
            return {name: pa.nulls(size, kind) for name, kind in REGION_COLUMNS.items()}
        found = [
            self._records.regions(element, self._placed(group, dimensions, element)) for element in elements
        ]
        regions = found[0] if len(found) == 1 else _intersect(found)
        columns = describe_regions(regions.values)
        return {name: column.take(pa.array(regions.codes)) for name, column in columns.items()}


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


def _unseen(columns: dict[str, list[Any]], key: str, seen: set[bytes] | None) -> dict[str, list[Any]]:
    if seen is None:
        return columns
    fresh = []
    for uuid in columns[key]:
        fresh.append(uuid not in seen)
        seen.add(uuid)
    return {name: list(compress(values, fresh)) for name, values in columns.items()}


def _intersect(columns: Sequence[Coded]) -> Coded:
    first, second = columns[0], columns[1] if len(columns) == 2 else _intersect(columns[1:])
    combined, codes = np.unique(
        first.codes.astype(np.int64) * len(second.values) + second.codes, return_inverse=True
    )
    pairs = [divmod(int(code), len(second.values)) for code in combined]
    return Coded(codes, [_overlap(first.values[i], second.values[j]) for i, j in pairs])


def _overlap(first: bytes | None, second: bytes | None) -> bytes | None:
    if first is None or second is None:
        return None
    return encode(IntersectionRegion(Region.decode(first), Region.decode(second)))


def _times(records: Sequence[Coded], size: int) -> tuple[pa.Array, pa.Array]:
    """Return begin and end of the time that the records have in common."""
    earliest, latest = Timespan(None, None).nsec
    bounds = []
    for index, closest in enumerate((pc.max_element_wise, pc.min_element_wise)):
        columns = [column.map(lambda record: _bound(record, index), pa.int64()) for column in records]  # noqa: B023
        if not columns:
            bounds.append(pa.nulls(size, pa.int64()))
            continue
        common = closest(*columns, skip_nulls=False)
        open_ended = pc.equal(common, earliest if index == 0 else latest)
        bounds.append(pc.if_else(open_ended, pa.scalar(None, pa.int64()), common))
    begin, end = bounds
    empty = pc.fill_null(pc.greater_equal(begin, end), False)
    nothing = pa.scalar(None, pa.int64())
    return pc.if_else(empty, nothing, begin), pc.if_else(empty, nothing, end)


def _bound(record: Any, index: int) -> int | None:
    timespan = None if record is None else record.timespan
    if timespan is None or timespan.isEmpty():
        return None
    bound: int = timespan.nsec[index]
    return bound


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what the registry raises into errors of ours."""
    try:
        yield
    except MissingCollectionError as err:
        raise NotFoundError(f"{what}: {_one_line(err)}") from err
    except (sqlalchemy.exc.OperationalError, sqlite3.OperationalError, ConnectionError) as err:
        raise TransientError(f"{what}: the registry does not answer; try again") from err
    except (sqlalchemy.exc.DBAPIError, sqlite3.Error) as err:
        # Without the SQL that such an error tells.
        reason = _one_line(getattr(err, "orig", None) or err)
        raise UsageError(f"{what}: the registry cannot be read: {reason}") from err
    except (ButlerUserError, ValueError, TypeError, LookupError, RuntimeError, NotImplementedError) as err:
        raise UsageError(f"{what}: the registry refuses the query: {_one_line(err)}") from err


def _one_line(err: Exception) -> str:
    return " ".join(str(err).split())[:500]
