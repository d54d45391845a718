"""Cutouts that nobody waits for any more: clients that hang up on a socket, jobs that are ended.

The file of one dataset is at a host that takes connections and never answers:
whoever cuts it hangs there until somebody ends the work.  There is one process
that cuts, so that the next request tells whether it is free again.
"""

import re
import socket
import sqlite3
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest
import requests
from astropy.io import fits
from lsst.daf.butler import Butler, DataCoordinate, DatasetRef, DatasetType, FileDataset

from lsst.dax.vo.sample._tour_server import RunningServer, running_server

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
FORMATTER = "lsst.daf.butler.formatters.file.FileFormatter"
PIXELS = ("PIXELS", "0 9 0 9")


@dataclass(frozen=True)
class Site:
    """A server, and the host of the file that never comes."""

    server: RunningServer
    host: socket.socket
    good: str
    stuck: str

    @property
    def url(self) -> str:
        return f"{self.server.base_url}/api/cutout"

    @contextmanager
    def hanging(self) -> Iterator[socket.socket]:
        """Wait until somebody asks for the file."""
        connection, _ = self.host.accept()
        with connection:
            connection.settimeout(30)
            yield connection

    def in_progress(self) -> int:
        text = requests.get(f"{self.server.base_url}/metrics", timeout=30).text
        found = re.search(r'^dax_vo_requests_in_progress\{service="cutout"\} (\d+)', text, re.M)
        return int(found[1]) if found else 0

    def check_next(self) -> None:
        """Cut the other dataset with the one process that there is."""
        answer = requests.get(f"{self.url}/sync", params=[("ID", self.good), PIXELS], timeout=50)
        assert answer.status_code == 200, answer.text
        assert answer.content.startswith(b"SIMPLE")


