"""SIAv2 as clients use it: pyvo, lsst.rsp and STILTS against the running server, and TAP for comparison."""

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import astropy.io.votable
import lsst.rsp
import numpy as np
import pytest
import pyvo
import requests
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time
from pyvo.dal.adhoc import DatalinkResults, SodaQuery

DATALINK = "application/x-votable+xml;content=datalink"


@pytest.fixture(scope="module")
def sia(base_url: str) -> pyvo.dal.SIA2Service:
    return pyvo.dal.SIA2Service(f"{base_url}/api/sia")


@pytest.fixture(scope="module")
def rows(base_url: str) -> list[dict[str, Any]]:
    """Return all images of the table, as TAP gives them."""
    found = pyvo.dal.TAPService(f"{base_url}/api/tap").search(
        "SELECT * FROM ivoa.ObsCore WHERE dataproduct_type = 'image'", maxrec=100_000
    )
    return [dict(row.items()) for row in found]


def _known(value: Any) -> bool:
    return not (value is None or np.ma.is_masked(value) or (isinstance(value, float) and np.isnan(value)))


@pytest.fixture(scope="module")
def wanted(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a row in which everything is filled that a parameter can ask for."""
    names = ("t_min", "t_max", "em_min", "em_max", "s_ra", "s_fov", "t_exptime", "instrument_name")
    return next(row for row in rows if row["calib_level"] == 2 and all(_known(row[name]) for name in names))


def _ids(results: pyvo.dal.SIA2Results) -> set[str]:
    return set(map(str, results["obs_publisher_did"]))


def test_each_parameter_finds_what_the_table_holds(
    sia: pyvo.dal.SIA2Service, rows: list[dict[str, Any]], wanted: dict[str, Any]
) -> None:
    em_min, t_min, t_max, s_fov, exptime = (
        float(wanted[name]) for name in ("em_min", "t_min", "t_max", "s_fov", "t_exptime")
    )
    ranges: list[tuple[dict[str, Any], tuple[str, str], tuple[float, float]]] = [
        ({"band": (em_min * u.m, em_min * u.m)}, ("em_min", "em_max"), (em_min, em_min)),
        (
            {"time": (Time(t_min, format="mjd"), Time(t_max, format="mjd"))},
            ("t_min", "t_max"),
            (t_min, t_max),
        ),
        ({"field_of_view": (0 * u.deg, s_fov * u.deg)}, ("s_fov", "s_fov"), (0, s_fov)),
        ({"exptime": (exptime * u.s, np.inf * u.s)}, ("t_exptime", "t_exptime"), (exptime, np.inf)),
    ]
    equals: list[tuple[dict[str, Any], str]] = [
        ({"collection": str(wanted["obs_collection"])}, "obs_collection"),
        ({"facility": str(wanted["facility_name"])}, "facility_name"),
        ({"instrument": str(wanted["instrument_name"])}, "instrument_name"),
        ({"calib_level": int(wanted["calib_level"])}, "calib_level"),
        ({"data_type": "image"}, "dataproduct_type"),
        ({"res_format": DATALINK}, "access_format"),
        ({"dpsubtype": str(wanted["dataproduct_subtype"])}, "dataproduct_subtype"),
        ({"DPSubtype": str(wanted["dataproduct_subtype"])}, "dataproduct_subtype"),
    ]
    for params, (low, high), (first, last) in ranges:
        expected = {
            str(row["obs_publisher_did"])
            for row in rows
            if _known(row[low]) and _known(row[high]) and row[low] <= last and row[high] >= first
        }
        assert str(wanted["obs_publisher_did"]) in expected
        assert _ids(sia.search(**params, maxrec=100_000)) == expected, params
    for params, name in equals:
        expected = {str(row["obs_publisher_did"]) for row in rows if row[name] == wanted[name]}
        assert str(wanted["obs_publisher_did"]) in expected
        assert _ids(sia.search(**params, maxrec=100_000)) == expected, params


@pytest.mark.parametrize("params", [{"pol": "RR"}, {"collection": "nothing"}, {"data_type": "cube"}])
def test_what_nobody_has_is_an_empty_table(sia: pyvo.dal.SIA2Service, params: dict[str, str]) -> None:
    results = sia.search(**params)
    assert len(results) == 0
    assert "s_region" in results.fieldnames


def test_everything_at_once(sia: pyvo.dal.SIA2Service, wanted: dict[str, Any]) -> None:
    place = SkyCoord(float(wanted["s_ra"]), float(wanted["s_dec"]), unit="deg")
    results = sia.search(
        pos=(place, 0.001 * u.deg),
        band=(wanted["em_min"] * 1e9 * u.nm, wanted["em_max"] * 1e9 * u.nm),
        time=(Time(wanted["t_min"], format="mjd"), Time(wanted["t_max"], format="mjd")),
        exptime=(0 * u.s, np.inf * u.s),
        calib_level=[1, 2],
        instrument=str(wanted["instrument_name"]),
        publisher_did=str(wanted["obs_publisher_did"]).upper(),
        dpsubtype=str(wanted["dataproduct_subtype"]),
    )
    assert _ids(results) == {str(wanted["obs_publisher_did"])}


def test_shapes_agree_about_a_small_place(sia: pyvo.dal.SIA2Service, place: tuple[float, float]) -> None:
    ra, dec = (value * u.deg for value in place)
    half = 1e-4 * u.deg
    circle = _ids(sia.search(pos=(ra, dec, half), maxrec=100_000))
    in_range = _ids(sia.search(pos=(ra - half, ra + half, dec - half, dec + half), maxrec=100_000))
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    polygon = [value for east, north in corners for value in (ra + east * half, dec + north * half)]
    assert circle == in_range == _ids(sia.search(pos=tuple(polygon), maxrec=100_000))
    assert circle
    both = _ids(sia.search(pos=[(ra, dec, half), (ra + 180 * u.deg, -dec, half)], maxrec=100_000))
    assert both == circle


def test_list_of_many_positions(base_url: str, rows: list[dict[str, Any]]) -> None:
    places = [row for row in rows if _known(row["s_ra"])][:300]
    pairs = [("POS", f"CIRCLE {row['s_ra']} {row['s_dec']} 0") for row in places]
    answer = requests.post(
        f"{base_url}/api/sia/query", [*pairs, ("RESPONSEFORMAT", "csv"), ("MAXREC", "100000")], timeout=60
    )
    assert answer.status_code == 200
    assert {str(row["obs_publisher_did"]) in answer.text for row in places} == {True}


def test_query_parameters_are_told_with_their_values(base_url: str, rows: list[dict[str, Any]]) -> None:
    answer = requests.get(f"{base_url}/api/sia/query", {"MAXREC": "0"}, timeout=60)
    document = astropy.io.votable.parse(io.BytesIO(answer.content))
    (this,) = [resource for resource in document.resources if resource.name == "this"]
    params = {param.name: param for param in this.groups[0].entries}
    assert [value for _, value in params["COLLECTION"].values.options] == sorted(
        {str(row["obs_collection"]) for row in rows}
    )
    assert {int(value) for _, value in params["CALIB"].values.options} == {
        int(row["calib_level"]) for row in rows
    }
    assert float(params["BAND"].values.min) == min(
        float(row["em_min"]) for row in rows if _known(row["em_min"])
    )


def test_row_is_cut_by_the_service_that_the_answer_describes(
    sia: pyvo.dal.SIA2Service, place: tuple[float, float]
) -> None:
    ra, dec = (value * u.deg for value in place)
    results = sia.search(pos=(ra, dec, 0.001 * u.deg), calib_level=3, maxrec=1)
    service = results.get_adhocservice_by_ivoid("ivo://ivoa.net/std/SODA#sync")
    with SodaQuery.from_resource(
        results[0], service, circle=(ra, dec, 0.002 * u.deg)
    ).execute_stream() as answer:
        assert answer.read(6) == b"SIMPLE"


@pytest.mark.parametrize("label", ["sample", "dp02"])
def test_release_of_rubin(base_url: str, label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCESS_TOKEN", raising=False)
    monkeypatch.setenv("EXTERNAL_INSTANCE_URL", f"{base_url}/")
    monkeypatch.setenv("RSP_SITE_TYPE", "science")
    service = lsst.rsp.get_siav2_service(label)
    found = service.search(calib_level=[2, 3], exptime=(0, np.inf), maxrec=5)
    assert found.status[0] == "OVERFLOW"
    assert {f"repo={label}&" in str(row["obs_publisher_did"]) for row in found} == {True}
    links = DatalinkResults.from_result_url(found[0].getdataurl())
    assert str(links.getrecord(0).semantics) == "#this"


ANSWERS = {
    "rows": [("CALIB", "3"), ("MAXREC", "20")],
    "columns": [("MAXREC", "0")],
    "empty": [("COLLECTION", "nothing")],
    "error": [("POS", "CIRCLE 1 2")],
    "binary": [("MAXREC", "20"), ("RESPONSEFORMAT", "application/x-votable+xml;serialization=BINARY2")],
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_votlint_finds_nothing(base_url: str, kind: str, tmp_path: Path) -> None:
    stilts = shutil.which("stilts")
    if stilts is None:
        pytest.skip("stilts is not installed (Debian package 'stilts')")
    answer = requests.get(f"{base_url}/api/sia/query", ANSWERS[kind], timeout=60)
    path = tmp_path / "answer.vot"
    path.write_bytes(answer.content)
    command = [stilts, "votlint", str(path), "validate=true", "ucd=true", "unit=true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("way", ["GET", "POST", "multipart", "mixed"])
def test_each_way_to_send_parameters_gives_the_same(base_url: str, way: str) -> None:
    url = f"{base_url}/api/sia/query"
    pairs = [("CALIB", "2"), ("calib", "3"), ("DPTYPE", "image"), ("MAXREC", "7"), ("RESPONSEFORMAT", "csv")]
    expected = requests.get(url, pairs, timeout=60).text
    match way:
        case "GET":
            answer = requests.get(url, [(name.lower(), value) for name, value in reversed(pairs)], timeout=60)
        case "POST":
            answer = requests.post(url, pairs, timeout=60)
        case "multipart":
            answer = requests.post(url, files=[(name, (None, value)) for name, value in pairs], timeout=60)
        case _:
            answer = requests.post(url, pairs[2:], params=pairs[:2], timeout=60)
    assert answer.status_code == 200
    assert answer.text == expected
    assert answer.text.count("\n") > 1
