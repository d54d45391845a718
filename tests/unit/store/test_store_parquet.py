"""Stores of Parquet files: in folders."""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.errors import NotFoundError, TransientError, UsageError
from lsst.dax.vo.query import open_engine, plan_query
from lsst.dax.vo.store import ParquetLocation, Store, StoreLocation, open_store, open_updater, open_writer
from lsst.dax.vo.store.parquet import ParquetStore
from lsst.dax.vo.testing import STORE_COLUMNS, StoreTests, make_store_rows, update_store, write_store

_HIDDEN = make_store_rows().schema.names[len(STORE_COLUMNS) :]


def open_parquet(location: ParquetLocation) -> ParquetStore:
    store = open_store(location)
    assert isinstance(store, ParquetStore)
    return store


def ask(store: Store, adql: str) -> list[dict[str, Any]]:
    with contextlib.closing(open_engine([store], limits=Limits(), access_url="exported")) as engine:
        found = engine.run(plan_query(adql, engine.catalog), maxrec=None)
        return [row for batch in found.batches for row in batch.to_pylist()]


class ParquetTests(StoreTests):
    """What stores in folders and in buckets share."""

    def read(self, store: Store) -> list[dict[str, Any]]:
        assert isinstance(store, ParquetStore)
        table = pq.read_table(store.path).sort_by("obs_id")
        hidden = table.select(_HIDDEN).to_pylist()
        shown = ask(store, "SELECT * FROM ivoa.ObsCore ORDER BY obs_id")
        return [a | b | {"_id": b["_id"].bytes} for a, b in zip(shown, hidden, strict=True)]

    @contextlib.contextmanager
    def count_slowly(self, store: Store) -> Iterator[Iterator[int]]:
        # As the engine does, that keeps the file open.
        assert isinstance(store, ParquetStore)
        with store.path.open("rb") as file:

            def count() -> Iterator[int]:
                while True:
                    yield pq.read_table(file).num_rows

            yield count()


class TestParquetFolder(ParquetTests):
    """The contract."""

    late = (
        ("parquet._writing", "write_table"),
        ("_table_writer", "columns_to_text"),
        ("_folder", "point_to"),
        ("_folder", "_synchronize"),
    )
    late_changes = late

    @pytest.fixture
    def location(self, tmp_path: Path) -> ParquetLocation:
        return ParquetLocation(tmp_path / "its store's")

    @pytest.fixture
    def forbidden(self, nobody: Any) -> Iterator[ParquetLocation]:
        folder = nobody.folder / "its store's"
        location = ParquetLocation(folder)
        write_store(location, 1.0)
        open_store(location)
        (folder / "current.json").chmod(0)
        folder.chmod(0o500)
        with nobody.acting():
            yield location

    def names(self, location: ParquetLocation) -> list[str]:  # type: ignore[override]
        folder = Path(location.place)
        return sorted(entry.name for entry in (folder if folder.is_dir() else folder.parent).iterdir())

    def tell(self, location: ParquetLocation, name: str, value: str | None) -> None:  # type: ignore[override]
        pointer = Path(location.place) / "current.json"
        told = json.loads(pointer.read_text()) | {name: json.loads(value or "0")}
        pointer.write_text("{" if value is None else json.dumps(told))

    def put_something_else(self, location: ParquetLocation) -> None:  # type: ignore[override]
        Path(location.place).mkdir()
        (Path(location.place) / "butler.yaml").write_text("x")


@pytest.fixture
def location(tmp_path: Path) -> ParquetLocation:
    return ParquetLocation(tmp_path / "s")


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_damaged_table(location: ParquetLocation, size: int) -> None:
    write_store(location, 1.0)
    table = open_parquet(location).path
    table.write_bytes(b"x" * size)
    with pytest.raises(UsageError, match=r"The table obscore-.* is damaged; make the store again"):
        open_store(location)
    table.unlink()
    with pytest.raises(UsageError, match=r"The table obscore-.* is gone; make the store again"):
        open_store(location)


def test_table_that_was_cut_off(location: ParquetLocation) -> None:
    write_store(location, *map(float, range(100)))
    table = open_parquet(location).path
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"is damaged; make the store again"):
        open_store(location)


def test_parquet_of_somebody_else_in_the_place_of_a_table(location: ParquetLocation) -> None:
    write_store(location, 1.0)
    pq.write_table(pa.table({"a": [1]}), open_parquet(location).path)
    with pytest.raises(UsageError, match="is damaged; make the store again"):
        open_store(location)


