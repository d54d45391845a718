"""A server of WebDAV, WsgiDAV in Cheroot, that wants a name and a password."""

from __future__ import annotations

__all__ = ["WebDavServer", "running_webdav"]

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_USER, _PASSWORD = "reader", "w3bd4v"


@dataclass(frozen=True, slots=True)
class WebDavServer:
    """A server of WebDAV in this process."""

    folder: Path
    """What it serves."""

    port: int
    """Where it listens."""

    configuration: Path
    """File that tells `lsst.resources` who may read and write."""

    @property
    def url(self) -> str:
        """Its address of the scheme ``dav``, without a slash at the end."""
        return f"dav://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which `lsst.resources` is let in."""
        return {"LSST_RESOURCES_WEBDAV_CONFIG": str(self.configuration)}


@contextmanager
def running_webdav(folder: Path) -> Iterator[WebDavServer]:
    """Run a server of WebDAV.

    Parameters
    ----------
    folder
        Folder for its files and its configuration.

    Yields
    ------
    server : `WebDavServer`
        It stops on leaving the context.
    """
    from cheroot.wsgi import Server
    from wsgidav.wsgidav_app import WsgiDAVApp

    files = folder / "files"
    files.mkdir(parents=True)
    logging.getLogger("wsgidav").setLevel(logging.ERROR)
    application = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(files)},
            "simple_dc": {"user_mapping": {"*": {_USER: {"password": _PASSWORD}}}},
            "http_authenticator": {"accept_digest": False, "default_to_digest": False},
            "lock_storage": False,
            "property_manager": None,
            "logging": {"enable": False},
            "verbose": 0,
        }
    )
    server = Server(("127.0.0.1", 0), application, numthreads=8)
    server.prepare()
    port = server.bind_addr[1]
    thread = threading.Thread(target=server.serve)
    thread.start()
    configuration = folder / "webdav.yaml"
    configuration.write_text(
        f"- base_url: dav://127.0.0.1:{port}/\n  user_name: {_USER}\n  user_password: {_PASSWORD}\n"
        # An answer that does not come is not waited for long.
        "  retries: 1\n  retry_backoff_min: 0.0\n  retry_backoff_max: 0.1\n"
    )
    try:
        yield WebDavServer(files, port, configuration)
    finally:
        server.stop()
        thread.join()
