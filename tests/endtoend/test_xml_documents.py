"""Every XML document that the services can answer, against the schemas of the IVOA.

The list of paths is that of the server itself: one that is not looked at here
fails.  Phases of a job that do not last are validated in the tests of ``uws``.
"""

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import requests

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}VOTABLE"
CAPABILITIES = "{http://www.ivoa.net/xml/VOSICapabilities/v1.0}capabilities"
AVAILABILITY = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}availability"
TABLESET = "{http://www.ivoa.net/xml/VOSITables/v1.0}tableset"
TABLE = "{http://www.ivoa.net/xml/VOSITables/v1.0}table"
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
XHTML = "{http://www.w3.org/1999/xhtml}html"

ROWS = "SELECT TOP 20 * FROM ivoa.ObsCore"
# In the order of UWS: what runs for long is more than a machine counts.
LONG = (
    "SELECT COUNT(*) AS n FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b, ivoa.ObsCore AS c, ivoa.ObsCore AS d, "
    "ivoa.ObsCore AS e, ivoa.ObsCore AS f WHERE a.s_ra + b.s_ra + c.s_ra + d.s_ra + e.s_ra + f.s_ra > 3"
)


class Asked(NamedTuple):
    """A request, and what is expected of its answer."""

    path: str
    params: dict[str, str]
    status: int
    root: str


def _vosi() -> Iterator[Asked]:
    for service in ("tap", "sia", "sia/sample", "datalink", "cutout"):
        yield Asked(f"/api/{service}/capabilities", {}, 200, CAPABILITIES)
        yield Asked(f"/api/{service}/availability", {}, 200, AVAILABILITY)
    for params in ({}, {"detail": "min"}, {"detail": "max"}):
        yield Asked("/api/tap/tables", params, 200, TABLESET)
    for name in ("ivoa.ObsCore", "TAP_SCHEMA.schemas", "tap_schema.columns"):
        yield Asked(f"/api/tap/tables/{name}", {}, 200, TABLE)


def _tables() -> Iterator[Asked]:
    for form in ("votable/td", "votable/b", "votable/b2", "text/xml"):
        for query in (
            ROWS,
            f"{ROWS} WHERE 1 = 0",
            "SELECT * FROM TAP_SCHEMA.columns",
            "SELECT calib_level AS \"<&'>\", COUNT(*), MAX(s_region), NULL AS n, 'a' || '<&>' "
            "FROM ivoa.ObsCore GROUP BY calib_level",
        ):
            for maxrec in ("0", "3", "1000"):
                params = {"QUERY": query, "RESPONSEFORMAT": form, "MAXREC": maxrec}
                yield Asked("/api/tap/sync", params, 200, VOTABLE)
        for path in ("/api/sia/query", "/api/sia/sample/query"):
            for maxrec in ("0", "3", "1000"):
                yield Asked(path, {"RESPONSEFORMAT": form, "MAXREC": maxrec}, 200, VOTABLE)
            yield Asked(path, {"RESPONSEFORMAT": form, "COLLECTION": "<none> & nothing"}, 200, VOTABLE)
            yield Asked(path, {"RESPONSEFORMAT": form, "POS": "<&>\0"}, 400, VOTABLE)


def _errors() -> Iterator[Asked]:
    for params in (
        {},
        {"QUERY": "<&\x01>"},
        {"QUERY": ROWS, "LANG": "x"},
        {"QUERY": ROWS, "FORMAT": "\ufffe"},
    ):
        yield Asked("/api/tap/sync", params, 400, VOTABLE)
    yield Asked("/api/sia/none/query", {}, 404, VOTABLE)
    yield Asked("/api/sia/query", {"MAXREC": "-1"}, 400, VOTABLE)
    yield Asked("/api/datalink/links", {"RESPONSEFORMAT": "no/such"}, 400, VOTABLE)


def _links() -> Iterator[Asked]:
    for text in ("", "{image}", "no <&> such\0", "00000000-0000-4000-8000-000000000000"):
        yield Asked("/api/datalink/links", {"ID": text} if text else {}, 200, VOTABLE)


def _examples() -> Iterator[Asked]:
    for path in ("/api/tap", "/api/sia", "/api/sia/sample", "/api/cutout"):
        yield Asked(f"{path}/examples", {}, 200, XHTML)


ASKED = [*_vosi(), *_tables(), *_errors(), *_links(), *_examples()]

JOB_PARTS = {
    "": "job",
    "/parameters": "parameters",
    "/results": "results",
}
"""XML below a list of jobs; ``/error`` and results are documents of the protocol, and all else is text."""

NO_XML = (
    # Text, one value each.
    r"/api/[a-z]+/[a-z]+/\{job_id\}/(phase|executionduration|destruction|quote|owner|parameters/\{name\})",
    # Pixels and files; errors are text there.
    r"/api/cutout/sync|/api/image/soda/sync|/api/files/.*|/api/cutout/(results|pictures?|preview)\b.*",
    r"/api/datalink/(file|product)|/api/products/.*",
    # No protocols of the IVOA.
    r"/discovery|/health|/metrics",
)


