"""Cutouts while the disk of the service is full: what somebody waits for goes before what is kept."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

import pytest
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.errors import VoError
from lsst.dax.vo.soda import CutoutCache, CutoutSource, PooledRunner, SodaService, WorkerPool
from lsst.dax.vo.testing import IMAGE_XY0, write_afw_file
from lsst.dax.vo.uws import JobLimits, JobService, Phase

X0, Y0 = IMAGE_XY0
LIMITS = JobLimits(execution_s=60, execution_hard_s=60, retention_s=1000, retention_hard_s=1000, running=1)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    write_afw_file(tmp_path / "image.fits")
    return tmp_path / "image.fits"


@pytest.fixture
def service(image: Path, small_disk: Path) -> Iterator[SodaService]:
    def locate(texts: Sequence[str], _: bool) -> list[CutoutSource | VoError]:
        return [CutoutSource(ResourcePath(str(image)), UUID(int=1), "calexp") for _ in texts]

    # The limit of what is kept is far beyond the disk.
    cache = CutoutCache(small_disk / "cutouts", 10**9)
    runner = PooledRunner(WorkerPool(1, seconds=60, memory_bytes=1 << 30), cache, "1")
    service = SodaService(locate, version="1", runner=runner, clock=lambda: 1_700_000_000)
    service.start()
    yield service
    service.close()


def sync(service: SodaService, column: int, **more: str) -> Response:
    """Cut 60 columns, nearly 60 KB with mask and variance."""
    pixels = f"{X0 + column} {X0 + column + 59} {Y0} {Y0 + 71}"
    return service.sync(
        ParamSet.from_pairs([("ID", "x"), ("PIXELS", pixels), ("CUTOUTDETAIL", "MaskedImage"), *more.items()])
    )


def body_of(response: Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


def fill(disk: Path) -> None:
    with (disk / "filler").open("ab") as filler:
        filler.write(bytes(shutil.disk_usage(disk).free))
    assert shutil.disk_usage(disk).free == 0


def names(disk: Path) -> set[str]:
    return {path.suffix for path in (disk / "cutouts").iterdir()}


def test_what_is_kept_makes_room(service: SodaService, small_disk: Path) -> None:
    first = body_of(sync(service, 0))
    assert names(small_disk) == {".data", ".json"}
    fill(small_disk)
    # What is there needs no room.
    assert body_of(sync(service, 0)) == first
    response = sync(service, 1)
    assert response.status == 200
    second = body_of(response)
    assert len(second) == len(first)
    assert second != first
    assert body_of(sync(service, 0)) == first
    assert ".part" not in names(small_disk)


def test_disk_filled_by_others_is_told_and_harms_nobody(service: SodaService, small_disk: Path) -> None:
    fill(small_disk)
    response = sync(service, 0)
    assert (response.status, body_of(response)) == (
        503,
        b"ServiceUnavailable: The cutout cannot be stored now; try again later\n",
    )
    assert int(response.headers["Retry-After"]) > 0
    package = sync(service, 0, RESPONSEFORMAT="tar")
    assert (package.status, body_of(package)[:19]) == (503, b"ServiceUnavailable:")
    assert names(small_disk) == set()
    (small_disk / "filler").unlink()
    assert sync(service, 0).status == 200
    assert names(small_disk) == {".data", ".json"}


def test_folder_that_a_cleaner_removed_is_made_again(service: SodaService, small_disk: Path) -> None:
    first = body_of(sync(service, 0))
    shutil.rmtree(small_disk / "cutouts")
    assert body_of(sync(service, 0)) == first
    assert names(small_disk) == {".data", ".json"}


def test_job_on_a_full_disk_fails_and_the_next_does_not(
    service: SodaService, small_disk: Path, tmp_path: Path
) -> None:
    """The list of jobs is elsewhere here; its own disk is a matter of the tests of jobs."""
    jobs = JobService(tmp_path / "jobs", service.run_job, service.describe_error, limits=LIMITS)
    jobs.start()
    try:
        fill(small_disk)
        failed = run(jobs)
        job = jobs.find(failed)
        assert job.phase is Phase.ERROR
        assert job.error is not None
        assert job.error.document == b"ServiceUnavailable: The cutout cannot be stored now; try again later\n"
        (small_disk / "filler").unlink()
        assert jobs.find(run(jobs)).phase is Phase.COMPLETED
    finally:
        jobs.close()


def run(jobs: JobService) -> str:
    pairs = (("ID", "x"), ("PIXELS", f"{X0} {X0 + 9} {Y0} {Y0 + 9}"))
    job_id = jobs.create(pairs, {}, base_url="http://h").job_id
    changed = threading.Event()
    end = jobs.listen(job_id, changed.set)
    jobs.run(job_id)
    while jobs.find(job_id).phase in (Phase.QUEUED, Phase.EXECUTING):
        changed.wait(0.1)
        changed.clear()
    end()
    return job_id
