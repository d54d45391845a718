"""Cutouts as jobs with real clients, and many clients at once, against the running server."""

import gc
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
import requests
from astropy import units as u
from astropy.io import fits
from pyvo.dal.adhoc import DatalinkResults, SodaQuery
from pyvo.dal.exceptions import DALQueryError
from pyvo.dal.tap import AsyncTAPJob

# pyvo (1.9) streams the documents of jobs and closes none of them.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def links(base_url: str, image_id: str) -> Iterator[DatalinkResults]:
    yield DatalinkResults.from_result_url(f"{base_url}/api/datalink/links?{urlencode({'ID': image_id})}")
    # Closed here, not in the tests of others.
    gc.collect()


def access_url(links: DatalinkResults) -> str:
    """Return where the descriptor of jobs leads."""
    resource = links.get_adhocservice_by_ivoid("ivo://ivoa.net/std/SODA#async-1.0")
    return next(str(param.value) for param in resource.params if param.name == "accessURL")


def submit(links: DatalinkResults, *pairs: tuple[str, str]) -> AsyncTAPJob:
    """Make a job as pyvo does for TAP: its class is that of any UWS job."""
    answer = requests.post(access_url(links), data=list(pairs), allow_redirects=False, timeout=60)
    assert answer.status_code == 303
    return AsyncTAPJob(answer.headers["Location"])


def test_job_of_the_descriptor(links: DatalinkResults, image_id: str, place: tuple[float, float]) -> None:
    circle = f"{place[0]} {place[1]} 0.001"
    job = submit(links, ("ID", image_id), ("CIRCLE", circle), ("CIRCLE", "0 0 0.001"))
    assert job.phase == "PENDING"
    job.run().wait(timeout=60)
    assert job.phase == "COMPLETED"
    results = {result.id_: result for result in job.results}
    assert sorted(results) == ["cutout-1", "cutout-2"]
    found = requests.get(results["cutout-1"].href, timeout=60)
    query = SodaQuery.from_resource(links, links.get_adhocservice_by_id("cutout-sync"))
    query.circle = (place[0] * u.deg, place[1] * u.deg, 0.001 * u.deg)
    with query.execute_stream() as stream:
        sync = stream.read()
    assert found.content == sync
    assert requests.get(results["cutout-2"].href, timeout=60).text.startswith("UsageError: No pixel")
    job.delete()
    assert requests.get(results["cutout-1"].href, timeout=60).status_code == 404


def test_failed_job_tells_pyvo_why(links: DatalinkResults) -> None:
    job = submit(links, ("ID", "00000000-0000-0000-0000-000000000000"), ("CIRCLE", "1 2 3"))
    job.run().wait(timeout=60)
    assert job.phase == "ERROR"
    with pytest.raises(DALQueryError, match="no repository here has such a dataset"):
        job.raise_if_error()
    job.delete()


def test_soda_query_without_pixels_is_empty(links: DatalinkResults) -> None:
    query = SodaQuery.from_resource(links, links.get_adhocservice_by_id("cutout-sync"))
    query.circle = (10 * u.deg, 10 * u.deg, 0.001 * u.deg)
    with query.execute_stream() as stream:
        assert stream.read() == b""


def test_band_of_the_descriptor_selects(links: DatalinkResults, place: tuple[float, float]) -> None:
    resource = links.get_adhocservice_by_id("cutout-sync")
    params = {param.name: param for group in resource.groups for param in group.entries}
    low, high = float(params["BAND"].values.min), float(params["BAND"].values.max)
    assert 3e-7 < low < high < 1.1e-6
    for band, is_there in (((low, high), True), ((high * 2, high * 3), False)):
        query = SodaQuery.from_resource(links, resource)
        query.circle = (place[0] * u.deg, place[1] * u.deg, 0.001 * u.deg)
        query.band = band * u.m
        with query.execute_stream() as stream:
            assert (stream.read(6) == b"SIMPLE") is is_there


def test_many_clients_at_once_get_their_own(base_url: str, image_id: str, place: tuple[float, float]) -> None:
    radii = [0.0005 + 0.00002 * number for number in range(40)]

    def cut(radius: float) -> tuple[int, float]:
        circle = f"{place[0]} {place[1]} {radius!r}"
        params = {"ID": image_id, "CIRCLE": circle, "CUTOUTDETAIL": "MaskedImage"}
        answer = requests.get(f"{base_url}/api/cutout/sync", params=params, timeout=120)
        with fits.open(io.BytesIO(answer.content)) as hdus:
            return answer.status_code, hdus[0].header["ST_RAD"]

    with ThreadPoolExecutor(20) as threads:
        # Others are not kept waiting.
        healthy = threading.Event()
        found = threads.map(cut, radii)
        if requests.get(f"{base_url}/health", timeout=30).ok:
            healthy.set()
        assert list(found) == [(200, radius) for radius in radii]
    assert healthy.is_set()
