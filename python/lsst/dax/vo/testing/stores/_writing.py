"""What writers and readers of every kind of store must do."""

from __future__ import annotations

__all__ = ["StoreWriterTests"]

import multiprocessing
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa
import pytest

from ...dali import Column, arrow_type
from ...errors import NotFoundError, TransientError, UsageError
from ...store import HIDDEN_SCHEMA, OwnLocation, open_store, open_writer
from ._case import StoreCase, fail_in_the_middle, kill_at, run_program, when_free
from ._rows import STORE_COLUMNS, make_store_rows, rows_by_id, write_store

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


class StoreWriterTests(StoreCase):
    """What writers and readers must do."""

    def test_what_was_written_is_read(self, location: OwnLocation) -> None:
        """Rows, metadata of the columns, properties."""
        write_store(location, 10.0, None, 350.0, 20.0, 30.0, 40.0)
        store = open_store(location)
        assert store.location == location
        assert store.columns == STORE_COLUMNS
        assert store.properties == {"label": "here", "rows": "6"}
        assert store.is_current
        assert self.read(store) == rows_by_id(make_store_rows(10.0, None, 350.0, 20.0, 30.0, 40.0))

    @pytest.mark.parametrize("encoded", [False, True], ids=["plain", "dictionaries"])
    @pytest.mark.parametrize("kind", _EVERY_TYPE)
    def test_every_type_comes_back(self, location: OwnLocation, kind: str, encoded: bool) -> None:
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

    def test_no_rows_are_a_table(self, location: OwnLocation) -> None:
        """An empty table has its columns."""
        with open_writer(location, columns=STORE_COLUMNS, properties={}):
            pass
        store = open_store(location)
        assert store.properties == {"rows": "0"}
        assert self.read(store) == []

    def test_batches_of_any_size_are_one_table(self, location: OwnLocation) -> None:
        """Also those without rows, and with their columns in another order."""
        rows = make_store_rows(*(float(number) for number in range(200)))
        with open_writer(location, columns=STORE_COLUMNS, properties={}) as writer:
            for start, count in ((0, 1), (1, 0), (1, 150), (151, 49)):
                batch = rows.slice(start, count)
                writer.write(batch.select(batch.schema.names[::-1]))
        assert self.read(open_store(location)) == rows_by_id(rows)

    def test_reader_keeps_its_table_and_others_see_the_new_one(self, location: OwnLocation) -> None:
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

    def test_exception_leaves_the_old_table(self, location: OwnLocation) -> None:
        """As if nothing had been."""
        write_store(location, 1.0)
        names = self.names(location)
        with pytest.raises(ZeroDivisionError):
            fail_in_the_middle(open_writer(location, columns=STORE_COLUMNS, properties={}))
        assert self.names(location) == names
        assert open_store(location).properties == {"label": "here", "rows": "1"}

    def test_exception_leaves_nothing_of_a_new_store(self, location: OwnLocation) -> None:
        """Not even a place for it."""
        names = self.names(location)
        with pytest.raises(ZeroDivisionError):
            fail_in_the_middle(open_writer(location, columns=STORE_COLUMNS, properties={}))
        assert self.names(location) == names
        with pytest.raises(NotFoundError, match="There is no store"):
            open_store(location)

    def test_killed_writer_leaves_the_old_table(self, location: OwnLocation) -> None:
        """It kept others from writing; the next one cleans up."""
        write_store(location, 1.0)
        names = self.names(location)
        here, there = multiprocessing.Pipe()
        with run_program(_write_slowly, location, there) as process:
            assert here.poll(60)
            assert here.recv() == "writing"
            with pytest.raises(TransientError, match="is being written by another process; try again"):
                write_store(location, 1.0, 2.0)
            assert open_store(location).properties["rows"] == "1"
            process.kill()
        assert open_store(location).properties["rows"] == "1"
        when_free(lambda: write_store(location, 1.0, 2.0, 3.0))
        assert open_store(location).properties["rows"] == "3"
        assert len(self.names(location)) == len(names)

    def test_writer_killed_late_leaves_the_old_table(self, location: OwnLocation) -> None:
        """Up to the last step the table before counts."""
        write_store(location, 1.0)
        names = self.names(location)
        assert self.late
        for step in self.late:
            kill_at(step, _write, location)
            assert open_store(location).properties == {"label": "here", "rows": "1"}
            assert len(self.read(open_store(location))) == 1
        when_free(lambda: write_store(location, 1.0, 2.0, 3.0))
        assert len(self.names(location)) == len(names)

    def test_two_writers_do_not_mix(self, location: OwnLocation) -> None:
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

    def test_unknown_store(self, location: OwnLocation) -> None:
        """The message says how to make it."""
        with pytest.raises(
            NotFoundError, match=r"There is no store .*; make it with 'butler vo export REPO "
        ):
            open_store(location)

    @pytest.mark.parametrize("reading", [True, False], ids=["reading", "writing"])
    def test_something_else_in_its_place(self, location: OwnLocation, reading: bool) -> None:
        """It stays as it is."""
        self.put_something_else(location)
        names = self.names(location)
        with pytest.raises(UsageError, match=r" is no store.* give another"):
            open_store(location) if reading else write_store(location, 1.0)
        assert self.names(location) == names

    def test_unknown_layout(self, location: OwnLocation) -> None:
        """Written by another version; it can be written again."""
        write_store(location, 1.0)
        self.tell(location, "layout", "99")
        with pytest.raises(UsageError, match=r"has the layout 99, this version reads \d+; make it again"):
            open_store(location)
        write_store(location, 1.0, 2.0)
        assert open_store(location).properties["rows"] == "2"

    def test_damaged_store(self, location: OwnLocation) -> None:
        """Written again, it is whole."""
        write_store(location, 1.0)
        self.tell(location, "layout", None)
        with pytest.raises(UsageError, match="damaged; make the store again with 'butler vo export REPO"):
            open_store(location)
        write_store(location, 1.0, 2.0)
        assert open_store(location).properties["rows"] == "2"

    def test_no_permission(self, forbidden: OwnLocation) -> None:
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
    def test_columns_that_cannot_be(self, location: OwnLocation, column: Column, message: str) -> None:
        """They are refused before anything is made."""
        with pytest.raises(UsageError, match=message):
            open_writer(location, columns=[*STORE_COLUMNS, column], properties={})

    @pytest.mark.parametrize("wrong", ["missing", "type", "region"])
    def test_rows_that_do_not_fit(self, location: OwnLocation, wrong: str) -> None:
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


def _write(location: OwnLocation) -> None:
    with open_writer(location, columns=STORE_COLUMNS, properties={}) as writer:
        writer.write(make_store_rows(1.0, 2.0))


def _write_slowly(location: OwnLocation, there: Connection) -> None:
    with open_writer(location, columns=STORE_COLUMNS, properties={}) as writer:
        writer.write(make_store_rows(1.0, 2.0))
        there.send("writing")
        time.sleep(60)


def _maybe_encoded(values: pa.Array, encoded: bool) -> pa.Array:
    return values.dictionary_encode() if encoded and values.type == pa.string() else values
