"""Files in stores elsewhere: there, gone, empty, refused, and in a store that is down."""

import socket
import time
import uuid
from dataclasses import replace

import pytest
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import NotFoundError, TransientError, UnsupportedError
from lsst.dax.vo.repo import Dataset, FileState, StoreProbe
from lsst.dax.vo.testing import RangeServer, client_environment, running_s3, running_webdav

CONTENT = b"SIMPLE  =" * 100


def dataset(url, **values):
    uri = None if url is None else ResourcePath(url)
    return replace(Dataset(uuid.uuid4(), "survey", "raw", {}, "run", "ExposureF", uri), **values)


def states(found):
    return [(item.file_state, item.size_bytes) for item in found]


@pytest.fixture(params=["s3", "webdav", "web"])
def store(request, tmp_path):
    """Return the URL of a store with a file that is there, and one that is empty."""
    if request.param == "s3":
        with running_s3() as server, client_environment(server.environment):
            url = server.make_bucket("probed")
            ResourcePath(f"{url}/there.fits").write(CONTENT)
            ResourcePath(f"{url}/empty.fits").write(b"")
            yield url
        return
    if request.param == "webdav":
        with running_webdav(tmp_path) as server, client_environment(server.environment):
            (server.folder / "there.fits").write_bytes(CONTENT)
            (server.folder / "empty.fits").write_bytes(b"")
            yield server.url
        return
    with RangeServer(tmp_path).running() as server:
        (tmp_path / "there.fits").write_bytes(CONTENT)
        (tmp_path / "empty.fits").write_bytes(b"")
        yield server.url


def test_states_of_files(store):
    names = ("there.fits", "empty.fits", "gone.fits")
    # The size that was recorded is not that of the file.
    asked = [dataset(f"{store}/{name}", size_bytes=7) for name in names]
    found = StoreProbe().look(asked)
    assert states(found) == [(FileState.PRESENT, 900), (FileState.EMPTY, 0), (FileState.MISSING, 7)]
    assert found[0].file_error is None
    assert isinstance(found[1].file_error, UnsupportedError)
    assert isinstance(found[2].file_error, NotFoundError)


def test_what_somebody_has_looked_at_is_left_alone():
    asked = [
        dataset("s3://nowhere/x", file_state=state) for state in FileState if state is not FileState.UNCHECKED
    ]
    assert StoreProbe().look(asked) == asked


def test_nothing_is_asked_without_patience():
    asked = [dataset("https://127.0.0.1:9/x")]
    assert StoreProbe(patience_s=0).look(asked) == asked


@pytest.fixture
def web(tmp_path):
    (tmp_path / "there.fits").write_bytes(CONTENT)
    with RangeServer(tmp_path).running() as server:
        yield server


