"""Clients that go away, stall or ask for the head alone, at the level of ASGI."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.types import Message

from lsst.dax.vo.config import ServiceConfig
from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.http import _streams
from lsst.dax.vo.http._bridge import Endpoint, add_endpoint

PATIENCE_S = 20.0


class Query:
    """An answer that waits until it is stopped, as a long query does."""

    def __init__(self, *, first: bytes | None = None) -> None:
        self.first = first
        self.started = threading.Event()
        self.stopped = threading.Event()
        self.closed = threading.Event()

    def stop(self) -> None:
        self.stopped.set()

    def wait(self) -> None:
        self.started.set()
        assert self.stopped.wait(PATIENCE_S), "nobody stopped the query"
        raise UsageError("The query was stopped")

    def chunks(self) -> Iterator[bytes]:
        try:
            assert self.first is not None
            yield self.first
            self.wait()
        finally:
            self.closed.set()

    def answer(self, params: ParamSet, _base: str, _path: dict[str, str]) -> Response:
        params.hangup.add(self.stop)
        if self.first is None:
            self.wait()
        return Response(200, "text/plain", self.chunks(), cancel=self.stop)


class Client:
    """One request, and a connection that the test breaks."""

    def __init__(self, answer: Callable[..., Response], *, method: str = "GET") -> None:
        self.app = FastAPI()
        router = APIRouter()
        add_endpoint(
            router,
            Endpoint("/query", "Query", errors="tap", methods=("POST",) if method == "POST" else ("GET",)),
            ServiceConfig(),
            answer,
        )
        self.app.include_router(router)
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": "/query",
            "raw_path": b"/query",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "server": ("localhost", 80),
            "client": ("10.0.0.9", 1234),
        }
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.takes = True
        self.more_body = False

    async def receive(self) -> Message:
        if not self.sent and not hasattr(self, "asked"):
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": self.more_body}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if not self.takes:
            await asyncio.sleep(PATIENCE_S)
        self.sent.append(message)

    async def request(self) -> None:
        await self.app(self.scope, self.receive, self.send)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def wait_for(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


@pytest.mark.parametrize("first", [None, b"first\n"], ids=["before the first byte", "between chunks"])
def test_client_that_goes_away_stops_its_query(first: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    query = Query(first=first)

    async def run() -> Client:
        client = Client(query.answer)
        task = asyncio.create_task(client.request())
        await wait_for(query.started)
        client.gone.set()
        await asyncio.wait_for(task, PATIENCE_S)
        return client

    client = asyncio.run(run())
    assert query.stopped.is_set()
    # It is no error, and nobody has to look after it.
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    if first is None:
        # For the log and the counters: there is nobody to read it.
        assert client.sent[0]["status"] == 499
    else:
        assert client.body == first
        assert query.closed.is_set()


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_client_that_goes_away_in_its_request(caplog: pytest.LogCaptureFixture, kind: str) -> None:
    def answer(*_: Any) -> Response:
        raise AssertionError("the request is not whole")

    async def run() -> Client:
        client = Client(answer, method="POST")
        client.scope["headers"] = [(b"host", b"localhost"), (b"content-type", kind.encode())]
        client.more_body = True
        client.gone.set()
        await client.request()
        return client

    assert asyncio.run(run()).sent[0]["status"] == 499
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_defect_in_the_middle_of_a_body_is_raised() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        raise RuntimeError("defect")

    with pytest.raises(RuntimeError, match="defect"):
        asyncio.run(Client(lambda *_: Response(200, "text/plain", chunks())).request())


def test_server_that_ends_stops_its_queries() -> None:
    query = Query()

    async def run() -> None:
        task = asyncio.create_task(Client(query.answer).request())
        await wait_for(query.started)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_S)

    asyncio.run(run())
    assert query.stopped.is_set()


def test_client_that_takes_nothing_is_taken_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_streams, "STALLED_S", 0.05)
    query = Query(first=b"x")

    async def run() -> None:
        client = Client(query.answer)
        send = client.send

        async def stall(message: Message) -> None:
            client.takes = message["type"] == "http.response.start"
            await send(message)

        client.send = stall  # type: ignore[method-assign]
        with pytest.raises(TimeoutError):
            await client.request()

    asyncio.run(run())
    assert query.stopped.is_set()
    assert query.closed.is_set()


def test_head_makes_no_body() -> None:
    closed = threading.Event()

    class Body(Iterator[bytes]):
        def __next__(self) -> bytes:
            raise AssertionError("nobody wants the body")

        def close(self) -> None:
            closed.set()

    def answer(*_: Any) -> Response:
        return Response(200, "text/plain", Body(), {"Content-Length": "123"})

    client = Client(answer, method="HEAD")
    asyncio.run(client.request())
    assert client.body == b""
    assert (b"content-length", b"123") in client.sent[0]["headers"]
    assert closed.is_set()


def test_whole_body_is_sent_and_closed() -> None:
    stopped, closed = threading.Event(), threading.Event()

    def chunks() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.set()

    client = Client(lambda *_: Response(200, "text/plain", chunks(), cancel=stopped.set))
    asyncio.run(client.request())
    assert client.body == b"ab"
    assert client.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert closed.is_set()
    assert stopped.is_set()


def test_hangup_that_happened_stops_what_is_added_later() -> None:
    params, calls = ParamSet(), list[int]()
    params.hangup.add(lambda: calls.append(1))
    assert not params.hangup.happened
    params.hangup.happen()
    params.hangup.happen()
    assert (calls, params.hangup.happened) == ([1], True)
    params.hangup.add(lambda: calls.append(2))
    assert calls == [1, 2]
