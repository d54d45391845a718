"""Regions of datasets, each fetched and described once.

Raw images, calibrated images and difference images of one detector of one
visit have the same region.  It is looked up by the dimension record that has
it, wherever it is asked for first; whoever asks later gets what is known.
"""

from __future__ import annotations

__all__ = ["DescribedRegions", "RegionSource", "encoded_regions"]

from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import batched
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from lsst.daf.butler import Butler, Dimension, DimensionElement
from lsst.sphgeom import IntersectionRegion, Region

from ..rows._chunk import Coded
from ._keys import Keys, SortedKeys, keys_of
from ._records import Records, encode
from ._region_file import RegionFile

# As of records.
_VALUES_PER_QUERY = 500


class RegionSource(Protocol):
    """Reads regions of many records at once."""

    def iter_regions(
        self, element: DimensionElement, governed: Mapping[str, Any], values: Mapping[str, Sequence[Any]]
    ) -> Generator[tuple[dict[str, Coded], pa.Array]]:
        """Yield the regions of records; any that cannot be read may be left out.

        Parameters
        ----------
        element
            A dimension element that is no dimension itself.
        governed
            Values of governor dimensions.
        values
            Of some of the other dimensions, the values that are wanted.

        Yields
        ------
        dimensions : `dict` [`str`, `Coded`]
            Values of the dimensions that the element requires.
        regions : `pyarrow.Array`
            Encoded regions, as `encoded_regions` has them.
        """


class DescribedRegions:
    """Looks up what is known of regions.

    Parameters
    ----------
    butler
        The repository.
    records
        Looks up dimension records.
    source
        Reads regions of many records.
    """

    def __init__(self, butler: Butler, records: Records, source: RegionSource) -> None:
        self._butler = butler
        self._records = records
        self._source = source
        self._file = RegionFile()
        self._places: dict[tuple[str, ...], SortedKeys] = {}
        self._counts: dict[tuple[Any, ...], int] = {}

    def lookup(self, elements: Sequence[str], dimensions: Mapping[str, Coded], size: int) -> pa.Array:
        """Look up the region of each dataset.

        Parameters
        ----------
        elements
            Dimension elements in the overlap of whose regions datasets lie.
        dimensions
            Values of at least the dimensions that they require.
        size
            Number of datasets.

        Returns
        -------
        described : `pyarrow.StructArray`
            As `RegionFile` has it.
        """
        universe = self._butler.dimensions
        required = sorted({name for element in elements for name in universe[element].required.names})
        columns = {name: dimensions[name] for name in required}
        known = self._places.setdefault(tuple(elements), SortedKeys())
        keys = keys_of(list(columns.values()), size)
        places = _places_of(known, keys)
        missing = np.flatnonzero(places < 0)
        if len(missing) and len(elements) == 1 and not isinstance(universe[elements[0]], Dimension):
            self._read(universe[elements[0]], {k: c.take(missing) for k, c in columns.items()}, known)
            places = _places_of(known, keys)
            missing = np.flatnonzero(places < 0)
        if len(missing):
            _, first = np.unique(keys[0][missing], return_index=True)
            rows = missing[first]
            some = {name: column.take(rows) for name, column in dimensions.items()}
            found = encoded_regions(elements, some, len(rows), self._records)
            self._add(known, (keys[0][rows], keys[1][rows]), pa.array(found.values, pa.binary()), found.codes)
            places = _places_of(known, keys)
        return self._file.take(places)

    def _add(self, known: SortedKeys, keys: Keys, encoded: pa.Array, codes: np.ndarray | None = None) -> None:
        places = self._file.append(encoded)
        known.add(keys, places if codes is None else places[codes])

    def _read(self, element: DimensionElement, columns: Mapping[str, Coded], known: SortedKeys) -> None:
        """Read what can be read of many records at once; the rest is looked up one by one."""
        for governed, values in self._lists(columns):
            for dimensions, encoded in self._source.iter_regions(element, governed, values):
                keys = keys_of([dimensions[name] for name in columns], len(encoded))
                new = np.flatnonzero(_places_of(known, keys) < 0)
                if len(new) < len(encoded):
                    keys, encoded = (keys[0][new], keys[1][new]), encoded.take(pa.array(new))
                if len(new):
                    self._add(known, keys, encoded)

    def _lists(
        self, columns: Mapping[str, Coded]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Sequence[Any]]]]:
        """Yield the values that the records have, so many at a time.

        The product of the lists holds the wanted records, and hardly more,
        because datasets come in order.
        """
        universe = self._butler.dimensions
        governors = [name for name in columns if name in universe.governor_dimensions]
        combined = keys_of([columns[name] for name in governors], len(next(iter(columns.values())).codes))
        for word in np.unique(combined[0]):
            rows = np.flatnonzero(combined[0] == word)
            governed = {name: columns[name].values[columns[name].codes[rows[0]]] for name in governors}
            lists = {
                name: sorted(
                    value
                    for code in np.unique(column.codes[rows]).tolist()
                    if (value := column.values[code]) is not None
                )
                for name, column in columns.items()
                if name not in governed
            }
            if None in governed.values() or not all(lists.values()):
                continue
            longest = max(lists, key=lambda name: len(lists[name]))
            # A database finds all detectors of a visit faster than each of them.
            shorter = {
                name: values
                for name, values in lists.items()
                if name != longest and not self._are_most(name, governed, len(values))
            }
            for block in batched(lists[longest], _VALUES_PER_QUERY):
                yield governed, {longest: block, **shorter}

    def _are_most(self, name: str, governed: Mapping[str, Any], count: int) -> bool:
        """Tell whether so many values are most that there are, where these are few."""
        dimension = self._butler.dimensions[name]
        if not dimension.is_cached:
            return False
        key = (name, *governed.items())
        if key not in self._counts:
            where = {key: value for key, value in governed.items() if key in dimension.required.names}
            self._counts[key] = len(
                self._butler.query_dimension_records(name, explain=False, limit=None, **where)
            )
        return 2 * count >= self._counts[key]


def _places_of(known: SortedKeys, keys: Keys) -> np.ndarray:
    places = np.full(len(keys[0]), -1, np.int64)
    for rows, (found,) in known.find(keys):
        places[rows] = found
    return places


def encoded_regions(
    elements: Sequence[str], dimensions: Mapping[str, Coded], size: int, records: Records
) -> Coded:
    """Look up the encoded region of each dataset.

    Parameters
    ----------
    elements
        Dimension elements in the overlap of whose regions datasets lie.
    dimensions
        Values of at least the dimensions that they require.
    size
        Number of datasets.
    records
        Looks up dimension records.

    Returns
    -------
    regions : `Coded` [`bytes`]
        `None` where there is none, empty where there is something that
        cannot be read.
    """
    if not elements:
        return Coded(np.zeros(size, np.int32), [None])
    found = [records.regions(element, dimensions) for element in elements]
    return found[0] if len(found) == 1 else _intersect(found)


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
    try:
        return encode(IntersectionRegion(Region.decode(first), Region.decode(second)))
    except (RuntimeError, ValueError):
        # Damaged, as the maker of rows tells.
        return b""
