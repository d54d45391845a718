"""Jobs of TAP whose queries fail or are stopped after their first rows."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import Column, ParamSet, ResultTable
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.query import Catalog, Plan, build_catalog
from lsst.dax.vo.tap import TapService
from lsst.dax.vo.uws import Job, JobContext, JobResult, Phase

COLUMN = Column("obs_id", "char", arraysize="*")


class TwoBatches:
    """An engine that gives a batch of rows, waits, and then fails."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self.uploads: Mapping[str, pa.Table] | None = None
        self.go_on = threading.Event()
        self.cancelled = threading.Event()
        self.closed = False

    @property
    def catalog(self) -> Catalog:
        return build_catalog([COLUMN])

    def run(
        self,
        plan: Plan,
        *,
        maxrec: int | None,
        base_url: str | None = None,
        uploads: Mapping[str, pa.Table] | None = None,
        seconds: float | None = None,
    ) -> ResultTable:
        assert base_url == "http://x"
        self.seconds, self.uploads = seconds, uploads
        return ResultTable(plan.columns, self._batches(), maxrec, self.cancel)

    def cancel(self) -> None:
        self.cancelled.set()
        self.go_on.set()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield pa.RecordBatch.from_pydict({"obs_id": ["a"]})
            assert self.go_on.wait(20)
            raise UsageError("The query was stopped" if self.cancelled.is_set() else "The rest is lost")
        finally:
            self.closed = True

    def count_rows(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


@pytest.fixture
def engine() -> TwoBatches:
    return TwoBatches()


@pytest.fixture
def results() -> list[JobResult]:
    return []


@pytest.fixture
def context(tmp_path: Path, results: list[JobResult]) -> JobContext:
    job = Job("1", Phase.EXECUTING, 0.0, 123, 1000.0, "http://x")
    return JobContext(job, tmp_path / "results", results.append)


def params(**more: str) -> ParamSet:
    return ParamSet.from_pairs({"QUERY": "SELECT obs_id FROM ivoa.ObsCore", **more}.items())


@pytest.mark.parametrize("name", ["votable", "csv"])
def test_query_that_fails_on_its_way_has_no_result(
    engine: TwoBatches, context: JobContext, results: list[JobResult], tmp_path: Path, name: str
) -> None:
    """In an answer at once, a VOTable tells it at its end; a job has another place."""
    engine.go_on.set()
    with pytest.raises(UsageError, match="The rest is lost"):
        TapService(engine, limits=Limits()).run_job(params(RESPONSEFORMAT=name), context)
    assert results == []
    assert list((tmp_path / "results").iterdir()) == []
    assert engine.cancelled.is_set()
    assert engine.closed


def test_time_of_the_job_is_that_of_its_query(
    engine: TwoBatches, context: JobContext, results: list[JobResult], tmp_path: Path
) -> None:
    TapService(engine, limits=Limits()).run_job(params(MAXREC="0"), context)
    assert (engine.seconds, engine.uploads) == (123, {})
    ((result),) = results
    assert result.result_id == "result"
    assert (tmp_path / "results" / "result").stat().st_size == result.size


def test_job_that_is_aborted_stops_its_query(
    engine: TwoBatches, context: JobContext, results: list[JobResult]
) -> None:
    sent = params(RESPONSEFORMAT="csv")
    failures: list[Exception] = []

    def run() -> None:
        try:
            TapService(engine, limits=Limits()).run_job(sent, context)
        except UsageError as err:
            failures.append(err)

    thread = threading.Thread(target=run)
    thread.start()
    sent.hangup.happen()
    thread.join(20)
    assert [str(error) for error in failures] == ["The query was stopped"]
    assert results == []
