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
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, override

import sqlalchemy as sa
from lsst.daf.butler import Butler, DatasetType
from lsst.daf.butler import version as butler_version
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from .._memory import Memory
from ._registry import Found, Key, Observation, Registry, Valid, Where

# Releases whose insides were compared with the public interface.
_RELEASES = ("30",)
# Rows of one VALUES list.
_CHUNK = 1000
# Dimensions without a table, and so without an index that daf_butler makes.
_PIXELS = ("htm", "healpix")
# Statements that are kept: to make one takes half the time of a look-up.
_MOST_STATEMENTS = 256


def open_tables(butler: Butler, numbers: Memory[str, Any]) -> RegistryTables | None:
    """Find the tables of a Butler's registry.

    Parameters
    ----------
    butler
        The Butler.
    numbers
        Remembers the numbers of collections of this repository.

    Returns
    -------
    tables : `RegistryTables` or `None`
        `None` if this Butler has none, or is of an unknown release.
    """
    release = str(butler_version.__version__)
    if (number := release.split(".")[0]).isdigit() and number not in _RELEASES:
        return None
    try:
        return RegistryTables(butler, numbers)
    except AttributeError:
        return None


class RegistryTables(Registry):
    """Looks up datasets in the tables of a registry.

    Parameters
    ----------
    butler
        A direct Butler; used by one thread at a time.
    numbers
        Remembers the numbers of collections of this repository.

    Raises
    ------
    AttributeError
        Raised if it is none.
    """

    def __init__(self, butler: Butler, numbers: Memory[str, Any]) -> None:
        self._numbers = numbers
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
        runs = self._runs_of(where)
        required = tuple(kinds[0].dimensions.required)
        return [
            Found(row[0], kind, runs[row[2]], dict(zip(required, row[3:], strict=True)))
            for row in self._select_in(table, names, keys, required, by_id, runs)
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
        runs = self._runs_of(where)
        required = tuple(kinds[0].dimensions.required)
        columns = (*required, *self._timespan.getFieldNames())
        found = []
        for row in self._select_in(table, names, keys, columns, by_id, runs):
            values = dict(zip(columns, row[3:], strict=True))
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
        look = _Look(
            table,
            ("instrument", "id"),
            (
                table.c.instrument,
                table.c.id,
                filters.c.name,
                filters.c.band,
                *(table.c[name] for name in fields),
            ),
            joined=filters,
            on=(("instrument", "instrument"), ("physical_filter", "name")),
        )
        found = {}
        for row in self._select(look, keys):
            timespan = self._timespan.extract(dict(zip(fields, row[4:], strict=True)))
            found[(row[0], row[1])] = Observation(timespan, row[2], row[3])
        return found

    @override
    def overlapping(
        self, element: str, names: Sequence[str], keys: Collection[Key], other: str, columns: Sequence[str]
    ) -> list[tuple[Key, Key]]:
        # Docstring inherited.
        mine, theirs = self._overlaps[element][1], self._overlaps[other][1]
        level = (self._pixels.system.name,), (self._pixels.level,)
        regions: dict[Key, Any] = {}
        near: dict[int, list[Key]] = {}
        look = self._look_at_overlaps(mine, tuple(names), element, names)
        for *key, mine_region, pixel in self._select(look, keys, level):
            regions[tuple(key)] = mine_region
            near.setdefault(pixel, []).append(tuple(key))
        # One after the other: SQLite begins a join of both at the wrong end.
        look = self._look_at_overlaps(theirs, ("skypix_index",), other, columns)
        seen: set[tuple[Key, Key]] = set()
        found = []
        for *other_key, their_region, pixel in self._select(look, [(pixel,) for pixel in near], level):
            for key in near[pixel]:
                pair = key, tuple(other_key)
                if pair not in seen:
                    seen.add(pair)
                    if regions[key].overlaps(their_region):
                        found.append(pair)
        return found

    def _look_at_overlaps(
        self, overlaps: Any, keys: tuple[str, ...], element: str, names: Sequence[str]
    ) -> _Look:
        table = self._elements[element]
        columns = (*(overlaps.c[name] for name in names), table.c.region, overlaps.c.skypix_index)
        # The last dimension of an element that is one is called "id" there.
        on = tuple((name, name if name in table.c else "id") for name in names)
        return _Look(overlaps, keys, columns, ("skypix_system", "skypix_level"), joined=table, on=on)

    def _members(self, keys: Collection[Key], given: str, wanted: str) -> list[tuple[Key, Key]]:
        table = self._elements["visit_definition"]
        look = _Look(table, ("instrument", given), (table.c.instrument, table.c[given], table.c[wanted]))
        return [((row[0], row[1]), (row[0], row[2])) for row in self._select(look, keys)]

    def _runs_of(self, where: Where) -> dict[Any, str]:
        """Return the names of collections by their numbers."""
        names = {name for some in where.values() for name in some}
        numbers = self._numbers.recall(names)
        if unknown := names - numbers.keys():
            table = self._collections._tables.collection
            statement = sa.select(table.c.name, table.c[self._collection]).where(table.c.name.in_(unknown))
            with self._db.query(statement) as result:
                new = {row[0]: row[1] for row in result.fetchall()}
            self._numbers.keep(new)
            numbers |= new
        return {number: name for name, number in numbers.items()}

    def _select_in(
        self,
        table: Any,
        names: Sequence[str],
        keys: Collection[Key],
        columns: Sequence[str],
        kinds: Iterable[int],
        runs: Collection[Any],
    ) -> Iterator[Any]:
        """Yield id, type, collection and further columns of datasets."""
        if not runs:
            return iter(())
        among = ("dataset_type_id", self._collection)
        found = tuple(table.c[name] for name in ("dataset_id", *among, *columns))
        # Of pixels, the index on the key is not there.
        is_on_key = not any(name.startswith(_PIXELS) for name in names)
        look = _Look(table, tuple(names), found, among, is_on_key=is_on_key)
        return self._select(look, keys, (tuple(kinds), tuple(runs)))

    def _select(
        self, look: _Look, keys: Collection[Key], among: Sequence[Sequence[Any]] = ()
    ) -> Iterator[Any]:
        """Yield the rows of a table that have one of many keys."""
        rows = list(keys)
        is_sqlite = self._db.dialect.name == "sqlite"
        values = {f"among_{name}": some for name, some in zip(look.among, among, strict=True)}
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            if is_sqlite:
                statement = _select_for_sqlite(look)
                values["given_keys"] = json.dumps(some)
            else:
                statement = _select_by_values(look, some)
            with self._db.query(statement, values) as result:
                # The first column is part of a key: NULL is no row.
                yield from (row for row in result.fetchall() if row[0] is not None)


@dataclass(frozen=True, slots=True)
class _Look:
    """What is read of a table."""

    table: Any
    """The table."""

    keys: tuple[str, ...]
    """Columns that have one of the keys that are given."""

    columns: tuple[Any, ...]
    """Columns that are read, the first one of the table itself."""

    among: tuple[str, ...] = ()
    """Columns that have one of the values that are given for each."""

    joined: Any = None
    """A table that further columns are of."""

    on: tuple[tuple[str, str], ...] = ()
    """Columns of both that are the same."""

    is_on_key: bool = False
    """Whether SQLite, too, shall use the index on the keys."""

    def condition(self, given: Any, *, steer: bool = False) -> Any:
        """Return the condition on a row, beside a table of keys.

        To ``steer`` SQLite is to keep it from poor indexes.
        """
        poor = {*self.among, *_poor_keys(self.keys)} if steer else set()
        places = {
            name: _unindexed(self.table.c[name]) if name in poor else self.table.c[name]
            for name in (*self.keys, *self.among)
        }
        return sa.and_(
            *(places[name] == given.c[f"k_{name}"] for name in self.keys),
            *(places[name].in_(sa.bindparam(f"among_{name}", expanding=True)) for name in self.among),
        )

    def join(self, rows: Any) -> Any:
        """Join the other table to some rows."""
        if self.joined is None:
            return rows
        same = (self.table.c[mine] == self.joined.c[theirs] for mine, theirs in self.on)
        return rows.outerjoin(self.joined, sa.and_(*same))


@lru_cache(maxsize=_MOST_STATEMENTS)
def _select_for_sqlite(look: _Look) -> Any:
    """Write a statement whose keys are a list in JSON."""
    # One parameter, so that the statement is written once: SQLAlchemy takes
    # 0.1 ms for each row of VALUES.
    cells = (f"json_extract(value, '$[{place}]') AS k_{name}" for place, name in enumerate(look.keys))
    text = sa.text(f"SELECT {', '.join(cells)} FROM json_each(:given_keys)")  # noqa: S608 (names of columns)
    given = text.columns(**{f"k_{name}": look.table.c[name].type for name in look.keys}).cte("given")
    # SQLite, which knows nothing of the numbers, takes the index on type and
    # collection, and reads all of a type: 2.5 ms for each key in a registry of
    # 8.5 million datasets, where that on the key takes 0.06 ms.  (An OR of
    # types, each with its own collections, makes it scan.)  Without
    # statistics it may go through the table, and through the list for each
    # row; what is left of an outer join it always reads first.
    condition = look.condition(given, steer=look.is_on_key)
    return sa.select(*look.columns).select_from(look.join(given.outerjoin(look.table, condition)))


def _select_by_values(look: _Look, rows: Sequence[Key]) -> Any:
    """Write a statement that has the keys as VALUES."""
    columns = (sa.column(f"k_{name}", look.table.c[name].type) for name in look.keys)
    given = sa.values(*columns, name="given").data(rows)
    return sa.select(*look.columns).select_from(look.join(look.table)).where(look.condition(given))


def _poor_keys(names: Sequence[str]) -> tuple[str, ...]:
    # All images of a detector are millions, those of a visit hundreds: 46 ms
    # and 0.2 ms in that registry.
    return ("detector",) if "visit" in names or "exposure" in names else ()


def _unindexed(column: Any) -> Any:
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)
