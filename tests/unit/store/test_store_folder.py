"""Stores in folders: DuckDB files, and a pointer that is swapped."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.errors import NotFoundError, TransientError, UsageError
from lsst.dax.vo.query import open_engine, plan_query
from lsst.dax.vo.store import Store, StoreLocation, open_store, open_writer
from lsst.dax.vo.store.duckdb import Store as FolderStore
from lsst.dax.vo.testing import STORE_COLUMNS, StoreTests, make_store_rows, write_store

_HIDDEN = make_store_rows().schema.names[len(STORE_COLUMNS) :]


def _open(path: Path) -> FolderStore:
    store = open_store(StoreLocation(path))
    assert isinstance(store, FolderStore)
    return store


@contextlib.contextmanager
def _attached(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    assert isinstance(store, FolderStore)
    with duckdb.connect(":memory:") as connection:
        path = str(store.path).replace("'", "''")
        connection.execute(f"ATTACH '{path}' AS s (READ_ONLY)")
        yield connection


def _files(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


class TestFolderStore(StoreTests):
    """The contract."""

    late = (("_table_writer", "columns_to_text"), ("_folder", "point_to"), ("_folder", "_synchronize"))
    late_changes = late

    @pytest.fixture
    def location(self, folder: StoreLocation) -> StoreLocation:
        return folder

    @pytest.fixture
    def forbidden(self, nobody: Any) -> Iterator[StoreLocation]:
        location = StoreLocation(nobody.folder / "its store's")
        write_store(location, 1.0)
        open_store(location)
        (location.path / "current.json").chmod(0)
        location.path.chmod(0o500)
        with nobody.acting():
            yield location

    def read(self, store: Store) -> list[dict[str, Any]]:
        with contextlib.closing(open_engine([store], limits=Limits(), access_url="exported")) as engine:
            plan = plan_query("SELECT * FROM ivoa.ObsCore ORDER BY obs_id", engine.catalog)
            shown = [row for batch in engine.run(plan, maxrec=None).batches for row in batch.to_pylist()]
        with _attached(store) as connection:
            query = f"SELECT {', '.join(_HIDDEN)} FROM s.obscore ORDER BY obs_id"
            hidden = [dict(zip(_HIDDEN, row, strict=True)) for row in connection.execute(query).fetchall()]
        return [a | b | {"_id": b["_id"].bytes} for a, b in zip(shown, hidden, strict=True)]

    @contextlib.contextmanager
    def count_slowly(self, store: Store) -> Iterator[Iterator[int]]:
        with _attached(store) as connection:

            def count() -> Iterator[int]:
                while True:
                    ((rows,),) = connection.execute("SELECT COUNT(*) FROM s.obscore").fetchall()
                    yield rows

            yield count()

    def names(self, location: StoreLocation) -> list[str]:  # type: ignore[override]
        return _files(location.path) if location.path.is_dir() else _files(location.path.parent)

    def tell(self, location: StoreLocation, name: str, value: str | None) -> None:  # type: ignore[override]
        pointer = location.path / "current.json"
        told = json.loads(pointer.read_text()) | {name: json.loads(value or "0")}
        pointer.write_text("{" if value is None else json.dumps(told))

    def put_something_else(self, location: StoreLocation) -> None:  # type: ignore[override]
        location.path.mkdir()
        (location.path / "butler.yaml").write_text("x")


def test_rows_lie_along_the_sky_in_batches_of_any_size(
    folder: StoreLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsst.dax.vo.store._spool._STAGED_ROWS", 3)
    monkeypatch.setattr("lsst.dax.vo.store._staging._PIECE_ROWS", 4)
    places = [200.0, 10.0, None, 350.0, 11.0, 10.0, None, None, None, None, None, 300.0, 201.0]
    with open_writer(folder, columns=STORE_COLUMNS, properties={}) as writer:
        for batch in (
            make_store_rows(*places[:5]),
            make_store_rows(*places[5:6]),
            make_store_rows(*places[6:]),
        ):
            writer.write(batch)
    with _attached(_open(folder.path)) as connection:
        rows = connection.execute("SELECT _hpx, s_ra FROM s.obscore").fetchall()
    keys = [row[0] for row in rows]
    known = [key for key in keys if key is not None]
    assert keys == sorted(known) + [None] * (len(keys) - len(known))
    assert sorted(str(row[1]) for row in rows) == sorted(map(str, places))


def test_new_folders_of_a_failed_writer_go(tmp_path: Path) -> None:
    location = StoreLocation(tmp_path / "made" / "too" / "s")
    with (
        pytest.raises(UsageError, match="do not fit"),
        open_writer(location, columns=STORE_COLUMNS, properties={}) as writer,
    ):
        writer.write(make_store_rows(1.0, 2.0).drop_columns(["obs_id"]))
    assert list(tmp_path.iterdir()) == []


def test_killed_first_writer_leaves_no_store(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "obscore-0.staged").write_text("half")
    with pytest.raises(NotFoundError, match="There is no store"):
        _open(tmp_path / "s")
    write_store(StoreLocation(tmp_path / "s"), 1.0)
    assert _open(tmp_path / "s").properties["rows"] == "1"
    assert len(_files(tmp_path / "s")) == 3


def test_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    for run in (open_store, lambda location: write_store(location, 1.0)):
        with pytest.raises(UsageError, match="is a file; a store is a folder"):
            run(StoreLocation(tmp_path / "plain"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"layout": 1}', "\xff"])
def test_damaged_pointer(folder: StoreLocation, text: str) -> None:
    write_store(folder, 1.0)
    (folder.path / "current.json").write_text(text)
    with pytest.raises(UsageError, match="is damaged; make the store again"):
        open_store(folder)
    write_store(folder, 1.0, 2.0)
    assert open_store(folder).properties["rows"] == "2"


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_damaged_table(folder: StoreLocation, size: int) -> None:
    write_store(folder, 1.0)
    table = _open(folder.path).path
    table.write_bytes(b"x" * size)
    with pytest.raises(UsageError, match=r"is damaged; make the store again"):
        open_store(folder)
    table.unlink()
    with pytest.raises(UsageError, match=r"is gone; make the store again"):
        open_store(folder)


@pytest.mark.parametrize("closed", ["current.json", "."])
def test_unreadable_now(nobody: Any, closed: str) -> None:
    location = StoreLocation(nobody.folder / "store")
    write_store(location, 1.0)
    open_store(location)
    (location.path / closed).chmod(0)
    with nobody.acting(), pytest.raises(TransientError, match="cannot be read now: Permission denied"):
        open_store(location)


@pytest.mark.parametrize("pointer", ['{"layout": 1, "table": "obscore-old.duckdb"}', "damaged"])
def test_table_of_another_layout_stays_until_a_new_one_counts(tmp_path: Path, pointer: str) -> None:
    (tmp_path / "current.json").write_text(pointer)
    (tmp_path / "obscore-old.duckdb").write_bytes(b"old")
    with (
        pytest.raises(ZeroDivisionError),
        open_writer(StoreLocation(tmp_path), columns=STORE_COLUMNS, properties={}),
    ):
        raise ZeroDivisionError
    assert (tmp_path / "obscore-old.duckdb").read_bytes() == b"old"
    with open_writer(StoreLocation(tmp_path), columns=STORE_COLUMNS, properties={}):
        pass
    assert len(list(tmp_path.glob("*.duckdb"))) == 1
    assert open_store(StoreLocation(tmp_path)).properties["rows"] == "0"
