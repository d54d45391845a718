"""Bytes of files that are on no disk of this machine, or only in part one."""

import http.server
import os
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Response
from lsst.dax.vo.datalink.delivery import _web
from lsst.dax.vo.datalink.delivery._answer import answer_content
from lsst.dax.vo.datalink.delivery._opening import open_content
from lsst.dax.vo.errors import NotFoundError, TransientError, UnsupportedError
from lsst.dax.vo.repo import Dataset, Places
from lsst.dax.vo.testing import RangeServer

CONTENT = bytes(i * i % 251 for i in range(700_001))


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    _web._KNOWN.clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RangeServer]:
    (tmp_path / "a.fits").write_bytes(CONTENT)
    (tmp_path / "empty.fits").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as writer:
        writer.writestr("run/stored.fits", CONTENT)
        writer.writestr("run/packed.fits", CONTENT, zipfile.ZIP_DEFLATED)
    with RangeServer(tmp_path).running() as server:
        yield server


def dataset(uri: str | ResourcePath) -> Dataset:
    return Dataset(UUID(int=7), "label", "calexp", {"visit": 1}, "run", "ExposureF", ResourcePath(uri))


def ask(uri: str | ResourcePath, method: str = "GET", **headers: str) -> Response:
    item = dataset(uri)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    assert item.uri is not None
    with ExitStack() as stack:
        content = open_content(item, item.uri, stack, Places([]))
        return answer_content(content, stack, method=method, headers=fields, left_s=60)


def body_of(response: Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


PLACES = {
    "web": "{url}/a.fits",
    "member of a zip file": "{folder}/many.zip#zip-path=run/stored.fits",
    "compressed member": "{folder}/many.zip#zip-path=run/packed.fits",
    "member on the web": "{url}/many.zip#zip-path=run/packed.fits",
    "other fragment": "{folder}/a.fits#hdu=3",
    "other fragment on the web": "{url}/a.fits#hdu=3",
}


@pytest.fixture(params=PLACES)
def uri(request: pytest.FixtureRequest, store: RangeServer) -> str:
    return PLACES[request.param].format(url=store.url, folder=store.folder.as_uri())


def test_whole_file(uri: str) -> None:
    response = ask(uri)
    assert (response.status, body_of(response) == CONTENT) == (200, True)
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.media_type == "application/fits"
    assert response.headers["Content-Disposition"].endswith('.fits"')


@pytest.mark.parametrize(
    ("field", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=100000-599999", slice(100_000, 600_000)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=700000-", slice(700_000, None)),
    ],
)
def test_one_range(uri: str, field: str, part: slice) -> None:
    response = ask(uri, range=field)
    assert (response.status, body_of(response) == CONTENT[part]) == (206, True)


def test_several_ranges(uri: str) -> None:
    response = ask(uri, range="bytes=600000-600009,5-300000,-1")
    body = body_of(response)
    boundary = response.media_type.partition("boundary=")[2].encode()
    parts = [part.partition(b"\r\n\r\n")[2] for part in body.split(b"\r\n--" + boundary)[1:-1]]
    assert parts == [CONTENT[600_000:600_010], CONTENT[5:300_001], CONTENT[-1:]]
    assert response.headers["Content-Length"] == str(len(body))


def test_head_and_conditions(uri: str) -> None:
    head = ask(uri, "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(CONTENT)))
    tag = head.headers["ETag"]
    assert ask(uri, if_none_match=tag).status == 304
    assert ask(uri, if_match='"other"').status == 412
    assert body_of(ask(uri, range="bytes=3-4", if_range=tag)) == CONTENT[3:5]
    assert ask(uri, range="bytes=700001-").status == 416


def test_parts_of_a_file_cost_the_store_those_parts(store: RangeServer) -> None:
    uri = f"{store.url}/a.fits"
    for start in (0, 1000, 500_000):
        assert body_of(ask(uri, range=f"bytes={start}-{start + 99}")) == CONTENT[start : start + 100]
    # One byte to learn its length, and then what was asked for.
    assert [(start, count) for _, _, start, count in store.requests] == [
        (0, 1),
        (0, 100),
        (1000, 100),
        (500_000, 100),
    ]


def test_server_without_ranges_sends_all_and_the_client_gets_its_part(store: RangeServer) -> None:
    store.has_ranges = False
    assert body_of(ask(f"{store.url}/a.fits", range="bytes=300000-300099")) == CONTENT[300_000:300_100]
    assert body_of(ask(f"{store.url}/a.fits")) == CONTENT


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (404, NotFoundError, "is gone"),
        (410, NotFoundError, "is gone"),
        (401, UnsupportedError, "refuses to give it"),
        (403, UnsupportedError, "refuses to give it"),
        (500, TransientError, "does not answer; try again"),
        (503, TransientError, "does not answer; try again"),
    ],
)
@pytest.mark.parametrize("is_known", [False, True])
def test_what_the_store_says(
    store: RangeServer, status: int, error: type[Exception], text: str, is_known: bool
) -> None:
    uri = f"{store.url}/a.fits?token=secret"
    if is_known:
        ask(uri, "HEAD")
    store.status = status
    with pytest.raises(error, match=text) as caught:
        ask(uri)
    assert "secret" not in str(caught.value)
    # Nor in a log, with all that it came from.
    assert caught.value.__cause__ is None


