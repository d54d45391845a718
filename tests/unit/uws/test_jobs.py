"""The life of jobs: phases, parameters, times, results, files."""

import errno
import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, override

import pytest

from lsst.dax.vo.dali import ParamSet, Response, message_of
from lsst.dax.vo.errors import AuthorizationError, NotFoundError, TransientError, UsageError
from lsst.dax.vo.uws import ACTIVE, TRANSITIONS, Event, Job, JobContext, JobLimits, JobService, Phase
from lsst.dax.vo.uws._database import JobDatabase

BASE_URL = "https://vo.example.org"
type Open = Callable[..., JobService]

LIMITS = JobLimits(execution_s=60, execution_hard_s=120, retention_s=1000, retention_hard_s=5000, running=2)


class Work:
    """Runs jobs: each writes its parameters, and waits if it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.calls: list[ParamSet] = []

    def __call__(self, params: ParamSet, context: JobContext) -> None:
        self.calls.append(params)
        match params.single("DO"):
            case "wait":
                stopped = threading.Event()
                params.hangup.add(stopped.set)
                self.begun.release()
                while not stopped.wait(0.01):
                    if self.go_on.is_set():
                        break
                else:
                    raise UsageError("The work was stopped")
            case "fail":
                raise UsageError("It cannot be done <&>")
            case "break":
                raise RuntimeError("secret at /srv/data")
        with context.open_result("result", "text/plain") as stream:
            for name, value in params.pairs:
                stream.write(f"{name}={value}\n".encode())
            for name, file in params.files.items():
                stream.write(name.encode() + b":" + file.read() + b"\n")


def describe_error(error: Exception) -> Response:
    return Response(400, "text/x-error", f"told: {message_of(error)}".encode())


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def open_service(tmp_path: Path, work: Work) -> Iterator[Callable[..., JobService]]:
    """Open the list of jobs in the test's folder, more than once if wanted."""
    opened: list[JobService] = []

    def open_one(**options: Any) -> JobService:
        options = {"limits": LIMITS, "multiple": ["UPLOAD"]} | options
        call = options.pop("call", work)
        service = JobService(tmp_path / "jobs", call, describe_error, **options)
        opened.append(service)
        return service

    yield open_one
    work.go_on.set()
    for service in opened:
        service.close()


@pytest.fixture
def service(open_service: Callable[..., JobService]) -> JobService:
    """Return a list of jobs that runs them."""
    opened = open_service()
    opened.start()
    return opened


def make(service: JobService, *pairs: tuple[str, str], **options: object) -> Job:
    return service.create(pairs, {}, base_url=BASE_URL, **options)  # type: ignore[arg-type]


def wait(service: JobService, job_id: str, *phases: Phase) -> Job:
    """Wait until a job is in one of some phases."""
    wanted = phases or (Phase.COMPLETED, Phase.ERROR, Phase.ABORTED)
    changed = threading.Event()
    end = service.listen(job_id, changed.set)
    try:
        for _ in range(300):
            job = service.find(job_id)
            if job.phase in wanted:
                return job
            changed.wait(0.1)
            changed.clear()
    finally:
        end()
    raise AssertionError(f"still {job.phase}")


def run(service: JobService, *pairs: tuple[str, str]) -> Job:
    job = make(service, *pairs)
    service.run(job.job_id)
    return wait(service, job.job_id)


def test_every_phase_that_can_change_leads_to_an_end() -> None:
    for phase in TRANSITIONS:
        reached, frontier = {phase}, {phase}
        while frontier:
            frontier = {after for item in frontier for after in TRANSITIONS.get(item, {}).values()} - reached
            reached |= frontier
        assert {Phase.COMPLETED, Phase.ERROR, Phase.ABORTED} <= reached
    assert {Phase.PENDING, Phase.QUEUED, Phase.EXECUTING} == ACTIVE
    assert {event for events in TRANSITIONS.values() for event in events} == set(Event)


