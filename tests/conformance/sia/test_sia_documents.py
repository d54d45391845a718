"""SIA 2.0, 3 and 4: the answer, its limits, its errors and the descriptors."""

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import Hangup, InputParam, ParamSet, Response, ServiceDescriptor, write_examples
from lsst.dax.vo.obscore import OBSCORE_COLUMNS
from lsst.dax.vo.sia import PARAMETERS, SiaService
from lsst.dax.vo.sia._examples import COLUMNS, build_examples
from lsst.dax.vo.sia._request import parse_request

BASE_URL = "https://vo.example.org/rubin"
VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"

OPTIONS: dict[str | None, dict[str, list[str]]] = {
    None: {
        "COLLECTION": ["LSST.ALPHA", "LSST.BETA"],
        "FACILITY": ["Rubin:1.2m", "Rubin:Simonyi"],
        "INSTRUMENT": ["LATISS", "LSSTCam"],
        "DPTYPE": ["cube", "image"],
        "DPSUBTYPE": ["lsst.deep_coadd", "lsst.visit_image"],
        "CALIB": ["0", "1", "2", "3"],
        "FORMAT": ["application/x-votable+xml;content=datalink", "image/fits"],
        "POL": ["I", "LL", "Q", "RR", "U"],
    },
    "beta": {"COLLECTION": ["LSST.BETA"], "DPTYPE": ["image"]},
}
LIMITS: dict[str | None, dict[str, list[str]]] = {
    None: {"BAND": ["3e-07", "1.1e-06"], "EXPTIME": ["15.0", "300.0"], "SPECRP": ["5.0", "5.0"]},
    "beta": {"BAND": ["3e-07", "1.1e-06"]},
}


@pytest.fixture
def sia_related(services: Any) -> SiaService:
    """Return a service that knows of another one."""

    def describe(base_url: str, xml_id: str) -> list[ServiceDescriptor]:
        param = InputParam("ID", ref=xml_id)
        soda = "ivo://ivoa.net/std/SODA#sync-1.0"
        return [ServiceDescriptor(f"{base_url}/api/cutout/sync", soda, (param,), xml_id="cutout")]

    return SiaService(services.engine, labels=("alpha",), limits=Limits(), describe_related=describe)


def _query(sia: SiaService, *pairs: tuple[str, str], label: str | None = None) -> Response:
    return sia.query(ParamSet.from_pairs(pairs), BASE_URL, label=label)


def test_3_all_mandatory_columns_are_there_with_their_metadata(sia: SiaService, document: Any) -> None:
    found = document(_query(sia, ("MAXREC", "1")))
    fields = {item.get("name"): item for item in found.find_all("FIELD")}
    for column in OBSCORE_COLUMNS:
        if column.name not in fields:
            continue
        field = fields[column.name]
        assert [field.get(key) for key in ("datatype", "unit", "ucd", "utype", "xtype")] == [
            column.datatype,
            column.unit,
            column.ucd,
            column.utype,
            column.xtype,
        ]
    assert not [name for name in fields if name.startswith("_")]
    assert len(fields) >= 30


def test_3_answer_is_votable_by_default(sia: SiaService, document: Any) -> None:
    response = _query(sia)
    assert response.media_type == "application/x-votable+xml"
    found = document(response)
    assert found.statuses[0] == ("OK", False, "")
    assert found.infos["service_protocol"] == "ivo://ivoa.net/std/SIA#query-2.0"
    assert found.infos["publisher"] == "Example Observatory"
    assert found.infos["request_date"] == "2027-01-15T08:00:00"


def test_3_no_rows_is_an_ordinary_table(sia: SiaService, document: Any) -> None:
    found = document(_query(sia, ("COLLECTION", "no")))
    assert found.rows == []
    assert len(found.names) >= 30
    assert found.statuses == [("OK", False, "")]


@pytest.mark.parametrize(
    ("maxrec", "rows", "overflow"),
    [("0", 0, True), ("1", 1, True), ("7", 7, True), ("999999999999999999999", None, False)],
)
def test_3_maxrec(sia: SiaService, document: Any, maxrec: str, rows: int | None, overflow: bool) -> None:
    found = document(_query(sia, ("MAXREC", maxrec)))
    if rows is not None:
        assert len(found.rows) == rows
    assert found.overflow is overflow


