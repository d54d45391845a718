"""Files from the disk to the socket: by a real server, to clients of all kinds."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from lsst.dax.vo.dali import ByteRange, FileSections, Response
from lsst.dax.vo.http import _zerocopy
from lsst.dax.vo.http._streams import ZERO_COPY, Streamed
from lsst.dax.vo.http._zerocopy import ZeroCopyProtocol

SIZE = 9_000_001
ONE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Site:
    """A server of one file, and what has become of its answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.port = 0
        self.offered: list[bool] = []
        self.closed: list[int] = []
        self.sections: list[bytes | ByteRange] = [ByteRange(0, SIZE)]
        self.failures: list[str] = []

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http":
            return
        self.offered.append(ZERO_COPY in scope.get("extensions", {}))
        file = os.open(self.path, os.O_RDONLY)

        def close() -> None:
            os.close(file)
            self.closed.append(file)

        lengths = [len(item) if isinstance(item, bytes) else item.stop - item.start for item in self.sections]
        response = Response(200, "application/fits", FileSections(file, self.sections, close))
        try:
            await Streamed(response, {"Content-Length": str(sum(lengths))})(scope, receive, send)
        except Exception as err:
            self.failures.append(str(err))
            raise

    def connect(self, request: bytes = ONE) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(request)
        return connection

    def wait_for(self, count: int) -> None:
        end = time.monotonic() + 20
        while len(self.closed) < count:
            assert time.monotonic() < end, "the file was not closed"
            time.sleep(0.01)


@pytest.fixture(params=[True, False], ids=["near", "far"])
def is_near(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let the client be on this machine, as it is, or seem to be elsewhere."""
    monkeypatch.setattr(_zerocopy, "_is_near", lambda _peer: request.param)
    return bool(request.param)


@pytest.fixture
def content() -> bytes:
    return bytes(i * i % 251 for i in range(100_000)) * 90 + b"x"


@pytest.fixture
def site(tmp_path: Path, content: bytes, is_near: bool) -> Iterator[Site]:  # noqa: ARG001 (both kinds)
    (tmp_path / "file").write_bytes(content)
    with _running(Site(tmp_path / "file"), ZeroCopyProtocol) as running:
        yield running


@contextlib.contextmanager
def _running(site: Site, protocol: Any, app: Any = None) -> Iterator[Site]:
    config = uvicorn.Config(app or site, http=protocol, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    site.port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield site
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def read_all(connection: socket.socket, *, pause_s: float = 0.0) -> bytes:
    parts = []
    with connection:
        while part := connection.recv(2**16):
            parts.append(part)
            time.sleep(pause_s)
    return b"".join(parts)


def body_of(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    return body


def test_whole_file(site: Site, content: bytes) -> None:
    assert body_of(read_all(site.connect())) == content
    assert site.offered == [True]
    site.wait_for(1)


def test_sections_come_in_order_with_what_stands_between(site: Site, content: bytes) -> None:
    site.sections = [
        b"one",
        ByteRange(5, 3_000_000),
        b"two" * 100_000,
        ByteRange(0, 7),
        ByteRange(7, 7),
        b"end",
    ]
    wanted = b"one" + content[5:3_000_000] + b"two" * 100_000 + content[:7] + b"end"
    assert body_of(read_all(site.connect())) == wanted


def test_head_has_no_body(site: Site) -> None:
    request = b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head, _, body = read_all(site.connect(request)).partition(b"\r\n\r\n")
    assert (f"content-length: {SIZE}".encode() in head.lower(), body) == (True, b"")


def test_requests_that_wait_in_one_connection(site: Site, content: bytes) -> None:
    site.sections = [ByteRange(0, 2_000_000)]
    answer = read_all(site.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + ONE))
    parts = answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [part.partition(b"\r\n\r\n")[2] for part in parts] == [content[:2_000_000]] * 3


def test_client_that_reads_slowly_gets_everything(
    site: Site, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No thread waits for it; it is waited for all the same.
    monkeypatch.setattr(_zerocopy, "_WAIT_MS", 0)
    monkeypatch.setattr(_zerocopy, "_SLICE_S", 0.001)
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=30)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
    connection.sendall(ONE)
    assert body_of(read_all(connection, pause_s=0.0005)) == content


def test_client_that_takes_nothing_holds_no_thread(site: Site) -> None:
    before = {thread.name for thread in threading.enumerate()}
    held = [site.connect() for _ in range(60)]
    # More clients than there are threads, and yet others are served.
    site.sections = [ByteRange(0, 1000)]
    assert len(body_of(read_all(site.connect()))) == 1000
    for connection in held:
        connection.close()
    site.wait_for(61)
    assert len({thread.name for thread in threading.enumerate()} - before) < 45


@pytest.mark.parametrize("how", ["closes", "resets", "ends its side"])
def test_client_that_goes_away_frees_the_file(site: Site, how: str) -> None:
    connection = site.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.recv(1000)
    match how:
        case "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            connection.close()
        case "closes":
            connection.close()
        case "ends its side":
            connection.shutdown(socket.SHUT_WR)
    site.wait_for(1)
    connection.close()


def test_client_that_takes_nothing_for_long_is_taken_for_gone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_zerocopy, "STALLED_S", 0.2)
    with site.connect():
        site.wait_for(1)


def test_file_that_is_shorter_than_was_said_ends_the_connection(site: Site, content: bytes) -> None:
    os.truncate(site.path, 4_000_000)
    assert body_of(read_all(site.connect())) == content[:4_000_000]
    site.wait_for(1)
    assert site.failures == ["The file became shorter while it was sent"]


def test_other_servers_get_chunks(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with _running(Site(tmp_path / "file"), "h11") as site:
        site.sections = [b"one", ByteRange(5, 3_000_000)]
        assert body_of(read_all(site.connect())) == b"one" + content[5:3_000_000]
        assert site.offered == [False]


@pytest.mark.parametrize(
    ("peer", "is_near"),
    [
        (("127.0.0.1", 1), True),
        (("::1", 1, 0, 0), True),
        ("", True),
        (None, True),
        (("192.0.2.1", 1), False),
        (("fe80::1%eth0", 1, 0, 2), False),
    ],
)
def test_who_is_near(peer: object, is_near: bool) -> None:
    assert _zerocopy._is_near(peer) is is_near


def test_location_is_spelled_as_cfitsio_reads_it(tmp_path: Path) -> None:
    async def lead(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 (an application's)
        headers = [(b"location", b"http://x/y"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 302, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    site = Site(tmp_path)
    with _running(site, ZeroCopyProtocol, lead):
        assert b"\r\nLocation: http://x/y\r\n" in read_all(site.connect())