def test_job_is_pending_until_it_is_run(service: JobService, work: Work) -> None:
    job = make(service, ("A", "1"))
    assert (job.phase, job.started_s, job.ended_s, job.results, job.error) == (
        Phase.PENDING,
        None,
        None,
        (),
        None,
    )
    assert service.find(job.job_id) == job
    assert work.calls == []
    assert service.run(job.job_id).phase is Phase.QUEUED
    ended = wait(service, job.job_id)
    assert ended.phase is Phase.COMPLETED
    assert ended.started_s is not None
    assert ended.ended_s is not None
    assert job.created_s <= ended.started_s <= ended.ended_s


def test_result_is_a_file_of_the_job(service: JobService) -> None:
    job = run(service, ("A", "1"), ("B", "é"))
    ((result),) = job.results
    assert (result.result_id, result.media_type, result.size) == ("result", "text/plain", 9)
    assert service.result_path(job, "result").read_text() == "A=1\nB=é\n"


def test_names_of_jobs_cannot_be_guessed(service: JobService) -> None:
    names = {make(service).job_id for _ in range(50)}
    assert len(names) == 50
    assert all(len(name) >= 32 for name in names)


def test_error_of_a_job_is_told(service: JobService) -> None:
    job = run(service, ("DO", "fail"))
    assert (job.phase, job.results) == (Phase.ERROR, ())
    assert job.error is not None
    assert (job.error.message, job.error.kind) == ("It cannot be done <&>", "fatal")
    assert (job.error.media_type, job.error.document) == ("text/x-error", b"told: It cannot be done <&>")


def test_defect_of_a_job_is_told_without_its_text(
    service: JobService, caplog: pytest.LogCaptureFixture
) -> None:
    job = run(service, ("DO", "break"))
    assert job.error is not None
    assert "secret" not in job.error.message
    log_id = job.error.message.removesuffix(")").rpartition(" ")[2]
    assert len(log_id) == 12
    assert log_id in caplog.text
    assert "secret at /srv/data" in caplog.text
    # The thread runs further jobs.
    assert run(service, ("A", "1")).phase is Phase.COMPLETED


def test_result_that_fails_on_its_way_is_none(open_service: Open) -> None:
    def call(_: object, context: JobContext) -> None:
        with context.open_result("result", "text/plain") as stream:
            stream.write(b"half")
            raise UsageError("The rest cannot be had")

    service = open_service(call=call)
    service.start()
    job = run(service)
    assert (job.phase, job.results) == (Phase.ERROR, ())
    assert not service.result_path(job, "result").exists()


def test_disk_that_takes_no_result_is_told_without_its_path(
    open_service: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def call(_: object, context: JobContext) -> None:
        # A folder of that name cannot become the file.
        (tmp_path / "jobs" / context.job_id / "results" / "result").mkdir(parents=True)
        with context.open_result("result", "text/plain") as stream:
            stream.write(b"x")

    service = open_service(call=call)
    service.start()
    job = run(service)
    assert (job.phase, job.results) == (Phase.ERROR, ())
    assert job.error is not None
    assert (job.error.message, job.error.kind) == (
        "The result cannot be stored now; try again later",
        "transient",
    )
    assert str(tmp_path) in caplog.text


def test_jobs_that_are_kept_are_limited(open_service: Open) -> None:
    service = open_service(limits=JobLimits(60, 120, 1000, 5000, 1, kept=2))
    job, _ = make(service), make(service)
    with pytest.raises(TransientError, match="keeps 2 jobs, and has as many; delete some of yours"):
        make(service)
    service.delete(job.job_id)
    make(service)


def test_several_results(open_service: Open) -> None:
    def call(_: object, context: JobContext) -> None:
        for number in range(3):
            with context.open_result(f"cut-{number}.fits", "application/fits") as stream:
                stream.write(b"x" * number)

    service = open_service(call=call)
    service.start()
    job = run(service)
    assert [(item.result_id, item.size) for item in job.results] == [(f"cut-{n}.fits", n) for n in range(3)]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "a b"])
def test_result_has_the_name_of_a_file(open_service: Open, name: str) -> None:
    def call(_: object, context: JobContext) -> None:
        with context.open_result(name, "text/plain"):
            pass

    service = open_service(call=call)
    service.start()
    assert run(service).phase is Phase.ERROR


