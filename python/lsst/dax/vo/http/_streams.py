"""Answers that take their time, and clients that do not wait for them.

While a service works on an answer, and while a chunk of it is awaited or
sent, somebody listens whether the client is still there.  When it is not, the
query behind the answer is stopped at once.
"""

__all__ = ["GONE", "STALLED_S", "ZERO_COPY", "Streamed", "run_watched", "run_while_there"]

import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import override

import anyio
from anyio import CancelScope, CapacityLimiter, to_thread
from starlette.responses import Response as HttpResponse
from starlette.types import Message, Receive, Scope, Send

from ..dali import FileSections, Hangup, Response
from ._held import Held

_LOG = logging.getLogger(__name__)

STALLED_S = 300.0
"""A client that takes nothing for so long is taken for gone."""

_PART_BYTES = 256 * 1024
"""What is given to the socket at once: the server keeps what the client has
not taken, and whether it takes anything is seen after each."""

ZERO_COPY = "http.response.zerocopysend"
"""ASGI's extension, and its message, for parts of files that the server sends
without bringing them into this process."""

GONE = Response(499, "")
"""For the counters alone: the client closed the connection before the answer."""


async def run_watched(
    call: Callable[[], Response],
    receive: Receive,
    hangup: Hangup,
    limiter: CapacityLimiter | None,
) -> Response:
    """Call a service in a thread, while its client waits.

    Parameters
    ----------
    call
        The call.
    receive
        What the client sends, after its request.
    hangup
        Happens when the client goes away.
    limiter
        Whose threads are used; `None` for the common ones.

    Returns
    -------
    response : `~lsst.dax.vo.dali.Response`
        `GONE` if the client is gone.
    """
    outcome: list[Response] = []

    async def run() -> None:
        outcome.append(await to_thread.run_sync(call, limiter=limiter))

    await run_while_there(run, receive, hangup.happen)
    return outcome[0] if outcome else GONE


class Streamed(HttpResponse):
    """An answer whose body comes in chunks.

    Parameters
    ----------
    response
        The answer; its body is closed in the end.
    headers
        Its headers.
    limiter
        Whose threads make the chunks; `None` for the common ones.
    held
        Counts what it holds; by default nothing to speak of, as a file does.
    """

    def __init__(
        self,
        response: Response,
        headers: Mapping[str, str],
        limiter: CapacityLimiter | None = None,
        held: Held | None = None,
    ) -> None:
        self.status_code = response.status
        self.background = None
        self.init_headers(headers)
        self._cancel = response.cancel
        self._chunks = iter(response.body) if not isinstance(response.body, bytes) else iter([response.body])
        self._limiter = limiter
        # Of its own, it always has room.
        self._held = held or Held(sys.maxsize)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await run_while_there(partial(self._send, scope, send), receive, self._cancel)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._close, limiter=self._limiter)

    async def _send(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if isinstance(self._chunks, FileSections) and ZERO_COPY in scope.get("extensions", {}):
            await _send_sections(self._chunks, send)
        elif scope["method"] != "HEAD":
            # What a query holds begins with its first rows: those of many may
            # have been asked for at once.
            async with self._held.holding() as part:
                while (chunk := await to_thread.run_sync(self._next, limiter=self._limiter)) is not None:
                    with self._held.sending(part, len(chunk)):
                        await _send_chunk(chunk, send, partial(self._held.progress, part))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _next(self) -> bytes | None:
        return next(self._chunks, None)

    def _close(self) -> None:
        # Whoever made the chunks gives back what they were made of.
        self._cancel()
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


async def _send_sections(body: FileSections, send: Send) -> None:
    # Whoever copies a file sees for itself whether the client takes it.
    for section in body.sections:
        if isinstance(section, bytes):
            await _send_chunk(section, send, lambda _count: None)
        else:
            count = section.stop - section.start
            await send(
                {
                    "type": ZERO_COPY,
                    "file": body.fileno(),
                    "offset": section.start,
                    "count": count,
                    "more_body": True,
                }
            )


async def _send_chunk(chunk: bytes, send: Send, progress: Callable[[int], None]) -> None:
    for start in range(0, len(chunk), _PART_BYTES):
        body = chunk[start : start + _PART_BYTES]
        message: Message = {"type": "http.response.body", "body": body, "more_body": True}
        with anyio.fail_after(STALLED_S):
            await send(message)
        progress(len(body))


async def run_while_there(
    run: Callable[[], Awaitable[None]], receive: Receive, stop: Callable[[], None]
) -> bool:
    """Run something; stop it when the client goes away, or the server ends.

    Parameters
    ----------
    run
        What is run; what it raises is raised, but not when it is because the
        client is gone.
    receive
        What the client sends.
    stop
        Stops it; called in a thread.

    Returns
    -------
    is_there : `bool`
        Whether the client stayed until the end.
    """
    is_done = is_gone = False
    failure: list[Exception] = []

    async def watch() -> None:
        nonlocal is_gone
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
            is_gone = not is_done
        finally:
            if not is_done:
                with CancelScope(shield=True):
                    await to_thread.run_sync(stop)
                # Threads are waited for: what they hold, they give back.
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            await run()
        except Exception as err:  # raised below, outside of the group
            failure.append(err)
        is_done = True
        group.cancel_scope.cancel()
    for error in failure:
        if not is_gone:
            raise error
        _LOG.debug("What a client did not wait for: %s", error)
    return not is_gone
