"""Look-ups in the tables of a direct registry: few statements for many keys.

The Butler's own query system takes 2 to 8 ms to make a statement for each
dataset type, and joins of some hundred data IDs with a registry of 8.5 million
datasets took it seconds; the statements here take 0.1 ms.  For this, they
reach into daf_butler beyond what is public: all of that is in this module,
and a Butler that is not as it expects is asked in public (`RegistryQueries`).
"""

from __future__ import annotations

__all__ = ["RegistryTables", "open_tables"]

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, override

import sqlalchemy as sa
from lsst.daf.butler import Butler, DatasetType
from lsst.daf.butler import version as butler_version
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from ._registry import Found, Key, Observation, Registry, Valid, Where

# Releases whose insides were compared with the public interface.
_RELEASES = ("30",)
# Rows of one VALUES list.
_CHUNK = 1000
# Dimensions without a table, and so without an index that daf_butler makes.
_PIXELS = ("htm", "healpix")


def open_tables(butler: Butler) -> RegistryTables | None:
    """Find the tables of a Butler's registry.

    Parameters
    ----------
    butler
        The Butler.

    Returns
    -------
    tables : `RegistryTables` or `None`
        `None` if this Butler has none, or is of an unknown release.
    """
    release = str(butler_version.__version__)
    if (number := release.split(".")[0]).isdigit() and number not in _RELEASES:
        return None
    try:
        return RegistryTables(butler)
    except AttributeError:
        return None


