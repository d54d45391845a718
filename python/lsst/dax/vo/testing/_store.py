"""What every kind of store must do."""

from __future__ import annotations

__all__ = ["STORE_COLUMNS", "StoreTests", "make_store_rows", "update_store", "write_store"]

import contextlib
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest
from lsst.sphgeom import (
    Angle,
    Box,
    Circle,
    ConvexPolygon,
    Ellipse,
    LonLat,
    Region,
    UnionRegion,
    UnitVector3d,
)

from ..dali import Column, arrow_type
from ..errors import NotFoundError, TransientError, UsageError
from ..store import (
    HIDDEN_SCHEMA,
    Changes,
    PostgresLocation,
    Store,
    StoreLocation,
    Writer,
    open_store,
    open_updater,
    open_writer,
)

type Location = StoreLocation | PostgresLocation

STORE_COLUMNS = (
    Column("obs_id", "char", "Observation", arraysize="*", utype="obscore:DataID.observationID", std=True),
    Column("s_ra", "double", "Longitude", unit="deg", ref="icrs", indexed=True),
    Column("s_dec", "double", "Latitude", unit="deg", ref="icrs", indexed=True),
    Column("lsst_visit", "long"),
    Column("flags", "int", arraysize="*"),
    Column("s_region", "char", arraysize="*", xtype="adql:REGION"),
    Column("access_url", "char", arraysize="*"),
)
"""Public columns of a small table."""

_EVERY_TYPE: dict[str, tuple[Column, list[Any]]] = {
    "boolean": (Column("a_boolean", "boolean"), [True, False]),
    "unsignedByte": (Column("a_byte", "unsignedByte"), [0, 255]),
    "short": (Column("a_short", "short"), [-(2**15), 2**15 - 1]),
    "int": (Column("an_int", "int"), [-(2**31), 2**31 - 1]),
    "long": (Column("a_long", "long"), [-(2**63), 2**63 - 1]),
    "float": (Column("a_float", "float"), [0.5, -(2.0**20)]),
    "double": (Column("a_double", "double"), [0.1, -1.7976931348623157e308, 5e-324, float("inf"), -0.0]),
    "char": (Column("a_text", "char", arraysize="*"), ["", 'it\'s "so"\n\\N\tü ✓', "x" * 70_000]),
    "unicodeChar": (Column("Ein Text", "unicodeChar", arraysize="*"), ["żółć", "𝄞"]),
    "boolean array": (Column("booleans", "boolean", arraysize="*"), [[True, False], []]),
    "short array": (Column("shorts", "short", arraysize="3"), [[1, -2, 3], [0, 0, 0]]),
    "long array": (Column("longs", "long", arraysize="*"), [[2**40], [], [None, 7]]),
    "double array": (Column("doubles", "double", arraysize="*"), [[0.1, -2.5], []]),
}
_KILLED = (
    "import sys, time\n"
    "from lsst.dax.vo.store import open_writer, parse_store\n"
    "from lsst.dax.vo.testing import STORE_COLUMNS, make_store_rows\n"
    "writer = open_writer(parse_store(sys.argv[1]), columns=STORE_COLUMNS, properties={})\n"
    "with writer:\n"
    "    writer.write(make_store_rows(1.0, 2.0)); print('writing', flush=True); time.sleep(60)\n"
)
# Kills itself when the table is nearly in its place.
_KILLED_LATE = (
    "import os, signal, sys\n"
    "from lsst.dax.vo.store import open_writer, parse_store, {module}\n"
    "from lsst.dax.vo.testing import STORE_COLUMNS, make_store_rows\n"
    "def die(*arguments):\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
    "{module}.{function} = die\n"
    "with open_writer(parse_store(sys.argv[1]), columns=STORE_COLUMNS, properties={{}}) as writer:\n"
    "    writer.write(make_store_rows(1.0, 2.0))\n"
)
# The same, of an update to so many rows; none of them has changed.
_KILLED_UPDATE = (
    "import os, signal, sys\n"
    "from lsst.dax.vo.store import parse_store, {module}\n"
    "from lsst.dax.vo.testing import make_store_rows, update_store\n"
    "def die(*arguments):\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
    "{module}.{function} = die\n"
    "update_store(parse_store(sys.argv[1]), make_store_rows(*map(float, range(int(sys.argv[2])))))\n"
)


