"""Stores on disk: what is written, replaced, left behind and refused."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from lsst.dax.vo.dali import Column
from lsst.dax.vo.errors import NotFoundError, TransientError, UsageError
from lsst.dax.vo.store import Store, StoreLocation, StoreWriter, open_store

type Rows = Callable[..., pa.RecordBatch]
type Write = Callable[..., None]


def _open(path: Path) -> Store:
    return open_store(StoreLocation(path))


def _read(store: Store, query: str = "SELECT obs_id FROM s.obscore") -> list[tuple[object, ...]]:
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{store.path}' AS s (READ_ONLY)")
        return connection.execute(query).fetchall()


def _files(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def _fail(writer: StoreWriter, rows: pa.RecordBatch) -> None:
    with writer:
        writer.write(rows)
        raise ZeroDivisionError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where a store will be."""
    return tmp_path / "its store's"


def test_what_was_written_is_read(folder: Path, columns: tuple[Column, ...], write: Write) -> None:
    write(folder, 10.0, None, 350.0)
    store = _open(folder)
    assert store.columns == columns
    assert store.properties == {"label": "here", "rows": "3"}
    with duckdb.connect(":memory:") as connection:
        path = str(store.path).replace("'", "''")
        connection.execute(f"ATTACH '{path}' AS s (READ_ONLY)")
        rows = connection.execute(
            "SELECT obs_id, s_ra, lsst_visit, flags, _repo, _id FROM s.obscore"
        ).fetchall()
    assert sorted(row[:5] for row in rows) == [
        ("o0", 10.0, 0, [0, 2], "here"),
        ("o1", None, 1, [1, 2], "here"),
        ("o2", 350.0, 2, [2, 2], "here"),
    ]
    assert sorted(row[5].int for row in rows) == [0, 1, 2]


def test_no_rows_are_a_table(tmp_path: Path, columns: tuple[Column, ...]) -> None:
    with StoreWriter(StoreLocation(tmp_path / "empty"), columns, {}):
        pass
    store = _open(tmp_path / "empty")
    assert store.properties == {"rows": "0"}
    assert _read(store) == []


def test_rows_lie_along_the_sky_in_batches_of_any_size(
    tmp_path: Path, columns: tuple[Column, ...], make_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsst.dax.vo.store.duckdb._STAGED_ROWS", 3)
    monkeypatch.setattr("lsst.dax.vo.store._staging._PIECE_ROWS", 4)
    places = [200.0, 10.0, None, 350.0, 11.0, 10.0, None, None, None, None, None, 300.0, 201.0]
    with StoreWriter(StoreLocation(tmp_path / "s"), columns, {}) as writer:
        for batch in (make_rows(*places[:5]), make_rows(*places[5:6]), make_rows(*places[6:])):
            writer.write(batch)
    rows = _read(_open(tmp_path / "s"), "SELECT _hpx, s_ra FROM s.obscore")
    keys = [row[0] for row in rows]
    known = [key for key in keys if key is not None]
    assert keys == sorted(known) + [None] * 6
    assert sorted(str(row[1]) for row in rows) == sorted(map(str, places))


def test_open_reader_keeps_the_table_and_others_see_the_new_one(folder: Path, write: Write) -> None:
    folder = folder.with_name("s")
    write(folder, 1.0, 2.0)
    before = _open(folder)
    assert before.is_current
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{before.path}' AS s (READ_ONLY)")
        write(folder, 1.0, 2.0, 3.0)
        assert connection.execute("SELECT COUNT(*) FROM s.obscore").fetchall() == [(2,)]
        assert connection.execute("SELECT COUNT(DISTINCT obs_id) FROM s.obscore").fetchall() == [(2,)]
    assert not before.is_current
    assert not before.path.exists()
    program = (
        "import sys; from lsst.dax.vo.store import open_store, parse_store\n"
        "print(open_store(parse_store(sys.argv[1])).properties['rows'])"
    )
    done = subprocess.run([sys.executable, "-c", program, folder], check=True, capture_output=True, text=True)
    assert done.stdout == "3\n"
    assert len(_files(folder)) == 3


def test_exception_leaves_the_old_table(
    tmp_path: Path, columns: tuple[Column, ...], make_rows: Rows, write: Write
) -> None:
    write(tmp_path / "s", 1.0)
    files = _files(tmp_path / "s")
    with pytest.raises(ZeroDivisionError):
        _fail(StoreWriter(StoreLocation(tmp_path / "s"), columns, {}), make_rows(1.0, 2.0))
    assert _files(tmp_path / "s") == files
    assert _open(tmp_path / "s").properties["rows"] == "1"


def test_exception_leaves_nothing_of_a_new_store(
    tmp_path: Path, columns: tuple[Column, ...], make_rows: Rows
) -> None:
    path = tmp_path / "made" / "too" / "s"
    with pytest.raises(ZeroDivisionError):
        _fail(StoreWriter(StoreLocation(path), columns, {}), make_rows(1.0, 2.0))
    assert list(tmp_path.iterdir()) == []


def test_killed_writer_leaves_the_old_table_and_is_swept(tmp_path: Path, write: Write) -> None:
    folder = tmp_path / "s"
    write(folder, 1.0)
    program = (
        "import sys, time; from pathlib import Path\n"
        "from lsst.dax.vo.dali import Column; from lsst.dax.vo.store import StoreLocation, StoreWriter\n"
        "with StoreWriter(StoreLocation(Path(sys.argv[1])), [Column('a', 'long')], {}) as writer:\n"
        "    print('writing', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, folder], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        with pytest.raises(TransientError, match="is being written by another process"):
            write(folder, 1.0, 2.0)
        process.send_signal(signal.SIGKILL)
    assert any(name.endswith(".staged") for name in _files(folder))
    assert _open(folder).properties["rows"] == "1"
    write(folder, 1.0, 2.0, 3.0)
    assert _open(folder).properties["rows"] == "3"
    assert [name for name in _files(folder) if not name.endswith(".duckdb")] == [
        "current.json",
        "writer.lock",
    ]
    assert len(_files(folder)) == 3


def test_killed_first_writer_leaves_no_store(tmp_path: Path, write: Write) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "obscore-0.staged").write_text("half")
    with pytest.raises(NotFoundError, match="There is no store"):
        _open(tmp_path / "s")
    write(tmp_path / "s", 1.0)
    assert _open(tmp_path / "s").properties["rows"] == "1"


def test_two_writers_in_one_process_do_not_mix(
    tmp_path: Path, write: Write, columns: tuple[Column, ...]
) -> None:
    with (
        StoreWriter(StoreLocation(tmp_path / "s"), columns, {}),
        pytest.raises(TransientError, match="is being written"),
    ):
        write(tmp_path / "s", 1.0)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            write(tmp_path / "t", 1.0, 2.0)
        except TransientError as err:
            errors.append(err)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) < 4
    assert _open(tmp_path / "t").properties["rows"] == "2"
    assert len(_files(tmp_path / "t")) == 3


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"There is no store .*; make it with 'butler vo export REPO "):
        _open(tmp_path / "nosuch")