def test_jobs_beyond_the_limit_wait_in_their_order(service: JobService, work: Work) -> None:
    jobs = [make(service, ("DO", "wait"), ("N", str(number))) for number in range(4)]
    for job in jobs:
        service.run(job.job_id)
    for _ in range(LIMITS.running):
        assert work.begun.acquire(timeout=20)
    phases = [service.find(job.job_id).phase for job in jobs]
    assert phases == [Phase.EXECUTING, Phase.EXECUTING, Phase.QUEUED, Phase.QUEUED]
    assert service.running == 2
    work.go_on.set()
    assert [wait(service, job.job_id).phase for job in jobs] == [Phase.COMPLETED] * 4
    assert sorted(call.pairs[1][1] for call in work.calls[:2]) == ["0", "1"]


class TestAbort:
    def test_pending(self, service: JobService) -> None:
        job = make(service)
        assert service.abort(job.job_id).phase is Phase.ABORTED
        with pytest.raises(AuthorizationError, match=r"ended \(ABORTED\) and is not run again"):
            service.run(job.job_id)

    def test_queued(self, service: JobService, work: Work) -> None:
        jobs = [make(service, ("DO", "wait")) for _ in range(3)]
        for job in jobs:
            service.run(job.job_id)
        for _ in range(LIMITS.running):
            assert work.begun.acquire(timeout=20)
        assert service.abort(jobs[2].job_id).phase is Phase.ABORTED
        work.go_on.set()
        for job in jobs[:2]:
            wait(service, job.job_id, Phase.COMPLETED)
        assert len(work.calls) == 2

    def test_executing(self, service: JobService, work: Work) -> None:
        job = make(service, ("DO", "wait"))
        service.run(job.job_id)
        assert work.begun.acquire(timeout=20)
        assert service.abort(job.job_id).phase is Phase.ABORTED
        # What runs is stopped, and does not change the phase any more.
        for _ in range(300):
            if service.running == 0:
                break
            time.sleep(0.02)
        assert service.running == 0
        ended = service.find(job.job_id)
        assert (ended.phase, ended.error, ended.results) == (Phase.ABORTED, None, ())

    def test_ended(self, service: JobService) -> None:
        job = run(service)
        assert service.abort(job.job_id) == job


def test_run_again_changes_nothing(service: JobService, work: Work) -> None:
    job = make(service, ("DO", "wait"))
    service.run(job.job_id)
    assert work.begun.acquire(timeout=20)
    assert service.run(job.job_id).phase is Phase.EXECUTING
    work.go_on.set()
    wait(service, job.job_id, Phase.COMPLETED)
    with pytest.raises(AuthorizationError, match=r"ended \(COMPLETED\)"):
        service.run(job.job_id)
    assert len(work.calls) == 1


def test_time_of_a_job_ends_it(service: JobService) -> None:
    job = make(service, ("DO", "wait"), execution_s=1)
    service.run(job.job_id)
    ended = wait(service, job.job_id)
    assert ended.phase is Phase.ERROR
    assert ended.error is not None
    assert ended.error.message.startswith("The job took more than 1 s; ask for less")


@pytest.mark.parametrize(("asked", "given"), [(None, 60), (10, 10), (120, 120), (121, 120), (0, 120)])
def test_execution_is_within_the_limits(service: JobService, asked: int | None, given: int) -> None:
    assert make(service, execution_s=asked).execution_s == given
    if asked is not None:
        job = make(service)
        assert service.set_execution(job.job_id, asked).execution_s == given


def test_execution_of_an_ended_job_stays(service: JobService) -> None:
    with pytest.raises(AuthorizationError, match="before a job runs; it is COMPLETED"):
        service.set_execution(run(service).job_id, 3)


def test_destruction_is_within_the_limits(service: JobService) -> None:
    job = make(service)
    assert job.destruction_s == job.created_s + LIMITS.retention_s
    for wanted_s, given_s in ((2000, 2000), (5000, 5000), (9000, 5000)):
        changed = service.set_destruction(job.job_id, job.created_s + wanted_s)
        assert changed.destruction_s == job.created_s + given_s
    early = make(service, destruction_s=job.created_s + 10)
    assert early.destruction_s == job.created_s + 10


