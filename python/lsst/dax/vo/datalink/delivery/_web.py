"""Files on web servers, passed on as they come."""

from __future__ import annotations

__all__ = ["open_web", "translated"]

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from copy import copy
from email.utils import parsedate_to_datetime
from hashlib import sha256
from threading import Lock
from typing import Any

from cachetools import TTLCache
from lsst.resources import ResourcePath
from urllib3 import Retry

from ...dali import ByteRange, shortened
from ...errors import NotFoundError, TransientError, UnsupportedError, VoError
from ...repo import Dataset
from ._contents import Chunks, Content
from ._plan import FileFacts

_LOG = logging.getLogger(__name__)

_CHUNK_BYTES = 2**18
# Seconds to connect, and between two packets.
_TIMEOUT = (10.0, 60.0)
# A connection that the store has closed while it was idle is made anew.
_RETRIES = Retry(total=1, status=0, redirect=5)
_TOTAL = re.compile(r"bytes [^/]*/([0-9]+)")
# Who reads a file by ranges asks many times; each answer tells whether the
# file is still the same.
_REMEMBERED_S = 60.0
_MOST_REMEMBERED = 1000


_KNOWN: TTLCache[str, tuple[int, str, float | None]] = TTLCache(_MOST_REMEMBERED, _REMEMBERED_S)
_LOCK = Lock()


class _WebContent:
    """A file on a web server."""

    def __init__(self, uri: Any, what: str, facts: FileFacts, mark: str) -> None:
        self.facts = facts
        self._uri = uri
        self._what = what
        self._mark = mark
        self._answer: Any = None
        self._is_cancelled = False

    def read(
        self, sections: Sequence[bytes | ByteRange], close: Callable[[], None]
    ) -> tuple[Iterator[bytes], Callable[[], None]]:
        # The first part is asked for now, while a refusal still has a status.
        first = next(item for item in sections if isinstance(item, ByteRange))
        with translated(self._what):
            self._answer = self._get(first)

        def close_all() -> None:
            self._drop()
            close()

        return Chunks(self._iter_chunks(sections, first), close_all), self._cancel

    def _iter_chunks(self, sections: Sequence[bytes | ByteRange], first: ByteRange) -> Iterator[bytes]:
        for section in sections:
            if isinstance(section, bytes):
                yield section
                continue
            with translated(self._what):
                if section is not first:
                    self._answer = self._get(section)
                yield from self._pass_on(section)
                self._drop()

    def _pass_on(self, section: ByteRange) -> Iterator[bytes]:
        answer = self._answer
        # A server without ranges sends all: what is before is dropped, and
        # what comes after is not waited for.
        skip = section.start if answer.status_code == 200 else 0
        left = section.stop - section.start
        for chunk in answer.raw.stream(_CHUNK_BYTES, decode_content=False):
            part = chunk[skip:][:left] if skip < len(chunk) else b""
            skip = max(0, skip - len(chunk))
            left -= len(part)
            if part:
                yield part
            if not left:
                return
        raise shortened()

    def _get(self, section: ByteRange) -> Any:
        answer = _request(self._uri, f"bytes={section.start}-{section.stop - 1}")
        if _facts_of(answer)[:2] != (self.facts.size_bytes, self._mark):
            answer.close()
            with _LOCK:
                _KNOWN.pop(self._uri.geturl(), None)
            raise TransientError(f"{self._what} has changed just now; try again", retry_after=1)
        if self._is_cancelled:
            answer.close()
            raise TransientError("The client is gone")
        return answer

    def _cancel(self) -> None:
        self._is_cancelled = True
        answer = self._answer
        if answer is not None:
            # A read in another thread ends at once; a socket that is closed
            # under it would be waited for.
            with suppress(Exception):
                answer.raw.shutdown()

    def _drop(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()


def open_web(uri: ResourcePath, what: str, dataset: Dataset) -> Content:
    """Ask a web server for a file.

    Parameters
    ----------
    uri
        The file.
    what
        How messages call it.
    dataset
        Whose file it is.

    Returns
    -------
    content : `Content`

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    UnsupportedError
        Raised if it is empty, or the server refuses to give it.
    TransientError
        Raised if it does not answer.
    """
    url = uri.geturl()
    with translated(what):
        with _LOCK:
            told = _KNOWN.get(url)
        if told is None:
            with closing(_request(uri, "bytes=0-0")) as answer:
                told = _facts_of(answer)
            with _LOCK:
                _KNOWN[url] = told
    size_bytes, mark, changed_s = told
    if not size_bytes:
        raise UnsupportedError(f"{what} is empty")
    # Not of the URL, which may be signed anew each time.
    etag = f'"{sha256(f"{dataset.uuid} {size_bytes} {mark}".encode()).hexdigest()[:32]}"'
    facts = FileFacts(dataset.file_name, size_bytes, dataset.media_type, etag, changed_s)
    return _WebContent(uri, what, facts, mark)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Let the errors of stores be ours.

    Parameters
    ----------
    what
        How messages call the file.

    Yields
    ------
    nothing : `None`
        The block asks a store.

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    UnsupportedError
        Raised if the store refuses to give it.
    TransientError
        Raised if it does not answer.
    """
    # The libraries of the stores have no error in common.
    try:
        yield
    except VoError:
        raise
    except FileNotFoundError:
        raise NotFoundError(f"{what} is gone") from None
    except PermissionError:
        raise UnsupportedError(f"{what} is in a store that refuses to give it to this service") from None
    except Exception as err:
        # Its text may name a signed URL, and must not come to a log.
        _LOG.warning("%s could not be read: %s", what, type(err).__name__)
        raise TransientError(f"{what} is in a store that does not answer; try again") from None


def _request(uri: Any, ranges: str) -> Any:
    # Session, credentials and headers are those of lsst.resources.  The bytes
    # are those of the file, not of a compressed copy.
    headers = {"Range": ranges, "Accept-Encoding": "identity"}
    session = uri.data_session
    session._session = _impatient(session._session)
    answer = session.get(uri.replace(fragment="").geturl(), stream=True, timeout=_TIMEOUT, headers=headers)
    if answer.status_code in (200, 206, 416) and _size_of(answer) is not None:
        return answer
    answer.close()
    if answer.status_code in (404, 410):
        raise FileNotFoundError
    if answer.status_code in (401, 403):
        raise PermissionError
    raise ConnectionError(f"HTTP status {answer.status_code}")


def _impatient(session: Any) -> Any:
    # Sessions of lsst.resources try six times in up to a minute, for pipelines
    # that have the time; here somebody waits, and can ask again.  The
    # connections are theirs.
    impatient = copy(session)
    impatient.adapters = OrderedDict()
    for prefix, adapter in session.adapters.items():
        twin = object.__new__(type(adapter))
        twin.__dict__.update(adapter.__dict__, max_retries=_RETRIES)
        impatient.adapters[prefix] = twin
    return impatient


def _size_of(answer: Any) -> int | None:
    if answer.status_code == 200:
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None
    total = _TOTAL.fullmatch(answer.headers.get("Content-Range", ""))
    if total is not None:
        return int(total[1])
    # Where there is no first byte, there is none.
    return 0 if answer.status_code == 416 else None


def _facts_of(answer: Any) -> tuple[int, str, float | None]:
    # Length, a text that changes with the content, and when it last did.
    changed = answer.headers.get("Last-Modified", "")
    changed_s = None
    with suppress(ValueError, TypeError, OverflowError):
        changed_s = parsedate_to_datetime(changed).timestamp()
    return _size_of(answer) or 0, f"{answer.headers.get('ETag', '')} {changed}", changed_s
