"""TAP 1.1, 2 and 3: /sync, its parameters, limits, formats and errors."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.tap import TapService

BASE_URL = "https://vo.example.org/rubin"
VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"
# The limits of the fixture: 50 rows by default, 200 at most; the table has 240.
DEFAULT, HARD, ALL = 50, 200, 240


def _sync(tap: TapService, query: str, *pairs: tuple[str, str]) -> Response:
    return tap.sync(ParamSet.from_pairs([("LANG", "ADQL"), ("QUERY", query), *pairs]), BASE_URL)


MATRIX = [
    ("MAXREC above TOP", "SELECT TOP 5 obs_id FROM ivoa.ObsCore", "10", 5, False),
    ("MAXREC below TOP", "SELECT TOP 10 obs_id FROM ivoa.ObsCore", "5", 5, True),
    ("MAXREC equal to TOP", "SELECT TOP 5 obs_id FROM ivoa.ObsCore", "5", 5, False),
    ("MAXREC above the rows", "SELECT schema_name FROM TAP_SCHEMA.schemas", "10", 2, False),
    ("MAXREC equal to the rows", "SELECT schema_name FROM TAP_SCHEMA.schemas", "2", 2, False),
    ("MAXREC 0", "SELECT obs_id FROM ivoa.ObsCore", "0", 0, True),
    ("MAXREC 0 and TOP", "SELECT TOP 5 obs_id FROM ivoa.ObsCore", "0", 0, True),
    ("TOP 0", "SELECT TOP 0 obs_id FROM ivoa.ObsCore", "5", 0, False),
    ("no MAXREC", "SELECT obs_id FROM ivoa.ObsCore", None, DEFAULT, True),
    ("no MAXREC, few rows", "SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = 'o1'", None, 2, False),
    ("MAXREC at the hard limit", "SELECT obs_id FROM ivoa.ObsCore", str(HARD), HARD, True),
    ("MAXREC above the hard limit", "SELECT obs_id FROM ivoa.ObsCore", str(HARD + 10), HARD, True),
    ("TOP at the hard limit", f"SELECT TOP {HARD} obs_id FROM ivoa.ObsCore", "100000", HARD, False),
    ("an aggregate", "SELECT COUNT(*) FROM ivoa.ObsCore", "1", 1, False),
]


@pytest.mark.parametrize(
    ("query", "maxrec", "rows", "overflow"),
    [row[1:] for row in MATRIX],
    ids=[f"2.7.4-{row[0]}" for row in MATRIX],
)
def test_limits(
    tap: TapService, document: Any, query: str, maxrec: str | None, rows: int, overflow: bool
) -> None:
    response = _sync(tap, query, *([] if maxrec is None else [("MAXREC", maxrec)]))
    assert response.status == 200
    found = document(response)
    assert len(found.rows) == rows
    assert found.overflow is overflow
    assert found.statuses[0] == ("OK", False, "")
    assert found.names


def test_answers_of_more_rows_than_usual_are_long(tap: TapService) -> None:
    """They have room of their own, so that others do not wait for them."""
    query = "SELECT obs_id FROM ivoa.ObsCore"
    for pairs, is_long in [((), False), ((("MAXREC", str(DEFAULT)),), False), ((("MAXREC", "51"),), True)]:
        assert _sync(tap, query, *pairs).is_long is is_long


def test_2_7_4_all_rows_are_counted(tap: TapService, document: Any) -> None:
    found = document(_sync(tap, "SELECT COUNT(*) AS n FROM ivoa.ObsCore"))
    assert found.rows == [{"n": str(ALL)}]
    (field,) = found.find_all("FIELD")
    assert field.get("datatype") == "long"


@pytest.mark.parametrize("language", ["ADQL", "ADQL-2.0", "ADQL-2.1"])
def test_2_7_1_lang(tap: TapService, document: Any, language: str) -> None:
    params = ParamSet.from_pairs([("lang", language), ("Query", "SELECT TOP 1 obs_id FROM ivoa.ObsCore")])
    assert len(document(tap.sync(params, BASE_URL)).rows) == 1


@pytest.mark.parametrize(
    "pairs",
    [
        [("DUMMY", "1")],
        [("REQUEST", "doQuery")],
        [("VERSION", "1.0")],
        [("RUNID", "TAPLINT-001")],
        [("UPLOAD", "")],
    ],
    ids=["DUMMY", "REQUEST", "VERSION", "RUNID", "UPLOAD-empty"],
)
def test_2_7_parameters_without_effect(tap: TapService, document: Any, pairs: list[tuple[str, str]]) -> None:
    assert len(document(_sync(tap, "SELECT TOP 2 obs_id FROM ivoa.ObsCore", *pairs)).rows) == 2


@pytest.mark.parametrize(
    ("name", "asked", "answered"),
    [
        ("RESPONSEFORMAT", "votable", "application/x-votable+xml"),
        ("RESPONSEFORMAT", "application/x-votable+xml", "application/x-votable+xml"),
        ("responseformat", "text/xml", "text/xml"),
        ("FORMAT", "votable", "application/x-votable+xml"),
        ("FORMAT", "application/x-votable xml", "application/x-votable+xml"),
    ],
)
def test_2_7_3_votable(tap: TapService, document: Any, name: str, asked: str, answered: str) -> None:
    response = _sync(tap, "SELECT TOP 2 obs_id FROM ivoa.ObsCore", (name, asked))
    assert response.media_type == answered
    assert len(document(response).rows) == 2


@pytest.mark.parametrize(
    ("asked", "answered", "delimiter"),
    [
        ("csv", "text/csv;header=present", ","),
        ("text/csv", "text/csv", ","),
        ("tsv", "text/tab-separated-values", "\t"),
    ],
)
def test_2_7_3_text(tap: TapService, document: Any, asked: str, answered: str, delimiter: str) -> None:
    query = (
        "SELECT TOP 20 obs_publisher_did, s_ra, s_region, t_min FROM ivoa.ObsCore ORDER BY obs_publisher_did"
    )
    response = _sync(tap, query, ("RESPONSEFORMAT", asked))
    assert response.media_type == answered
    assert not isinstance(response.body, bytes)
    text = b"".join(response.body).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert rows == document(_sync(tap, query)).rows


ERRORS = [
    (
        "2.7.1",
        {"LANG": "OOBLECK", "QUERY": "SELECT TOP 1 * FROM ivoa.ObsCore"},
        "LANG='OOBLECK' is not accepted",
    ),
    ("2.7.2", {"LANG": "ADQL"}, "QUERY is missing"),
    ("2.7.2", {"LANG": "ADQL", "QUERY": "DUFF QUERY"}, ""),
    ("2.7.2", {"LANG": "ADQL", "QUERY": "SELECT nosuch FROM ivoa.ObsCore"}, ""),
    ("2.7.2", {"LANG": "ADQL", "QUERY": "SELECT * FROM no.such"}, ""),
    ("2.7.2", {"LANG": "ADQL", "QUERY": "DROP TABLE ivoa.ObsCore"}, ""),
    ("2.7.2", {"LANG": "ADQL", "QUERY": "SELECT _repo FROM ivoa.ObsCore"}, ""),
    (
        "2.7.3",
        {"QUERY": "SELECT TOP 1 * FROM ivoa.ObsCore", "FORMAT": "no/such"},
        "FORMAT='no/such' is not accepted",
    ),
    ("2.7.4", {"QUERY": "SELECT TOP 1 * FROM ivoa.ObsCore", "MAXREC": "-1"}, "MAXREC='-1' is not accepted"),
    (
        "2.7.6",
        {"QUERY": "SELECT TOP 1 * FROM ivoa.ObsCore", "UPLOAD": "a,param:b"},
        "UPLOAD: the request has no file in a part 'b'",
    ),
]


@pytest.mark.parametrize(
    ("clause", "params", "message"), ERRORS, ids=[f"{c}-{' '.join(p.values())}" for c, p, _ in ERRORS]
)
def test_3_3_error_document(
    tap: TapService, document: Any, clause: str, params: dict[str, str], message: str
) -> None:
    response = tap.sync(ParamSet.from_pairs(params.items()), BASE_URL)
    assert (response.status, response.media_type) == (400, "application/x-votable+xml"), clause
    found = document(response)
    ((status, _, text),) = found.statuses
    assert status == "ERROR"
    assert text.startswith(message)
    assert text
    assert "Fault" not in text


def test_3_3_store_that_cannot_be_read_may_work_later(tap_down: TapService, document: Any) -> None:
    response = _sync(tap_down, "SELECT TOP 1 obs_id FROM ivoa.ObsCore")
    assert (response.status, response.headers) == (503, {"Retry-After": "30"})
    assert document(response).statuses[0][0] == "ERROR"


def test_2_9_answer_tells_its_origin(tap: TapService, document: Any) -> None:
    query = "SELECT TOP 1 obs_id FROM ivoa.ObsCore WHERE s_ra < 1e3 AND obs_id <> '&'"
    infos = document(_sync(tap, query)).infos
    assert infos["query"] == query
    assert infos["service_protocol"] == "ivo://ivoa.net/std/TAP"
    assert infos["publisher"] == "Example Observatory"
    assert infos["request_date"] == "2027-01-15T08:00:00"


@pytest.mark.parametrize(
    ("select", "xml_id"),
    [
        ("*", "obs_publisher_did"),
        ("obs_publisher_did", "obs_publisher_did"),
        ("obs_publisher_did AS who", "who"),
        ('obs_publisher_did AS "my id"', "obs_publisher_did"),
        ("obs_publisher_did AS utc, t_min, s_ra", "obs_publisher_did"),
    ],
)
def test_datasets_lead_to_their_links(tap: TapService, document: Any, select: str, xml_id: str) -> None:
    found = document(_sync(tap, f"SELECT TOP 1 {select} FROM ivoa.ObsCore"))
    ids = [item.get("ID") for item in found.root.iter() if item.get("ID")]
    assert len(ids) == len(set(ids))
    (meta,) = [item for item in found.find_all("RESOURCE") if item.get("type") == "meta"]
    params = {item.get("name"): item for item in meta.iter(f"{VOT}PARAM")}
    assert params["accessURL"].get("value") == f"{BASE_URL}/api/datalink/links"
    assert params["ID"].get("ref") == xml_id
    assert xml_id in ids


def test_other_tables_have_no_links(tap: TapService, document: Any) -> None:
    found = document(_sync(tap, "SELECT TOP 1 s_ra, COUNT(*) AS n FROM ivoa.ObsCore GROUP BY s_ra"))
    assert len(found.find_all("RESOURCE")) == 1


def test_coordinate_and_time_systems_are_declared_where_used(tap: TapService, document: Any) -> None:
    found = document(_sync(tap, "SELECT TOP 1 s_ra, t_min, em_min FROM ivoa.ObsCore"))
    assert [item.get("system") for item in found.find_all("COOSYS")] == ["ICRS"]
    assert [item.get("timescale") for item in found.find_all("TIMESYS")] == ["UTC"]
    assert [item.get("ref") for item in found.find_all("FIELD")] == ["icrs", "utc", None]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT TOP 5 * FROM ivoa.ObsCore",
        "SELECT * FROM TAP_SCHEMA.columns",
        "SELECT TOP 3 obs_publisher_did AS a, obs_publisher_did AS b FROM ivoa.ObsCore",
        "SELECT COUNT(*), MAX(s_ra) FROM ivoa.ObsCore",
    ],
)
def test_votlint_finds_nothing(tap: TapService, votlint: Callable[[bytes], str], query: str) -> None:
    response = _sync(tap, query)
    assert not isinstance(response.body, bytes)
    assert votlint(b"".join(response.body)) == ""


def test_votlint_finds_nothing_in_errors(tap: TapService, votlint: Callable[[bytes], str]) -> None:
    response = _sync(tap, "DUFF QUERY <&>")
    assert isinstance(response.body, bytes)
    assert votlint(response.body) == ""
