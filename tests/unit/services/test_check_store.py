"""What is wrong with a store, rule by rule."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

from lsst.dax.vo.dali import Column
from lsst.dax.vo.errors import NotFoundError, UsageError
from lsst.dax.vo.obscore import OBSCORE_COLUMNS
from lsst.dax.vo.services import check
from lsst.dax.vo.store import open_writer, parse_store

REGION = Circle(UnitVector3d(LonLat.fromDegrees(10.0, -30.0)), Angle.fromDegrees(0.1)).encode()
GOOD: dict[str, Any] = {
    "dataproduct_type": "image",
    "calib_level": 2,
    "obs_collection": "TEST",
    "obs_id": "V1",
    "obs_publisher_did": "ivo://org.example/test?id=1",
    "access_format": "application/x-votable+xml;content=datalink",
    "access_estsize": 12,
    "s_ra": 10.0,
    "s_dec": -30.0,
    "s_fov": 0.2,
    "s_region": "CIRCLE ICRS 10 -30 0.1",
    "t_min": 60000.0,
    "t_max": 60000.001,
    "t_exptime": 30.0,
    "em_min": 4e-7,
    "em_max": 5e-7,
    "pol_states": "/I/",
    "_repo": "here",
    "_region": REGION,
    "_print": 1,
}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"calib_level": None}, "error: calib_level: 1 rows have no value, which ObsCore wants; mend the"),
    ({"obs_collection": None}, "error: obs_collection: 1 rows have no value"),
    ({"obs_id": None}, "error: obs_id: 1 rows have no value"),
    ({"obs_publisher_did": None}, "error: obs_publisher_did: 1 rows have no value"),
    ({"access_format": None}, "warning: access_format: 1 rows have no value"),
    ({"access_format": "a/b; c=d"}, "warning: access_format: 1 rows have a space"),
    ({"dataproduct_type": "Image"}, "error: dataproduct_type: 1 rows have a type that ObsCore does not"),
    (
        {"calib_level": 5},
        "error: calib_level: 1 rows have a level that ObsCore does not know; use 0 to 4",
    ),
    ({"s_ra": 360.0}, "error: s_ra: 1 rows are outside of 0 to 360 degrees"),
    ({"s_ra": -0.1}, "error: s_ra: 1 rows are outside of 0 to 360 degrees"),
    ({"s_dec": 91.0}, "error: s_dec: 1 rows are outside of -90 to 90 degrees"),
    ({"s_fov": 0.0}, "error: s_fov: 1 rows are no diameter in degrees"),
    ({"t_max": 59999.0}, r"error: t_min: 1 rows begin after they end \(t_max\)"),
    ({"t_min": 1.0}, "warning: t_min: 1 rows are no MJD of this century or the last"),
    ({"t_exptime": 100.0}, "warning: t_exptime: 1 rows are longer than the time from t_min to t_max"),
    ({"t_exptime": -1.0}, "error: t_exptime: 1 rows are negative"),
    ({"em_min": 6e-7}, "error: em_min: 1 rows are above em_max; mend spectral_ranges"),
    ({"em_min": 400.0, "em_max": 500.0}, "error: em_min: 1 rows are no wavelength in meters"),
    ({"access_estsize": -1}, "error: access_estsize: 1 rows are negative"),
    ({"pol_states": "I"}, "error: pol_states: 1 rows do not begin and end with a slash"),
    ({"s_region": None, "_region": None}, "error: s_region: 1 rows are missing although there is a pos"),
    (
        {"s_region": None, "_region": None, "s_ra": None},
        "warning: s_region: 1 of 2 rows have no region, no search by place finds them",
    ),
    ({"s_ra": 11.0}, "warning: s_region: 1 of the first 1,000 regions do not contain their own middle"),
    ({"_repo": "there"}, "error: .*: it is of 'here', but has rows of 'there'; export again"),
    (
        {"obs_publisher_did": "ivo://org.example/test?id=0"},
        "error: obs_publisher_did: 1 rows have an identifier of another row, for example "
        r"'ivo://org.example/test\?id=0'; put {id} into obs_publisher_did_fmt",
    ),
]
"""Rows, and what is told of each."""


@pytest.fixture(params=["duckdb", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where a store may be, of either kind."""
    if request.param == "duckdb":
        return str(tmp_path / "test.store")
    return str(request.getfixturevalue("postgres"))