def make_store_rows(*places: float | None) -> pa.RecordBatch:
    """Make rows of `STORE_COLUMNS`.

    Parameters
    ----------
    *places
        Longitude of each row; `None` for a row without a region.

    Returns
    -------
    rows : `pyarrow.RecordBatch`
        With regions of all kinds.
    """
    cells: list[dict[str, Any]] = [
        {
            "obs_id": f"o{number}",
            "s_ra": place,
            "s_dec": None if place is None else 10.0,
            "lsst_visit": number,
            "flags": [number, 2],
            "s_region": None if place is None else f"at {place}",
            "access_url": f"https://example.org/{uuid.UUID(int=number)}",
            "_repo": "here",
            "_id": uuid.UUID(int=number).bytes,
            "_region": None if place is None else _region(number, place).encode(),
            "_print": number * 7 - 3,
        }
        for number, place in enumerate(places)
    ]
    fields = [*(pa.field(column.name, arrow_type(column)) for column in STORE_COLUMNS), *HIDDEN_SCHEMA]
    return pa.RecordBatch.from_pylist(cells, pa.schema(fields))


def write_store(location: Location, *places: float | None) -> None:
    """Write a small store.

    Parameters
    ----------
    location
        Where it will be.
    *places
        As for `make_store_rows`.
    """
    with open_writer(location, columns=STORE_COLUMNS, properties={"label": "here"}) as writer:
        writer.write(make_store_rows(*places))


def update_store(
    location: Location, rows: pa.RecordBatch, *, columns: Sequence[Column] = STORE_COLUMNS
) -> Changes:
    """Bring a small store up to date.

    Parameters
    ----------
    location
        Where it is.
    rows
        All rows that it is to have.
    columns
        Its public columns.

    Returns
    -------
    changes : `~lsst.dax.vo.store.Changes`
        What was done.
    """
    with open_updater(location, columns=columns, properties={"label": "here"}) as updater:
        for start in range(0, rows.num_rows, 25):
            batch = rows.slice(start, 25)
            fresh = updater.find_fresh(b"".join(batch["_id"].to_pylist()), batch["_print"])
            updater.write(batch.filter(pa.array(fresh)))
    return updater.changes


