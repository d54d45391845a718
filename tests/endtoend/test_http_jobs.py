"""Long queries of a real server: clients that hang up, and a server that is killed."""

import os
import re
import signal
import socket
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from lsst.dax.vo.dali import Response
from lsst.dax.vo.sample._tour_server import RunningServer, running_server
from lsst.dax.vo.uws import JobLimits, JobService, Phase

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
QUICK = "SELECT TOP 5 obs_id FROM ivoa.ObsCore ORDER BY obs_publisher_did"
# Counts more pairs than any machine can in the time of a test.
LONG = (
    "SELECT COUNT(*) AS n FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b, ivoa.ObsCore AS c, ivoa.ObsCore AS d, "
    "ivoa.ObsCore AS e, ivoa.ObsCore AS f WHERE a.s_ra + b.s_ra + c.s_ra + d.s_ra + e.s_ra + f.s_ra > 3"
)
# Rows without end, of which the first come at once.
ENDLESS = "SELECT a.*, b.obs_id AS x FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b, ivoa.ObsCore AS c"


def in_progress(base_url: str) -> int:
    """Return how many requests to TAP the server is working on."""
    text = requests.get(f"{base_url}/metrics", timeout=30).text
    found = re.search(r'^dax_vo_requests_in_progress\{service="tap"\} (\d+)', text, re.M)
    return int(found[1]) if found else 0


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come about")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("query", [LONG, ENDLESS], ids=["before the first byte", "between chunks"])
def test_query_of_a_client_that_hangs_up_ends(base_url: str, query: str, method: str) -> None:
    before = in_progress(base_url)
    place = urlsplit(base_url)
    form = urlencode({"LANG": "ADQL", "QUERY": query, "MAXREC": "10000000"})
    head = f"Host: {place.netloc}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=30) as connection:
        if method == "GET":
            connection.sendall(f"GET /api/tap/sync?{form} HTTP/1.1\r\n{head}\r\n".encode())
        else:
            length = f"Content-Length: {len(form)}\r\n"
            connection.sendall(f"POST /api/tap/sync HTTP/1.1\r\n{head}{length}\r\n{form}".encode())
        if query is ENDLESS:
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
        until(lambda: in_progress(base_url) == before + 1)
    # The thread of a query is waited for: it counts until the engine let go.
    until(lambda: in_progress(base_url) == before)


@pytest.fixture
def run_server(sample_arguments: list[str], tmp_path: Path) -> Iterator[Callable[[], RunningServer]]:
    """Run servers that share a folder of jobs; they are stopped in the end."""
    stops = []

    def run() -> RunningServer:
        server = running_server(
            sample_arguments,
            log=tmp_path / f"server-{len(stops)}.log",
            environment={"DAX_VO_JOBS_FOLDER": str(tmp_path / "jobs"), "DAX_VO_LIMITS": "{jobs_running: 1}"},
        )
        stops.append(server)
        return server.__enter__()

    yield run
    for server in stops:
        server.__exit__(None, None, None)


def make(base_url: str, query: str) -> str:
    """Make a job, run it, and return its path."""
    answer = requests.post(
        f"{base_url}/api/tap/async",
        data={"QUERY": query, "PHASE": "RUN", "RESPONSEFORMAT": "csv"},
        allow_redirects=False,
        timeout=30,
    )
    assert answer.status_code == 303
    return urlsplit(answer.headers["Location"]).path


def read(url: str) -> tuple[str | None, str | None]:
    """Return phase and error of a job."""
    root = ET.fromstring(requests.get(url, timeout=30).content)
    return root.findtext(f"{UWS}phase"), root.findtext(f"{UWS}errorSummary/{UWS}message")


def wait(url: str, phase: str) -> None:
    until(lambda: read(url)[0] == phase)


def test_jobs_survive_their_server(run_server: Callable[[], RunningServer], tmp_path: Path) -> None:
    first = run_server()
    done = make(first.base_url, QUICK)
    wait(first.base_url + done, "COMPLETED")
    result = requests.get(f"{first.base_url}{done}/results/result", timeout=30).content
    assert len(result.split()) == 6
    running = make(first.base_url, LONG)
    wait(first.base_url + running, "EXECUTING")
    queued = make(first.base_url, QUICK)
    assert read(first.base_url + queued)[0] == "QUEUED"
    os.kill(first.process_id, signal.SIGKILL)

    second = run_server()
    assert read(second.base_url + done)[0] == "COMPLETED"
    assert requests.get(f"{second.base_url}{done}/results/result", timeout=30).content == result
    phase, message = read(second.base_url + running)
    assert phase == "ERROR"
    assert (message or "").startswith("The service was stopped while the job was running")
    assert requests.get(f"{second.base_url}{running}/error", timeout=30).status_code == 200
    wait(second.base_url + queued, "COMPLETED")
    assert requests.get(f"{second.base_url}{queued}/results/result", timeout=30).content == result

    # One that is asked to stop does so, whatever it is at.
    job = make(second.base_url, LONG)
    wait(second.base_url + job, "EXECUTING")
    place = urlsplit(second.base_url)
    with ExitStack() as stack:
        connections = []
        for path in (f"{job}?WAIT=40", f"/api/tap/sync?{urlencode({'QUERY': LONG})}"):
            connection = socket.create_connection((place.hostname or "", place.port or 0), timeout=30)
            connections.append(stack.enter_context(connection))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
        until(lambda: in_progress(second.base_url) >= 2)
        os.kill(second.process_id, signal.SIGTERM)
        for connection in connections:
            # The end of the process ends its connections.
            while connection.recv(1000):
                pass
    until(lambda: not is_running(second.process_id))
    # What it was at waits for the next one.
    jobs = JobService(
        tmp_path / "jobs" / "tap",
        lambda _params, _context: None,
        lambda _error: Response(400, "text/plain"),
        limits=JobLimits(60, 60, 600, 600, 1),
    )
    assert jobs.find(job.rpartition("/")[2]).phase is Phase.QUEUED
    jobs.close()


def is_running(process_id: int) -> bool:
    """Tell whether a child of this process has not ended."""
    return os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
