"""Parameters of a request, from wherever they were sent.

GET and POST, query string, urlencoded and multipart forms become one
`ParamSet` here, before any protocol looks at them.
"""

__all__ = ["open_params"]

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import BinaryIO
from urllib.parse import parse_qsl

from anyio import to_thread
from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ..dali import Hangup, ParamSet
from ..errors import UsageError

# A form of 9 MB takes a second, in which no other client should wait.
_LONG = 2**16


@asynccontextmanager
async def open_params(
    request: Request, limit_bytes: int, *, file_bytes: int = 0, hangup: Hangup | None = None
) -> AsyncGenerator[ParamSet]:
    """Read the parameters of a request.

    Parameters
    ----------
    request
        GET or POST; a form may be urlencoded or multipart.
    limit_bytes
        Size of the body that is still read.
    file_bytes
        So much more may come in a form with files; with 0, files are left
        out.
    hangup
        Tells when nobody waits for the answer any more.

    Yields
    ------
    params : `ParamSet`
        Those of the query string first, then those of the form.  Files can be
        read inside the block.

    Raises
    ------
    UsageError
        Raised if the body is too large or is no form.
    """
    # From the scope: a hostile Host header can make request.url another one.
    query = request.scope["query_string"].decode(errors="replace")
    pairs = parse_qsl(query, keep_blank_values=True)
    if request.method != "POST":
        yield ParamSet.from_pairs(pairs, hangup=hangup)
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_multipart = kind == "multipart/form-data"
    most = limit_bytes + file_bytes if is_multipart else limit_bytes
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_long(most)
    if is_multipart:
        form = await _read_multipart(request, limit_bytes, most)
        try:
            pairs += [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
            files = _files_of(form) if file_bytes else {}
            yield ParamSet.from_pairs(pairs, files=files, hangup=hangup)
        finally:
            await form.close()
        return
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise UsageError(
            f"A body of type {kind!r} is not accepted; "
            "send application/x-www-form-urlencoded or multipart/form-data"
        )
    body = b"".join([chunk async for chunk in _limited(request, most)])
    text = body.decode(errors="replace")
    if len(text) > _LONG:
        yield await to_thread.run_sync(_parse, pairs, text, hangup)
    else:
        yield _parse(pairs, text, hangup)


def _parse(pairs: list[tuple[str, str]], text: str, hangup: Hangup | None) -> ParamSet:
    return ParamSet.from_pairs([*pairs, *parse_qsl(text, keep_blank_values=True)], hangup=hangup)


def _files_of(form: FormData) -> dict[str, BinaryIO]:
    files: dict[str, BinaryIO] = {}
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            continue
        if name in files:
            raise UsageError(f"The form has two files {name!r}; give each a name of its own")
        files[name] = value.file
    return files


async def _read_multipart(request: Request, limit_bytes: int, most: int) -> FormData:
    # Each field takes a byte: the limit of the body is that of the fields.
    # Files beyond a megabyte go to the disk.
    parser = MultiPartParser(
        request.headers, _limited(request, most), max_fields=limit_bytes, max_part_size=limit_bytes
    )
    try:
        form = await parser.parse()
    except MultiPartException as err:
        if "exceeded maximum size" in err.message:
            raise _too_long(limit_bytes) from err
        raise UsageError(f"The multipart form cannot be read: {err.message}") from err
    if sum(len(value) for _, value in form.multi_items() if isinstance(value, str)) > limit_bytes:
        await form.close()
        raise _too_long(limit_bytes)
    return form


async def _limited(request: Request, limit_bytes: int) -> AsyncGenerator[bytes]:
    # A body in chunks has no Content-Length that could be trusted.
    left = limit_bytes
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise _too_long(limit_bytes)
        yield chunk


def _too_long(limit_bytes: int) -> UsageError:
    return UsageError(
        f"The request is too long; this service reads up to {limit_bytes} bytes, send fewer values at a time"
    )