def test_3_maxrec_of_exactly_all_rows_is_no_overflow(sia: SiaService, document: Any) -> None:
    rows = len(document(_query(sia, ("CALIB", "3"))).rows)
    found = document(_query(sia, ("CALIB", "3"), ("MAXREC", str(rows))))
    assert (len(found.rows), found.overflow) == (rows, False)
    found = document(_query(sia, ("CALIB", "3"), ("MAXREC", str(rows - 1))))
    assert (len(found.rows), found.overflow) == (rows - 1, True)


def test_3_access_url_leads_to_the_row_s_links(sia: SiaService, document: Any) -> None:
    for row in document(_query(sia, ("MAXREC", "3"))).rows:
        assert row["access_url"].startswith("https://")
        assert row["access_url"].endswith(row["obs_publisher_did"].rpartition("=")[2])


def test_3_1_links_descriptor_refers_to_the_identifier(sia: SiaService, document: Any) -> None:
    found = document(_query(sia, ("MAXREC", "1")))
    by_id = {item.get("ID"): item for item in found.root.iter() if item.get("ID")}
    assert by_id["obs_publisher_did"].get("name") == "obs_publisher_did"
    links = by_id["datalink"]
    params = {item.get("name"): item for item in links.iter(f"{VOT}PARAM")}
    assert params["accessURL"].get("value") == f"{BASE_URL}/api/datalink/links"
    assert params["standardID"].get("value") == "ivo://ivoa.net/std/DataLink#links-1.1"
    assert params["ID"].get("ref") == "obs_publisher_did"
    assert params["ID"].get("value") == ""


FORMS = [
    {"type": "meta", "utype": "adhoc:service", "name": "this"},
    {"type": "meta", "utype": "adhoc:this"},
]


@pytest.mark.parametrize("form", FORMS, ids=["SIA 2.0", "DataLink 1.1"])
@pytest.mark.parametrize("label", [None, "beta"])
def test_3_1_service_describes_itself(
    sia: SiaService, document: Any, label: str | None, form: dict[str, str]
) -> None:
    found = document(_query(sia, ("MAXREC", "0"), label=label))
    (this,) = [item for item in found.find_all("RESOURCE") if item.attrib == form]
    fixed = {item.get("name"): item.get("value") for item in this.findall(f"{VOT}PARAM")}
    path = "/api/sia/query" if label is None else f"/api/sia/{label}/query"
    assert fixed == {"accessURL": BASE_URL + path, "standardID": "ivo://ivoa.net/std/SIA#query-2.0"}
    inputs = {item.get("name"): item for item in this.iter(f"{VOT}PARAM")}
    # There is no column with dates of release.
    described = {item.name for item in PARAMETERS} - {"RELEASEDATE"} | {"MAXREC", "RESPONSEFORMAT"}
    assert set(inputs) - set(fixed) == described
    assert (inputs["BAND"].get("unit"), inputs["BAND"].get("xtype")) == ("m", "interval")
    assert (inputs["EXPTIME"].get("unit"), inputs["EXPTIME"].get("arraysize")) == ("s", "2")
    assert inputs["POS"].get("xtype") is None
    for name, values in OPTIONS[label].items():
        assert [item.get("value") for item in inputs[name].iter(f"{VOT}OPTION")] == values
    for name, ends in LIMITS[label].items():
        low, high = (inputs[name].find(f"{VOT}VALUES/{VOT}{end}") for end in ("MIN", "MAX"))
        assert [low.get("value"), high.get("value")] == ends
    assert inputs["TARGET"].find(f"{VOT}VALUES") is None


def test_3_1_related_services_are_described(sia_related: SiaService, document: Any) -> None:
    found = document(_query(sia_related, ("MAXREC", "1")))
    (cutout,) = [item for item in found.find_all("RESOURCE") if item.get("ID") == "cutout"]
    params = {item.get("name"): item for item in cutout.iter(f"{VOT}PARAM")}
    assert params["accessURL"].get("value") == f"{BASE_URL}/api/cutout/sync"
    assert params["ID"].get("ref") == "obs_publisher_did"