def test_defaults_are_within_the_hard_limits(open_service: Open) -> None:
    service = open_service(limits=JobLimits(60, 30, 1000, 500, 1))
    job = make(service)
    assert (job.execution_s, job.destruction_s) == (30, job.created_s + 500)


def test_job_whose_time_has_come_is_gone(open_service: Open, tmp_path: Path) -> None:
    now_s = [1_800_000_000.0]
    service = open_service(clock=lambda: now_s[0])
    service.start()
    job = run(service, ("A", "1"))
    folder = tmp_path / "jobs" / job.job_id
    assert folder.exists()
    now_s[0] += LIMITS.retention_s + 1
    with pytest.raises(NotFoundError, match="no such job"):
        service.find(job.job_id)
    assert service.find_all() == []
    # The next to start removes what it had.
    open_service(clock=lambda: now_s[0]).start()
    assert not folder.exists()


class TestDelete:
    def test_everything_of_a_job_goes(self, service: JobService, tmp_path: Path) -> None:
        job = run(service, ("A", "1"))
        service.delete(job.job_id)
        for call in (service.find, service.run, service.abort, service.delete):
            with pytest.raises(NotFoundError):
                call(job.job_id)
        assert not (tmp_path / "jobs" / job.job_id).exists()

    @pytest.mark.parametrize("is_swept", [False, True], ids=["deleted", "swept"])
    def test_files_go_before_a_full_disk_takes_a_change(
        self, open_service: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_swept: bool
    ) -> None:
        times = [1000.0]
        service = open_service(clock=lambda: times[0])
        jobs = [service.create([], {"a": io.BytesIO(b"1")}, base_url=BASE_URL) for _ in range(2)]
        folders = [tmp_path / "jobs" / job.job_id for job in jobs]
        delete = JobDatabase.delete
        needed = folders if is_swept else folders[:1]

        def delete_if_free(self: JobDatabase, job_id: str) -> bool:
            if any(folder.exists() for folder in needed):
                raise TransientError("The disk is full")
            return delete(self, job_id)

        monkeypatch.setattr(JobDatabase, "delete", delete_if_free)
        if is_swept:
            times[0] += LIMITS.retention_s + 1
            service.sweep()
            assert service._database.count() == 0
        else:
            service.delete(jobs[0].job_id)
            assert [job.job_id for job in service.find_all()] == [jobs[1].job_id]

    def test_full_disk_is_no_place_to_be_stuck(self, small_disk: Path, work: Work) -> None:
        times = [1000.0]
        service = JobService(small_disk / "jobs", work, describe_error, limits=LIMITS, clock=lambda: times[0])

        def fill() -> None:
            with (small_disk / "filler").open("ab") as filler:
                filler.write(bytes(shutil.disk_usage(small_disk).free))
            assert shutil.disk_usage(small_disk).free == 0

        try:
            # None has files, whose room could be used.
            jobs = [make(service, ("A", "1" * 100)) for _ in range(60)]
            for job in jobs[:10]:
                fill()
                service.delete(job.job_id)
            assert service._database.count() == 50
            fill()
            (small_disk / "jobs" / "reserve").unlink(missing_ok=True)
            fill()
            with pytest.raises(TransientError, match="list of jobs cannot be used now"):
                make(service, ("A", "1" * 1_000_000))
            # What a full disk has ended is no obstacle to what comes next.
            assert service.find(jobs[10].job_id).phase is Phase.PENDING
            (small_disk / "filler").unlink()
            service.sweep()
            fill()
            times[0] += LIMITS.retention_s + 1
            service.sweep()
            assert service._database.count() == 0
        finally:
            service.close()

    def test_running_job_is_ended(self, service: JobService, work: Work, tmp_path: Path) -> None:
        job = make(service, ("DO", "wait"))
        service.run(job.job_id)
        assert work.begun.acquire(timeout=20)
        service.delete(job.job_id)
        for _ in range(300):
            if service.running == 0:
                break
            time.sleep(0.02)
        assert service.running == 0
        assert not (tmp_path / "jobs" / job.job_id).exists()


