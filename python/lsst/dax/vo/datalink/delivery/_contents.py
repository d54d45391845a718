"""Files open to be delivered, wherever their bytes are."""

from __future__ import annotations

__all__ = ["Chunks", "Content", "LocalContent", "StreamContent"]

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Protocol

from ...dali import ByteRange, FileSections, shortened
from ._plan import FileFacts

_CHUNK_BYTES = 2**20


class Content(Protocol):
    """A file that is open."""

    facts: FileFacts
    """What is known of it."""

    def read(
        self, sections: Sequence[bytes | ByteRange], close: Callable[[], None]
    ) -> tuple[Iterator[bytes], Callable[[], None]]:
        """Start to read parts of it.

        Parameters
        ----------
        sections
            Bytes as they are, and bytes of the file, in order.
        close
            Closes the file.

        Returns
        -------
        body : `~collections.abc.Iterator` [`bytes`]
            In chunks; closes the file when it is closed, or at its end.
        cancel : `~collections.abc.Callable`
            Ends a wait for the next chunk; from any thread.
        """
        ...


class LocalContent:
    """A file on this machine, or a part of one.

    Parameters
    ----------
    stream
        The file, open.
    facts
        What is known of the content.
    offset
        Where the content begins in it.
    """

    def __init__(self, stream: BinaryIO, facts: FileFacts, offset: int = 0) -> None:
        self.facts = facts
        self._stream = stream
        self._offset = offset

    def read(
        self, sections: Sequence[bytes | ByteRange], close: Callable[[], None]
    ) -> tuple[Iterator[bytes], Callable[[], None]]:
        # Docstring inherited.
        at = self._offset
        placed = [
            item if isinstance(item, bytes) else ByteRange(item.start + at, item.stop + at)
            for item in sections
        ]
        return FileSections(self._stream.fileno(), placed, close), _do_nothing


class StreamContent:
    """A file that can be read from any place, as a store's library opens it.

    Parameters
    ----------
    stream
        The file, open.
    facts
        What is known of it.
    """

    def __init__(self, stream: BinaryIO, facts: FileFacts) -> None:
        self.facts = facts
        self._stream = stream

    def read(
        self, sections: Sequence[bytes | ByteRange], close: Callable[[], None]
    ) -> tuple[Iterator[bytes], Callable[[], None]]:
        # Docstring inherited.
        return Chunks(self._iter_chunks(sections), close), _do_nothing

    def _iter_chunks(self, sections: Sequence[bytes | ByteRange]) -> Iterator[bytes]:
        for section in sections:
            if isinstance(section, bytes):
                yield section
                continue
            self._stream.seek(section.start)
            left = section.stop - section.start
            while left:
                chunk = self._stream.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    raise shortened()
                left -= len(chunk)
                yield bytes(chunk)


class Chunks(Iterator[bytes]):
    """Chunks of something that has to be closed.

    Parameters
    ----------
    chunks
        The chunks.
    close
        Closes what they come from; called once.
    """

    def __init__(self, chunks: Iterator[bytes], close: Callable[[], None]) -> None:
        self._chunks = chunks
        self._close: Callable[[], None] | None = close

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            self.close()
            raise

    def close(self) -> None:
        """Close it; also called when a client has gone away."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def __del__(self) -> None:
        self.close()


def _do_nothing() -> None:
    """End no wait: a disk answers, and so does a library with time-outs."""
