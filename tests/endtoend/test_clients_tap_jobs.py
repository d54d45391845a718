"""Jobs and uploads with real clients: pyvo and STILTS against the running server."""

import csv
import gc
import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import pyvo
import requests
from astropy.table import Table
from astropy.time import Time, TimeDelta
from pyvo.dal.exceptions import DALQueryError, DALServiceError

# pyvo (1.9) streams the documents of jobs and closes none of them.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

QUERY = "SELECT TOP 5 obs_id, s_ra, t_min FROM ivoa.ObsCore ORDER BY obs_publisher_did"
LONG = (
    "SELECT COUNT(*) AS n FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b, ivoa.ObsCore AS c, ivoa.ObsCore AS d, "
    "ivoa.ObsCore AS e, ivoa.ObsCore AS f WHERE a.s_ra + b.s_ra + c.s_ra + d.s_ra + e.s_ra + f.s_ra > 3"
)


@pytest.fixture
def tap(base_url: str) -> Iterator[pyvo.dal.TAPService]:
    yield pyvo.dal.TAPService(f"{base_url}/api/tap")
    # Closed here, not in the tests of others.
    gc.collect()


@pytest.fixture
def stars(place: tuple[float, float]) -> Table:
    """Return two stars: one in the images, one far away."""
    ra, dec = place
    return Table(
        {
            "name": ["here", "far away"],
            "ra": np.array([ra, 200.0]),
            "dec": np.array([dec, 60.0]),
            "mag": np.ma.masked_array([18.5, 0.0], mask=[False, True]),
        }
    )


def test_pyvo_runs_a_query_as_a_job(tap: pyvo.dal.TAPService) -> None:
    direct, as_job = tap.search(QUERY).to_table(), tap.run_async(QUERY).to_table()
    assert len(direct) == 5
    assert direct.colnames == as_job.colnames
    assert list(direct["obs_id"]) == list(as_job["obs_id"])


def test_pyvo_walks_through_the_life_of_a_job(tap: pyvo.dal.TAPService, base_url: str) -> None:
    job = tap.submit_job(QUERY, maxrec=3)
    assert job.url.startswith(f"{base_url}/api/tap/async/")
    assert job.phase == "PENDING"
    assert job.owner is None
    assert (job.execution_duration.sec, job.query) == (600, QUERY)
    job.execution_duration = TimeDelta(100, format="sec")
    assert job.execution_duration.sec == 100
    job.execution_duration = 10**9
    assert job.execution_duration.sec == 3600
    wanted = Time.now() + TimeDelta(1, format="jd")
    job.destruction = wanted
    assert abs((Time(job.destruction) - wanted).sec) < 1
    job.run().wait()
    assert job.phase == "COMPLETED"
    assert job.result_uri == f"{job.url}/results/result"
    assert [result.href for result in job.results] == [job.result_uri]
    assert len(job.fetch_result()) == 3
    assert job.job_id in [item.jobid for item in tap.get_job_list(last=5)]
    assert job.job_id in [item.jobid for item in tap.get_job_list(phases=["COMPLETED"])]
    assert tap.get_job_list(after="2100-01-01T00:00:00Z") == []
    job.delete()
    assert job.job_id not in [item.jobid for item in tap.get_job_list()]


def test_pyvo_reads_why_a_job_failed(tap: pyvo.dal.TAPService) -> None:
    with pytest.raises(DALQueryError, match=r"nonsense.*line 1, column 8"):
        tap.run_async("SELECT nonsense FROM ivoa.ObsCore")


def test_pyvo_reads_that_a_job_took_too_long(tap: pyvo.dal.TAPService) -> None:
    job = tap.submit_job(LONG)
    job.execution_duration = 1
    job.run().wait()
    with pytest.raises(DALQueryError, match="more than 1 s"):
        job.raise_if_error()
    job.delete()


def test_pyvo_aborts_a_job(tap: pyvo.dal.TAPService) -> None:
    job = tap.submit_job(LONG).run()
    job.abort()
    assert job.phase == "ABORTED"
    with pytest.raises(DALServiceError, match="not active"):
        job.wait()
    with pytest.raises(DALQueryError):
        job.fetch_result()
    job.delete()


