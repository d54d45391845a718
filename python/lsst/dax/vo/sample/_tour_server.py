"""A running ``butler vo serve``, for as long as somebody needs it."""

__all__ = ["RunningServer", "running_server"]

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from ..errors import TransientError

_ANNOUNCED = re.compile(r"Serving at (http://\S+?)/? ")
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server process of ours."""

    base_url: str
    """Where it listens, without a final slash."""

    process_id: int
    """Its process."""

    start_s: float
    """Seconds from starting the process to its first answer."""

    log: Path
    """File with what it printed."""


@contextmanager
def running_server(
    arguments: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    patience_s: float = 60,
) -> Iterator[RunningServer]:
    """Run ``butler vo serve`` on a free loopback port, and stop it in the end.

    Parameters
    ----------
    arguments
        What follows ``butler vo serve``, without host and port.
    log
        File for what it prints.
    environment
        Variables set for it, beside those of this process.
    patience_s
        Seconds to wait for its first answer.

    Yields
    ------
    server : `RunningServer`
        After ``/health`` answered; stopped when the block is left, however.

    Raises
    ------
    TransientError
        Raised if it ended or did not answer in time; the message has the end
        of its log.
    """
    command = [str(Path(sys.executable).with_name("butler")), "vo", "serve", *arguments]
    start = time.perf_counter()
    with log.open("wb") as stream:
        # Port 0: the kernel chooses a free one, and the log tells which.
        process = subprocess.Popen(  # noqa: S603 (our own command)
            [*command, "--host", "127.0.0.1", "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment or {}),
        )
    try:
        base_url = _wait_until_healthy(process, log, start + patience_s)
        yield RunningServer(base_url, process.pid, time.perf_counter() - start, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], log: Path, end: float) -> str:
    while time.perf_counter() < end:
        if process.poll() is not None:
            raise TransientError(f"The server ended with status {process.returncode}: {_last_lines(log)}")
        announced = _ANNOUNCED.search(log.read_text(errors="replace"))
        if announced is not None:
            try:
                if requests.get(f"{announced[1]}/health", timeout=5).ok:
                    return announced[1]
            except requests.RequestException:
                pass  # the socket is there, the application is not yet
        time.sleep(_POLL_S)
    raise TransientError(f"The server did not answer in time: {_last_lines(log)}")


def _last_lines(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-3:]) or "it printed nothing"