class TestParameters:
    def test_last_one_counts(self, service: JobService) -> None:
        job = make(service, ("RUNID", "a"), ("LANG", "ADQL"))
        changed = service.set_parameters(job.job_id, [("RUNID", "b"), ("QUERY", "q")], {})
        assert changed.parameters == (("LANG", "ADQL"), ("RUNID", "b"), ("QUERY", "q"))
        assert changed.run_id == "b"

    def test_uploads_are_added(self, service: JobService) -> None:
        job = make(service, ("UPLOAD", "a,param:a"))
        changed = service.set_parameters(job.job_id, [("UPLOAD", "b,param:b")], {})
        assert changed.parameters == (("UPLOAD", "a,param:a"), ("UPLOAD", "b,param:b"))

    def test_what_a_protocol_merges(self, open_service: Open) -> None:
        def longest(before: Sequence[str], added: Sequence[str]) -> list[str]:
            return [max([*before, *added], key=len)]

        service = open_service(merges={"WORD": longest}, multiple=["ID"])
        job = make(service, ("WORD", "aa"), ("WORD", "b"), ("ID", "1"))
        job = service.set_parameters(job.job_id, [("ID", "2"), ("WORD", "c")], {})
        assert job.parameters == (("ID", "1"), ("ID", "2"), ("WORD", "aa"))
        # What is not sent is not merged.
        assert service.set_parameters(job.job_id, [], {}).parameters == job.parameters

    def test_repeated_ones_are_kept_for_the_job_to_refuse(self, service: JobService) -> None:
        assert make(service, ("LANG", "a"), ("LANG", "b")).parameters == (("LANG", "a"), ("LANG", "b"))

    def test_words_about_the_job_are_none(self, service: JobService) -> None:
        pairs = [
            ("PHASE", "RUN"),
            ("DESTRUCTION", "x"),
            ("EXECUTIONDURATION", "1"),
            ("ACTION", "x"),
            ("A", "1"),
        ]
        assert make(service, *pairs).parameters == (("A", "1"),)

    def test_only_while_pending(self, service: JobService) -> None:
        job = run(service)
        with pytest.raises(AuthorizationError, match="while it is PENDING; it is COMPLETED"):
            service.set_parameters(job.job_id, [("A", "1")], {})

    def test_files_are_kept_for_the_job(self, service: JobService) -> None:
        files = {"t1": io.BytesIO(b"one"), "ü/..": io.BytesIO(b"two")}
        job = service.create([], files, base_url=BASE_URL)
        service.set_parameters(job.job_id, [], {"t1": io.BytesIO(b"new"), "t3": io.BytesIO(b"three")})
        service.run(job.job_id)
        ended = wait(service, job.job_id, Phase.COMPLETED)
        text = service.result_path(ended, "result").read_text()
        assert text == "t1:new\nü/..:two\nt3:three\n"
        with service.open_file(ended, "ü/..") as file:
            assert file.read() == b"two"

    def test_upload_sent_once_more_is_the_same(self, service: JobService) -> None:
        pair = ("UPLOAD", "t,param:a")
        job = service.create([pair, ("DO", "x")], {"a": io.BytesIO(b"1")}, base_url=BASE_URL)
        job = service.set_parameters(job.job_id, [pair], {"a": io.BytesIO(b"2")})
        assert job.parameters == (("DO", "x"), pair)
        with service.open_file(job, "a") as file:
            assert file.read() == b"2"

    def test_files_that_a_full_disk_does_not_take(self, service: JobService, tmp_path: Path) -> None:
        class Full(io.BytesIO):
            @override
            def read(self, *_: object) -> bytes:
                raise OSError(errno.ENOSPC, "No space left on device", "/srv/secret")

        with pytest.raises(TransientError, match="files of the job cannot be stored now") as caught:
            service.create([], {"a": Full()}, base_url=BASE_URL)
        assert "secret" not in str(caught.value)
        job = make(service)
        with pytest.raises(TransientError):
            service.set_parameters(job.job_id, [], {"a": Full()})
        assert service.find(job.job_id).files == ()
        assert [path for path in (tmp_path / "jobs").rglob("*") if path.parent.name == "uploads"] == []

    def test_job_that_has_lost_its_files(self, service: JobService, tmp_path: Path) -> None:
        job = service.create([], {"a": io.BytesIO(b"1")}, base_url=BASE_URL)
        shutil.rmtree(tmp_path / "jobs" / job.job_id)
        service.run(job.job_id)
        error = wait(service, job.job_id, Phase.ERROR).error
        assert error is not None
        assert error.message == "The files of the job have been deleted; make a new job"

    def test_many_requests_at_once_lose_nothing(self, service: JobService) -> None:
        job = make(service)

        def add(number: int) -> None:
            for i in range(10):
                service.set_parameters(job.job_id, [(f"P{number}", str(i)), ("UPLOAD", f"{number}.{i}")], {})

        threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        parameters = service.find(job.job_id).parameters
        assert sorted(pair for pair in parameters if pair[0] != "UPLOAD") == [
            (f"P{n}", "9") for n in range(4)
        ]
        assert sum(name == "UPLOAD" for name, _ in parameters) == 40


