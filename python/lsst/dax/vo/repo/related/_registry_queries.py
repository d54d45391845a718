"""Look-ups by the public queries of any Butler, one on a server included."""

from __future__ import annotations

__all__ = ["RegistryQueries"]

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Any, override

from lsst.daf.butler import Butler, DataCoordinate, DatasetType
from lsst.daf.butler.queries import Query

from ._registry import Found, Key, Observation, Registry, Valid, Where

# More would go through a temporary table, with which SQLite does not find its
# indexes: a join with 8.5 million datasets did not end within minutes.
_CHUNK = 300


class RegistryQueries(Registry):
    """Looks up datasets by the Butler's public queries.

    Parameters
    ----------
    butler
        Any Butler; used by one thread at a time.
    """

    def __init__(self, butler: Butler) -> None:
        self._butler = butler

    @override
    def find(
        self, kinds: Sequence[DatasetType], names: Sequence[str], keys: Collection[Key], where: Where
    ) -> list[Found]:
        # Docstring inherited.
        found = []
        for kind in kinds:
            for query in self._queries(names, keys) if where.get(kind.name) else ():
                refs = query.datasets(kind.name, where[kind.name], find_first=False)
                found += [Found(ref.id, kind, ref.run, dict(ref.dataId.required)) for ref in refs]
        return found

    @override
    def find_valid(
        self, kinds: Sequence[DatasetType], names: Sequence[str], keys: Collection[Key], where: Where
    ) -> list[Valid]:
        # Docstring inherited.
        found = []
        for kind in kinds:
            for query in self._queries(names, keys) if where.get(kind.name) else ():
                rows: Any = query.join_dataset_search(kind.name, where[kind.name]).general(
                    kind.dimensions,
                    dataset_fields={kind.name: {"dataset_id", "collection", "timespan"}},
                    find_first=False,
                )
                for row in rows:
                    values = {name: row[name] for name in kind.dimensions.required}
                    what = Found(row[f"{kind.name}.dataset_id"], kind, row[f"{kind.name}.collection"], values)
                    found.append(Valid(what, row[f"{kind.name}.timespan"]))
        return found

    @override
    def visits_of(self, exposures: Collection[Key]) -> list[tuple[Key, Key]]:
        # Docstring inherited.
        return self._pairs(("instrument", "exposure"), exposures, ("instrument", "visit"))

    @override
    def exposures_of(self, visits: Collection[Key]) -> list[tuple[Key, Key]]:
        # Docstring inherited.
        return self._pairs(("instrument", "visit"), visits, ("instrument", "exposure"))

    @override
    def observations(self, element: str, keys: Collection[Key]) -> dict[Key, Observation]:
        # Docstring inherited.
        found = {}
        for query in self._queries(("instrument", element), keys):
            # The records have no band of their own.
            bands = {
                (data_id["instrument"], data_id[element]): data_id["band"]
                for data_id in query.data_ids(["instrument", element, "band"])
            }
            for record in query.dimension_records(element):
                key = record.dataId["instrument"], record.id
                band = bands.get(key)
                found[key] = Observation(
                    record.timespan, record.physical_filter, None if band is None else str(band)
                )
        return found

    @override
    def overlapping(
        self, element: str, names: Sequence[str], keys: Collection[Key], other: str, columns: Sequence[str]
    ) -> list[tuple[Key, Key]]:
        # Docstring inherited.
        return self._pairs(names, keys, columns)

    def _pairs(
        self, names: Sequence[str], keys: Collection[Key], columns: Sequence[str]
    ) -> list[tuple[Key, Key]]:
        found: dict[tuple[Key, Key], None] = {}
        for query in self._queries(names, keys):
            for data_id in query.data_ids({*names, *columns}):
                pair = tuple(data_id[name] for name in names), tuple(data_id[name] for name in columns)
                found[pair] = None
        return list(found)

    def _queries(self, names: Sequence[str], keys: Collection[Key]) -> Iterator[Query]:
        dimensions = self._butler.dimensions.conform(names)
        for chunk in itertools.batched(keys, _CHUNK):
            data_ids = [
                DataCoordinate.standardize(dict(zip(names, key, strict=True)), dimensions=dimensions)
                for key in chunk
            ]
            with self._butler.query() as query:
                yield query.join_data_coordinates(data_ids)
