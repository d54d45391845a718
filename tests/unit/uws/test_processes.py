"""Several processes, and those that are killed: what becomes of their jobs."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lsst.dax.vo.dali import ParamSet, Response, message_of
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.uws import Job, JobContext, JobLimits, JobService, Phase
from lsst.dax.vo.uws._processes import Presence

LIMITS = JobLimits(execution_s=60, execution_hard_s=120, retention_s=1000, retention_hard_s=5000, running=1)

OTHER = """
import os, sys, time
from pathlib import Path
from lsst.dax.vo.dali import Response
from lsst.dax.vo.uws import JobLimits, JobService

def tell(*names):
    # In one piece: two threads tell something.
    os.write(1, (" ".join(names) + "\\n").encode())

def call(params, context):
    tell(context.job_id)
    time.sleep(60)

service = JobService(
    Path(sys.argv[1]), call, lambda error: Response(400, "text/plain", b""),
    limits=JobLimits(60, 120, 1000, 5000, 1),
)
service.start()
service.run(service.create([("A", "1")], {}, base_url="http://x").job_id)
pending = service.create([("A", "2")], {}, base_url="http://x")
queued = service.run(service.create([("A", "3")], {}, base_url="http://x").job_id)
tell(pending.job_id, queued.job_id)
time.sleep(60)
"""


def write(params: ParamSet, context: JobContext) -> None:
    with context.open_result("result", "text/plain") as stream:
        stream.write(repr(params.pairs).encode())


def hold(params: ParamSet, _: JobContext) -> None:
    stopped = threading.Event()
    params.hangup.add(stopped.set)
    if not stopped.wait(60):
        raise AssertionError("nobody stopped it")
    raise UsageError("It was stopped")


@contextmanager
def opened(
    folder: Path, call: Callable[[ParamSet, JobContext], None], *, starts: bool = True
) -> Iterator[JobService]:
    def describe(error: Exception) -> Response:
        return Response(400, "text/plain", message_of(error).encode())

    service = JobService(folder, call, describe, limits=LIMITS)
    try:
        if starts:
            service.start()
        yield service
    finally:
        service.close()


def wait(service: JobService, job_id: str, *phases: Phase) -> Job:
    for _ in range(1000):
        job = service.find(job_id)
        if job.phase in phases:
            return job
        time.sleep(0.02)
    raise AssertionError(f"still {job.phase}")


def make(service: JobService) -> str:
    return service.create([("A", "1")], {}, base_url="http://x").job_id


def test_jobs_of_a_killed_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        names = (process.stdout.readline() + process.stdout.readline()).split()
        with opened(tmp_path, hold, starts=False) as service:
            assert len(names) == 3
            executing = next(name for name in names if service.find(name).phase is Phase.EXECUTING)
            pending, queued = (name for name in names if name != executing)
            # Its process lives: nobody takes its job from it.
            service.sweep()
            phases = [service.find(name).phase for name in (executing, pending, queued)]
            assert phases == [Phase.EXECUTING, Phase.PENDING, Phase.QUEUED]
        process.send_signal(signal.SIGKILL)
    with opened(tmp_path, write) as service:
        lost = service.find(executing)
        assert lost.phase is Phase.ERROR
        assert lost.error is not None
        assert lost.error.message.startswith("The service was stopped while the job was running")
        assert lost.error.kind == "transient"
        assert service.find(pending).phase is Phase.PENDING
        ended = wait(service, queued, Phase.COMPLETED)
        assert service.result_path(ended, "result").read_text() == "(('A', '3'),)"


def test_jobs_of_a_process_that_is_stopped_run_in_the_next(tmp_path: Path) -> None:
    with opened(tmp_path, hold) as service:
        job_id = make(service)
        service.run(job_id)
        wait(service, job_id, Phase.EXECUTING)
    with opened(tmp_path, write) as service:
        job = wait(service, job_id, Phase.COMPLETED, Phase.ERROR)
        assert (job.phase, job.error) == (Phase.COMPLETED, None)


def test_ended_jobs_survive(tmp_path: Path) -> None:
    with opened(tmp_path, write) as service:
        job_id = make(service)
        service.run(job_id)
        before = wait(service, job_id, Phase.COMPLETED)
    with opened(tmp_path, hold) as service:
        assert service.find(job_id) == before
        assert service.result_path(before, "result").read_bytes()


def test_job_is_aborted_through_another_process(tmp_path: Path) -> None:
    with opened(tmp_path, hold) as first:
        job_id = make(first)
        first.run(job_id)
        wait(first, job_id, Phase.EXECUTING)
        with opened(tmp_path, hold) as second:
            assert second.find(job_id).phase is Phase.EXECUTING
            assert second.abort(job_id).phase is Phase.ABORTED
            for _ in range(1000):
                if first.running == 0:
                    break
                time.sleep(0.02)
            assert first.running == 0
            assert first.find(job_id).phase is Phase.ABORTED


def test_changes_by_another_process_are_told(tmp_path: Path) -> None:
    with opened(tmp_path, write) as first, opened(tmp_path, write) as second:
        job_id = make(first)
        told = threading.Event()
        first.listen(job_id, told.set)
        second.abort(job_id)
        assert told.wait(20)
        assert first.find(job_id).phase is Phase.ABORTED


def test_free_process_takes_what_waits(tmp_path: Path) -> None:
    with opened(tmp_path, hold) as first:
        busy, waiting = make(first), make(first)
        first.run(busy)
        wait(first, busy, Phase.EXECUTING)
        first.run(waiting)
        with opened(tmp_path, write) as second:
            wait(second, waiting, Phase.COMPLETED)
            assert second.find(busy).phase is Phase.EXECUTING


def test_signs_of_dead_processes_are_removed(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from lsst.dax.vo.uws._processes import Presence; "
    program += "print(Presence(Path(sys.argv[1])).name, flush=True); sys.stdin.read()"
    own = Presence(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        other = process.stdout.readline().strip()
        own.remove_dead()
        assert own.is_alive(other)
        assert own.is_alive(own.name)
        process.send_signal(signal.SIGKILL)
    assert not own.is_alive(other)
    assert not own.is_alive("never")
    own.remove_dead()
    assert [path.stem for path in tmp_path.iterdir()] == [own.name]
    own.leave()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("running", [1, 3])
def test_each_job_is_run_once(tmp_path: Path, running: int) -> None:
    lock, calls = threading.Lock(), list[str]()

    def count(_: ParamSet, context: JobContext) -> None:
        with lock:
            calls.append(context.job_id)

    limits = JobLimits(60, 120, 1000, 5000, running)
    services = [
        JobService(tmp_path, count, lambda _: Response(400, "text/plain"), limits=limits) for _ in range(3)
    ]
    try:
        names = [make(services[0]) for _ in range(30)]
        for service in services:
            service.start()
        for name in names:
            services[0].run(name)
        for name in names:
            wait(services[0], name, Phase.COMPLETED)
    finally:
        for service in services:
            service.close()
    assert sorted(calls) == sorted(names)
