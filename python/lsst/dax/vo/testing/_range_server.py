"""A file server on this machine that counts what is asked of it."""

from __future__ import annotations

__all__ = ["RangeServer"]

import http.server
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

_PROPERTIES = """\
<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>{path}</D:href><D:propstat><D:prop>
<D:getcontentlength>{size}</D:getcontentlength><D:resourcetype/><D:getlastmodified>{time}</D:getlastmodified>
</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"""

_PATIENCE_S = 20.0

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(slots=True)
class RangeServer:
    """A web server with ranged reads, which reads as WebDAV and S3, too.

    S3 clients address objects as ``/bucket/key``, which here is a folder and
    a file; what they sign is not checked.
    """

    folder: Path
    """What it serves."""

    latency_s: float = 0.0
    """Time before each answer, seconds."""

    at_once: int = 1
    """Requests that have to be open before any is answered; after some
    seconds, they are answered all the same."""

    has_ranges: bool = True
    """Whether ranges are answered, or whole files sent instead."""

    status: int | None = None
    """Status to answer everything with; `None` to serve files."""

    port: int = 0
    """Where it listens, once it runs."""

    requests: list[tuple[str, str, int, int]] = field(default_factory=list)
    """Method, path, first byte and number of bytes of each answer."""

    most_at_once: int = 0
    """Most requests that were open at the same time."""

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def bytes_sent(self) -> int:
        """Bytes of files in all answers since `requests` was last cleared."""
        return sum(count for method, _, _, count in self.requests if method == "GET")

    def clear(self) -> None:
        """Forget the requests up to now."""
        self.requests.clear()
        self.most_at_once = 0

    @contextmanager
    def running(self) -> Iterator[RangeServer]:
        """Run the server.

        Yields
        ------
        server : `RangeServer`
            The same; it stops on leaving the context.
        """
        owner, open_now, changed = self, [0], threading.Condition()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                # Header and body are two packets, the second of which would
                # wait for the client to confirm the first.
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                with changed:
                    open_now[0] += 1
                    owner.most_at_once = max(owner.most_at_once, open_now[0])
                    changed.notify_all()
                    changed.wait_for(lambda: owner.most_at_once >= owner.at_once, _PATIENCE_S)
                try:
                    time.sleep(owner.latency_s)
                    self._answer()
                finally:
                    with changed:
                        open_now[0] -= 1

            do_HEAD = do_GET  # noqa: N815 - a name of http.server
            do_OPTIONS = do_GET  # noqa: N815
            do_PROPFIND = do_GET  # noqa: N815

            def _answer(self) -> None:
                path = unquote(urlsplit(self.path).path)
                file = owner.folder / path.lstrip("/")
                is_there = file.is_file() or self.command == "OPTIONS"
                status = owner.status or (200 if is_there else 404)
                if status != 200 or self.command in ("OPTIONS", "PROPFIND"):
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))
                    owner.requests.append((self.command, path, 0, 0))
                    body = b""
                    if status == 200 and self.command == "PROPFIND":
                        status, body = 207, _properties(path, file)
                    self.send_response(status)
                    self.send_header("DAV", "1")
                    self.send_header("Content-Type", "application/xml")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                size = file.stat().st_size
                start, stop = 0, size
                match = _RANGE.fullmatch(self.headers.get("Range", ""))
                if match and owner.has_ranges:
                    start, stop = int(match[1]), min(int(match[2] or size) + 1, size)
                    status = 206 if start < size else 416
                count = max(stop - start, 0) if status != 416 else 0
                owner.requests.append((self.command, path, start, count))
                self.send_response(status)
                self.send_header("Content-Length", str(count))
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("ETag", f'"{size:x}"')
                self.send_header("Last-Modified", formatdate(file.stat().st_mtime, usegmt=True))
                if owner.has_ranges:
                    self.send_header("Accept-Ranges", "bytes")
                    if status == 206:
                        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
                self.end_headers()
                if self.command == "GET":
                    with file.open("rb") as stream:
                        stream.seek(start)
                        self.wfile.write(stream.read(count))

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        server = Server(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _properties(path: str, file: Path) -> bytes:
    status = file.stat()
    time_text = formatdate(status.st_mtime, usegmt=True)
    return _PROPERTIES.format(path=quote(path), size=status.st_size, time=time_text).encode()