def test_rows_do_not_wait_for_the_description(services: Any, document: Any) -> None:
    sia = SiaService(services.engine, labels=("alpha",), limits=Limits())
    this = [item for item in document(_query(sia)).find_all("RESOURCE") if item.get("name") == "this"]
    assert len(this) == 1
    # Whoever asks for it alone gets all of it.
    found = document(_query(sia, ("MAXREC", "0")))
    collections = next(item for item in found.find_all("PARAM") if item.get("name") == "COLLECTION")
    assert len(list(collections.iter(f"{VOT}OPTION"))) == 2


@pytest.mark.parametrize(
    ("asked", "media_type"),
    [("votable", "application/x-votable+xml"), ("text/xml", "text/xml")],
)
def test_3_responseformat(sia: SiaService, document: Any, asked: str, media_type: str) -> None:
    response = _query(sia, ("RESPONSEFORMAT", asked), ("MAXREC", "2"))
    assert response.media_type == media_type
    assert len(document(response).rows) == 2


def test_3_responseformat_csv(sia: SiaService, document: Any) -> None:
    response = _query(sia, ("RESPONSEFORMAT", "csv"), ("CALIB", "3"))
    assert response.media_type == "text/csv;header=present"
    assert not isinstance(response.body, bytes)
    rows = list(csv.DictReader(io.StringIO(b"".join(response.body).decode(), newline="")))
    expected = document(_query(sia, ("CALIB", "3"))).rows
    assert sorted(map(repr, rows)) == sorted(map(repr, expected))


ERRORS = [
    ("2.1.1", "POS", "CIRCLE 1 2"),
    ("2.1.1", "POS", "BOX 1 2 3 4"),
    ("2.1.1", "POS", "CIRCLE 1 95 1"),
    ("2.1.1", "POS", "CIRCLE 400 5 1"),
    ("2.1.1", "POS", "POLYGON 1 2 3 4 5"),
    ("2.1.1", "POS", ""),
    ("2.1.2", "BAND", "a"),
    ("2.1.2", "BAND", "2 1"),
    ("4.3", "BAND", "-2"),
    ("2.1.3", "TIME", "2024-01-01T00:00:00"),
    ("2.1.4", "POL", "left"),
    ("2.1.15", "CALIB", "x"),
    ("3", "MAXREC", "-1"),
    ("3", "RESPONSEFORMAT", "foo"),
]


@pytest.mark.parametrize(("clause", "name", "value"), ERRORS, ids=[f"{c}-{n}={v}" for c, n, v in ERRORS])
def test_4_3_bad_value_is_a_usage_fault(
    sia: SiaService, document: Any, clause: str, name: str, value: str
) -> None:
    response = _query(sia, (name, value))
    assert (response.status, response.media_type) == (400, "application/x-votable+xml")
    found = document(response)
    ((status, _, text),) = found.statuses
    assert status == "ERROR"
    assert text.startswith(f"UsageFault: {name}")
    assert found.find_all("TABLE") == [], clause


def test_4_3_two_maxrec_is_a_usage_fault(sia: SiaService, document: Any) -> None:
    found = document(_query(sia, ("MAXREC", "1"), ("maxrec", "1")))
    assert found.statuses[0][2].startswith("UsageFault: MAXREC takes one value")


@pytest.mark.parametrize("asked", ["csv", "text/tab-separated-values"])
def test_4_3_error_is_plain_text_where_text_was_asked_for(sia: SiaService, asked: str) -> None:
    response = _query(sia, ("BAND", "a"), ("RESPONSEFORMAT", asked))
    assert (response.status, response.media_type) == (400, "text/plain; charset=utf-8")
    assert isinstance(response.body, bytes)
    assert response.body.startswith(b"UsageFault: BAND='a' is not accepted")


def test_4_3_unknown_label_is_a_usage_fault(sia: SiaService, document: Any) -> None:
    response = _query(sia, label="gamma")
    assert response.status == 404
    text = document(response).statuses[0][2]
    assert text == "UsageFault: There is no repository 'gamma' here; there are: alpha, beta"


def test_4_3_store_that_cannot_be_read_is_a_transient_fault(sia_down: SiaService, document: Any) -> None:
    response = _query(sia_down)
    assert (response.status, response.headers) == (503, {"Retry-After": "30"})
    assert document(response).statuses[0][2].startswith("TransientFault: ")


