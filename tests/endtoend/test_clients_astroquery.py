"""What astroquery's TAP client asks, against the running server."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table

core = pytest.importorskip("astroquery.utils.tap.core", reason="astroquery is not installed")

# It closes neither connections nor files.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)

QUERY = "SELECT TOP 5 obs_id, s_ra FROM ivoa.ObsCore ORDER BY obs_publisher_did"


@pytest.fixture
def tap(base_url: str) -> Iterator[Any]:
    # Its list of tables wants attributes of ESA's services in each column.
    yield core.TapPlus(url=f"{base_url}/api/tap")
    gc.collect()


@pytest.mark.parametrize("how", ["launch_job", "launch_job_async"])
def test_queries(tap: Any, how: str) -> None:
    job = getattr(tap, how)(QUERY)
    assert (job.get_phase(), len(job.get_results())) == ("COMPLETED", 5)
    assert job.get_results()["s_ra"].unit == "deg"


def test_lists_jobs(tap: Any) -> None:
    job = tap.launch_job_async(QUERY)
    assert job.jobid in [item.jobid for item in tap.list_async_jobs()]


def test_uploads_a_table(tap: Any, place: tuple[float, float], tmp_path: Path) -> None:
    ra, dec = place
    path = tmp_path / "stars.vot"
    Table({"name": ["here", "far"], "ra": [ra, 200.0], "dec": [dec, 60.0]}).write(path, format="votable")
    query = (
        "SELECT t.name, COUNT(*) AS n FROM TAP_UPLOAD.stars AS t JOIN ivoa.ObsCore AS o "
        "ON CONTAINS(POINT(t.ra, t.dec), o.s_region) = 1 GROUP BY t.name"
    )
    for how in (tap.launch_job, tap.launch_job_async):
        found = how(query, upload_resource=str(path), upload_table_name="stars").get_results()
        assert list(found["name"]) == ["here"]
        assert found["n"][0] > 1


def test_reads_why_a_query_failed(tap: Any) -> None:
    with pytest.raises(Exception, match=r"nonsense.*line 1, column"):
        tap.launch_job("SELECT nonsense FROM ivoa.ObsCore")