@pytest.mark.parametrize("how", ["search", "run_async"])
def test_pyvo_uploads_a_table(tap: pyvo.dal.TAPService, stars: Table, how: str) -> None:
    query = (
        "SELECT t.name, COUNT(*) AS images FROM TAP_UPLOAD.stars AS t JOIN ivoa.ObsCore AS o "
        "ON CONTAINS(POINT(t.ra, t.dec), o.s_region) = 1 GROUP BY t.name"
    )
    found = getattr(tap, how)(query, uploads={"stars": stars}).to_table()
    assert list(found["name"]) == ["here"]
    assert found["images"][0] > 1


def test_pyvo_uploads_two_tables(tap: pyvo.dal.TAPService, stars: Table) -> None:
    query = (
        "SELECT a.name, b.mag FROM TAP_UPLOAD.a AS a JOIN TAP_UPLOAD.b AS b ON a.name = b.name ORDER BY a.ra"
    )
    found = tap.search(query, uploads={"a": stars, "b": stars[:1]}).to_table()
    assert list(zip(found["name"], found["mag"], strict=True)) == [("here", 18.5)]


def test_pyvo_gets_back_what_it_uploads(tap: pyvo.dal.TAPService, stars: Table) -> None:
    found = tap.search("SELECT * FROM TAP_UPLOAD.t ORDER BY ra", uploads={"t": stars}).to_table()
    assert found.colnames == stars.colnames
    assert list(found["name"]) == list(stars["name"])
    np.testing.assert_array_equal(found["ra"], stars["ra"])
    assert list(np.ma.getmaskarray(found["mag"])) == [False, True]


def test_table_is_fetched_by_its_url(
    tap: pyvo.dal.TAPService, stars: Table, shelf: tuple[Path, str], base_url: str
) -> None:
    folder, host = shelf
    stars.write(folder / "stars.vot", format="votable", overwrite=True)
    query = "SELECT name FROM TAP_UPLOAD.t ORDER BY ra"
    found = tap.search(query, uploads={"t": f"http://{host}/stars.vot"}).to_table()
    assert list(found["name"]) == ["here", "far away"]
    # The service itself is not on the list.
    with pytest.raises(DALQueryError, match=f"it does from {host}"):
        tap.search(query, uploads={"t": f"{base_url}/api/tap/tables"})


def test_pyvo_describes_the_service(tap: pyvo.dal.TAPService, capsys: pytest.CaptureFixture[str]) -> None:
    tap.describe()
    told = capsys.readouterr().out
    for line in ("Capability ivo://ivoa.net/std/TAP", "Language ADQL", "Output format", "Upload method"):
        assert line in told
    methods = {item.ivo_id for item in tap.get_tap_capability().uploadmethods}
    assert {f"ivo://ivoa.net/std/TAPRegExt#upload-{name}" for name in ("inline", "http")} <= methods
    assert tap.upload_methods


@pytest.fixture(scope="module")
def stilts() -> str:
    found = shutil.which("stilts")
    if found is None:
        pytest.skip("stilts is not installed (Debian package 'stilts')")
    return found


@pytest.mark.parametrize("sync", ["true", "false"])
def test_stilts_queries_and_uploads(
    stilts: str, base_url: str, stars: Table, tmp_path: Path, sync: str
) -> None:
    stars.write(tmp_path / "stars.vot", format="votable")
    query = (
        "SELECT t.name, COUNT(*) AS images FROM TAP_UPLOAD.stars AS t JOIN ivoa.ObsCore AS o "
        "ON 1 = CONTAINS(POINT('ICRS', t.ra, t.dec), o.s_region) GROUP BY t.name"
    )
    done = subprocess.run(
        [
            stilts,
            "tapquery",
            f"tapurl={base_url}/api/tap",
            f"sync={sync}",
            "nupload=1",
            f"upload1={tmp_path / 'stars.vot'}",
            "upname1=stars",
            f"adql={query}",
            "ofmt=csv",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    header, row = done.stdout.splitlines()
    assert header == "name,images", done.stderr
    name, images = row.split(",")
    assert name == "here"
    assert int(images) > 1


def test_stilts_resumes_and_deletes_a_job(stilts: str, base_url: str) -> None:
    made = requests.post(
        f"{base_url}/api/tap/async", data={"QUERY": QUERY, "PHASE": "RUN"}, allow_redirects=False, timeout=30
    )
    url = made.headers["Location"]
    done = subprocess.run(
        [stilts, "tapresume", f"joburl={url}", "delete=finished", "ofmt=csv"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    header, *rows = csv.reader(io.StringIO(done.stdout))
    assert header == ["obs_id", "s_ra", "t_min"], done.stderr
    assert len(rows) == 5
    assert requests.get(url, timeout=30).status_code == 404