def make(place: str, rows: Sequence[dict[str, Any]], columns: Sequence[Column] = OBSCORE_COLUMNS) -> str:
    """Write a store; a row is good but for what it says."""
    with open_writer(parse_store(place), columns=columns, properties={"label": "here"}) as writer:
        made = [
            {**GOOD, "_id": UUID(int=number + 1).bytes, **row}
            | (
                {}
                if "obs_publisher_did" in row
                else {"obs_publisher_did": f"ivo://org.example/test?id={number}"}
            )
            for number, row in enumerate(rows)
        ]
        writer.write(pa.RecordBatch.from_pylist(made, writer.schema))
    return place


def test_a_good_one(place: str) -> None:
    report = check(make(place, [{}, {"calib_level": 3}, {"calib_level": 3}]))
    assert report.describe().splitlines() == [
        "3 rows (3 of 'here') in 32 columns: 1 image of level 2, 2 image of level 3",
        "No file was looked for; name the repository for that: --repo REPO",
        "Nothing is wrong.",
    ]
    assert report.errors == 0


@pytest.mark.parametrize(("row", "line"), WRONG)
def test_a_row_that_is_wrong(tmp_path: Path, row: dict[str, Any], line: str) -> None:
    report = check(make(str(tmp_path / "test.store"), [{}, row]))
    lines = [finding.describe() for finding in report.findings]
    assert any(re.match(line, found) for found in lines), lines
    assert report.errors == sum(found.startswith("error: ") for found in lines)
    # What is missing altogether is no other mistake.
    assert len(lines) <= 2, lines


def test_both_kinds_of_stores_are_told_the_same(tmp_path: Path, postgres: str) -> None:
    rows = [{}, *(row for row, _ in WRONG)]
    one, other = (check(make(place, rows)) for place in (str(tmp_path / "test.store"), postgres))
    assert len(one.findings) > 20
    assert {replace(item, place="") for item in one.findings} == {
        replace(item, place="") for item in other.findings
    }
    assert one.notes == other.notes


def test_no_regions_at_all(place: str) -> None:
    nothing = {"s_region": None, "_region": None, "s_ra": None, "s_dec": None, "s_fov": None}
    report = check(make(place, [nothing, nothing]))
    assert [finding.what for finding in report.findings] == [
        "all rows have no region, no search by place finds them"
    ]


def test_no_rows_at_all(place: str) -> None:
    report = check(make(place, []))
    assert [finding.what for finding in report.findings] == ["it holds no rows"]
    assert report.describe().startswith("0 rows in 32 columns\n")


def test_columns_that_are_missing_or_other(place: str) -> None:
    columns = [
        replace(column, unit="nm", ucd=None) if column.name == "em_min" else column
        for column in OBSCORE_COLUMNS
        if column.name not in ("t_xel", "em_max")
    ]
    report = check(make(place, [{}], columns))
    assert [finding.describe() for finding in report.findings] == [
        "error: t_xel: this mandatory column of ObsCore is missing; "
        "mend the configuration or the registry, and export again",
        "error: em_max: this mandatory column of ObsCore is missing; "
        "mend the configuration or the registry, and export again",
        "error: em_min: its unit is 'nm', ObsCore's is 'm'; export again",
        "error: em_min: its ucd is None, ObsCore's is 'em.wl;stat.min'; export again",
    ]
    assert report.describe().splitlines()[-1] == "4 errors"


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"There is no store .*nothing; make it with 'butler vo export"):
        check(str(tmp_path / "nothing"))
    path = Path(make(str(tmp_path / "test.store"), [{}]))
    (path / "current.json").write_text(json.dumps({"layout": 99, "table": "x"}))
    (finding,) = check(str(path)).findings
    assert re.match(
        "error: .*test.store: The store .* has the layout 99, this version reads", finding.describe()
    )
    (path / "current.json").write_text("{")
    (finding,) = check(str(path)).findings
    assert "is damaged; make the store again" in finding.what


def test_a_repository_is_for_a_configuration_or_a_store() -> None:
    with pytest.raises(UsageError, match="for a configuration of the exporter or a store, not for a service"):
        check("http://127.0.0.1:1", repo="repo")
