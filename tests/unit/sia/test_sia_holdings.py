"""What a table holds is read once for each table, and told when it is known."""

import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.obscore import MANDATORY_COLUMNS
from lsst.dax.vo.query import Engine, open_engine
from lsst.dax.vo.sia._holdings import NOTHING, Holdings, HoldingsReader
from lsst.dax.vo.store import PostgresLocation, StoreLocation, open_store, open_writer, parse_store

PATIENCE_S = 60.0
type Cells = dict[str, Any]


@pytest.fixture(params=["duckdb", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StoreLocation | PostgresLocation:
    """Return where a store of either kind can be."""
    if request.param == "duckdb":
        return StoreLocation(tmp_path / "store")
    found = parse_store(request.getfixturevalue("postgres"))
    assert isinstance(found, PostgresLocation)
    return found


def _write(location: StoreLocation | PostgresLocation, rows: Sequence[Cells]) -> None:
    with open_writer(location, columns=MANDATORY_COLUMNS, properties={"label": "a"}) as writer:
        cells = [
            {"dataproduct_type": "image", "_repo": "ab"[number % 2], "_id": uuid.UUID(int=number).bytes}
            | {"_region": None, "_print": number}
            | row
            for number, row in enumerate(rows)
        ]
        writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))


def _read(reader: HoldingsReader, engine: Engine, label: str | None = None) -> Holdings:
    return reader.get(label, engine.catalog, wait_s=PATIENCE_S)


ROWS: list[Cells] = [
    {"obs_collection": "X", "calib_level": 2, "pol_states": "/I/Q/", "em_min": 4e-7, "em_max": 5e-7},
    {"obs_collection": "Y", "calib_level": 3, "pol_states": "/U/", "em_min": 6e-7, "em_max": 7e-7},
    {"obs_collection": "Y", "calib_level": None, "pol_states": None, "t_exptime": 30.0},
    {"obs_collection": "Z", "dataproduct_type": "spectrum", "em_min": 1e-9, "em_max": 1.0},
]


@pytest.fixture
def engine(location: StoreLocation | PostgresLocation) -> Iterator[Engine]:
    """Return an engine on four rows."""
    _write(location, ROWS)
    with closing(open_engine([open_store(location)], limits=Limits())) as opened:
        yield opened


def test_values_and_limits_are_those_of_images(engine: Engine) -> None:
    reader = HoldingsReader(engine)
    found = _read(reader, engine)
    assert found.options == {
        "COLLECTION": ("X", "Y"),
        "CALIB": ("2", "3"),
        "POL": ("I", "Q", "U"),
        "DPTYPE": ("image",),
    }
    assert found.limits == {"BAND": (4e-7, 7e-7), "EXPTIME": (30.0, 30.0)}
    assert _read(reader, engine, "b").options["COLLECTION"] == ("Y",)
    assert _read(reader, engine, "c").options == {}


def test_they_are_read_once_for_a_table(engine: Engine, location: StoreLocation | PostgresLocation) -> None:
    now_s = 1000.0
    reader = HoldingsReader(engine, clock=lambda: now_s)
    first = _read(reader, engine)
    assert _read(reader, engine) is first
    _write(location, [{"obs_collection": "new"}])
    # What was known is told until the new table has been read.
    assert reader.get(None, engine.catalog).options["COLLECTION"] in (("X", "Y"), ("new",))
    second = _read(reader, engine)
    assert second.options["COLLECTION"] == ("new",)
    assert _read(reader, engine) is second
    now_s += 3601.0
    assert _read(reader, engine) is not second


def test_too_many_values_are_not_told(tmp_path: Path) -> None:
    location = StoreLocation(tmp_path / "store")
    _write(location, [{"obs_collection": f"C{number}", "calib_level": 1} for number in range(300)])
    with closing(open_engine([open_store(location)], limits=Limits())) as engine:
        assert _read(HoldingsReader(engine), engine).options == {"CALIB": ("1",), "DPTYPE": ("image",)}


def test_table_that_cannot_be_read_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    location = StoreLocation(tmp_path / "store")
    _write(location, ROWS)
    now_s = 1000.0
    with closing(open_engine([open_store(location)], limits=Limits())) as engine:
        catalog = engine.catalog
        reader = HoldingsReader(engine, clock=lambda: now_s)
        shutil.move(tmp_path / "store", tmp_path / "away")
        assert reader.get(None, catalog, wait_s=PATIENCE_S) is NOTHING
        assert "What the ObsCore table holds is not known" in caplog.text
        shutil.move(tmp_path / "away", tmp_path / "store")
        assert reader.get(None, catalog, wait_s=PATIENCE_S) is NOTHING
        now_s += 31.0
        assert reader.get(None, catalog, wait_s=PATIENCE_S).options["COLLECTION"] == ("X", "Y")


def test_nothing_is_read_after_the_end(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    reader = HoldingsReader(engine)
    reader.get(None, engine.catalog)
    reader.close()
    assert "sia-holdings" not in [thread.name for thread in threading.enumerate()]
    reader.get("b", engine.catalog, wait_s=PATIENCE_S)
    reader.close()
    assert reader.get("b", engine.catalog) is NOTHING
    assert caplog.text == ""