class RegistryTables(Registry):
    """Looks up datasets in the tables of a registry.

    Parameters
    ----------
    butler
        A direct Butler; used by one thread at a time.

    Raises
    ------
    AttributeError
        Raised if it is none.
    """

    def __init__(self, butler: Butler) -> None:
        with butler.query() as query:
            driver: Any = query._driver
            self._db = driver.db
            self._datasets = driver.managers.datasets
            self._collections = driver.managers.collections
            self._elements = driver.managers.dimensions._tables
            self._overlaps = driver.managers.dimensions._overlap_tables
        self._collection = self._collections.getCollectionForeignKeyName()
        self._timespan = self._db.getTimespanRepresentation()
        self._pixels = butler.dimensions.commonSkyPix

    @override
    def find(
        self, kinds: Sequence[DatasetType], names: Sequence[str], keys: Collection[Key], where: Where
    ) -> list[Found]:
        # Docstring inherited.
        storages = [self._datasets._find_storage(kind.name) for kind in kinds]
        table = self._datasets._get_tags_table(storages[0].dynamic_tables)
        by_id = {storage.dataset_type_id: storage.dataset_type for storage in storages}
        chosen = self._chosen(table, storages, where, names)
        if chosen is None:
            return []
        condition, runs = chosen
        required = tuple(kinds[0].dimensions.required)
        columns = [table.c.dataset_id, table.c.dataset_type_id, table.c[self._collection]]
        columns += [table.c[name] for name in required]
        return [
            Found(row[0], kind, runs[row[2]], dict(zip(required, row[3:], strict=True)))
            for row in self._select(table, _same(names), keys, columns, condition)
            if runs[row[2]] in where[(kind := by_id[row[1]]).name]
        ]

    @override
    def find_valid(
        self, kinds: Sequence[DatasetType], names: Sequence[str], keys: Collection[Key], where: Where
    ) -> list[Valid]:
        # Docstring inherited.
        storages = [self._datasets._find_storage(kind.name) for kind in kinds]
        if storages[0].dynamic_tables.calibs_name is None:
            return []
        table = self._datasets._get_calibs_table(storages[0].dynamic_tables)
        by_id = {storage.dataset_type_id: storage.dataset_type for storage in storages}
        chosen = self._chosen(table, storages, where, names)
        if chosen is None:
            return []
        condition, runs = chosen
        required = tuple(kinds[0].dimensions.required)
        fields = self._timespan.getFieldNames()
        columns = [table.c.dataset_id, table.c.dataset_type_id, table.c[self._collection]]
        columns += [table.c[name] for name in (*required, *fields)]
        found = []
        for row in self._select(table, _same(names), keys, columns, condition):
            values = dict(zip((*required, *fields), row[3:], strict=True))
            timespan = self._timespan.extract(values)
            kind = by_id[row[1]]
            if timespan is not None and runs[row[2]] in where[kind.name]:
                what = Found(row[0], kind, runs[row[2]], {name: values[name] for name in required})
                found.append(Valid(what, timespan))
        return found

    @override
    def visits_of(self, exposures: Collection[Key]) -> list[tuple[Key, Key]]:
        # Docstring inherited.
        return self._members(exposures, "exposure", "visit")

    @override
    def exposures_of(self, visits: Collection[Key]) -> list[tuple[Key, Key]]:
        # Docstring inherited.
        return self._members(visits, "visit", "exposure")

    @override
    def observations(self, element: str, keys: Collection[Key]) -> dict[Key, Observation]:
        # Docstring inherited.
        table, filters = self._elements[element], self._elements["physical_filter"]
        fields = self._timespan.getFieldNames()
        columns = [table.c.instrument, table.c.id, filters.c.name, filters.c.band]
        joined = table.outerjoin(
            filters,
            sa.and_(filters.c.instrument == table.c.instrument, filters.c.name == table.c.physical_filter),
        )
        columns += [table.c[name] for name in fields]
        found = {}
        names = {"instrument": "instrument", element: "id"}
        for row in self._select(table, names, keys, columns, sa.true(), joined):
            timespan = self._timespan.extract(dict(zip(fields, row[4:], strict=True)))
            found[(row[0], row[1])] = Observation(timespan, row[2], row[3])
        return found

    @override
    def overlapping(
        self, element: str, names: Sequence[str], keys: Collection[Key], other: str, columns: Sequence[str]
    ) -> list[tuple[Key, Key]]:
        # Docstring inherited.
        mine, theirs = self._overlaps[element][1], self._overlaps[other][1]
        level = self._pixels.level
        on_level = [
            (table.c.skypix_system == self._pixels.system.name, table.c.skypix_level == level)
            for table in (mine, theirs)
        ]
        regions: dict[Key, Any] = {}
        near: dict[int, list[Key]] = {}
        joined, region = self._with_region(mine, element, names)
        columns_of_mine = [*(mine.c[name] for name in names), region, mine.c.skypix_index]
        for *key, mine_region, pixel in self._select(
            mine, _same(names), keys, columns_of_mine, sa.and_(*on_level[0]), joined
        ):
            regions[tuple(key)] = mine_region
            near.setdefault(pixel, []).append(tuple(key))
        # One after the other: SQLite begins a join of both at the wrong end.
        joined, region = self._with_region(theirs, other, columns)
        columns_of_theirs = [*(theirs.c[name] for name in columns), region, theirs.c.skypix_index]
        seen: set[tuple[Key, Key]] = set()
        found = []
        for *other_key, their_region, pixel in self._select(
            theirs,
            {"pixel": "skypix_index"},
            [(pixel,) for pixel in near],
            columns_of_theirs,
            sa.and_(*on_level[1]),
            joined,
        ):
            for key in near[pixel]:
                pair = key, tuple(other_key)
                if pair not in seen:
                    seen.add(pair)
                    if regions[key].overlaps(their_region):
                        found.append(pair)
        return found

    def _with_region(self, overlaps: Any, element: str, names: Sequence[str]) -> tuple[Any, Any]:
        # The last dimension of an element that is one is called "id" there.
        table = self._elements[element]
        on = (overlaps.c[name] == table.c[name if name in table.c else "id"] for name in names)
        return overlaps.join(table, sa.and_(*on)), table.c.region

    def _members(self, keys: Collection[Key], given: str, wanted: str) -> list[tuple[Key, Key]]:
        table = self._elements["visit_definition"]
        columns = [table.c.instrument, table.c[given], table.c[wanted]]
        names = {"instrument": "instrument", given: given}
        return [
            ((row[0], row[1]), (row[0], row[2]))
            for row in self._select(table, names, keys, columns, sa.true())
        ]

    def _chosen(
        self, table: Any, storages: Iterable[Any], where: Where, keys: Sequence[str]
    ) -> tuple[Any, dict[Any, str]] | None:
        """Return the condition on type and collection, and names of collections."""
        names = self._records({name for kind in storages for name in where.get(kind.dataset_type.name, ())})
        if not names:
            return None
        kind, run = table.c.dataset_type_id, table.c[self._collection]
        if self._db.dialect.name == "sqlite" and not any(name.startswith(_PIXELS) for name in keys):
            # Or SQLite, which knows nothing of the numbers, takes the index on
            # these, and reads all of a type: 2.5 ms for each key in a registry
            # of 8.5 million datasets, where that on the key takes 0.06 ms.
            kind, run = _unindexed(kind), _unindexed(run)
        # An OR of types, each with its own collections, makes SQLite scan.
        condition = sa.and_(kind.in_([storage.dataset_type_id for storage in storages]), run.in_(list(names)))
        return condition, names

    def _records(self, names: Iterable[str]) -> dict[Any, str]:
        table = self._collections._tables.collection
        statement = sa.select(table.c[self._collection], table.c.name).where(table.c.name.in_(list(names)))
        with self._db.query(statement) as result:
            return {row[0]: row[1] for row in result.fetchall()}

    def _select(
        self,
        table: Any,
        names: Mapping[str, str],
        keys: Collection[Key],
        columns: Sequence[Any],
        condition: Any,
        source: Any = None,
    ) -> Iterator[Any]:
        """Yield the rows of a table that have one of many keys.

        ``names`` maps each value of a key to the column that must be it.
        """
        source = table if source is None else source
        rows = list(keys)
        is_sqlite = self._db.dialect.name == "sqlite"
        for start in range(0, len(rows), _CHUNK):
            given = _given(table, names, rows[start : start + _CHUNK], as_json=is_sqlite)
            on = sa.and_(*(table.c[column] == given.c[f"k_{name}"] for name, column in names.items()))
            statement = sa.select(*columns)
            if is_sqlite:
                # Without statistics SQLite may go through the table, and
                # through the list for each row; what is left of an outer join
                # it always reads first.
                joined = given.outerjoin(table, sa.and_(on, condition))
                if source is not table:
                    joined = joined.outerjoin(source.right, source.onclause)
                statement = statement.select_from(joined)
            else:
                statement = statement.select_from(source.join(given, on)).where(condition)
            with self._db.query(statement) as result:
                # The first column is part of a key: NULL is no row.
                yield from (row for row in result.fetchall() if row[0] is not None)


def _unindexed(column: Any) -> Any:
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _given(table: Any, names: Mapping[str, str], rows: Sequence[Key], *, as_json: bool) -> Any:
    """Return a table of keys."""
    columns = {f"k_{name}": table.c[column].type for name, column in names.items()}
    if not as_json:
        return sa.values(*(sa.column(*item) for item in columns.items()), name="given").data(rows)
    # One parameter, so that SQLAlchemy compiles the statement once: it takes
    # 0.1 ms for each row of VALUES.
    cells = (f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(columns))
    text = sa.text(f"SELECT {', '.join(cells)} FROM json_each(:given_keys)")  # noqa: S608 (names of columns)
    return text.bindparams(given_keys=json.dumps(rows)).columns(**columns).cte("given")


def _same(names: Sequence[str]) -> dict[str, str]:
    return {name: name for name in names}
