"""Memory of answers that wait for their clients."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.types import Message

from lsst.dax.vo.config import Limits, ServiceConfig
from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.http._bridge import Endpoint, add_endpoint
from lsst.dax.vo.http._held import Held

MB = 2**20
PATIENCE_S = 20.0


FIRST = 28 * MB


async def wait_in(held: Held, chunk_bytes: int, ended: list[str], name: str = "") -> None:
    """Have an answer whose client takes nothing."""
    async with held.holding() as part:
        try:
            with held.sending(part, chunk_bytes):
                await asyncio.sleep(PATIENCE_S)
        except TimeoutError as err:
            ended.append(f"{name}: {err}")


async def stop(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_answers_count_from_before_their_first_chunk_until_their_end() -> None:
    async def run() -> None:
        now_s = [0.0]
        held = Held(100 * MB, clock=lambda: now_s[0])
        async with held.holding() as part:
            assert held.size == FIRST
            with held.sending(part, MB):
                # It may be back at once for more.
                assert held.size == FIRST
                now_s[0] += 1.0
                assert held.size == 15 * MB
            assert held.size == FIRST
            with held.sending(part, 2 * MB):
                assert held.size == 30 * MB
            # Its next chunk will be like this one.
            assert held.size == 30 * MB
            async with held.holding():
                assert held.size == 30 * MB + FIRST
        assert held.size == 0

    asyncio.run(run())


def test_many_that_begin_at_once_wait_for_one_another() -> None:
    async def run() -> None:
        held = Held(100 * MB)
        most, running, done = 0, 0, 0

        async def answer() -> None:
            nonlocal most, running, done
            async with held.holding() as part:
                running += 1
                most = max(most, running)
                for size in (7_000, 2 * MB, 60):
                    await asyncio.sleep(0)
                    with held.sending(part, size):
                        await asyncio.sleep(0)
                running -= 1
                done += 1

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(answer() for _ in range(30)))
        assert done == 30
        # Of 28 MB each, and the one that goes beyond.
        assert most == 4
        assert held.size == 0

    asyncio.run(run())


def test_longest_waiting_is_ended_first_and_only_for_need() -> None:
    async def run() -> list[str]:
        now_s = [0.0]
        held = Held(30 * MB, clock=lambda: now_s[0])
        ended: list[str] = []
        tasks = []
        for name in ("first", "second", "third"):
            tasks.append(asyncio.create_task(wait_in(held, MB, ended, name)))
            await asyncio.sleep(0)
            now_s[0] += 4.0
        # 45 MB are held: too much, but nobody has waited for ten seconds but one.
        now_s[0] = 9.0
        assert held.size == 45 * MB
        assert not held.make_room()
        assert ended == []
        now_s[0] = 13.0
        assert held.make_room()
        await asyncio.sleep(0.01)
        assert held.size == 30 * MB
        assert held.make_room()
        await stop(tasks)
        assert held.size == 0
        return ended

    assert asyncio.run(run()) == ["first: The client takes nothing, and others need the memory"]


@pytest.mark.parametrize(("taken_bytes", "is_ended"), [(1000, True), (400_000, False)])
def test_client_that_takes_a_little_now_and_then_takes_nothing(taken_bytes: int, is_ended: bool) -> None:
    async def run() -> bool:
        now_s = [0.0]
        held = Held(20 * MB, clock=lambda: now_s[0])
        async with held.holding() as part:
            try:
                for _ in range(4):
                    # To make a chunk takes its time, which is not the client's.
                    now_s[0] += 60.0
                    assert not held.make_room()
                    with held.sending(part, 3 * MB):
                        for _ in range(5):
                            now_s[0] += 1.0
                            held.progress(part, taken_bytes)
                            held.make_room()
                        await asyncio.sleep(0)
            except TimeoutError:
                return True
        return False

    assert asyncio.run(run()) is is_ended


class _Rows(Iterator[bytes]):
    """A result without end."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = threading.Event()

    def __next__(self) -> bytes:
        self.made += 1
        return b"x" * 3 * MB

    def close(self) -> None:
        self.closed.set()


