"""Exports that go on from finished parts."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from lsst.daf.butler import Butler, CollectionType

from lsst.dax.vo.errors import TransientError, UsageError
from lsst.dax.vo.obscore import ExportChoice, ExportReport, iter_rows, parse_obscore_config


def _batches(
    butler: Butler, config: Any, report: ExportReport | None = None, *, origin: str = "", **choice: Any
) -> Iterator[pa.RecordBatch]:
    parsed = parse_obscore_config(yaml.safe_dump(config), "the test")
    yield from iter_rows(
        butler, parsed, ExportChoice(**choice), label="test", origin=origin, report=report or ExportReport()
    )


def _rows(*arguments: Any, **choice: Any) -> list[dict[str, Any]]:
    rows = [row for batch in _batches(*arguments, **choice) for row in batch.to_pylist()]
    assert len({row["_id"] for row in rows}) == len(rows)
    return sorted(rows, key=lambda row: row["_id"])


def _interrupt(count: int, *arguments: Any, **choice: Any) -> None:
    with closing(_batches(*arguments, **choice)) as batches:
        for _ in islice(batches, count):
            pass


@pytest.fixture
def small(config: Any) -> Any:
    """Make many batches and parts."""
    config["batch_size"] = 2
    # What they share counts once.
    config["dataset_type_constraints"] = {
        "raw": [{"where": "instrument = 'Cam' AND exposure > 1"}, {"where": "instrument = 'Cam'"}]
    }
    return config


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    return tmp_path / "parts"


@pytest.mark.parametrize("reader", ["bulk", "public"])
@pytest.mark.parametrize("limit", [None, 9])
def test_it_may_be_interrupted_anywhere(
    odd: Butler, small: Any, tmp_path: Path, reader: str, limit: int | None
) -> None:
    whole = _rows(odd, small, reader=reader)
    count = sum(1 for _ in _batches(odd, small, reader=reader, limit=limit))
    assert count > 4
    for stop in range(1, count + 1, 5):
        parts = tmp_path / f"parts{stop}"
        _interrupt(stop, odd, small, reader=reader, parts=parts, limit=limit)
        report = ExportReport()
        rows = _rows(odd, small, report, reader=reader, parts=parts, limit=limit)
        if limit is None:
            assert rows == whole
        assert len(rows) == (limit or len(whole)) == report.total
        assert all(row in whole for row in rows)
        assert sum(report.resumed.values()) <= 2 * stop


def test_twice_is_no_harm(odd: Butler, small: Any, parts: Path) -> None:
    whole = _rows(odd, small)
    for stop in (1, 3, 8, 11):
        _interrupt(stop, odd, small, parts=parts)
    report = ExportReport()
    assert _rows(odd, small, report, parts=parts) == whole
    assert sum(report.resumed.values()) > 0
    report = ExportReport()
    assert _rows(odd, small, report, parts=parts) == whole
    assert sum(report.resumed.values()) == len(whole)


def test_collections_that_have_changed_meanwhile(odd_repository: Path, tmp_path: Path, small: Any) -> None:
    """A part is that of its collection, and of what was searched before it."""
    root = tmp_path / "copy"
    shutil.copytree(odd_repository, root)
    with Butler.from_config(str(root), writeable=True) as butler:
        _interrupt(14, butler, small, parts=tmp_path / "parts")
        assert list((tmp_path / "parts").glob("*.arrows"))
        butler.registry.registerRun("newest")
        butler.put({}, "raw", instrument="Cam", exposure=3, detector=0, run="newest")
        butler.registry.registerCollection("some", CollectionType.TAGGED)
        butler.registry.setCollectionChain("all", ["newest", "old", "some", "new"])
        assert _rows(butler, small, parts=tmp_path / "parts") == _rows(butler, small)


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "another"},
        {"where": "instrument = 'Cam'"},
        {"limit": 12},
        {"on_error": "null"},
    ],
)
def test_another_choice_is_refused(odd: Butler, small: Any, parts: Path, change: Any) -> None:
    _interrupt(8, odd, small, parts=parts)
    with pytest.raises(UsageError, match="holds parts of another export: its repository, configuration"):
        _rows(odd, small, parts=parts, **change)


@pytest.mark.parametrize(
    "change", [{"facility_name": "There"}, {"extra_columns": {}}, {"access_estsize": False}]
)
def test_another_configuration_is_refused(odd: Butler, small: Any, parts: Path, change: Any) -> None:
    _interrupt(8, odd, small, parts=parts)
    with pytest.raises(UsageError, match="holds parts of another export"):
        _rows(odd, small | change, parts=parts)
    # It does not matter how rows travel, and how they are written.
    assert _rows(odd, small | {"batch_size": 100, "csv_null_string": ""}, parts=parts) == _rows(odd, small)


def test_folder_with_other_things_is_left_alone(odd: Butler, small: Any, parts: Path) -> None:
    parts.mkdir()
    (parts / "letter.partial").write_text("dear")
    with pytest.raises(UsageError, match="holds other things; name an empty folder"):
        _rows(odd, small, parts=parts)
    assert (parts / "letter.partial").read_text() == "dear"
    with pytest.raises(UsageError, match=r"cannot be written: "):
        _rows(odd, small, parts=parts / "letter.partial")


def test_two_exports_at_once_are_refused(odd: Butler, small: Any, parts: Path) -> None:
    with closing(_batches(odd, small, parts=parts)) as batches:
        next(iter(batches))
        with pytest.raises(TransientError, match="is used by another export; try again"):
            _rows(odd, small, parts=parts)
    assert _rows(odd, small, parts=parts) == _rows(odd, small)


def test_damaged_parts_are_told(odd: Butler, small: Any, parts: Path) -> None:
    _interrupt(12, odd, small, parts=parts)
    part = max(parts.glob("*.arrows"), key=lambda path: path.stat().st_size)
    content = part.read_bytes()
    for damaged in (content[: len(content) // 2], b"no arrow", b"\xff" * len(content)):
        part.write_bytes(damaged)
        with pytest.raises(UsageError, match="damaged"):
            _rows(odd, small, parts=parts)
    part.write_bytes(content)
    assert _rows(odd, small, parts=parts) == _rows(odd, small)


def test_what_was_wrong_in_finished_parts_is_told_again(odd: Butler, small: Any, parts: Path) -> None:
    small["extra_columns"]["bad"] = {"template": "{run}", "type": "float"}
    report = ExportReport()
    wanted = _rows(odd, small, report, on_error="null")
    _interrupt(12, odd, small, parts=parts, on_error="null")
    again = ExportReport()
    assert _rows(odd, small, again, on_error="null", parts=parts) == wanted
    assert sum(again.resumed.values()) > 0
    assert sorted(line.split("(")[0] for line in again.problems) == sorted(
        line.split("(")[0] for line in report.problems
    )
