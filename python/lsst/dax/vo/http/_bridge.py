"""Between sockets and services: requests in, `Response` out.

GET and POST, query string, urlencoded and multipart forms become one
`ParamSet` here, before any protocol looks at them.
"""

__all__ = ["Answer", "Endpoint", "add_endpoint", "base_url_of", "read_params", "to_http"]

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import parse_qsl

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from starlette.concurrency import iterate_in_threadpool
from starlette.datastructures import Address
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response as HttpResponse
from starlette.responses import StreamingResponse

from ..config import ServiceConfig
from ..dali import ParamSet, Response
from ..errors import UsageError
from ._errors import ErrorForm, error_document

# RFC 3986, 3.2.2 and 3.2.3: a name or an address, and a port.  The header
# goes into documents as a URL, and into the rows' access_url.
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

_QUERY_THREADS = 16
"""Queries and searches that run at once; further ones wait."""

type Answer = Callable[[ParamSet, str, dict[str, str]], Response]
"""A service call: parameters, base URL and path parameters to an answer."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the OpenAPI page says about one path."""

    path: str
    """Path with its path parameters in braces."""

    summary: str
    """One line."""

    parameters: Sequence[tuple[str, str]] = ()
    """Names and descriptions of the parameters; all are text."""

    methods: Sequence[str] = ("GET", "POST")
    """HTTP methods."""

    errors: ErrorForm = "text"
    """Form of errors that the service itself did not answer."""


def add_endpoint(router: APIRouter, endpoint: Endpoint, config: ServiceConfig, answer: Answer) -> None:
    """Serve one path.

    Parameters
    ----------
    router
        Where the path is added.
    endpoint
        Path, methods and documentation.
    config
        Base URL, trusted proxies and limits.
    answer
        The service call; runs in a worker thread.
    """

    async def serve(request: Request) -> HttpResponse:
        try:
            params = await read_params(request, config.limits.request_bytes)
            base_url = base_url_of(request, config)
            call = partial(answer, params, base_url, dict(request.path_params))
            response = await to_thread.run_sync(call, limiter=_limiter_of(request, endpoint.errors))
        except Exception as err:  # the last frame that knows the path's standard
            response = error_document(err, endpoint.errors)
        return to_http(response)

    documented = [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in endpoint.parameters
    ]
    for method in endpoint.methods:
        router.add_api_route(
            endpoint.path,
            serve,
            methods=[method],
            summary=endpoint.summary,
            operation_id=f"{method} {router.prefix}{endpoint.path}",
            response_class=HttpResponse,
            openapi_extra={"parameters": documented},
            # A documented schema for HEAD would only repeat GET's.
            include_in_schema=method != "HEAD",
        )


async def read_params(request: Request, limit_bytes: int) -> ParamSet:
    """Read the parameters of a request from wherever they were sent.

    Parameters
    ----------
    request
        GET or POST; a form may be urlencoded or multipart.
    limit_bytes
        Size of the body that is still read.

    Returns
    -------
    params : `ParamSet`
        Those of the query string first, then those of the form.

    Raises
    ------
    UsageError
        Raised if the body is too large or is no form.
    """
    # From the scope: a hostile Host header can make request.url another one.
    query = request.scope["query_string"].decode(errors="replace")
    pairs = parse_qsl(query, keep_blank_values=True)
    if request.method != "POST":
        return ParamSet.from_pairs(pairs)
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit_bytes:
        raise _too_long(limit_bytes)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        pairs += await _read_multipart(request, limit_bytes)
    elif kind in ("application/x-www-form-urlencoded", ""):
        body = b"".join([chunk async for chunk in _limited(request, limit_bytes)])
        pairs += parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    else:
        raise UsageError(
            f"A body of type {kind!r} is not accepted; "
            "send application/x-www-form-urlencoded or multipart/form-data"
        )
    return ParamSet.from_pairs(pairs)


def base_url_of(request: Request, config: ServiceConfig) -> str:
    """Return the URL under which the sender of a request knows us.

    Parameters
    ----------
    request
        The request.
    config
        A configured base URL wins; forwarded headers count only from the
        proxies that the configuration trusts.

    Returns
    -------
    url : `str`
        Scheme and host, perhaps a path, without a slash at the end.

    Raises
    ------
    UsageError
        Raised if the request says so with a header that is no host.
    """
    if config.base_url:
        return config.base_url.rstrip("/")
    scheme = request.scope["scheme"]
    host = request.headers.get("host") or "localhost"
    if _is_trusted(request.client, config.trusted_proxies):
        scheme = request.headers.get("x-forwarded-proto", scheme).partition(",")[0].strip().lower()
        host = request.headers.get("x-forwarded-host", host).partition(",")[0].strip()
    if scheme not in ("http", "https") or not _HOST.fullmatch(host):
        # RFC 9112, 3.2: a Host field that is none is answered with 400.
        raise UsageError(
            f"The request was sent to {f'{scheme}://{host}'[:100]!r}, which is no address of a service; "
            "send the Host header as 'name' or 'name:port'"
        )
    return f"{scheme}://{host}"


def _is_trusted(client: Address | None, proxies: Sequence[IPv4Network | IPv6Network]) -> bool:
    if client is None:
        return False
    try:
        address = ip_address(client.host)
    except ValueError:
        # A socket of the file system, or a test, has no address.
        return False
    return any(address in network for network in proxies)


def _limiter_of(request: Request, form: ErrorForm) -> CapacityLimiter | None:
    # Queries may take a minute each: they have threads of their own, so that
    # files, links and the state of the service never wait for them.
    if form not in ("tap", "sia"):
        return None
    state = request.app.state
    if not hasattr(state, "query_limiter"):
        state.query_limiter = CapacityLimiter(_QUERY_THREADS)
    limiter: CapacityLimiter = state.query_limiter
    return limiter


async def _iterate(body: Iterator[bytes]) -> AsyncGenerator[bytes]:
    # Of a client that hangs up, the body is closed at once, and with it the
    # query or file behind it.
    try:
        async for chunk in iterate_in_threadpool(body):
            yield chunk
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def to_http(response: Response) -> HttpResponse:
    """Copy an answer to the web framework.

    Parameters
    ----------
    response
        Answer of a service.

    Returns
    -------
    response : `starlette.responses.Response`
        Streamed when the body comes in chunks.
    """
    headers = dict(response.headers)
    if response.media_type:
        headers["content-type"] = response.media_type
    if isinstance(response.body, bytes):
        return HttpResponse(response.body, status_code=response.status, headers=headers)
    return StreamingResponse(_iterate(response.body), status_code=response.status, headers=headers)


async def _read_multipart(request: Request, limit_bytes: int) -> list[tuple[str, str]]:
    # Each field takes a byte: the limit of the body is that of the fields.
    parser = MultiPartParser(
        request.headers, _limited(request, limit_bytes), max_fields=limit_bytes, max_part_size=limit_bytes
    )
    try:
        form = await parser.parse()
    except MultiPartException as err:
        raise UsageError(f"The multipart form cannot be read: {err.message}") from err
    pairs = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    await form.close()
    return pairs


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
