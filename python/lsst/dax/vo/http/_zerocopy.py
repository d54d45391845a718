"""Files from the disk to the socket, in the kernel.

ASGI has a message for it (extension ``http.response.zerocopysend``), which
uvicorn does not know; this is its protocol class with that message.  Without
it, each byte went through asyncio's buffers, in the thread for which all
clients wait: 1.9 GB/s and 50 ms of the processor for 100 MB on a loopback where
``http.server`` has 3.3 GB/s and 20 ms.

To a client on the same machine, such as a proxy, a thread copies instead: the
pages of a file come to a loopback's reader one by one.  Of 45 times 100 MB the
median was 2.3 GB/s with ``sendfile`` and with ``splice``, as it is with nginx,
3.5 GB/s with reads and writes of 1 MiB, and the processor's time the same.
"""

from __future__ import annotations

__all__ = ["ZeroCopyProtocol"]

import asyncio
import os
import select
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from typing import Any, cast, override

import anyio
import h11
from anyio import to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ..dali import shortened
from ._streams import STALLED_S, ZERO_COPY

_SLICE_S = 0.25
"""A thread works for one client for so long; then it is seen whether the client
is still there, and others have their turn."""

_WAIT_MS = 20
"""A client that takes nothing for so long is waited for without a thread."""

_LOOK_S = 0.005

_BUFFER_BYTES = 2**20


class ZeroCopyProtocol(H11Protocol):
    """HTTP/1.1 that can send parts of files."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app = partial(self._run, self.app)

    async def _run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = self.cycle
        # What encrypts has to see the bytes.
        if scope["type"] == "http" and self.scheme == "http" and hasattr(os, "sendfile"):
            extensions: MutableMapping[str, Any] = scope.setdefault("extensions", {})
            extensions[ZERO_COPY] = {}

        async def send_any(message: Message) -> None:
            if message["type"] == ZERO_COPY:
                await self._send_file(cycle, message)
                return
            if message["type"] == "http.response.start" and 300 <= message["status"] < 400:
                message = {**message, "headers": [_as_cfitsio_reads(*item) for item in message["headers"]]}
            await send(message)

        await app(scope, receive, send_any)

    async def _send_file(self, cycle: RequestResponseCycle, message: Message) -> None:
        if not cycle.response_started or cycle.response_complete:
            raise RuntimeError(f"{ZERO_COPY} is for the time between start and end of an answer")
        file, offset, count = message["file"], message["offset"], message["count"]
        if cycle.scope["method"] != "HEAD":
            # h11 counts the bytes, and says what stands around them; it is made
            # for what only has a length.
            data = h11.Data(data=cast(bytes, _Length(count)))
            for part in self.conn.send_with_data_passthrough(data) or ():
                if not isinstance(part, _Length):
                    self.transport.write(part)
                elif not await self._copy(file, offset, count):
                    return
        if not message.get("more_body", False):
            await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _copy(self, file: int, offset: int, count: int) -> bool:
        # Bytes that the server still keeps, such as the header, come first.
        with anyio.fail_after(STALLED_S):
            while self.transport.get_write_buffer_size() and not self.transport.is_closing():
                await anyio.sleep(_LOOK_S)
        if self.transport.is_closing():
            return False
        is_near = _is_near(self.transport.get_extra_info("peername"))
        # A descriptor of our own: that of a connection which is lost
        # meanwhile may become the one of another client.
        with _duplicate(self.transport.get_extra_info("socket").fileno()) as out:
            while count:
                try:
                    sent, is_full = await to_thread.run_sync(_push, out, file, offset, count, is_near)
                except ConnectionError:
                    self.transport.abort()
                    return False
                offset, count = offset + sent, count - sent
                if self.transport.is_closing():
                    return False
                if is_full:
                    await self._wait_for(out)
        return True

    async def _wait_for(self, out: int) -> None:
        writable = asyncio.Event()
        self.loop.add_writer(out, writable.set)
        try:
            with anyio.fail_after(STALLED_S):
                await writable.wait()
        finally:
            self.loop.remove_writer(out)


def _as_cfitsio_reads(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    # Names of headers are the same in any case (RFC 9110, 5.1), but cfitsio
    # looks for this one with a capital; ASGI has all in small letters.
    return (b"Location" if name == b"location" else name), value


class _Length:
    """Stands for bytes that nobody has in hand."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


@contextmanager
def _duplicate(descriptor: int) -> Iterator[int]:
    copy = os.dup(descriptor)
    try:
        yield copy
    finally:
        os.close(copy)


def _is_near(peer: object) -> bool:
    # Sockets of the file system have no address.
    if not isinstance(peer, tuple):
        return True
    try:
        return ip_address(peer[0]).is_loopback
    except ValueError:
        return False


def _push(out: int, file: int, offset: int, count: int, is_near: bool) -> tuple[int, bool]:
    """Send what a socket takes, and tell whether it takes no more at present."""
    end_s = time.monotonic() + _SLICE_S
    poll = select.poll()
    poll.register(out, select.POLLOUT)
    buffer = memoryview(bytearray(min(count, _BUFFER_BYTES) if is_near else 0))
    sent = 0
    # What has been read and not yet written.
    ready = buffer[:0]
    while sent < count and time.monotonic() < end_s:
        if is_near and not ready:
            got = os.preadv(file, [buffer[: count - sent]], offset + sent)
            ready = buffer[:got]
        try:
            done = os.write(out, ready) if ready else os.sendfile(out, file, offset + sent, count - sent)
        except BlockingIOError:
            if not poll.poll(_WAIT_MS):
                return sent, True
            continue
        if not done:
            raise shortened()
        sent += done
        ready = ready[done:]
    return sent, False