@pytest.mark.parametrize("reading", [True, False])
def test_foreign_folder_and_file(tmp_path: Path, write: Write, reading: bool) -> None:
    run = _open if reading else (lambda path: write(path, 1.0))
    (tmp_path / "butler.yaml").write_text("x")
    with pytest.raises(UsageError, match=r"is no store, it holds 'butler.yaml'; give another path"):
        run(tmp_path)
    with pytest.raises(UsageError, match="is a file; a store is a folder"):
        run(tmp_path / "butler.yaml")
    assert _files(tmp_path) == ["butler.yaml"]


def test_unknown_layout(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "s", 1.0)
    pointer = tmp_path / "s" / "current.json"
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"layout": 99}))
    with pytest.raises(UsageError, match="has the layout 99, this version reads 1; make it again"):
        _open(tmp_path / "s")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"layout": 1}', "\xff"])
def test_damaged_pointer(tmp_path: Path, write: Write, text: str) -> None:
    write(tmp_path / "s", 1.0)
    (tmp_path / "s" / "current.json").write_text(text)
    with pytest.raises(UsageError, match="is damaged; make the store again"):
        _open(tmp_path / "s")
    write(tmp_path / "s", 1.0, 2.0)
    assert _open(tmp_path / "s").properties["rows"] == "2"


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_damaged_table(tmp_path: Path, write: Write, size: int) -> None:
    write(tmp_path / "s", 1.0)
    table = _open(tmp_path / "s").path
    table.write_bytes(b"x" * size)
    with pytest.raises(UsageError, match=r"is damaged; make the store again"):
        _open(tmp_path / "s")
    table.unlink()
    with pytest.raises(UsageError, match=r"is gone; make the store again"):
        _open(tmp_path / "s")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_now(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "s", 1.0)
    (tmp_path / "s" / "current.json").chmod(0)
    with pytest.raises(TransientError, match="cannot be read now: Permission denied"):
        _open(tmp_path / "s")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("_x0", "double"), "'_x0' begins with '_'; give each column a name of its own"),
        (Column("OBS_ID", "long"), "'OBS_ID' is there twice"),
        (Column("z", "doubleComplex"), "has the datatype 'doubleComplex'; give one of boolean, char"),
    ],
)
def test_columns_that_cannot_be(
    tmp_path: Path, columns: tuple[Column, ...], column: Column, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        StoreWriter(StoreLocation(tmp_path / "s"), [*columns, column], {})


def test_rows_that_do_not_fit(tmp_path: Path, columns: tuple[Column, ...], make_rows: Rows) -> None:
    rows = make_rows(1.0)
    region = pa.array([b"zzz"], pa.binary())
    for wrong, message in (
        (rows.drop_columns(["s_ra"]), "do not fit the table"),
        (rows.set_column(0, "lsst_visit", pa.array(["a"])), "do not fit the table"),
        (rows.set_column(6, "_region", region), "is no encoding of lsst.sphgeom"),
    ):
        with (
            pytest.raises(UsageError, match=message),
            StoreWriter(StoreLocation(tmp_path / "s"), columns, {}) as writer,
        ):
            writer.write(wrong)
    assert list(tmp_path.iterdir()) == []
