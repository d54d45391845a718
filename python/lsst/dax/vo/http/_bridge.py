"""Between sockets and services: requests in, `Response` out.

GET and POST, query string, urlencoded and multipart forms become one
`ParamSet` here, before any protocol looks at them.
"""

__all__ = ["Answer", "Endpoint", "add_endpoint", "base_url_of", "read_params", "to_http"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response as HttpResponse
from starlette.responses import StreamingResponse

from ..config import ServiceConfig
from ..dali import ParamSet, Response
from ..errors import UsageError

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
        params = await read_params(request, config.limits.request_bytes)
        base_url = base_url_of(request, config)
        response = await run_in_threadpool(answer, params, base_url, dict(request.path_params))
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
    pairs = parse_qsl(request.url.query, keep_blank_values=True)
    if request.method != "POST":
        return ParamSet.from_pairs(pairs)
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit_bytes:
        raise UsageError(
            f"The request has {length} bytes; this service reads up to {limit_bytes}, send fewer at a time"
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = await request.form(max_part_size=limit_bytes)
        pairs += [(name, value) for name, value in form.multi_items() if not isinstance(value, UploadFile)]
    elif kind in ("application/x-www-form-urlencoded", ""):
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit_bytes:
                raise UsageError(f"The request is too long; this service reads up to {limit_bytes} bytes")
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
    """
    if config.base_url:
        return config.base_url.rstrip("/")
    scheme, host = request.url.scheme, request.headers.get("host", "localhost")
    if request.client is not None and request.client.host in config.trusted_proxies:
        scheme = request.headers.get("x-forwarded-proto", scheme).partition(",")[0].strip()
        host = request.headers.get("x-forwarded-host", host).partition(",")[0].strip()
    # Whatever the header says goes into documents as a URL, and nowhere else.
    return str(request.url.replace(scheme=scheme, netloc=host, path="", query="", fragment="")).rstrip("/")


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
    return StreamingResponse(response.body, status_code=response.status, headers=headers)