class StoreTests:
    """The contract of stores; subclass it and give what raises `NotImplementedError`."""

    late: tuple[tuple[str, str], ...] = ()
    """Functions of the writer, as module and name, in the order in which they
    put a table into its place."""

    late_changes: tuple[tuple[str, str], ...] = ()
    """Those with which an updater changes a few rows."""

    @pytest.fixture
    def location(self) -> Location:
        """Return where a store can be; there is none yet."""
        raise NotImplementedError("subclasses give the fixture 'location'")

    @pytest.fixture
    def forbidden(self, location: Location) -> Location:
        """Return where a store is that may not be read or written, nor made."""
        raise NotImplementedError("subclasses give the fixture 'forbidden'")

    def read(self, store: Store) -> list[dict[str, Any]]:
        """Return the rows of a table with all columns of the writer, in the order of ``obs_id``."""
        raise NotImplementedError("subclasses give the method 'read'")

    def count_slowly(self, store: Store) -> contextlib.AbstractContextManager[Iterator[int]]:
        """Keep a table open; each step of the iterator counts its rows."""
        raise NotImplementedError("subclasses give the method 'count_slowly'")

    def names(self, location: Location) -> list[str]:
        """Return the names of all things that make up the store."""
        raise NotImplementedError("subclasses give the method 'names'")

    def tell(self, location: Location, name: str, value: str | None) -> None:
        """Change what the store tells: its ``layout``, or spoil all with `None`."""
        raise NotImplementedError("subclasses give the method 'tell'")

    def put_something_else(self, location: Location) -> None:
        """Put something in the place of the store that is none."""
        raise NotImplementedError("subclasses give the method 'put_something_else'")

    def test_what_was_written_is_read(self, location: Location) -> None:
        """Rows, metadata of the columns, properties."""
        write_store(location, 10.0, None, 350.0, 20.0, 30.0, 40.0)
        store = open_store(location)
        assert store.location == location
        assert store.columns == STORE_COLUMNS
        assert store.properties == {"label": "here", "rows": "6"}
        assert store.is_current
        assert self.read(store) == _by_id(make_store_rows(10.0, None, 350.0, 20.0, 30.0, 40.0))

    @pytest.mark.parametrize("encoded", [False, True], ids=["plain", "dictionaries"])
    @pytest.mark.parametrize("kind", _EVERY_TYPE)
    def test_every_type_comes_back(self, location: Location, kind: str, encoded: bool) -> None:
        """Values at the bounds of each type, NULL, and a column of NULL alone."""
        column, values = _EVERY_TYPE[kind]
        columns = [STORE_COLUMNS[0], column, Column("nothing", column.datatype, arraysize=column.arraysize)]
        cells = [None, *values, None]
        rows = pa.RecordBatch.from_arrays(
            [
                pa.array([f"o{number}" for number in range(len(cells))]),
                _maybe_encoded(pa.array(cells, arrow_type(column)), encoded),
                _maybe_encoded(pa.nulls(len(cells), arrow_type(column)), encoded),
                *(make_store_rows(*[None] * len(cells))[name] for name in HIDDEN_SCHEMA.names),
            ],
            names=["obs_id", column.name, "nothing", *HIDDEN_SCHEMA.names],
        )
        with open_writer(location, columns=columns, properties={}) as writer:
            writer.write(rows)
        found = self.read(open_store(location))
        assert [row[column.name] for row in found] == cells
        assert [row["nothing"] for row in found] == [None] * len(cells)

    def test_no_rows_are_a_table(self, location: Location) -> None:
        """An empty table has its columns."""
        with open_writer(location, columns=STORE_COLUMNS, properties={}):
            pass
        store = open_store(location)
        assert store.properties == {"rows": "0"}
        assert self.read(store) == []

    def test_batches_of_any_size_are_one_table(self, location: Location) -> None:
        """Also those without rows, and with their columns in another order."""
        rows = make_store_rows(*(float(number) for number in range(200)))
        with open_writer(location, columns=STORE_COLUMNS, properties={}) as writer:
            for start, count in ((0, 1), (1, 0), (1, 150), (151, 49)):
                batch = rows.slice(start, count)
                writer.write(batch.select(batch.schema.names[::-1]))
        assert self.read(open_store(location)) == _by_id(rows)

    def test_reader_keeps_its_table_and_others_see_the_new_one(self, location: Location) -> None:
        """A table that is replaced is read to its end."""
        write_store(location, 1.0, 2.0)
        before = open_store(location)
        with self.count_slowly(before) as counts:
            assert next(counts) == 2
            write_store(location, 1.0, 2.0, 3.0)
            assert next(counts) == 2
            assert not before.is_current
            assert open_store(location).properties["rows"] == "3"
        write_store(location, 1.0)
        assert len(self.read(open_store(location))) == 1
        names = self.names(location)
        write_store(location, 1.0, 2.0, 3.0)
        assert len(self.names(location)) == len(names), "what is replaced is removed"

    def test_exception_leaves_the_old_table(self, location: Location) -> None:
        """As if nothing had been."""
        write_store(location, 1.0)
        names = self.names(location)
        with pytest.raises(ZeroDivisionError):
            _fail(open_writer(location, columns=STORE_COLUMNS, properties={}))
        assert self.names(location) == names
        assert open_store(location).properties == {"label": "here", "rows": "1"}

    def test_exception_leaves_nothing_of_a_new_store(self, location: Location) -> None:
        """Not even a place for it."""
        names = self.names(location)
        with pytest.raises(ZeroDivisionError):
            _fail(open_writer(location, columns=STORE_COLUMNS, properties={}))
        assert self.names(location) == names
        with pytest.raises(NotFoundError, match="There is no store"):
            open_store(location)

    def test_killed_writer_leaves_the_old_table(self, location: Location) -> None:
        """It kept others from writing; the next one cleans up."""
        write_store(location, 1.0)
        names = self.names(location)
        with _run(_KILLED, _text(location)) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            with pytest.raises(TransientError, match="is being written by another process; try again"):
                write_store(location, 1.0, 2.0)
            assert open_store(location).properties["rows"] == "1"
            process.send_signal(signal.SIGKILL)
        assert open_store(location).properties["rows"] == "1"
        _write_when_free(location, 1.0, 2.0, 3.0)
        assert open_store(location).properties["rows"] == "3"
        assert len(self.names(location)) == len(names)

    def test_writer_killed_late_leaves_the_old_table(self, location: Location) -> None:
        """Up to the last step the table before counts."""
        write_store(location, 1.0)
        names = self.names(location)
        assert self.late
        for module, function in self.late:
            with _run(_KILLED_LATE.format(module=module, function=function), _text(location)) as process:
                assert process.wait() == -signal.SIGKILL
            assert open_store(location).properties == {"label": "here", "rows": "1"}
            assert len(self.read(open_store(location))) == 1
        _write_when_free(location, 1.0, 2.0, 3.0)
        assert len(self.names(location)) == len(names)

    @pytest.mark.parametrize("few", [True, False], ids=["few", "many"])
    def test_killed_update_leaves_the_old_table(self, location: Location, few: bool) -> None:
        """Up to its last step, and the next one does it all."""
        rows = make_store_rows(*map(float, range(40)))
        write_store(location, *map(float, range(40)))
        names = self.names(location)
        wanted = make_store_rows(*map(float, range(41 if few else 90)))
        steps = self.late_changes if few else self.late
        assert steps
        for module, function in steps:
            program = _KILLED_UPDATE.format(module=module, function=function)
            with _run(program, _text(location), str(wanted.num_rows)) as process:
                assert process.wait() == -signal.SIGKILL
            store = open_store(location)
            assert store.properties == {"label": "here", "rows": "40"}
            assert self.read(store) == _by_id(rows)
        changes = _when_free(lambda: update_store(location, wanted))
        assert (changes.added, changes.kept) == (wanted.num_rows - 40, 40)
        assert self.read(open_store(location)) == _by_id(wanted)
        assert len(self.names(location)) == len(names)

    def test_update_adds_changes_and_removes(self, location: Location) -> None:
        """The table is then the one that a writer would make; again, nothing is done."""
        places = [float(number) for number in range(40)]
        write_store(location, *places)
        before = open_store(location)
        with self.count_slowly(before) as counts:
            assert next(counts) == 40
            wanted = _changed(make_store_rows(*places, 50.0, None))
            changes = update_store(location, wanted)
            assert (changes.added, changes.changed, changes.removed, changes.kept) == (2, 2, 1, 37)
            assert next(counts) in (40, 41), "a reader without a transaction may see the new table"
        assert not before.is_current
        after = open_store(location)
        assert after.properties == {"label": "here", "rows": "41"}
        assert self.read(after) == _by_id(wanted)
        assert not update_store(location, wanted)
        assert after.is_current

    def test_large_update_sorts_again(self, location: Location) -> None:
        """More rows are new than old."""
        write_store(location, 0.0, 1.0, 2.0)
        wanted = _changed(make_store_rows(*(float(number) for number in range(60)), None))
        changes = update_store(location, wanted)
        assert changes.added == 58
        assert self.read(open_store(location)) == _by_id(wanted)
        assert not update_store(location, wanted)

    def test_update_to_other_columns_makes_all_rows_again(self, location: Location) -> None:
        """And the metadata of the columns."""
        write_store(location, 1.0, 2.0, 3.0)
        columns = [*STORE_COLUMNS[:-1], Column("more", "int")]
        rows = make_store_rows(1.0, 2.0).drop_columns(["access_url"])
        rows = rows.append_column("more", pa.array([5, None], pa.int32()))
        update_store(location, rows, columns=columns)
        store = open_store(location)
        assert store.columns == tuple(columns)
        assert self.read(store) == _by_id(rows)

    def test_update_to_nothing_and_back(self, location: Location) -> None:
        """Empty tables are tables."""
        write_store(location, 1.0, 2.0, 3.0)
        assert update_store(location, make_store_rows()).removed == 3
        assert self.read(open_store(location)) == []
        assert update_store(location, make_store_rows(1.0)).added == 1
        assert self.read(open_store(location)) == _by_id(make_store_rows(1.0))

    def test_update_that_raises_leaves_the_old_table(self, location: Location) -> None:
        """As if nothing had been."""
        write_store(location, 1.0)
        names = self.names(location)
        with pytest.raises(ZeroDivisionError):
            _fail(open_updater(location, columns=STORE_COLUMNS, properties={}))
        assert self.names(location) == names
        assert open_store(location).properties == {"label": "here", "rows": "1"}
        assert len(self.read(open_store(location))) == 1

    def test_update_of_nothing(self, location: Location) -> None:
        """It is not made by an update."""
        names = self.names(location)
        with pytest.raises(NotFoundError, match="There is no store"):
            update_store(location, make_store_rows(1.0))
        assert self.names(location) == names

    def test_two_writers_do_not_mix(self, location: Location) -> None:
        """In one process either."""
        with (
            open_writer(location, columns=STORE_COLUMNS, properties={}),
            pytest.raises(TransientError, match="is being written"),
        ):
            write_store(location, 1.0)
        refused: list[BaseException] = []

        def run() -> None:
            try:
                write_store(location, 1.0, 2.0)
            except TransientError as err:
                refused.append(err)

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) < 4
        assert open_store(location).properties["rows"] == "2"

    def test_unknown_store(self, location: Location) -> None:
        """The message says how to make it."""
        with pytest.raises(
            NotFoundError, match=r"There is no store .*; make it with 'butler vo export REPO "
        ):
            open_store(location)

    @pytest.mark.parametrize("reading", [True, False], ids=["reading", "writing"])
    def test_something_else_in_its_place(self, location: Location, reading: bool) -> None:
        """It stays as it is."""
        self.put_something_else(location)
        names = self.names(location)
        with pytest.raises(UsageError, match=r" is no store.* give another"):
            open_store(location) if reading else write_store(location, 1.0)
        assert self.names(location) == names

    def test_unknown_layout(self, location: Location) -> None:
        """Written by another version; it can be written again."""
        write_store(location, 1.0)
        self.tell(location, "layout", "99")
        with pytest.raises(UsageError, match=r"has the layout 99, this version reads \d+; make it again"):
            open_store(location)
        write_store(location, 1.0, 2.0)
        assert open_store(location).properties["rows"] == "2"

    def test_damaged_store(self, location: Location) -> None:
        """Written again, it is whole."""
        write_store(location, 1.0)
        self.tell(location, "layout", None)
        with pytest.raises(UsageError, match="damaged; make the store again with 'butler vo export REPO"):
            open_store(location)
        write_store(location, 1.0, 2.0)
        assert open_store(location).properties["rows"] == "2"

    def test_no_permission(self, forbidden: Location) -> None:
        """To read may be a matter of time, to write is not."""
        with pytest.raises(TransientError, match=r"cannot be read now: .*ermission denied"):
            open_store(forbidden)
        with pytest.raises(UsageError, match=r"cannot be written: .*ermission denied"):
            write_store(forbidden, 1.0)

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (Column("_x0", "double"), "'_x0' begins with '_'; give each column a name of its own"),
            (Column("OBS_ID", "long"), "'OBS_ID' is there twice"),
            (Column("z", "doubleComplex"), "has the datatype 'doubleComplex'; give one of boolean, char"),
        ],
    )
    def test_columns_that_cannot_be(self, location: Location, column: Column, message: str) -> None:
        """They are refused before anything is made."""
        with pytest.raises(UsageError, match=message):
            open_writer(location, columns=[*STORE_COLUMNS, column], properties={})

    @pytest.mark.parametrize("wrong", ["missing", "type", "region"])
    def test_rows_that_do_not_fit(self, location: Location, wrong: str) -> None:
        """Nothing is left of them."""
        rows = make_store_rows(1.0)
        place = rows.schema.get_field_index
        made, message = {
            "missing": (rows.drop_columns(["s_ra"]), "do not fit the table"),
            "type": (
                rows.set_column(place("lsst_visit"), "lsst_visit", pa.array(["a"])),
                "do not fit the table",
            ),
            "region": (
                rows.set_column(place("_region"), "_region", pa.array([b"zzz"], pa.binary())),
                "is no encoding of lsst.sphgeom",
            ),
        }[wrong]
        names = self.names(location)
        with (
            pytest.raises(UsageError, match=message),
            open_writer(location, columns=STORE_COLUMNS, properties={}) as writer,
        ):
            writer.write(made)
        assert self.names(location) == names


