"""A server of the S3 protocol, moto's, that can be taken away and brought back."""

from __future__ import annotations

__all__ = ["S3Server", "running_s3"]

import logging
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer


@dataclass(slots=True)
class S3Server:
    """A server of S3 in this process; its objects outlive an interruption."""

    port: int = 0
    """Where it listens."""

    _server: BaseWSGIServer | None = field(default=None, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)
    _connections: WeakSet[socket.socket] = field(default_factory=WeakSet, repr=False)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which clients find it, with keys for it.

        An answer that does not come is waited for once, and not long.
        """
        return {
            "S3_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": "s3cret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str) -> str:
        """Make a bucket.

        Parameters
        ----------
        name
            Its name.

        Returns
        -------
        url : `str`
            Of the scheme ``s3``, without a slash at the end.
        """
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")  # noqa: S310
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
        return f"s3://{name}"

    def start(self) -> None:
        """Listen, at the same address as before."""
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        open_ones = self._connections

        class Handler(MotoRequestHandler):
            def setup(self) -> None:
                super().setup()
                open_ones.add(self.connection)

        # It logs each request, at a level that is shown.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", self.port, application, threaded=True, request_handler=Handler
        )
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on, and end those that are open."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None
            for connection in list(self._connections):
                # Most are closed already.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """Run a server of S3.

    Yields
    ------
    server : `S3Server`
        It stops on leaving the context.
    """
    server = S3Server()
    server.start()
    try:
        yield server
    finally:
        server.stop()
