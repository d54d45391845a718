"""A process that has loaded everything, and makes workers by forking itself.

It has one thread, so that forks are safe, while the service has many.  A
worker is there in some milliseconds, and shares the memory of the libraries.
The service is at the other end of a socket.
"""

from __future__ import annotations

__all__ = ["FORK", "KILL", "main"]

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys

FORK, KILL = b"f", b"k"
"""Commands: make a worker that listens at the socket sent along, and end one.
Each is followed by eight bytes, and answered with eight: the process."""

_MESSAGE_BYTES = 9
_LIBRARIES = (
    "lsst.dax.vo.soda.backends.fits",
    "lsst.dax.vo.soda.backends.images",
    "lsst.dax.vo.soda.backends._extent",
    "lsst.dax.vo.soda.workers._worker",
    "lsst.dax.vo.soda.picture",
    "lsst.dax.vo.soda.derived",
    "lsst.dax.vo.soda.backends.images.psf",
)


def main(handle: int, memory_bytes: int) -> None:
    """Make and end workers until the service ends.

    Parameters
    ----------
    handle
        Descriptor of the socket to the service.
    memory_bytes
        Memory that a worker may use.
    """
    # The service decides what an interrupt of the terminal means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _LIBRARIES:
        # Of a library that is not installed, the worker that needs it tells.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # Pages of what is loaded stay shared with the workers.
    gc.freeze()
    control = socket.socket(fileno=handle)
    workers: set[int] = set()
    while True:
        message, handles = _receive(control)
        if message is None:
            break
        number = int.from_bytes(message[1:])
        match message[:1]:
            case b"f":
                number = _fork(control, handles[0], memory_bytes)
                os.close(handles[0])
                workers.add(number)
            case b"k":
                if number in workers:
                    _end(number)
                    workers.remove(number)
        control.sendall(number.to_bytes(8))
    for number in workers:
        _end(number)


def _receive(control: socket.socket) -> tuple[bytes | None, list[int]]:
    message, handles, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 1)
    while message and len(message) < _MESSAGE_BYTES:
        more = control.recv(_MESSAGE_BYTES - len(message))
        if not more:
            return None, handles
        message += more
    return message or None, handles


def _fork(control: socket.socket, handle: int, memory_bytes: int) -> int:
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        from ._worker import serve

        control.close()
        serve(socket.socket(fileno=handle), memory_bytes)
        status = 0
    except (BrokenPipeError, ConnectionResetError):
        # Nobody wants its answers any more.
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _end(number: int) -> None:
    # Nobody else waits for it: until then its number is nobody else's.
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(number, 0)