def test_exported_file_is_no_store(tmp_path: Path) -> None:
    pq.write_table(pa.table({"s_ra": [1.0]}), tmp_path / "obscore.parquet")
    told = (
        r"is no store, it holds 'obscore.parquet'; give another path; a table that was exported with "
        r"--format parquet .*'butler vo export REPO parquet:FOLDER' makes a store"
    )
    with pytest.raises(UsageError, match=told):
        open_store(ParquetLocation(tmp_path))
    with pytest.raises(UsageError, match=told):
        open_store(StoreLocation(tmp_path))


def test_kinds_are_not_taken_for_one_another(tmp_path: Path) -> None:
    write_store(StoreLocation(tmp_path), 1.0)
    with pytest.raises(UsageError, match=f"are .duckdb files; name it {tmp_path}$"):
        open_store(ParquetLocation(tmp_path))
    write_store(ParquetLocation(tmp_path), 1.0)
    with pytest.raises(UsageError, match=f"are .parquet files; name it parquet:{tmp_path}$"):
        open_store(StoreLocation(tmp_path))
    assert len(list(tmp_path.glob("obscore-*"))) == 1


def test_unreadable_now(nobody: Any) -> None:
    location = ParquetLocation(nobody.folder / "store")
    write_store(location, 1.0)
    open_parquet(location).path.chmod(0)
    with nobody.acting(), pytest.raises(TransientError, match="cannot be read now: Permission denied"):
        open_store(location)


def test_no_store(location: ParquetLocation) -> None:
    with pytest.raises(NotFoundError, match=f"There is no store parquet:.*REPO parquet:{location.place}'"):
        open_store(location)


def test_rows_lie_along_the_sky_in_small_groups(
    location: ParquetLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsst.dax.vo.store.parquet._table.GROUP_ROWS", 4)
    places = [200.0, 10.0, None, 350.0, 11.0, 10.0, None, None, 300.0, 201.0]
    with open_writer(location, columns=STORE_COLUMNS, properties={}) as writer:
        for start in range(0, 10, 3):
            writer.write(make_store_rows(*places).slice(start, 3))
    file = pq.ParquetFile(open_parquet(location).path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 4, 2]
    keys = file.read(["_hpx"])["_hpx"].to_pylist()
    known = [key for key in keys if key is not None]
    assert keys == sorted(known) + [None] * 3


def test_values_that_are_no_numbers_are_found_in_any_group(
    location: ParquetLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bounds of a group leave them out, and for DuckDB they are the largest.
    monkeypatch.setattr("lsst.dax.vo.store.parquet._table.GROUP_ROWS", 2)
    query = "SELECT obs_id FROM ivoa.ObsCore WHERE s_ra > 100"
    rows = make_store_rows(*[None] * 4).set_column(1, "s_ra", pa.array([10.0, 20.0, math.nan, 30.0]))
    for place in (location, StoreLocation(Path(location.place).with_name("other"))):
        with open_writer(place, columns=STORE_COLUMNS, properties={"label": "here"}) as writer:
            writer.write(rows)
        assert ask(open_store(place), "SELECT obs_id FROM ivoa.ObsCore WHERE s_ra > 100") == [
            {"obs_id": "o2"}
        ]
    # What stays is known to have them.
    more = make_store_rows(*[None] * 200)
    both = pa.RecordBatch.from_pylist([*rows.to_pylist(), *more.to_pylist()[4:]], rows.schema)
    update_store(location, both)
    assert ask(open_store(location), query) == [{"obs_id": "o2"}]


def test_small_update_keeps_the_order(location: ParquetLocation) -> None:
    write_store(location, *map(float, range(100)))
    before = pq.read_table(open_parquet(location).path)["obs_id"].to_pylist()
    rows = make_store_rows(*map(float, range(100)), 50.5)
    with open_updater(location, columns=STORE_COLUMNS, properties={"label": "here"}) as updater:
        fresh = updater.find_fresh(b"".join(rows["_id"].to_pylist()), rows["_print"])
        updater.write(rows.filter(pa.array(fresh)))
    store = open_parquet(location)
    assert pq.read_table(store.path)["obs_id"].to_pylist() == [*before, "o100"]
    assert store.unsorted == 1