def check(answer: requests.Response, root: str, xsd_errors: Callable[[bytes, str], str]) -> None:
    """Look at one document."""
    kind = answer.headers["content-type"].partition(";")[0]
    if root == XHTML:
        # The IVOA has no schema for pages; they are to be well-formed.
        assert (kind, ET.fromstring(answer.content).tag) == ("application/xhtml+xml", XHTML)
        return
    assert kind in (("application/x-votable+xml", "text/xml") if root == VOTABLE else ("text/xml",))
    assert xsd_errors(answer.content, root) == "", answer.text[:2000]


@pytest.mark.parametrize("path", dict.fromkeys(item.path for item in ASKED))
def test_documents_of_a_path(
    base_url: str, image_id: str, path: str, xsd_errors: Callable[[bytes, str], str]
) -> None:
    with requests.Session() as session:
        for item in ASKED:
            if item.path == path:
                params = {name: value.replace("{image}", image_id) for name, value in item.params.items()}
                answer = session.get(f"{base_url}{path}", params=params, timeout=60)
                assert answer.status_code == item.status, (item, answer.text[:2000])
                check(answer, item.root, xsd_errors)


def parameters_of(service: str, image_id: str, kind: str) -> dict[str, str]:
    """Return the parameters of a job that ends well, or in an error."""
    if service == "tap":
        return {"LANG": "ADQL", "QUERY": ROWS if kind == "good" else "SELECT <nothing> & none"}
    return {"ID": image_id if kind == "good" else "<no> & none", "CIRCLE": "55.7467 -32.2862 0.001"}


def jobs_of(base_url: str) -> list[str]:
    paths: dict[str, Any] = requests.get(f"{base_url}/openapi.json", timeout=60).json()["paths"]
    return [path for path in paths if f"{path}/{{job_id}}" in paths]


class Jobs:
    """A list of jobs of the server."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url, self.get, self.post, self.delete = url, session.get, session.post, session.delete

    def make(self, **params: str) -> str:
        made = self.post(self.url, data=params, allow_redirects=False, timeout=60)
        assert made.status_code == 303
        return made.headers["location"]

    def settle(self, url: str, *, active: tuple[str, ...] = ("QUEUED", "EXECUTING")) -> str:
        for _ in range(600):
            phase = self.get(f"{url}/phase", timeout=60).text
            if phase not in active:
                return phase
            time.sleep(0.05)
        raise AssertionError("the job does not end")


def test_documents_of_jobs(base_url: str, image_id: str, xsd_errors: Callable[[bytes, str], str]) -> None:
    lists = jobs_of(base_url)
    assert "/api/tap/async" in lists
    for path in lists:
        service = path.split("/")[2]
        with requests.Session() as session:
            jobs = Jobs(f"{base_url}{path}", session)
            pending = jobs.make(RUNID="r <&> \x01")
            good = jobs.make(**parameters_of(service, image_id, "good"), PHASE="RUN")
            bad = jobs.make(**parameters_of(service, image_id, "bad"), PHASE="RUN")
            urls = {pending: "PENDING", good: "COMPLETED", bad: "ERROR"}
            if service == "tap":
                long = jobs.make(LANG="ADQL", QUERY=LONG, PHASE="RUN")
                assert jobs.settle(long, active=("QUEUED",)) == "EXECUTING"
                running = session.get(long, timeout=60)
                assert "EXECUTING" in running.text
                check(running, f"{UWS}job", xsd_errors)
                session.post(f"{long}/phase", data={"PHASE": "ABORT"}, timeout=60)
                urls[long] = "ABORTED"
            for url, phase in urls.items():
                assert jobs.settle(url) == phase, session.get(url, timeout=60).text
                for part, root in JOB_PARTS.items():
                    check(session.get(f"{url}{part}", timeout=60), f"{UWS}{root}", xsd_errors)
            if service == "tap":
                check(session.get(f"{bad}/error", timeout=60), VOTABLE, xsd_errors)
                check(session.get(f"{good}/results/result", timeout=60), VOTABLE, xsd_errors)
            for filters in ({}, {"PHASE": "ERROR"}, {"LAST": "1"}, {"AFTER": "2999-01-01T00:00:00Z"}):
                listed = session.get(jobs.url, params=filters, timeout=60)
                check(listed, f"{UWS}jobs", xsd_errors)
            for url in urls:
                session.delete(url, timeout=60)


def test_no_path_is_left_out(base_url: str) -> None:
    paths = requests.get(f"{base_url}/openapi.json", timeout=60).json()["paths"]
    looked_at = {re.sub(r"/sia/sample/", "/sia/{label}/", item.path) for item in ASKED}
    looked_at |= {"/api/tap/tables/{name}"}
    for path in jobs_of(base_url):
        looked_at |= {path, f"{path}/{{job_id}}/error", f"{path}/{{job_id}}/results/{{name}}"}
        looked_at |= {f"{path}/{{job_id}}{part}" for part in JOB_PARTS}
    left = [
        path
        for path, methods in paths.items()
        if "get" in methods and path not in looked_at and not any(re.fullmatch(text, path) for text in NO_XML)
    ]
    assert left == []
