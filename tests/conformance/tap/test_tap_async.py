"""TAP 1.1, 2.2.2 and UWS 1.1: /async, one resource after another, no redirect followed."""

import asyncio
import re
import socket
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.types import Message

from lsst.dax.vo.config import Limits, ServiceConfig
from lsst.dax.vo.http._jobs import add_job_routes
from lsst.dax.vo.tap import TapService, merge_uploads
from lsst.dax.vo.uws import JobLimits, JobService

BASE_URL = "https://vo.example.org/rubin"
LIST = "/api/tap/async"
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"
HREF = "{http://www.w3.org/1999/xlink}href"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
VOTABLE = "application/x-votable+xml"
LIMITS = JobLimits(execution_s=30, execution_hard_s=40, retention_s=1000, retention_hard_s=2000, running=2)
QUERY = "SELECT TOP 3 obs_id, s_ra FROM ivoa.ObsCore ORDER BY obs_publisher_did"
# More than a machine counts in the time of a test.
LONG = (
    "SELECT COUNT(*) AS n FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b, ivoa.ObsCore AS c, ivoa.ObsCore AS d, "
    "ivoa.ObsCore AS e WHERE a.s_ra + b.s_ra + c.s_ra + d.s_ra + e.s_ra > 3"
)


class Client:
    """Requests to the list of jobs, and the answers as they come."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def __call__(self, method: str, path: str = "", /, **options: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="https://vo.example.org") as session:
                return await session.request(method, f"{LIST}{path}", **options)

        return asyncio.run(run())

    async def leave(self, path: str, query: bytes) -> int:
        """Ask with GET, go away soon, and return the status that is counted."""
        sent: list[Message] = []
        messages: list[Message] = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

        async def receive() -> Message:
            await asyncio.sleep(0.1)
            return messages.pop(0) if len(messages) > 1 else messages[0]

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": []}
        await self._app(scope, receive, send)
        return int(sent[0]["status"])

    def post(self, path: str = "", /, **data: str) -> httpx.Response:
        return self("POST", path, data=data)

    def make(self, **data: str) -> str:
        """Make a job and return its path below the list."""
        answer = self.post(**data)
        assert (answer.status_code, answer.content) == (303, b"")
        assert re.fullmatch(f"{BASE_URL}{LIST}/[0-9a-f]{{32}}", answer.headers["location"])
        return answer.headers["location"].removeprefix(f"{BASE_URL}{LIST}")

    def job(self, path: str, **params: str) -> ET.Element:
        answer = self("GET", path, params=params)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml")
        return ET.fromstring(answer.content)

    def text(self, path: str) -> str:
        answer = self("GET", path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        return answer.text

    def wait(self, path: str, *phases: str) -> str:
        wanted = phases or ("COMPLETED", "ERROR", "ABORTED")
        phase: str | None = self.text(f"{path}/phase")
        for _ in range(60):
            if phase in wanted:
                return phase
            phase = self.job(path, WAIT="5").findtext(f"{UWS}phase")
        raise AssertionError(f"still {phase}")

    def ids(self, **params: Any) -> list[str]:
        answer = self("GET", "", params=params)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml")
        root = ET.fromstring(answer.content)
        assert (root.tag, root.get("version")) == (f"{UWS}jobs", "1.1")
        assert [item.get(HREF) for item in root] == [f"{BASE_URL}{LIST}/{item.get('id')}" for item in root]
        return [f"/{item.get('id')}" for item in root]


def see_other(answer: httpx.Response, path: str) -> None:
    """Look at the answer to a change."""
    assert (answer.status_code, answer.content) == (303, b"")
    assert answer.headers["location"] == f"{BASE_URL}{LIST}{path}"


@pytest.fixture
def jobs(services: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobService]:
    tap = TapService(
        services.engine,
        limits=Limits(maxrec=50, maxrec_hard=200, upload_bytes=100_000),
        open_result=lambda job_id, name: opened.open_result(job_id, name),
    )
    opened = JobService(
        tmp_path_factory.mktemp("jobs"),
        tap.run_job,
        tap.describe_error,
        limits=LIMITS,
        merges={"UPLOAD": merge_uploads},
    )
    opened.start()
    yield opened
    opened.close()


@pytest.fixture
def client(jobs: JobService) -> Client:
    app, router = FastAPI(), APIRouter(prefix="/api/tap")
    add_job_routes(router, "/async", jobs, ServiceConfig(base_url=BASE_URL), uploads=True)
    app.include_router(router)
    return Client(app)


def test_uws_2_2_walk_through_a_life(client: Client) -> None:
    path = client.make()
    assert client.text(f"{path}/phase") == "PENDING"
    see_other(client.post(f"{path}/parameters", LANG="ADQL", QUERY=QUERY), path)
    see_other(client.post(f"{path}/parameters", RUNID="A-1"), path)
    see_other(client.post(f"{path}/parameters", runId="A-2"), path)
    job = client.job(path)
    assert job.findtext(f"{UWS}runId") == "A-2"
    assert {item.get("id"): item.text for item in job.iter(f"{UWS}parameter")} == {
        "LANG": "ADQL",
        "QUERY": QUERY,
        "RUNID": "A-2",
    }
    assert [item.get("id") for item in client.job(f"{path}/parameters")] == ["LANG", "QUERY", "RUNID"]
    assert client.text(f"{path}/parameters/query") == QUERY
    assert list(client.job(f"{path}/results")) == []
    see_other(client.post(f"{path}/phase", PHASE="RUN"), path)
    # It is in the queue, or further, when the answer is sent (pyvo 1.9).
    assert client.text(f"{path}/phase") in ("QUEUED", "EXECUTING", "COMPLETED")
    assert client.wait(path) == "COMPLETED"
    (result,) = client.job(f"{path}/results")
    assert (result.get("id"), result.get("mime-type")) == ("result", VOTABLE)
    assert result.get(HREF) == f"{BASE_URL}{LIST}{path}/results/result"
    answer = client("GET", f"{path}/results/result")
    assert (answer.status_code, answer.headers["content-type"]) == (200, VOTABLE)
    assert answer.headers["content-length"] == result.get("size") == str(len(answer.content))
    assert len(list(ET.fromstring(answer.content).iter(f"{VOT}TR"))) == 3
    head = client("HEAD", f"{path}/results/result")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]
    assert client("GET", f"{path}/error").status_code == 404
    see_other(client("DELETE", path), "")
    for tail in ("", "/phase", "/results", "/results/result", "/parameters", "/error", "/destruction"):
        assert client("GET", f"{path}{tail}").status_code == 404
    assert client("DELETE", path).status_code == 404
    assert path not in client.ids()


def test_uws_head_of_a_job(client: Client) -> None:
    assert client("HEAD", client.make()).status_code == 200
    assert client("HEAD", "/none").status_code == 404


def test_uws_2_2_2_values_are_those_of_the_job(client: Client) -> None:
    path = client.make(QUERY=QUERY, PHASE="RUN")
    client.wait(path)
    job = client.job(path)
    for tag, item in (
        ("phase", "phase"),
        ("executionDuration", "executionduration"),
        ("destruction", "destruction"),
    ):
        assert job.findtext(f"{UWS}{tag}") == client.text(f"{path}/{item}")
    for tag, item in (("quote", "quote"), ("ownerId", "owner")):
        element = job.find(f"{UWS}{tag}")
        assert element is not None
        assert (element.get(NIL), client.text(f"{path}/{item}")) == ("true", "")
    assert job.findtext(f"{UWS}jobId") == path.removeprefix("/")
    for tag in ("creationTime", "startTime", "endTime", "destruction"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job.findtext(f"{UWS}{tag}") or "")


def test_uws_2_2_3_job_runs_when_it_is_made(client: Client) -> None:
    assert client.wait(client.make(LANG="ADQL", QUERY=QUERY, PHASE="RUN")) == "COMPLETED"


def test_tap_2_2_2_parameters_of_the_query_string_count(client: Client) -> None:
    answer = client("POST", "", params={"QUERY": QUERY, "phase": "run"})
    path = answer.headers["location"].removeprefix(f"{BASE_URL}{LIST}")
    assert client.wait(path) == "COMPLETED"


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([], "QUERY is missing"),
        ([("QUERY", "DUFF QUERY")], "'DUFF'"),
        ([("QUERY", QUERY), ("LANG", "OOBLECK")], "LANG='OOBLECK' is not accepted"),
        ([("QUERY", QUERY), ("MAXREC", "-1")], "MAXREC='-1' is not accepted"),
        ([("QUERY", QUERY), ("RESPONSEFORMAT", "no/such")], "RESPONSEFORMAT='no/such' is not accepted"),
        # DALI 1.1, 2.1: at execution, not before.
        ([("QUERY", QUERY), ("QUERY", QUERY)], "QUERY takes one value, 2 were given"),
        ([("QUERY", QUERY), ("MAXREC", "1"), ("maxrec", "1")], "MAXREC takes one value, 2 were given"),
        ([("QUERY", QUERY), ("UPLOAD", "t,param:t")], "UPLOAD: the request has no file in a part 't'"),
        ([("QUERY", QUERY), ("UPLOAD", "t,http://localhost/x")], "UPLOAD: this service fetches no tables"),
    ],
)
def test_tap_3_3_error_of_a_job(client: Client, pairs: list[tuple[str, str]], told: str) -> None:
    body = httpx.QueryParams([*pairs, ("PHASE", "RUN")])
    answer = client("POST", content=str(body), headers={"Content-Type": "application/x-www-form-urlencoded"})
    path = answer.headers["location"].removeprefix(f"{BASE_URL}{LIST}")
    assert client.wait(path) == "ERROR"
    (summary,) = client.job(path).iter(f"{UWS}errorSummary")
    assert (summary.get("type"), summary.get("hasDetail")) == ("fatal", "true")
    message = summary.findtext(f"{UWS}message") or ""
    assert told in message
    error = client("GET", f"{path}/error")
    assert (error.status_code, error.headers["content-type"]) == (200, VOTABLE)
    (info,) = ET.fromstring(error.content).iter(f"{VOT}INFO")
    assert (info.get("name"), info.get("value"), info.text) == ("QUERY_STATUS", "ERROR", message)
    assert client("GET", f"{path}/results/result").status_code == 404
    assert list(client.job(f"{path}/results")) == []


@pytest.mark.parametrize(
    ("sent", "media_type", "begin"),
    [
        ({"RESPONSEFORMAT": "csv"}, "text/csv;header=present", b"obs_id,s_ra"),
        ({"FORMAT": "text/tab-separated-values"}, "text/tab-separated-values", b"obs_id\ts_ra"),
        ({"RESPONSEFORMAT": "text/xml"}, "text/xml", b"<?xml"),
    ],
)
def test_tap_2_7_3_format_of_a_result(
    client: Client, sent: dict[str, str], media_type: str, begin: bytes
) -> None:
    path = client.make(QUERY=QUERY, PHASE="RUN", **sent)
    assert client.wait(path) == "COMPLETED"
    answer = client("GET", f"{path}/results/result")
    assert answer.headers["content-type"] == media_type
    assert answer.content.startswith(begin)


@pytest.mark.parametrize(("maxrec", "rows", "overflow"), [("2", 2, True), ("0", 0, True), ("3", 3, False)])
def test_tap_2_7_4_maxrec(client: Client, maxrec: str, rows: int, overflow: bool) -> None:
    path = client.make(QUERY=QUERY, MAXREC=maxrec, PHASE="RUN")
    assert client.wait(path) == "COMPLETED"
    root = ET.fromstring(client("GET", f"{path}/results/result").content)
    assert len(list(root.iter(f"{VOT}TR"))) == rows
    states = [item.get("value") for item in root.iter(f"{VOT}INFO") if item.get("name") == "QUERY_STATUS"]
    assert states == (["OK", "OVERFLOW"] if overflow else ["OK"])


def test_tap_2_2_2_no_rows_are_a_result(client: Client) -> None:
    path = client.make(QUERY="SELECT obs_id FROM ivoa.ObsCore WHERE obs_id = 'none'", PHASE="RUN")
    assert client.wait(path) == "COMPLETED"
    assert client("GET", f"{path}/results/result").status_code == 200


class TestAbort:
    def test_pending(self, client: Client) -> None:
        path = client.make(QUERY=QUERY)
        see_other(client.post(f"{path}/phase", PHASE="ABORT"), path)
        assert client.text(f"{path}/phase") == "ABORTED"
        # Over is over.
        refused = client.post(f"{path}/phase", PHASE="RUN")
        assert (refused.status_code, refused.headers["content-type"]) == (403, "text/plain; charset=utf-8")
        assert client.post(f"{path}/parameters", QUERY="x").status_code == 403
        assert client("GET", f"{path}/error").status_code == 404

    def test_executing_query_is_stopped(self, client: Client, jobs: JobService) -> None:
        path = client.make(QUERY=LONG, PHASE="RUN")
        assert client.wait(path, "EXECUTING") == "EXECUTING"
        see_other(client.post(f"{path}/phase", phase="abort"), path)
        assert client.text(f"{path}/phase") == "ABORTED"
        for _ in range(500):
            if jobs.running == 0:
                break
            time.sleep(0.02)
        assert jobs.running == 0
        assert client("GET", f"{path}/results/result").status_code == 404
        # The engine answers others.
        assert client.wait(client.make(QUERY=QUERY, PHASE="RUN")) == "COMPLETED"

    def test_completed(self, client: Client) -> None:
        path = client.make(QUERY=QUERY, PHASE="RUN")
        client.wait(path)
        see_other(client.post(f"{path}/phase", PHASE="ABORT"), path)
        assert client.text(f"{path}/phase") == "COMPLETED"


def test_uws_2_2_1_2_query_that_takes_too_long_is_ended(client: Client) -> None:
    path = client.make(QUERY=LONG, EXECUTIONDURATION="1", PHASE="RUN")
    assert client.wait(path) == "ERROR"
    assert "more than 1 s" in (client.job(path).findtext(f"{UWS}errorSummary/{UWS}message") or "")
    assert client("GET", f"{path}/error").status_code == 200


def test_uws_run_again_changes_nothing(client: Client) -> None:
    path = client.make(QUERY=LONG, PHASE="RUN")
    client.wait(path, "EXECUTING")
    see_other(client.post(f"{path}/phase", PHASE="RUN"), path)
    assert client.text(f"{path}/phase") == "EXECUTING"
    see_other(client("DELETE", path), "")


def test_uws_2_2_3_post_deletes_too(client: Client) -> None:
    path = client.make()
    for data in ({}, {"ACTION": "RUN"}, {"QUERY": "x"}):
        assert client.post(path, **data).status_code == 400
    see_other(client.post(path, action="delete"), "")
    assert client("GET", path).status_code == 404


@pytest.mark.parametrize(("asked", "given"), [("10", "10"), ("40", "40"), ("41", "40"), ("0", "40")])
def test_uws_2_2_1_2_execution_is_within_the_limits(client: Client, asked: str, given: str) -> None:
    path = client.make()
    assert client.text(f"{path}/executionduration") == "30"
    see_other(client.post(f"{path}/executionduration", EXECUTIONDURATION=asked), path)
    assert client.text(f"{path}/executionduration") == given
    assert client.text(f"{client.make(EXECUTIONDURATION=asked)}/executionduration") == given


def test_uws_2_2_1_3_destruction_is_within_the_limits(client: Client, jobs: JobService) -> None:
    path = client.make()
    created_s = jobs.find(path[1:]).created_s
    for seconds, kept in ((1500, 1500), (2500, 2000)):
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created_s + seconds))
        see_other(client.post(f"{path}/destruction", DESTRUCTION=text), path)
        assert jobs.find(path[1:]).destruction_s == pytest.approx(created_s + kept, abs=1)
        assert client.job(path).findtext(f"{UWS}destruction") == client.text(f"{path}/destruction")
    see_other(client.post(f"{path}/destruction", DESTRUCTION="2000-01-01"), path)
    assert client("GET", path).status_code == 404


WRONG = [
    ("phase", {"PHASE": "STOP"}, "PHASE='STOP' is not accepted here; give RUN or ABORT"),
    ("phase", {}, "PHASE is missing"),
    ("phase", {"PHASE": "PENDING"}, "PHASE='PENDING' is not accepted here"),
    ("executionduration", {"EXECUTIONDURATION": "long"}, "EXECUTIONDURATION='long' is not accepted"),
    ("executionduration", {"EXECUTIONDURATION": "-1"}, "EXECUTIONDURATION='-1' is not accepted"),
    ("executionduration", {}, "EXECUTIONDURATION is missing"),
    ("destruction", {"DESTRUCTION": "never"}, "DESTRUCTION='never' is not accepted; give a time in UTC"),
    ("destruction", {}, "DESTRUCTION is missing"),
]


@pytest.mark.parametrize(("item", "data", "told"), WRONG)
def test_uws_words_that_are_refused(client: Client, item: str, data: dict[str, str], told: str) -> None:
    path = client.make()
    before = client("GET", path).content
    answer = client.post(f"{path}/{item}", **data)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert answer.text.startswith(f"UsageError: {told}")
    assert client("GET", path).content == before


def test_uws_2_2_3_jobs_that_are_refused_are_not_made(client: Client) -> None:
    for data in ({"PHASE": "ABORT"}, {"DESTRUCTION": "x"}, {"EXECUTIONDURATION": "x"}):
        assert client.post(**data).status_code == 400
    assert client.ids() == []


def test_uws_2_2_2_1_list_and_its_filters(client: Client) -> None:
    paths = []
    for _ in range(3):
        paths.append(client.make(QUERY=QUERY))
        time.sleep(0.01)
    newest = paths[::-1]
    assert client.ids() == newest
    client.post(f"{paths[0]}/phase", PHASE="ABORT")
    assert client.ids(LAST="1") == newest[:1]
    assert client.ids(last="2") == newest[:2]
    assert client.ids(PHASE="aborted") == [paths[0]]
    assert client.ids(PHASE=["PENDING", "ABORTED"]) == newest
    assert client.ids(PHASE="COMPLETED") == []
    assert client.ids(PHASE="ARCHIVED") == []
    created = client.job(paths[1]).findtext(f"{UWS}creationTime") or ""
    assert client.ids(AFTER=created)[:1] == newest[:1]
    assert paths[0] not in client.ids(AFTER=created)
    assert client.ids(AFTER="2100-01-01") == []
    assert client.ids(AFTER=created, PHASE="PENDING", LAST="1") == newest[:1]
    for params in ({"PHASE": "DONE"}, {"LAST": "-1"}, {"AFTER": "x"}):
        assert client("GET", "", params=params).status_code == 400


class TestWait:
    """UWS 1.1, 2.2.1.1."""

    def test_ends_with_the_phase(self, client: Client) -> None:
        path = client.make(QUERY=QUERY)

        async def run() -> tuple[str | None, bool]:
            loop = asyncio.get_running_loop()
            waiting = loop.run_in_executor(None, lambda: client.job(path, WAIT="30"))
            await asyncio.sleep(0.2)
            early = waiting.done()
            await loop.run_in_executor(None, lambda: client.post(f"{path}/phase", PHASE="ABORT"))
            return (await waiting).findtext(f"{UWS}phase"), early

        assert asyncio.run(run()) == ("ABORTED", False)

    def test_ends_with_its_time(self, client: Client) -> None:
        path = client.make(QUERY=QUERY)
        start_s = time.monotonic()
        assert client.job(path, WAIT="1").findtext(f"{UWS}phase") == "PENDING"
        assert time.monotonic() - start_s >= 1

    @pytest.mark.parametrize("wait", ["-1", "1000"])
    def test_ends_at_once(self, client: Client, wait: str) -> None:
        ended = client.make()
        client.post(f"{ended}/phase", PHASE="ABORT")
        # Longer than the limit of a test, were it to wait.
        assert client.job(ended, WAIT=wait).findtext(f"{UWS}phase") == "ABORTED"
        other = client.job(client.make(), WAIT=wait, PHASE="EXECUTING")
        assert other.findtext(f"{UWS}phase") == "PENDING"

    def test_is_refused(self, client: Client) -> None:
        path = client.make()
        for params in ({"WAIT": "x"}, {"WAIT": "1", "PHASE": "x"}, {"WAIT": ["1", "2"]}):
            assert client("GET", path, params=params).status_code == 400

    def test_of_a_client_that_goes(self, client: Client) -> None:
        path = client.make(QUERY=QUERY)
        start_s = time.monotonic()
        assert asyncio.run(client.leave(f"{LIST}{path}", b"WAIT=30")) == 499
        assert time.monotonic() - start_s < 5

    def test_of_a_job_that_goes(self, client: Client) -> None:
        path = client.make()

        async def run() -> int:
            loop = asyncio.get_running_loop()
            waiting = loop.run_in_executor(None, lambda: client("GET", path, params={"WAIT": "30"}))
            await asyncio.sleep(0.1)
            await loop.run_in_executor(None, lambda: client("DELETE", path))
            return (await waiting).status_code

        assert asyncio.run(run()) == 404


@pytest.mark.parametrize("path", ["/unknown", "/../../etc/passwd", "/" + "0" * 32, "/%00", "/a%2Fb"])
def test_unknown_jobs_are_404_in_plain_text(client: Client, path: str) -> None:
    for tail in ("", "/phase", "/results/result", "/parameters"):
        answer = client("GET", f"{path}{tail}")
        assert answer.status_code == 404
    assert client.post(f"{path}/phase", PHASE="RUN").status_code in (404, 405)


def test_unknown_children_are_404(client: Client) -> None:
    path = client.make(QUERY=QUERY)
    for tail in ("/nothing", "/results/other", "/results/..%2F..%2Fjobs.sqlite", "/parameters/LANG"):
        assert client("GET", f"{path}{tail}").status_code == 404


def test_documents_are_valid(client: Client, xsd_errors: Callable[..., str]) -> None:
    path = client.make(QUERY="DUFF <&> QUERY", RUNID="<r>", PHASE="RUN")
    client.wait(path)
    assert xsd_errors(client("GET", path).content, f"{UWS}job") == ""
    assert xsd_errors(client("GET").content, f"{UWS}jobs") == ""


def test_tap_2_7_6_files_stay_with_their_job(client: Client) -> None:
    table = (
        '<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        '<FIELD name="n" datatype="int"/><DATA><TABLEDATA><TR><TD>{}</TD></TR></TABLEDATA></DATA>'
        "</TABLE></RESOURCE></VOTABLE>"
    )
    query = "SELECT a.n AS a, b.n AS b FROM TAP_UPLOAD.one AS a, TAP_UPLOAD.two AS b"
    fields: list[Any] = [
        ("QUERY", (None, query)),
        ("UPLOAD", (None, "one,param:p1")),
        ("RESPONSEFORMAT", (None, "csv")),
        ("p1", ("1.vot", table.format(1))),
    ]
    path = client("POST", files=fields).headers["location"].removeprefix(f"{BASE_URL}{LIST}")
    # DALI 1.1, 3.4.5: UPLOAD accumulates; all others are replaced.
    more: list[Any] = [("UPLOAD", (None, "two,param:p2")), ("p2", ("2.vot", table.format(2)))]
    see_other(client("POST", f"{path}/parameters", files=more), path)
    assert client.text(f"{path}/parameters/upload") == "one,param:p1\ntwo,param:p2"
    # A table that was sent takes the place of the one of its name.
    again: list[Any] = [("UPLOAD", (None, "ONE,param:p3")), ("p3", ("3.vot", table.format(3)))]
    see_other(client("POST", f"{path}/parameters", files=again), path)
    assert client.text(f"{path}/parameters/upload") == "two,param:p2\nONE,param:p3"
    kept = client("GET", f"{path}/parameters/p2")
    assert (kept.headers["content-type"], kept.text) == ("application/octet-stream", table.format(2))
    client.post(f"{path}/phase", PHASE="RUN")
    assert client.wait(path) == "COMPLETED"
    assert client("GET", f"{path}/results/result").text.split() == ["a,b", "3,2"]


def test_dali_3_4_5_result_of_a_job_is_a_table_with_a_url(client: Client) -> None:
    first = client.make(QUERY="SELECT TOP 3 obs_id FROM ivoa.ObsCore ORDER BY obs_id", PHASE="RUN")
    assert client.wait(first) == "COMPLETED"
    url = f"{BASE_URL}{LIST}{first}/results/result"
    query = "SELECT obs_id FROM TAP_UPLOAD.mine ORDER BY obs_id"
    for scheme in ("https", "http"):
        # Behind a proxy that ends TLS, both are this service.
        upload = f"mine,{url.replace('https:', f'{scheme}:')}"
        second = client.make(QUERY=query, UPLOAD=upload, RESPONSEFORMAT="csv", PHASE="RUN")
        assert client.wait(second) == "COMPLETED"
        rows = client("GET", f"{second}/results/result").text.split()
        assert len(rows) == 4
        assert rows[0] == "obs_id"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/{job}/results/other", "The job has no result 'other'; it is COMPLETED"),
        ("/none/results/result", "There is no such job here"),
        ("/..%2f..%2fetc/results/passwd", "There is no such job here"),
        # Whatever else is here is not fetched by the service from itself.
        ("/{job}/results/result?x=1", "The job has no result 'result?x=1'"),
        ("/{job}/parameters", "this service fetches no tables from 'vo.example.org:443'"),
        ("/{job}/results/result/..", "this service fetches no tables from 'vo.example.org:443'"),
    ],
)
def test_dali_3_4_5_what_is_no_result_of_a_job_is_refused(client: Client, path: str, message: str) -> None:
    first = client.make(QUERY=QUERY, PHASE="RUN")
    assert client.wait(first) == "COMPLETED"
    url = f"{BASE_URL}{LIST}{path.format(job=first.removeprefix('/'))}"
    second = client.make(QUERY="SELECT * FROM TAP_UPLOAD.t", UPLOAD=f"t,{url}", PHASE="RUN")
    assert client.wait(second) == "ERROR"
    assert message in client("GET", f"{second}/error").text.replace("&apos;", "'")


def test_dali_3_4_5_result_that_is_too_large_is_refused(client: Client) -> None:
    first = client.make(QUERY="SELECT * FROM ivoa.ObsCore", MAXREC="200", PHASE="RUN")
    assert client.wait(first) == "COMPLETED"
    url = f"{BASE_URL}{LIST}{first}/results/result"
    second = client.make(QUERY="SELECT * FROM TAP_UPLOAD.t", UPLOAD=f"t,{url}", PHASE="RUN")
    assert client.wait(second) == "ERROR"
    assert "the tables have more than 100000 bytes together" in client("GET", f"{second}/error").text


def test_uws_2_1_3_abort_ends_the_waiting_for_a_host(services: Any, tmp_path: Path) -> None:
    """A host that takes connections and says nothing; the handshake would never end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        tap = TapService(services.engine, limits=Limits(upload_hosts=(place,)))
        jobs = JobService(tmp_path / "jobs", tap.run_job, tap.describe_error, limits=LIMITS)
        jobs.start()
        try:
            pairs = [("QUERY", "SELECT * FROM TAP_UPLOAD.t"), ("UPLOAD", f"t,https://{place}/x")]
            job = jobs.create(pairs, {}, base_url=BASE_URL)
            jobs.run(job.job_id)
            connection, _ = listener.accept()
            with connection:
                assert jobs.find(job.job_id).phase == "EXECUTING"
                jobs.abort(job.job_id)
                for _ in range(300):
                    if jobs.running == 0:
                        break
                    time.sleep(0.02)
                assert jobs.running == 0
                assert jobs.find(job.job_id).phase == "ABORTED"
        finally:
            jobs.close()
