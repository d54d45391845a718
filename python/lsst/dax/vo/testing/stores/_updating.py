"""What updaters of every kind of store must do."""

from __future__ import annotations

__all__ = ["StoreUpdaterTests"]

import pyarrow as pa
import pytest

from ...dali import Column
from ...errors import NotFoundError
from ...store import OwnLocation, open_store, open_updater
from ._case import StoreCase, fail_in_the_middle, kill_at, when_free
from ._rows import STORE_COLUMNS, make_store_rows, rows_by_id, update_store, write_store


class StoreUpdaterTests(StoreCase):
    """What updaters must do."""

    @pytest.mark.parametrize("few", [True, False], ids=["few", "many"])
    def test_killed_update_leaves_the_old_table(self, location: OwnLocation, few: bool) -> None:
        """Up to its last step, and the next one does it all."""
        rows = make_store_rows(*map(float, range(40)))
        write_store(location, *map(float, range(40)))
        names = self.names(location)
        wanted = make_store_rows(*map(float, range(41 if few else 90)))
        steps = self.late_changes if few else self.late
        assert steps
        for step in steps:
            kill_at(step, _update, location, wanted.num_rows)
            store = open_store(location)
            assert store.properties == {"label": "here", "rows": "40"}
            assert self.read(store) == rows_by_id(rows)
        changes = when_free(lambda: update_store(location, wanted))
        assert (changes.added, changes.kept) == (wanted.num_rows - 40, 40)
        assert self.read(open_store(location)) == rows_by_id(wanted)
        assert len(self.names(location)) == len(names)

    def test_update_adds_changes_and_removes(self, location: OwnLocation) -> None:
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
        assert self.read(after) == rows_by_id(wanted)
        assert not update_store(location, wanted)
        assert after.is_current

    def test_large_update_sorts_again(self, location: OwnLocation) -> None:
        """More rows are new than old."""
        write_store(location, 0.0, 1.0, 2.0)
        wanted = _changed(make_store_rows(*(float(number) for number in range(60)), None))
        changes = update_store(location, wanted)
        assert changes.added == 58
        assert self.read(open_store(location)) == rows_by_id(wanted)
        assert not update_store(location, wanted)

    def test_update_to_other_columns_makes_all_rows_again(self, location: OwnLocation) -> None:
        """And the metadata of the columns."""
        write_store(location, 1.0, 2.0, 3.0)
        columns = [*STORE_COLUMNS[:-1], Column("more", "int")]
        rows = make_store_rows(1.0, 2.0).drop_columns(["access_url"])
        rows = rows.append_column("more", pa.array([5, None], pa.int32()))
        update_store(location, rows, columns=columns)
        store = open_store(location)
        assert store.columns == tuple(columns)
        assert self.read(store) == rows_by_id(rows)

    def test_update_to_nothing_and_back(self, location: OwnLocation) -> None:
        """Empty tables are tables."""
        write_store(location, 1.0, 2.0, 3.0)
        assert update_store(location, make_store_rows()).removed == 3
        assert self.read(open_store(location)) == []
        assert update_store(location, make_store_rows(1.0)).added == 1
        assert self.read(open_store(location)) == rows_by_id(make_store_rows(1.0))

    def test_update_that_raises_leaves_the_old_table(self, location: OwnLocation) -> None:
        """As if nothing had been."""
        write_store(location, 1.0)
        names = self.names(location)
        with pytest.raises(ZeroDivisionError):
            fail_in_the_middle(open_updater(location, columns=STORE_COLUMNS, properties={}))
        assert self.names(location) == names
        assert open_store(location).properties == {"label": "here", "rows": "1"}
        assert len(self.read(open_store(location))) == 1

    def test_update_of_nothing(self, location: OwnLocation) -> None:
        """It is not made by an update."""
        names = self.names(location)
        with pytest.raises(NotFoundError, match="There is no store"):
            update_store(location, make_store_rows(1.0))
        assert self.names(location) == names


def _update(location: OwnLocation, count: int) -> None:
    # None of the rows before has changed.
    update_store(location, make_store_rows(*map(float, range(count))))


def _changed(rows: pa.RecordBatch) -> pa.RecordBatch:
    # The second and the last but one are others, the third is gone.
    cells = rows.to_pylist()
    for number in (1, len(cells) - 3):
        cells[number] |= {"obs_id": f"o{number} changed", "_print": -number, "s_ra": 77.0}
    del cells[2]
    return pa.RecordBatch.from_pylist(cells, rows.schema)
