"""daf_butler's own server, as a process of its own."""

from __future__ import annotations

__all__ = ["ButlerServer", "running_butler_server"]

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_APPLICATION = "lsst.daf.butler.remote_butler.server:create_app"


@dataclass(frozen=True, slots=True)
class ButlerServer:
    """A Butler server that is running."""

    port: int
    """Where it listens."""

    log: Path
    """File with what it printed: one JSON object for each request."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a client is let in."""
        return {"BUTLER_RUBIN_ACCESS_TOKEN": "of-nobody"}

    def url(self, label: str) -> str:
        """Return the address of a repository.

        Parameters
        ----------
        label
            Label under which it is served.

        Returns
        -------
        url : `str`
            To be opened by `lsst.daf.butler.Butler`.
        """
        return f"http://127.0.0.1:{self.port}/api/butler/repo/{label}/butler.yaml"

    def count_requests(self) -> int:
        """Count the requests that it has answered so far.

        Returns
        -------
        count : `int`
        """
        return self.log.read_text().count('"httpRequest": {"protocol"')


@contextmanager
def running_butler_server(
    repositories: Mapping[str, str | Path], *, log: Path, environment: Mapping[str, str]
) -> Iterator[ButlerServer]:
    """Run a Butler server.

    Parameters
    ----------
    repositories
        Repositories by label; it signs the URLs of files, which only some
        stores can: those of S3, and of the web without a login.
    log
        File for what it prints.
    environment
        Variables set for it, beside those of this process.

    Yields
    ------
    server : `ButlerServer`
        It stops on leaving the context.
    """
    settings = {
        "DAF_BUTLER_SERVER_GAFAELFAWR_URL": "DISABLED",
        "DAF_BUTLER_SERVER_AUTHENTICATION": "rubin_science_platform",
        "DAF_BUTLER_SERVER_REPOSITORIES": json.dumps(
            {
                label: {"config_uri": str(repository), "authorized_groups": ["*"]}
                for label, repository in repositories.items()
            }
        ),
    }
    # It inherits a socket that listens already: the first request waits for
    # it, and nobody has to look whether it is there.
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--factory", _APPLICATION, "--fd", str(listener.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | settings | dict(environment),
            pass_fds=[listener.fileno()],
        )
        port = listener.getsockname()[1]
    try:
        yield ButlerServer(port, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