def _region(number: int, place: float) -> Region:
    # Wider than half of the sky, and nothing at all, are regions too.
    center = UnitVector3d(LonLat.fromDegrees(place, 10.0))
    corners = [(place - 0.1, 9.9), (place + 0.1, 9.9), (place + 0.1, 10.1), (place - 0.1, 10.1)]
    circle = Circle(center, Angle.fromDegrees(0.1))
    kinds: list[Region] = [
        circle,
        ConvexPolygon([UnitVector3d(LonLat.fromDegrees(*corner)) for corner in corners]),
        Box.fromDegrees((place - 0.1) % 360, 9.9, (place + 0.1) % 360, 10.1),
        Ellipse(center, Angle.fromDegrees(0.2), Angle.fromDegrees(0.1), Angle(1.0)),
        UnionRegion(circle, Circle(UnitVector3d.Z(), Angle.fromDegrees(1.0))),
        Circle(center, Angle.fromDegrees(120.0)),
        Circle.empty(),
    ]
    return kinds[number % len(kinds)]


def _by_id(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    return sorted(rows.to_pylist(), key=lambda row: str(row["obs_id"]))


def _changed(rows: pa.RecordBatch) -> pa.RecordBatch:
    # The second and the last but one are others, the third is gone.
    cells = rows.to_pylist()
    for number in (1, len(cells) - 3):
        cells[number] |= {"obs_id": f"o{number} changed", "_print": -number, "s_ra": 77.0}
    del cells[2]
    return pa.RecordBatch.from_pylist(cells, rows.schema)


def _maybe_encoded(values: pa.Array, encoded: bool) -> pa.Array:
    return values.dictionary_encode() if encoded and values.type == pa.string() else values


def _fail(writer: Writer) -> None:
    with writer:
        writer.write(make_store_rows(1.0, 2.0))
        raise ZeroDivisionError


def _text(location: Location) -> str:
    return str(location)


def _run(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)


def _write_when_free(location: Location, *places: float | None) -> None:
    _when_free(lambda: write_store(location, *places))


def _when_free[T](run: Callable[[], T]) -> T:
    # A server may take a moment to see that a process was killed.
    for _ in range(100):
        try:
            return run()
        except TransientError:
            threading.Event().wait(0.1)
    return run()