@pytest.fixture
def silent():
    """Return the URL of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_store_that_does_not_answer_holds_up_no_other(web, silent):
    probe = StoreProbe(patience_s=0.5)
    asked = [dataset(f"{silent}/a"), dataset(f"{web.url}/there.fits"), dataset(f"{silent}/b")]
    start = time.monotonic()
    found = probe.look(asked)
    assert [item.file_state for item in found] == [
        FileState.UNREACHABLE,
        FileState.PRESENT,
        FileState.UNREACHABLE,
    ]
    assert isinstance(found[0].file_error, TransientError)
    assert found[0].file_error.retry_after > 0
    # Nobody waits for it again: neither for a file that was asked for, nor for another.
    waited_s = time.monotonic() - start
    again = [*asked, dataset(f"{silent}/c")]
    start = time.monotonic()
    assert [item.file_state for item in probe.look(again)].count(FileState.UNREACHABLE) == 3
    assert time.monotonic() - start < waited_s / 2


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def test_answers_are_remembered_and_the_store_is_asked_now_and_then(web, tmp_path):
    clock = Clock()
    probe = StoreProbe(keep_s=100, down_s=10, clock=clock)
    asked = [dataset(f"{web.url}/{name}.fits") for name in ("there", "gone")]
    first = probe.look(asked)
    web.clear()
    assert probe.look(asked) == first
    assert web.requests == []
    # One file tells that the store still answers.
    clock.now_s += 11
    (tmp_path / "gone.fits").write_bytes(CONTENT)
    found = probe.look(asked)
    assert [item.file_state for item in found] == [FileState.PRESENT, FileState.PRESENT]
    clock.now_s += 11
    web.clear()
    assert probe.look(asked) == found
    assert len({path for _, path, _, _ in web.requests}) == 1


def test_store_that_went_down_is_known_for_all_its_files(web):
    clock = Clock()
    probe = StoreProbe(keep_s=100, down_s=10, patience_s=0.5, clock=clock)
    asked = [dataset(f"{web.url}/there.fits"), dataset(f"{web.url}/there.fits")]
    assert [item.file_state for item in probe.look(asked)] == [FileState.PRESENT] * 2
    web.latency_s = 1.0
    clock.now_s += 11
    assert [item.file_state for item in probe.look(asked)] == [FileState.UNREACHABLE] * 2
    web.latency_s = 0.0
    # It is not asked again at once.
    web.clear()
    assert [item.file_state for item in probe.look(asked)] == [FileState.UNREACHABLE] * 2
    assert web.requests == []
    clock.now_s += 11
    assert [item.file_state for item in probe.look(asked)] == [FileState.PRESENT] * 2


def test_store_that_is_down_does_not_come_back_by_another(web, tmp_path):
    with RangeServer(tmp_path).running() as other:
        clock = Clock()
        probe = StoreProbe(keep_s=100, down_s=10, patience_s=0.5, clock=clock)
        asked = [dataset(f"{server.url}/there.fits") for server in (web, other)]
        assert [item.file_state for item in probe.look(asked)] == [FileState.PRESENT] * 2
        clock.now_s += 11
        probe.look(asked[1:])
        web.latency_s = 1.0
        # The other one has just answered, and is not asked.
        assert [item.file_state for item in probe.look(asked)] == [FileState.UNREACHABLE, FileState.PRESENT]


def test_more_files_than_there_is_time_for_stay_as_they_are(web):
    web.latency_s = 0.02
    probe = StoreProbe(at_once=2, budget_s=0.2)
    found = probe.look([dataset(f"{web.url}/there.fits", size_bytes=5) for _ in range(100)])
    counts = {state: sum(item.file_state is state for item in found) for state in FileState}
    assert counts[FileState.PRESENT] > 0
    assert counts[FileState.UNCHECKED] > 0
    assert counts[FileState.PRESENT] + counts[FileState.UNCHECKED] == 100
    assert {item.size_bytes for item in found} == {5, 900}


def test_file_that_is_refused_says_nothing_of_the_others(web):
    probe = StoreProbe()
    web.status = 403
    (found,) = probe.look([dataset(f"{web.url}/secret.fits")])
    assert found.file_state is FileState.UNREADABLE
    web.status = None
    (found,) = probe.look([dataset(f"{web.url}/there.fits")])
    assert found.file_state is FileState.PRESENT


def test_butler_server_is_asked_for_few_files_alone(web):
    asked = []

    def find_file():
        asked.append(1)
        return ResourcePath(f"{web.url}/there.fits")

    few = [dataset(None, find_file=find_file, stored_name="there.fits") for _ in range(3)]
    assert states(StoreProbe().look(few)) == [(FileState.PRESENT, 900)] * 3
    assert len(asked) == 3
    many = [dataset(None, find_file=find_file, size_bytes=5) for _ in range(1000)]
    assert states(StoreProbe().look(many)) == [(FileState.UNCHECKED, 5)] * 1000
    assert len(asked) == 3


def test_the_same_dataset_of_two_repositories_is_two_files(web):
    one = dataset(f"{web.url}/there.fits")
    other = replace(one, label="copy", uri=ResourcePath(f"{web.url}/gone.fits"))
    found = StoreProbe().look([one, other])
    assert [item.file_state for item in found] == [FileState.PRESENT, FileState.MISSING]


def test_many_callers_at_once_get_their_own(web):
    from concurrent.futures import ThreadPoolExecutor

    probe = StoreProbe(at_once=3)
    lists = [[dataset(f"{web.url}/{name}.fits") for name in ("there", "gone")] for _ in range(20)]
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(probe.look, lists))
    assert {tuple(item.file_state for item in pair) for pair in found} == {
        (FileState.PRESENT, FileState.MISSING)
    }
