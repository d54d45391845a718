"""Between sockets and services: requests in, `Response` out."""

__all__ = [
    "Answer",
    "Endpoint",
    "add_endpoint",
    "answer_request",
    "base_url_of",
    "is_from_proxy",
    "to_http",
    "user_of",
]

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address

from anyio import CapacityLimiter
from fastapi import APIRouter, Request
from starlette.datastructures import Address
from starlette.requests import ClientDisconnect
from starlette.responses import Response as HttpResponse

from ..config import ServiceConfig
from ..dali import Hangup, ParamSet, Response
from ..errors import UsageError
from ._errors import ErrorForm, error_document
from ._forms import open_params
from ._held import Held
from ._streams import GONE, Streamed, run_watched

# RFC 3986, 3.2.2 and 3.2.3: a name or an address, and a port.  The header
# goes into documents as a URL, and into the rows' access_url.
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

# A name goes into the text that is signed.
_USER = re.compile(r"[^\s,\x00-\x20\x7f]{1,256}")

_SLOW: dict[ErrorForm, tuple[str, int]] = {
    "tap": ("queries", 16),
    "sia": ("queries", 16),
    # They wait for processes, which are as many as the machine has room for.
    "soda": ("cutouts", 64),
}
"""Whose threads are used for what may take its time, and how many there are:
queries and searches that run at once, and cutouts; further ones wait."""

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

    uploads: bool = False
    """Whether files may come with the parameters."""

    names_user: bool = False
    """Whether the service is told who asks, if a trusted proxy says so: as
    ``user``, among the path parameters."""


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
        return await answer_request(request, endpoint, config, answer)

    documented = [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in endpoint.parameters
    ]
    # RFC 9110, 9.1: whatever can be got, its head can be got.
    methods = (*endpoint.methods, "HEAD") if "GET" in endpoint.methods else endpoint.methods
    for method in methods:
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


async def answer_request(
    request: Request, endpoint: Endpoint, config: ServiceConfig, answer: Answer
) -> HttpResponse:
    """Answer one request.

    Parameters
    ----------
    request
        The request.
    endpoint
        Path and form of errors.
    config
        Base URL, trusted proxies and limits.
    answer
        The service call; runs in a worker thread, and is told when the client
        goes away.

    Returns
    -------
    response : `starlette.responses.Response`
    """
    hangup, limiter = Hangup(), _limiter_of(request, endpoint.errors)
    limits = config.limits
    try:
        async with open_params(
            request,
            limits.request_bytes,
            file_bytes=limits.upload_bytes if endpoint.uploads else 0,
            hangup=hangup,
        ) as params:
            base_url = base_url_of(request, config)
            path = dict(request.path_params)
            user = user_of(request, config) if endpoint.names_user else None
            if user is not None:
                path["user"] = user
            call = partial(answer, params, base_url, path)
            response = await run_watched(call, request.receive, hangup, limiter)
    except ClientDisconnect:
        # In the middle of its request; there is nobody to read why.
        response = GONE
    except Exception as err:  # the last frame that knows the path's standard
        response = error_document(err, endpoint.errors)
    # Cutouts are in files, which wait for slow clients without any memory.
    is_query = endpoint.errors in ("tap", "sia")
    held = _held_of(request, limits.held_mb * 2**20, response) if is_query else None
    return to_http(response, limiter, held)


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


def is_from_proxy(request: Request, config: ServiceConfig) -> bool:
    """Return whether a trusted proxy sent a request.

    Parameters
    ----------
    request
        The request.
    config
        Names the proxies.

    Returns
    -------
    is_trusted : `bool`
    """
    return _is_trusted(request.client, config.trusted_proxies)


def user_of(request: Request, config: ServiceConfig) -> str | None:
    """Return who sent a request, if a trusted proxy says so.

    Parameters
    ----------
    request
        The request.
    config
        Names the proxies, and the header.

    Returns
    -------
    user : `str` or `None`
        `None` if nobody is logged in.

    Raises
    ------
    UsageError
        Raised if the proxy says it in a way that can be misread.
    """
    header = config.delivery.user_header
    if header is None or not is_from_proxy(request, config):
        return None
    given = [text for text in request.headers.getlist(header) if text.strip()]
    if not given:
        return None
    # Two of them: one may be the sender's own, which the proxy has let pass.
    if len(given) > 1 or _USER.fullmatch(given[0].strip()) is None:
        raise UsageError(f"The header {header} names no user; the proxy has to send one name, and no other")
    return given[0].strip()


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
    # Queries and cutouts may take a minute each: they have threads of their
    # own, so that files, links and the state of the service never wait for them.
    if form not in _SLOW:
        return None
    name, threads = _SLOW[form]
    state = request.app.state
    if not hasattr(state, name):
        setattr(state, name, CapacityLimiter(threads))
    limiter: CapacityLimiter = getattr(state, name)
    return limiter


def _held_of(request: Request, most_bytes: int, response: Response) -> Held:
    # Some dozens of long answers may take all the room for an hour: a search
    # does not wait for them.
    name = "held_by_long" if response.is_long else "held"
    state = request.app.state
    if not hasattr(state, name):
        setattr(state, name, Held(most_bytes // 2))
    held: Held = getattr(state, name)
    return held


def to_http(
    response: Response, limiter: CapacityLimiter | None = None, held: Held | None = None
) -> HttpResponse:
    """Copy an answer to the web framework.

    Parameters
    ----------
    response
        Answer of a service.
    limiter
        Whose threads make the chunks of its body; `None` for the common ones.
    held
        Counts what it holds while its client takes it.

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
    return Streamed(response, headers, limiter, held)
