"""Run the web application: on a socket, or for one request without any."""

__all__ = ["get_once", "run_server"]

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing
from typing import BinaryIO
from urllib.parse import quote, unquote

import uvicorn
from starlette.types import Message, Scope

from ..errors import UsageError
from ..services import Services
from ._zerocopy import ZeroCopyProtocol
from .app import SERVER, create_app

_PATIENCE_S = 5


def run_server(services: Services, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until the process is told to stop.

    Parameters
    ----------
    services
        The services; closed at the end.
    host, port
        Where to listen; port 0 takes any free one.
    announce
        Called with the address, once connections are accepted by the kernel.

    Raises
    ------
    UsageError
        Raised if the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once (TCP_NODELAY) on sockets that say they are TCP; on
    # others each answer of two writes waits 40 ms for the client's ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as err:
        listener.close()
        services.close()
        raise UsageError(
            f"Cannot listen on {host}:{port}: {err.strerror}; choose another --host or --port (0 for any)"
        ) from err
    listener.listen(512)
    shown = f"[{host}]" if family == socket.AF_INET6 else host
    announce(f"Serving at http://{shown}:{listener.getsockname()[1]}/ (stop with Ctrl-C)")
    config = uvicorn.Config(
        create_app(services),
        http=ZeroCopyProtocol,
        server_header=False,
        headers=[("Server", SERVER)],
        access_log=False,
        log_level="warning",
        # Forwarded headers are read by the bridge, from trusted proxies.
        proxy_headers=False,
        # Then answers that are still being made, or waited for, are ended.
        timeout_graceful_shutdown=_PATIENCE_S,
    )
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def get_once(services: Services, path: str, stream: BinaryIO) -> int:
    """Answer one GET request without a socket.

    Parameters
    ----------
    services
        The services; closed at the end.
    path
        Path and query, for example ``/api/tap/capabilities``.
    stream
        Where the body goes.

    Returns
    -------
    status : `int`
        0 when the answer was a success, 1 otherwise: an exit status.
    """
    with closing(services):
        return asyncio.run(_get(services, path if path.startswith("/") else f"/{path}", stream))


async def _get(services: Services, target: str, stream: BinaryIO) -> int:
    path, _, query = target.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": quote(path, safe="/%").encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "server": ("localhost", 80),
        "client": None,
    }
    status = 500
    is_read = False

    async def receive() -> Message:
        # There is no body, and nobody who could hang up.
        nonlocal is_read
        if is_read:
            await asyncio.Event().wait()
        is_read = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            stream.write(message.get("body", b""))

    try:
        await create_app(services)(scope, receive, send)
    except Exception:
        # Answered and logged already: the framework raises it once more.
        # One that cut a stream short has a good status, but is no success.
        status = 500
    stream.flush()
    return 0 if status < 400 else 1