def test_search_of_a_client_who_is_gone_is_stopped(sia: SiaService) -> None:
    hangup = Hangup()
    hangup.happen()
    response = sia.query(ParamSet.from_pairs([], hangup=hangup), BASE_URL)
    assert response.status == 400
    assert b"UsageFault: " in (response.body if isinstance(response.body, bytes) else b"")


def test_votlint_finds_nothing(sia: SiaService, votlint: Callable[[bytes], str]) -> None:
    response = _query(sia, ("MAXREC", "20"))
    assert not isinstance(response.body, bytes)
    assert votlint(b"".join(response.body)) == ""


@pytest.mark.parametrize("label", [None, "alpha", "beta"])
def test_dali_2_3_examples_find_images(sia: SiaService, document: Any, label: str | None) -> None:
    response = sia.examples(BASE_URL, label=label)
    assert (response.status, response.media_type) == (200, "application/xhtml+xml")
    assert isinstance(response.body, bytes)
    root = ET.fromstring(response.body)
    (body,) = [item for item in root.iter() if item.get("vocab") is not None]
    assert body.get("vocab") == "http://www.ivoa.net/rdf/examples#"
    found = [item for item in body.iter() if item.get("typeof") == "example"]
    ids = [item.get("id") for item in found]
    assert len(ids) == len(set(ids))
    assert {"circle", "range", "places", "band", "time", "collection", "id", "parameters"} == set(ids)
    url = f"{BASE_URL}/api/sia" if label is None else f"{BASE_URL}/api/sia/{label}"
    for example in found:
        assert example.get("resource") == f"#{example.get('id')}"
        (name,) = example.findall(".//*[@property='name']")
        assert name.text
        assert len(name) == 0
        (capability,) = example.findall(".//*[@property='capability']")
        assert capability.text == "ivo://ivoa.net/std/SIA#query-2.0"
        pairs = [
            (item.findtext(".//*[@property='key']"), item.findtext(".//*[@property='value']"))
            for item in example.findall(".//*[@property='generic-parameter']")
        ]
        assert pairs
        (link,) = [item.get("href", "") for item in example.iter() if item.get("href")]
        assert link.partition("?")[0] == f"{url}/query"
        assert parse_qsl(link.partition("?")[2], strict_parsing=True) == pairs
        answer = sia.query(
            ParamSet.from_pairs([(key or "", value or "") for key, value in pairs]), BASE_URL, label=label
        )
        assert answer.status == 200
        if ("RESPONSEFORMAT", "csv") in pairs:
            assert len(b"".join(answer.body).splitlines()) > 1
        elif ("MAXREC", "0") not in pairs:
            assert document(answer).rows, example.get("id")


def test_dali_2_3_examples_are_in_the_capabilities(sia: SiaService) -> None:
    for label, url in ((None, f"{BASE_URL}/api/sia"), ("beta", f"{BASE_URL}/api/sia/beta")):
        body = sia.capabilities(BASE_URL, label=label).body
        assert isinstance(body, bytes)
        told = {item.get("standardID"): item.findtext("interface/accessURL") for item in ET.fromstring(body)}
        assert told["ivo://ivoa.net/std/DALI#examples"] == f"{url}/examples"


def test_dali_2_3_examples_of_nothing_and_of_nobody(sia: SiaService, sia_down: SiaService) -> None:
    assert sia.examples(BASE_URL, label="gamma").status == 404
    assert sia_down.examples(BASE_URL).status == 503


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (359.99, -90.0), (180.0, 90.0), (0.05, 89.99)])
def test_dali_2_3_examples_are_requests_wherever_the_image_is(ra: float, dec: float) -> None:
    image = dict.fromkeys(COLUMNS) | {"s_ra": ra, "s_dec": dec, "obs_publisher_did": "ivo://x/y?<&>"}
    examples = build_examples(image)
    assert {"circle", "id", "parameters"} <= {example.xml_id for example in examples}
    for example in examples:
        parse_request(ParamSet.from_pairs(example.parameters), Limits(), expand_id=lambda text: (text,))
    ET.fromstring(write_examples(examples, title="x", capability="y", run_url="https://example.org"))
    assert [example.xml_id for example in build_examples(None)] == ["parameters"]
