"""What a worker is sent, and what it answers.

Work goes to it as a pickle.  Answers come back as lines of JSON: a worker
reads files of all kinds with libraries in C, and nothing that it sends is
run here.
"""

from __future__ import annotations

__all__ = ["Made", "NoRoomError", "Reply", "parse_reply", "receive_work", "reply_line", "send_work"]

import json
import pickle
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ... import errors
from ...errors import TransientError, VoError
from .._box import PixelBox
from .._request import Detail
from .._work import CutoutWork

_LENGTH_BYTES = 8


class NoRoomError(TransientError):
    """A cutout could not be written because the disk is full."""


_KINDS: dict[str, type[VoError]] = {
    kind.__name__: kind
    for kind in (
        errors.UsageError,
        errors.NotFoundError,
        errors.UnsupportedError,
        errors.AuthenticationError,
        errors.AuthorizationError,
        errors.TransientError,
        NoRoomError,
    )
}


@dataclass(frozen=True, slots=True)
class Made:
    """A cutout that a worker has written."""

    path: Path
    """The file."""

    media_type: str
    """Its media type."""

    filename: str
    """A name to save it under."""

    box: PixelBox
    """The pixels in it."""

    detail: Detail
    """How much of the image it holds."""

    size: int
    """Length of the file, bytes."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a value of JSON, without the path.

        Returns
        -------
        about : `dict` [`str`, `~typing.Any`]
        """
        box = self.box
        return {
            "media_type": self.media_type,
            "filename": self.filename,
            "box": [box.x0, box.x1, box.y0, box.y1],
            "detail": self.detail.value,
            "size": self.size,
        }

    @classmethod
    def from_json(cls, path: Path, about: Mapping[str, Any]) -> Self:
        """Return the cutout that a value of JSON describes.

        Parameters
        ----------
        path
            The file.
        about
            As `to_json` returns it.

        Returns
        -------
        made : `Made`

        Raises
        ------
        KeyError, TypeError, ValueError
            Raised if it is none.
        """
        return cls(
            path,
            about["media_type"],
            about["filename"],
            PixelBox(*about["box"]),
            Detail(about["detail"]),
            about["size"],
        )


type Reply = Made | VoError | None
"""A cutout, why there is none, or that no pixel is left."""


def send_work(channel: socket.socket, work: CutoutWork, folder: Path) -> None:
    """Send work to a worker.

    Parameters
    ----------
    channel
        The way to it.
    work
        The work.
    folder
        Where cutouts are written.
    """
    data = pickle.dumps((work, str(folder)))
    channel.sendall(len(data).to_bytes(_LENGTH_BYTES) + data)


def receive_work(channel: socket.socket) -> tuple[CutoutWork, Path] | None:
    """Wait for work.

    Parameters
    ----------
    channel
        The way from the service.

    Returns
    -------
    work : `CutoutWork`
        The work.
    folder : `~pathlib.Path`
        Where cutouts are written; `None` for both when the service has ended.
    """
    head = _receive(channel, _LENGTH_BYTES)
    data = _receive(channel, int.from_bytes(head)) if head is not None else None
    if data is None:
        return None
    # From the service, which is the parent of this process.
    work, folder = pickle.loads(data)  # noqa: S301
    return work, Path(folder)


def reply_line(reply: Reply) -> bytes:
    """Write an answer.

    Parameters
    ----------
    reply
        The answer.

    Returns
    -------
    line : `bytes`
    """
    content: dict[str, Any] = {}
    match reply:
        case Made():
            content["made"] = reply.to_json()
            content["path"] = str(reply.path)
        case VoError():
            kind = next((cls.__name__ for cls in type(reply).__mro__ if cls.__name__ in _KINDS), "")
            content["error"] = {"kind": kind, "text": str(reply)}
            if isinstance(reply, TransientError):
                content["error"]["retry_after"] = reply.retry_after
        case None:
            content["nothing"] = True
    return json.dumps(content).encode() + b"\n"


def parse_reply(line: bytes) -> Reply:
    """Read an answer.

    Parameters
    ----------
    line
        As `reply_line` writes it.

    Returns
    -------
    reply : `Reply`
    """
    content = json.loads(line)
    if "made" in content:
        return Made.from_json(Path(content["path"]), content["made"])
    if "error" in content:
        error = content["error"]
        kind = _KINDS.get(error["kind"], VoError)
        if issubclass(kind, TransientError):
            return kind(error["text"], retry_after=error["retry_after"])
        return kind(error["text"])
    return None


def _receive(channel: socket.socket, count: int) -> bytes | None:
    found = bytearray()
    while len(found) < count:
        piece = channel.recv(min(count - len(found), 1 << 20))
        if not piece:
            return None
        found += piece
    return bytes(found)