def test_store_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TransientError, match="does not answer"):
        ask(f"http://127.0.0.1:{port}/a.fits")


def test_file_that_changes_between_two_parts(store: RangeServer) -> None:
    uri = f"{store.url}/a.fits"
    tag = ask(uri, "HEAD").headers["ETag"]
    (store.folder / "a.fits").write_bytes(CONTENT + b"more")
    with pytest.raises(TransientError, match="has changed just now") as caught:
        ask(uri, range="bytes=0-9")
    assert caught.value.retry_after == 1
    again = ask(uri, range="bytes=0-9", if_range=tag)
    assert (again.status, body_of(again)) == (200, CONTENT + b"more")
    assert again.headers["ETag"] != tag


def test_empty_file(store: RangeServer) -> None:
    with pytest.raises(UnsupportedError, match="is empty"):
        ask(f"{store.url}/empty.fits")


def test_member_that_is_not_there(store: RangeServer) -> None:
    for place in (store.url, store.folder.as_uri()):
        with pytest.raises(NotFoundError, match="is gone"):
            ask(f"{place}/many.zip#zip-path=none")


def test_damaged_archive(store: RangeServer) -> None:
    (store.folder / "many.zip").write_bytes(b"PK\x03\x04" + bytes(1000))
    with pytest.raises(UnsupportedError, match="damaged zip file"):
        ask(f"{store.folder.as_uri()}/many.zip#zip-path=none")


def test_store_with_a_library_of_its_own() -> None:
    # As S3, Google's and WebDAV are read where they sign nothing.
    uri = ResourcePath("resource://lsst.daf.butler/configs/datastore.yaml")
    content = uri.read()
    response = ask(uri, range="bytes=10-19")
    assert (response.status, body_of(response)) == (206, content[10:20])
    assert response.media_type == "application/yaml"


class _Endless:
    """A store of one huge file; counts what is taken of it."""

    def __init__(self) -> None:
        self.sent = 0
        self.is_left = threading.Event()
        self.stalls_after: int | None = None
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_OPTIONS(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                start, stop = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
                self.send_response(206)
                self.send_header("Content-Length", str(stop + 1 - start))
                self.send_header("Content-Range", f"bytes {start}-{stop}/{2**33}")
                self.end_headers()
                left, block = stop + 1 - start, bytes(2**16)
                try:
                    while left > 0:
                        if owner.stalls_after is not None and owner.sent >= owner.stalls_after:
                            # Until the other side closes.
                            self.connection.recv(1)
                            raise ConnectionError
                        self.wfile.write(block[:left])
                        owner.sent += min(left, len(block))
                        left -= len(block)
                except ConnectionError:
                    owner.is_left.set()
                    self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/huge.fits"


@pytest.fixture
def endless() -> Iterator[_Endless]:
    store = _Endless()
    thread = threading.Thread(target=store.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield store
    store.server.shutdown()
    store.server.server_close()
    thread.join()


def test_huge_file_is_never_held(endless: _Endless) -> None:
    response = ask(endless.url)
    assert response.headers["Content-Length"] == str(2**33)
    assert not isinstance(response.body, bytes)
    sizes = [len(next(response.body)) for _ in range(100)]
    assert max(sizes) <= 2**18
    # What the sockets hold, and no more, is on its way.
    time.sleep(0.2)
    assert endless.sent < sum(sizes) + 12 * 2**20


@pytest.mark.parametrize("begins", [False, True])
def test_store_is_left_when_the_client_is(endless: _Endless, begins: bool) -> None:
    response = ask(endless.url, range="bytes=5-")
    assert not isinstance(response.body, bytes)
    if begins:
        next(response.body)
    response.cancel()
    response.body.close()  # type: ignore[attr-defined]
    assert endless.is_left.wait(10)


def test_wait_for_a_store_ends_when_the_client_goes(endless: _Endless) -> None:
    endless.stalls_after = 2**20
    response = ask(endless.url)
    outcome: list[Exception] = []

    def read() -> None:
        try:
            body_of(response)
        except TransientError as err:
            outcome.append(err)

    thread = threading.Thread(target=read)
    thread.start()
    while endless.sent < 2**20:
        time.sleep(0.01)
    time.sleep(0.1)
    response.cancel()
    thread.join(10)
    assert not thread.is_alive()
    assert len(outcome) == 1
    response.body.close()  # type: ignore[union-attr]


def test_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.fits")
    with pytest.raises(UnsupportedError, match="is no file"):
        ask((tmp_path / "pipe.fits").as_uri())
