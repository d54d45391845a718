"""Documents and requests of UWS, against the schema of the IVOA."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import pytest

from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.uws import Job, JobError, JobResult, Phase, Wait, parse_wait
from lsst.dax.vo.uws._documents import write_job, write_jobs, write_parameters, write_results
from lsst.dax.vo.uws._job import format_time
from lsst.dax.vo.uws._requests import parse_execution, parse_filter, parse_time

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
HREF = "{http://www.w3.org/1999/xlink}href"
LIST_URL = "https://vo.example.org/a&b/api/tap/async"
CREATED_S = 1_800_000_000.25

NEW = Job("0a1b", Phase.PENDING, CREATED_S, 600, CREATED_S + 86_400, "https://vo.example.org")
DONE = Job(
    "0a1b",
    Phase.COMPLETED,
    CREATED_S,
    600,
    CREATED_S + 86_400,
    "https://vo.example.org",
    parameters=(("RUNID", "r<1>"), ("QUERY", "SELECT 1\nFROM a WHERE b < '&' \x07\ud800"), ("UPLOAD", "")),
    started_s=CREATED_S + 1,
    ended_s=CREATED_S + 2,
    results=(JobResult("result", "text/csv;header=present", 3000), JobResult("cut-2.fits", "image/fits", 0)),
)
FAILED = Job(
    "0a1b",
    Phase.ERROR,
    CREATED_S,
    600,
    CREATED_S + 86_400,
    "https://vo.example.org",
    started_s=CREATED_S + 1,
    ended_s=CREATED_S + 2,
    error=JobError("No <such> column", "fatal", "application/x-votable+xml", b"<VOTABLE/>"),
)


@pytest.mark.parametrize(
    ("root", "document"),
    [
        ("job", write_job(NEW, list_url=LIST_URL)),
        ("job", write_job(DONE, list_url=LIST_URL)),
        ("job", write_job(FAILED, list_url=LIST_URL)),
        ("jobs", write_jobs([DONE, NEW], list_url=LIST_URL)),
        ("jobs", write_jobs([], list_url=LIST_URL)),
        ("parameters", write_parameters(DONE)),
        ("results", write_results(DONE, list_url=LIST_URL)),
    ],
)
def test_documents_are_valid(root: str, document: bytes, xsd_errors: Callable[[bytes, str], str]) -> None:
    assert xsd_errors(document, f"{UWS}{root}") == ""


@pytest.mark.parametrize("phase", list(Phase))
def test_job_is_valid_in_every_phase(phase: Phase, xsd_errors: Callable[[bytes, str], str]) -> None:
    for job in (NEW, DONE, FAILED):
        changed = replace(job, phase=phase)
        assert xsd_errors(write_job(changed, list_url=LIST_URL), f"{UWS}job") == ""
        assert xsd_errors(write_jobs([changed] * 2, list_url=LIST_URL), f"{UWS}jobs") == ""


def test_schema_is_no_rubber_stamp(xsd_errors: Callable[[bytes, str], str]) -> None:
    document = write_job(NEW, list_url=LIST_URL)
    for right, wrong in (
        (b'<uws:startTime xsi:nil="true"/>', b"<uws:startTime/>"),
        (b"<uws:results></uws:results>", b""),
        (b"PENDING", b"WAITING"),
    ):
        assert right in document
        assert xsd_errors(document.replace(right, wrong), f"{UWS}job") != ""
    assert xsd_errors(document, f"{UWS}jobs") == f"The root is {UWS}job"


def test_job_tells_everything() -> None:
    root = ET.fromstring(write_job(DONE, list_url=LIST_URL))
    assert root.get("version") == "1.1"
    values = {child.tag.removeprefix(UWS): child.text for child in root}
    assert values["jobId"] == "0a1b"
    assert values["runId"] == "r<1>"
    assert values["phase"] == "COMPLETED"
    assert values["creationTime"] == "2027-01-15T08:00:00.250Z"
    assert (values["startTime"], values["endTime"]) == (
        "2027-01-15T08:00:01.250Z",
        "2027-01-15T08:00:02.250Z",
    )
    assert (values["executionDuration"], values["destruction"]) == ("600", "2027-01-16T08:00:00.250Z")
    parameters = {item.get("id"): item.text for item in root.iter(f"{UWS}parameter")}
    # What XML cannot hold is replaced; all else is as it was sent.
    assert parameters == {
        "RUNID": "r<1>",
        "QUERY": "SELECT 1\nFROM a WHERE b < '&' \ufffd\ufffd",
        "UPLOAD": None,
    }
    results = [dict(item.attrib) for item in root.iter(f"{UWS}result")]
    assert [(item["id"], item[HREF]) for item in results] == [
        ("result", f"{LIST_URL}/0a1b/results/result"),
        ("cut-2.fits", f"{LIST_URL}/0a1b/results/cut-2.fits"),
    ]
    assert (results[0]["mime-type"], results[0]["size"]) == ("text/csv;header=present", "3000")


def test_what_is_not_known_is_nil() -> None:
    root = ET.fromstring(write_job(NEW, list_url=LIST_URL))
    nil = {child.tag.removeprefix(UWS) for child in root if child.get(XSI_NIL) == "true"}
    assert nil == {"ownerId", "quote", "startTime", "endTime"}
    assert root.find(f"{UWS}runId") is None
    assert root.find(f"{UWS}errorSummary") is None
    assert list(root.iter(f"{UWS}result")) == []


def test_error_is_in_short() -> None:
    (summary,) = ET.fromstring(write_job(FAILED, list_url=LIST_URL)).iter(f"{UWS}errorSummary")
    assert (summary.get("type"), summary.get("hasDetail")) == ("fatal", "true")
    assert summary.findtext(f"{UWS}message") == "No <such> column"


def test_list_leads_to_its_jobs() -> None:
    root = ET.fromstring(write_jobs([DONE, NEW], list_url=LIST_URL))
    assert root.get("version") == "1.1"
    assert [item.get(HREF) for item in root] == [f"{LIST_URL}/0a1b"] * 2
    assert [item.findtext(f"{UWS}phase") for item in root] == ["COMPLETED", "PENDING"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2027-01-15T08:00:00.25Z", CREATED_S),
        ("2027-01-15T08:00:00.25", CREATED_S),
        ("2027-01-15T10:00:00.25+02:00", CREATED_S),
        (" 2027-01-15 08:00:00.25 ", CREATED_S),
        ("2027-01-15", CREATED_S - 8 * 3600 - 0.25),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text, "AFTER") == seconds


def test_times_are_written_as_they_are_read() -> None:
    assert parse_time(format_time(CREATED_S), "AFTER") == CREATED_S


@pytest.mark.parametrize("text", ["", "soon", "2027-13-01", "9" * 5000, "60000.5"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"DESTRUCTION=.* is not accepted; give a time in UTC"):
        parse_time(text, "DESTRUCTION")


def _parse_wait(**params: str) -> Wait | None:
    return parse_wait(ParamSet.from_pairs(params.items()))


def test_wait() -> None:
    assert _parse_wait() is None
    assert _parse_wait(phase="QUEUED") is None
    assert _parse_wait(wait="7") == Wait(7)
    assert _parse_wait(Wait="0", phase="queued") == Wait(0, Phase.QUEUED)
    longest = _parse_wait(wait="-1")
    assert longest is not None
    assert longest == _parse_wait(wait="9" * 30)
    assert 10 < longest.seconds < 60


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"wait": "long"}, "WAIT='long' is not accepted; give seconds, or -1"),
        ({"wait": "-2"}, "WAIT='-2'"),
        ({"wait": "1.5"}, "WAIT='1.5'"),
        ({"wait": "1", "phase": "RUN"}, "PHASE='RUN' is not accepted; give one of PENDING, QUEUED,"),
    ],
)
def test_wait_that_is_refused(params: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        _parse_wait(**params)
    assert str(caught.value).startswith(told)


def test_filter() -> None:
    assert parse_filter(ParamSet()) == ([], None, None)
    pairs = [("phase", "pending"), ("PHASE", "ARCHIVED"), ("Last", "3"), ("after", "2027-01-15T08:00:00.25Z")]
    assert parse_filter(ParamSet.from_pairs(pairs)) == ([Phase.PENDING, Phase.ARCHIVED], CREATED_S, 3)


@pytest.mark.parametrize("pair", [("PHASE", "done"), ("LAST", "-1"), ("LAST", "x"), ("AFTER", "yesterday")])
def test_filter_that_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=f"{pair[0]}='{pair[1]}' is not accepted"):
        parse_filter(ParamSet.from_pairs([pair]))


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("100", 100), (" 100.0 ", 100), ("1.2", 2), ("5.", 5), ("9" * 400, 10**9)]
)
def test_execution(text: str, seconds: int) -> None:
    assert parse_execution(ParamSet.from_pairs([("ExecutionDuration", text)])) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1e3", "nan", "inf", "1 h", "٣"])
def test_execution_that_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"EXECUTIONDURATION=.* is not accepted; give seconds, 0 or more"):
        parse_execution(ParamSet.from_pairs([("EXECUTIONDURATION", text)]))
