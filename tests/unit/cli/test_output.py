"""Files appear whole or not at all."""

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from lsst.dax.vo.cli._output import print_table, write_file, written_file
from lsst.dax.vo.dali import Column, ResultTable
from lsst.dax.vo.errors import UsageError


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def write_half(path: Path, error: BaseException) -> None:
    with written_file(path) as stream:
        stream.write(b"half")
        raise error


def test_file_has_the_content_and_the_mode_of_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "out.fits"
    before = os.umask(0o027)
    try:
        write_file(path, b"pixels")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"pixels"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names_in(tmp_path) == ["out.fits"]


def test_old_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    with written_file(path) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [RuntimeError("defect"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        write_half(path, error)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["out.csv"]


def test_full_disk_is_told(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with pytest.raises(UsageError, match=r"out\.csv cannot be written: No space left"):
        write_half(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert names_in(tmp_path) == []


def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be written: No such file.*; choose another --output"):
        write_file(tmp_path / "no" / "out.csv", b"")


def test_folder_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UsageError, match="folder cannot be written: Is a directory"):
        write_file(folder, b"")
    assert names_in(tmp_path) == ["folder"]


def test_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written: File name too long"):
        write_file(tmp_path / ("x" * 300), b"")


def result_of(rows: int, columns: int, maxrec: int | None = None) -> ResultTable:
    described = tuple(Column(f"c{n}", "int", unit="m" if n == 0 else None) for n in range(columns))
    batch = pa.RecordBatch.from_arrays(
        [pa.array([n if n else None for n in range(rows)], pa.int32()) for _ in described],
        names=[column.name for column in described],
    )
    return ResultTable(described, iter([batch]), maxrec=maxrec)


def test_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(result_of(3, 2))
    lines = capsys.readouterr().out.splitlines()
    # The unit stands below the name.
    assert lines[0].split() == ["c0", "┃"]
    assert lines[1].split() == ["m", "┃", "c1"]
    assert lines[-1] == "3 rows"
    # A missing value is blank, not the word of a programming language.
    assert "None" not in " ".join(lines)


def test_table_tells_what_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(result_of(4, 14, maxrec=2), most_columns=3)
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.endswith(
        "2 rows, more exist (raise --maxrec), 11 further columns not shown (use --format csv)"
    )
