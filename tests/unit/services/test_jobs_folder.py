"""Where the jobs of a service are, and for how long."""

import time
from pathlib import Path

import pytest

from lsst.dax.vo.config import Limits, ServiceConfig
from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.services._jobs import open_jobs
from lsst.dax.vo.uws import JobContext, JobService


def call(_params: ParamSet, _context: JobContext) -> None:
    pass


def describe(_error: Exception) -> Response:
    return Response(400, "text/plain")


def folder_of(jobs: JobService) -> Path:
    job = jobs.create([("A", "1")], {}, base_url="http://x")
    return jobs.result_path(job, "x").parents[3]


def test_folder_of_the_configuration_stays(tmp_path: Path) -> None:
    config = ServiceConfig(jobs_folder=tmp_path / "jobs")
    with open_jobs("tap", call, describe, config, multiple=[], clock=time.time) as jobs:
        assert folder_of(jobs) == tmp_path / "jobs"
    with open_jobs("tap", call, describe, config, multiple=[], clock=time.time) as jobs:
        assert len(jobs.find_all()) == 1
    # Each service has jobs of its own, which only the owner of the process reads.
    with open_jobs("cutout", call, describe, config, multiple=[], clock=time.time) as jobs:
        assert jobs.find_all() == []
    assert (tmp_path / "jobs" / "tap").stat().st_mode & 0o077 == 0


def test_temporary_folder_goes_with_the_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_jobs("tap", call, describe, ServiceConfig(), multiple=[], clock=time.time) as jobs:
        assert folder_of(jobs).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_limits_are_those_of_the_configuration(tmp_path: Path) -> None:
    limits = Limits(
        job_seconds=1,
        job_seconds_hard=2,
        job_retention_s=60,
        job_retention_hard_s=61,
        jobs_running=3,
        jobs_kept=4,
    )
    config = ServiceConfig(jobs_folder=tmp_path, limits=limits, jobs_listed=False)
    with open_jobs("tap", call, describe, config, multiple=[], clock=time.time) as jobs:
        told = jobs.limits
        assert (told.execution_s, told.execution_hard_s) == (1, 2)
        assert (told.retention_s, told.retention_hard_s, told.running, told.kept) == (60, 61, 3, 4)
        assert not jobs.is_listed


def test_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = ServiceConfig(jobs_folder=tmp_path / "file")
    with (
        pytest.raises(
            UsageError, match=r"Jobs cannot be kept in .*give jobs_folder a folder on a local disk"
        ),
        open_jobs("tap", call, describe, config, multiple=[], clock=time.time),
    ):
        pass
