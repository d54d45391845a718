"""Dimension records, each fetched from the registry once."""

from __future__ import annotations

__all__ = ["Key", "RecordReader", "Records", "distinct_keys", "encode", "is_damaged_region"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import batched
from operator import itemgetter
from typing import Any, Protocol, override

import numpy as np
from lsst.daf.butler import Butler, Dimension, DimensionElement, DimensionGroup, SkyPixDimension
from lsst.daf.butler.queries import Query
from lsst.sphgeom import Region

from ..rows._chunk import Coded
from ._pages import registry_errors

# Values in one list of an SQL query: SQLite's limit is 32766 for all lists.
_VALUES_PER_QUERY = 500
# Records of one element that are kept: detectors of visits come by millions.
_MOST_RECORDS = 200_000

Key = tuple[Any, ...]
_Read = Callable[[Query, str, Sequence[str]], Iterator[tuple[Key, Any]]]


class Records(Protocol):
    """Looks up dimension records, in a registry or elsewhere."""

    def lookup(self, element: str, dimensions: Mapping[str, Coded]) -> Coded:
        """Look up the record of an element for each row.

        Parameters
        ----------
        element
            Name of the dimension element.
        dimensions
            Values of at least the dimensions that it requires.

        Returns
        -------
        records : `Coded` [`lsst.daf.butler.DimensionRecord`]
            `None` where there is no such record.
        """
        ...

    def complete(
        self, group: DimensionGroup, dimensions: Mapping[str, Coded]
    ) -> tuple[dict[str, Coded], np.ndarray | None]:
        """Add the implied dimensions of each row.

        Parameters
        ----------
        group
            Dimensions of the rows.
        dimensions
            Values of all required dimensions, perhaps of others.

        Returns
        -------
        dimensions : `dict` [`str`, `Coded`]
            Values of all dimensions.
        known : `numpy.ndarray` [`bool`] or `None`
            Whether the records that tell them are there; `None` if all are.
        """
        ...

    def regions(self, element: str, dimensions: Mapping[str, Coded]) -> Coded:
        """Look up the region of an element for each row.

        Parameters
        ----------
        element
            Name of a spatial dimension element.
        dimensions
            Values of at least the dimensions that it requires.

        Returns
        -------
        regions : `Coded` [`bytes`]
            Encoded regions; `None` where there is none, empty where there is
            something that cannot be read.
        """
        ...

    def visits_of_exposures(self, dimensions: Mapping[str, Coded]) -> Coded:
        """Find a visit for each exposure, because exposures have no region.

        Parameters
        ----------
        dimensions
            Values of at least ``instrument`` and ``exposure``.

        Returns
        -------
        visits : `Coded` [`int`]
            The one that places it on the sky; `None` where there is none.
        """
        ...


class RecordReader(Records):
    """Looks up dimension records in a registry.

    Parameters
    ----------
    butler
        The repository.
    """

    def __init__(self, butler: Butler) -> None:
        self._butler = butler
        self._records: dict[str, dict[Key, Any]] = {}
        self._regions: dict[str, dict[Key, Any]] = {}
        self._damaged: dict[str, set[Key]] = {}
        self._visits: dict[Key, Any] = {}

    @override
    def lookup(self, element: str, dimensions: Mapping[str, Coded]) -> Coded:
        # Docstring inherited.
        return self._look_up(element, dimensions, self._records, _records_of)

    @override
    def complete(
        self, group: DimensionGroup, dimensions: Mapping[str, Coded]
    ) -> tuple[dict[str, Coded], np.ndarray | None]:
        # Docstring inherited.
        found = dict(dimensions)
        known = None
        elements = [group.universe[name] for name in group.elements]
        while missing := [name for name in group.names if name not in found]:
            # The filter of an exposure comes before the band of the filter.
            name, carrier = next(
                (name, element.name)
                for name in missing
                for element in elements
                if name in element.implied.names and element.required.names <= found.keys()
            )
            records = self.lookup(carrier, found)
            there = np.array([record is not None for record in records.values], bool)
            if not there.all():
                rows = there[records.codes]
                known = rows if known is None else known & rows
            values = [None if record is None else getattr(record, name) for record in records.values]
            found[name] = Coded(records.codes, values)
        return {name: found[name] for name in group.names}, known

    @override
    def regions(self, element: str, dimensions: Mapping[str, Coded]) -> Coded:
        # Docstring inherited.
        pixels = self._butler.dimensions[element]
        if isinstance(pixels, SkyPixDimension):
            indices = dimensions[element]
            return Coded(
                indices.codes, [pixels.pixelization.pixel(index).encode() for index in indices.values]
            )
        if element not in self._records:
            # A record takes twice the time of its region alone.
            return self._look_up(element, dimensions, self._regions, _regions_of)
        records = self.lookup(element, dimensions)
        damaged = self._damaged.get(element, set())
        return Coded(records.codes, [_encode_region_of(record, damaged) for record in records.values])

    @override
    def visits_of_exposures(self, dimensions: Mapping[str, Coded]) -> Coded:
        # Docstring inherited.  Of several visits, the one that has the number of the
        # exposure, or the one with the lowest.
        codes, keys = distinct_keys([dimensions["instrument"], dimensions["exposure"]])
        missing = [key for key in keys if key not in self._visits]
        for key in missing:
            self._visits[key] = None
        for governed, group in _group(("instrument", "exposure"), missing, ("instrument",)):
            for block in batched(group, _VALUES_PER_QUERY):
                with registry_errors("visits of exposures"), self._butler.query() as query:
                    x = query.expression_factory
                    query = query.where(
                        x.exposure.in_iterable([exposure for _, exposure in block]), **governed
                    )
                    for data_id in query.data_ids(["exposure", "visit"]):
                        key = (data_id["instrument"], data_id["exposure"])
                        self._visits[key] = _better(key[1], self._visits.get(key), data_id["visit"])
        return Coded(codes, [self._visits[key] for key in keys])

    def _look_up(
        self, element: str, dimensions: Mapping[str, Coded], caches: dict[str, dict[Key, Any]], read: _Read
    ) -> Coded:
        required = tuple(self._butler.dimensions[element].required.names)
        codes, keys = distinct_keys([dimensions[name] for name in required])
        known = caches.setdefault(element, {})
        if len(known) > _MOST_RECORDS:
            known.clear()
        missing = [key for key in keys if key not in known]
        known.update(dict.fromkeys(missing))
        self._fetch(element, required, [key for key in missing if None not in key], known, read)
        return Coded(codes, [known[key] for key in keys])

    def _fetch(
        self, element: str, required: Sequence[str], keys: Sequence[Key], into: dict[Key, Any], read: _Read
    ) -> None:
        # The Butler wants each instrument and sky map named on its own.
        governors = [name for name in required if name in self._butler.dimensions.governor_dimensions]
        for governed, group in _group(required, keys, governors):
            free = [place for place, name in enumerate(required) if name not in governed]
            columns = {place: sorted({key[place] for key in group}) for place in free}
            longest = max(columns, key=lambda place: len(columns[place]), default=None)
            blocks: dict[int, list[Key]] = {0: group}
            if longest is not None:
                ranks = {value: rank for rank, value in enumerate(columns[longest])}
                blocks = {}
                for key in group:
                    blocks.setdefault(ranks[key[longest]] // _VALUES_PER_QUERY, []).append(key)
            with registry_errors(f"records of {element}"):
                for block in blocks.values():
                    into.update(self._read(element, required, governed, block, read))

    def _read(
        self,
        element: str,
        required: Sequence[str],
        governed: Mapping[str, Any],
        keys: Sequence[Key],
        read: _Read,
    ) -> dict[Key, Any]:
        """Read what some keys have; the damaged ones are found by halves."""
        # One list for each dimension: the product of the lists holds the
        # wanted keys, and hardly more, because rows come in order.
        lists = {
            name: sorted({key[place] for key in keys})
            for place, name in enumerate(required)
            if name not in governed
        }
        wanted = set(keys)
        with self._butler.query() as query:
            x = query.expression_factory
            query = query.where(
                *(getattr(x, name).in_iterable(values) for name, values in lists.items()), **governed
            )
            try:
                return {key: value for key, value in read(query, element, required) if key in wanted}
            except RuntimeError as err:
                if not is_damaged_region(err):
                    raise
            if len(keys) == 1:
                if read is _regions_of:
                    return {keys[0]: b""}
                self._damaged.setdefault(element, set()).add(keys[0])
                return {keys[0]: _record_without_region(query, self._butler.dimensions[element])}
        half = len(keys) // 2
        return {
            **self._read(element, required, governed, keys[:half], read),
            **self._read(element, required, governed, keys[half:], read),
        }


def is_damaged_region(err: RuntimeError) -> bool:
    """Tell whether the registry has bytes that are no encoding of a region.

    Parameters
    ----------
    err
        What a query raised.

    Returns
    -------
    damaged : `bool`
    """
    # lsst.sphgeom: "Byte-string is not an encoded Circle", "Encoded
    # CompoundRegion is truncated", "Invalid base64 encoded data".
    return "ncoded" in str(err)


def encode(region: Region | None) -> bytes | None:
    """Encode a region: bytes are no matter for the garbage collector.

    Parameters
    ----------
    region
        The region, or `None`.

    Returns
    -------
    content : `bytes` or `None`
    """
    return None if region is None else bytes(region.encode())


def _encode_region_of(record: Any, damaged: set[Key]) -> bytes | None:
    if record is not None and record.dataId.required_values in damaged:
        return b""
    return encode(record and record.region)


def _records_of(query: Query, element: str, _required: Sequence[str]) -> Iterator[tuple[Key, Any]]:
    for record in query.dimension_records(element):
        yield record.dataId.required_values, record


def _regions_of(query: Query, element: str, required: Sequence[str]) -> Iterator[tuple[Key, Any]]:
    key_of = itemgetter(*required) if len(required) > 1 else lambda row: (row[required[0]],)
    for row in query.general(required, f"{element}.region"):
        yield key_of(row), encode(row[f"{element}.region"])


def _record_without_region(query: Query, element: DimensionElement) -> Any:
    """Read a record field by field, but for its region, which cannot be read."""
    fields = [name for name in element.RecordClass.fields.names if name != "region"]
    places = {name: name if name in element.dimensions.names else f"{element.name}.{name}" for name in fields}
    if isinstance(element, Dimension):
        places[element.primary_key.name] = element.name
    columns = [place for place in places.values() if place not in element.dimensions.names]
    (row,) = query.general(element.minimal_group, *columns)
    return element.RecordClass(**{name: row[place] for name, place in places.items()})


def _group(
    required: Sequence[str], keys: Sequence[Key], governors: Sequence[str]
) -> Iterator[tuple[dict[str, Any], list[Key]]]:
    """Yield the keys that share the values of the governors."""
    groups: dict[Key, list[Key]] = {}
    places = [place for place, name in enumerate(required) if name in governors]
    for key in keys:
        groups.setdefault(tuple(key[place] for place in places), []).append(key)
    for values, group in groups.items():
        yield dict(zip((required[place] for place in places), values, strict=True)), group


def distinct_keys(columns: Sequence[Coded]) -> tuple[np.ndarray, list[Key]]:
    """Find the distinct combinations of values.

    Parameters
    ----------
    columns
        The columns.

    Returns
    -------
    codes : `numpy.ndarray` [`int`]
        For each row the index of its combination.
    keys : `list` [`tuple`]
        The combinations.
    """
    combined = columns[0].codes.astype(np.int64)
    for column in columns[1:]:
        combined = combined * max(len(column.values), 1) + column.codes
    _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
    keys = zip(*([column.values[code] for code in column.codes[first]] for column in columns), strict=True)
    return codes, list(keys)


def _better(exposure: Any, known: Any, found: Any) -> Any:
    if known is None or found == exposure:
        return found
    return known if known == exposure else min(known, found)