def ids(jobs: Sequence[Job]) -> list[str]:
    return [job.job_id for job in jobs]


def test_jobs_are_found_by_phase_time_and_number(open_service: Open) -> None:
    now_s = [1_800_000_000.0]

    def clock() -> float:
        now_s[0] += 1
        return now_s[0]

    service = open_service(clock=clock)
    jobs = [make(service) for _ in range(5)]
    service.abort(jobs[1].job_id)
    service.run(jobs[2].job_id)
    newest = ids(jobs)[::-1]
    assert ids(service.find_all()) == newest
    assert ids(service.find_all(last=2)) == newest[:2]
    assert service.find_all(last=0) == []
    assert ids(service.find_all(phases=[Phase.ABORTED])) == [jobs[1].job_id]
    assert ids(service.find_all(phases=[Phase.QUEUED, Phase.ABORTED])) == [jobs[2].job_id, jobs[1].job_id]
    assert ids(service.find_all(after_s=jobs[2].created_s)) == newest[:2]
    assert ids(service.find_all(after_s=jobs[1].created_s, phases=[Phase.PENDING], last=1)) == newest[:1]
    assert service.find_all(after_s=now_s[0]) == []


def test_start_survives_a_list_that_cannot_be_swept(
    open_service: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = open_service()
    job = make(service, ("A", "1"))
    service.run(job.job_id)
    find_expired = JobDatabase.find_expired
    failures = [TransientError("The disk is full")]

    def fail_once(self: JobDatabase, now_s: float) -> list[str]:
        if failures:
            raise failures.pop()
        return find_expired(self, now_s)

    monkeypatch.setattr(JobDatabase, "find_expired", fail_once)
    service.start()
    assert wait(service, job.job_id).phase is Phase.COMPLETED
    assert "Jobs cannot be swept: The disk is full" in caplog.text


def test_list_may_be_hidden(open_service: Open) -> None:
    service = open_service(listed=False)
    job = make(service)
    assert service.find_all() == []
    assert service.find(job.job_id) == job


def test_changes_of_a_job_are_told(service: JobService, work: Work) -> None:
    told = threading.Semaphore(0)
    job, other = make(service, ("DO", "wait")), make(service)
    end = service.listen(job.job_id, told.release)  # type: ignore[arg-type]
    service.run(job.job_id)
    assert told.acquire(timeout=20)
    work.go_on.set()
    wait(service, job.job_id, Phase.COMPLETED)
    end()
    while told.acquire(blocking=False):
        pass
    service.abort(other.job_id)
    assert not told.acquire(blocking=False)


def test_folder_that_cannot_be_used_is_told(tmp_path: Path, work: Work) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"Jobs cannot be kept in .*jobs_folder"):
        JobService(tmp_path / "file" / "jobs", work, lambda _: None, limits=LIMITS)  # type: ignore[arg-type,return-value]