class _Stalled:
    """A request whose client takes a few parts of the answer, and then nothing."""

    def __init__(self, app: FastAPI, parts: int, query: bytes = b"") -> None:
        self.app, self.parts, self.query = app, parts, query
        self.sizes: list[int] = []
        self.statuses: list[int] = []
        self.stalled = asyncio.Event()
        self.asked = False

    async def receive(self) -> Message:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.sleep(PATIENCE_S)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])
            return
        self.sizes.append(len(message["body"]))
        if len(self.sizes) > self.parts:
            self.stalled.set()
            await asyncio.sleep(PATIENCE_S)

    async def run(self) -> None:
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/query",
            "raw_path": b"/query",
            "query_string": self.query,
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "server": ("localhost", 80),
            "client": ("10.0.0.9", 1234),
        }
        await self.app(scope, self.receive, self.send)


def make_app(rows: list[_Rows], *, form: Any = "tap") -> FastAPI:
    def answer(params: ParamSet, *_: Any) -> Response:
        rows.append(_Rows())
        is_long = params.single("MAXREC") is not None
        return Response(200, "text/plain", rows[-1], cancel=lambda: None, is_long=is_long)

    app, router = FastAPI(), APIRouter()
    config = ServiceConfig(limits=Limits(held_mb=60))
    add_endpoint(router, Endpoint("/query", "Query", errors=form), config, answer)
    app.include_router(router)
    return app


async def settled(condition: Any) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not happen")


def test_clients_that_take_nothing_do_not_fill_the_memory() -> None:
    rows: list[_Rows] = []

    async def run() -> None:
        app = make_app(rows)
        now_s = [0.0]
        app.state.held = held = Held(60 * MB, clock=lambda: now_s[0])
        clients = [_Stalled(app, parts=number) for number in (0, 3)]
        tasks = []
        for client in clients:
            tasks.append(asyncio.create_task(client.run()))
            await asyncio.wait_for(client.stalled.wait(), PATIENCE_S)
            now_s[0] += 1.0
        # Each has a chunk on its way, and no second one was made.
        assert [item.made for item in rows] == [1, 1]
        assert clients[1].sizes == [256 * 1024] * 4
        now_s[0] += 1.0
        assert held.size == 90 * MB
        # For who comes now, nothing is made yet.
        third = _Stalled(app, parts=0)
        tasks.append(asyncio.create_task(third.run()))
        await settled(lambda: len(rows) == 3)
        await asyncio.sleep(0.3)
        assert rows[2].made == 0
        assert not rows[0].closed.is_set()
        # In a while it is the one who has waited longest that goes.
        now_s[0] += 30.0
        await asyncio.wait_for(third.stalled.wait(), PATIENCE_S)
        assert third.statuses == [200]
        await settled(lambda: rows[0].closed.is_set())
        with pytest.raises(TimeoutError, match="others need the memory"):
            await tasks[0]
        assert not rows[1].closed.is_set()
        await stop(tasks[1:])
        assert held.size == 0
        assert all(item.closed.is_set() for item in rows)

    asyncio.run(run())


def test_searches_do_not_wait_for_long_answers() -> None:
    rows: list[_Rows] = []

    async def run() -> None:
        app = make_app(rows)
        long = [_Stalled(app, parts=0, query=b"MAXREC=1000000") for _ in range(3)]
        tasks = [asyncio.create_task(client.run()) for client in long]
        await settled(lambda: len(rows) == 3)
        await asyncio.sleep(0.3)
        # Half of the room is theirs, 30 MB: the third one waits.
        assert sorted(item.made for item in rows) == [0, 1, 1]
        search = _Stalled(app, parts=0)
        tasks.append(asyncio.create_task(search.run()))
        await asyncio.wait_for(search.stalled.wait(), PATIENCE_S)
        await stop(tasks)
        assert app.state.held.size == app.state.held_by_long.size == 0

    asyncio.run(run())


def test_files_are_not_counted() -> None:
    """What they hold is the chunk alone, and the requests for them are not refused."""
    rows: list[_Rows] = []

    async def run() -> None:
        app = make_app(rows, form="text")
        clients = [_Stalled(app, parts=0) for _ in range(10)]
        tasks = [asyncio.create_task(client.run()) for client in clients]
        for client in clients:
            await asyncio.wait_for(client.stalled.wait(), PATIENCE_S)
        assert not hasattr(app.state, "held")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
