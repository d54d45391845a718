"""What a protocol room answers, before a web framework sees it."""

__all__ = ["Response"]

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field


def _do_nothing() -> None:
    """Stop nothing: the body is there, or ends soon."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer; the HTTP front only copies it to the socket."""

    status: int
    """HTTP status code."""

    media_type: str
    """Content-Type, with its parameters; empty when there is no body."""

    body: bytes | Iterator[bytes] = b""
    """The document, whole or in chunks; an iterator is read once."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers."""

    cancel: Callable[[], None] = _do_nothing
    """Stops what makes the body: from any thread, at any time, also twice.
    Called when the client is gone, whether or not a chunk is awaited."""

    is_long: bool = False
    """Whether it may have more rows than answers have that nobody asked to have
    more: such answers take their time, and room of their own."""
