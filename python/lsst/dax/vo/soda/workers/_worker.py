"""The life of a worker: work in, files out."""

from __future__ import annotations

__all__ = ["serve"]

import errno
import logging
import resource
import secrets
import socket
import sys
import traceback
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...errors import TransientError, UnsupportedError, VoError
from .._result import Cutout
from .._work import CutoutWork, iter_cutouts
from ._messages import Made, NoRoomError, Reply, receive_work, reply_line

_LOG = logging.getLogger(__name__)

# Libraries in C keep some memory of each file; nobody has to trust them.
_MOST_WORKS = 5000
# Of a disk, and of a user's share of it.
_FULL = (errno.ENOSPC, errno.EDQUOT)


def serve(channel: socket.socket, memory_bytes: int) -> None:
    """Do work until there is none any more.

    Parameters
    ----------
    channel
        The way to the service.
    memory_bytes
        Memory that may be used.
    """
    _limit_memory(memory_bytes)
    for _ in range(_MOST_WORKS):
        received = receive_work(channel)
        if received is None:
            return
        for reply in _replies(*received, memory_bytes):
            channel.sendall(reply_line(reply))


def _limit_memory(memory_bytes: int) -> None:
    # What the process writes into, not what it maps of files.  Systems that
    # do not know it have no limit.
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    except (OSError, ValueError) as err:
        _LOG.warning("The memory of a worker cannot be limited: %s", err)


def _replies(work: CutoutWork, folder: Path, memory_bytes: int) -> Iterator[Reply]:
    """Do work; each product has a reply, whatever happens."""
    sent = 0
    try:
        for outcome in iter_cutouts(work):
            yield _write(outcome, folder) if isinstance(outcome, Cutout) else outcome
            sent += 1
    except MemoryError:
        # One product more than fits: those before are done.  Those that
        # follow in the same work begin anew, with the image opened again.
        yield UnsupportedError(
            f"The {work.noun} needs more memory than may be used here ({memory_bytes >> 20} MB); "
            f"{work.advice}"
        )
        sent += 1
    except VoError as err:
        yield err
        sent += 1
    except Exception:
        log_id = uuid.uuid4().hex[:12]
        # The log of the service is where this process writes to.
        print(f"Cutout failed, log id {log_id}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        yield VoError(
            f"The service failed in a way it did not foresee; its log has the details (log id {log_id})"
        )
        sent += 1
    if sent < len(work.products):
        yield from _replies(replace(work, products=work.products[sent:]), folder, memory_bytes)


def _write(cutout: Cutout, folder: Path) -> Reply:
    path = folder / f"{secrets.token_hex(16)}.part"
    try:
        with path.open("wb", buffering=0) as stream:
            for rest in cutout.pieces():
                while rest:
                    rest = rest[stream.write(rest) or 0 :]
    except OSError as err:
        path.unlink(missing_ok=True)
        print(f"A cutout cannot be written: {err}", file=sys.stderr, flush=True)
        kind = NoRoomError if err.errno in _FULL else TransientError
        return kind("The cutout cannot be stored now; try again later")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Made(path, cutout.media_type, cutout.filename, cutout.box, cutout.detail, cutout.size)