def ended(connection: socket.socket) -> bool:
    """Tell whether the other side has left; waits for that."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def build(root: Path, url: str) -> tuple[str, str]:
    """Make a repository of two images, the second of which is somewhere else."""
    Butler.makeRepo(str(root))
    ids = []
    with Butler.from_config(str(root), run="run") as butler:
        registry = butler.registry
        registry.insertDimensionData(
            "skymap", {"name": "sky", "hash": b"1", "tract_max": 9, "patch_nx_max": 9, "patch_ny_max": 9}
        )
        registry.insertDimensionData("tract", {"skymap": "sky", "id": 1})
        kind = DatasetType("image", butler.dimensions.conform(["skymap", "tract", "patch"]), "ImageF")
        registry.registerDatasetType(kind)
        for patch in (1, 2):
            registry.insertDimensionData(
                "patch", {"skymap": "sky", "tract": 1, "id": patch, "cell_x": patch, "cell_y": 0}
            )
            path = root / f"{patch}.fits"
            fits.PrimaryHDU(np.ones((20, 20), "f4")).writeto(path)
            data_id = DataCoordinate.standardize(
                skymap="sky", tract=1, patch=patch, universe=butler.dimensions
            )
            ref = DatasetRef(kind, data_id, run="run")
            butler.ingest(FileDataset(path=str(path), refs=[ref], formatter=FORMATTER), transfer=None)
            ids.append(ref.id)
    with sqlite3.connect(root / "gen3.sqlite3") as database:
        done = database.execute(
            "UPDATE file_datastore_records SET path = ? WHERE dataset_id = ?", (url, ids[1].hex)
        )
        assert done.rowcount == 1
    database.close()
    return str(ids[0]), str(ids[1])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hangup")
    with ExitStack() as stack:
        host = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        host.settimeout(60)
        good, stuck = build(folder / "repo", f"http://127.0.0.1:{host.getsockname()[1]}/image.fits")
        server = running_server(
            [str(folder / "repo")],
            log=folder / "server.log",
            environment={
                "DAX_VO_JOBS_FOLDER": str(folder / "jobs"),
                "DAX_VO_LIMITS": "{cutout_workers: 1, cutout_seconds: 40}",
            },
        )
        yield Site(stack.enter_context(server), host, good, stuck)


def send(site: Site, method: str, *pairs: tuple[str, str]) -> socket.socket:
    place, form = urlsplit(site.server.base_url), urlencode(pairs)
    head = f"Host: {place.netloc}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    connection = socket.create_connection((place.hostname or "", place.port or 0), timeout=50)
    if method == "GET":
        connection.sendall(f"GET /api/cutout/sync?{form} HTTP/1.1\r\n{head}\r\n".encode())
    else:
        length = f"Content-Length: {len(form)}\r\n"
        connection.sendall(f"POST /api/cutout/sync HTTP/1.1\r\n{head}{length}\r\n{form}".encode())
    return connection


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(1500):
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come about")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_cutout_of_a_client_that_hangs_up_ends(site: Site, method: str) -> None:
    before = site.in_progress()
    client = send(site, method, ("ID", site.stuck), PIXELS)
    with site.hanging() as connection:
        assert site.in_progress() == before + 1
        client.close()
        assert ended(connection)
    until(lambda: site.in_progress() == before)
    site.check_next()


def test_package_of_a_client_that_hangs_up_ends(site: Site) -> None:
    """When its first cutout is on its way, and the second hangs."""
    client = send(site, "GET", ("ID", site.good), ("ID", site.stuck), PIXELS, ("RESPONSEFORMAT", "tar"))
    with site.hanging() as connection:
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        client.close()
        assert ended(connection)
    site.check_next()


def test_client_that_waits_for_the_worker_may_leave(site: Site) -> None:
    """The one that has the worker keeps it."""
    first = send(site, "GET", ("ID", site.stuck), PIXELS)
    with site.hanging() as connection:
        before = site.in_progress()
        second = send(site, "GET", ("ID", site.good), ("PIXELS", "0 3 0 3"))
        until(lambda: site.in_progress() == before + 1)
        second.close()
        until(lambda: site.in_progress() == before)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ended(connection)
        connection.settimeout(30)
        first.close()
        assert ended(connection)
    site.check_next()


@pytest.mark.parametrize("how", ["abort", "delete"])
def test_job_in_the_middle_is_ended(site: Site, how: str) -> None:
    pairs = [("ID", site.good), ("ID", site.stuck), PIXELS, ("PHASE", "RUN")]
    made = requests.post(f"{site.url}/async", data=pairs, allow_redirects=False, timeout=30)
    job = site.server.base_url + urlsplit(made.headers["Location"]).path
    with site.hanging() as connection:
        # The first product is there already.
        until(lambda: [result.get("id") for result in read(job).iter(f"{UWS}result")] == ["cutout-1"])
        assert read(job).findtext(f"{UWS}phase") == "EXECUTING"
        if how == "abort":
            answer = requests.post(f"{job}/phase", data={"PHASE": "ABORT"}, allow_redirects=False, timeout=30)
        else:
            answer = requests.delete(job, allow_redirects=False, timeout=30)
        assert answer.status_code == 303
        assert ended(connection)
    if how == "abort":
        assert read(job).findtext(f"{UWS}phase") == "ABORTED"
        # What was done stays until the job's destruction.
        (result,) = read(job).iter(f"{UWS}result")
        href = result.get("{http://www.w3.org/1999/xlink}href") or ""
        link = f"{site.server.base_url}{urlsplit(href).path}?{urlsplit(href).query}"
        assert requests.get(link, timeout=30).content.startswith(b"SIMPLE")
    else:
        assert requests.get(job, timeout=30).status_code == 404
    again = requests.post(
        f"{site.url}/async",
        data=[("ID", site.good), PIXELS, ("PHASE", "RUN")],
        allow_redirects=False,
        timeout=30,
    )
    following = site.server.base_url + urlsplit(again.headers["Location"]).path
    until(lambda: read(following).findtext(f"{UWS}phase") == "COMPLETED")
    site.check_next()


def read(job: str) -> ET.Element:
    return ET.fromstring(requests.get(job, timeout=30).content)
