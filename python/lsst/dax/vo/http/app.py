"""The web application: one function that puts the routes together."""

__all__ = ["SERVER", "create_app"]

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import swagger_ui_bundle
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.responses import Response as HttpResponse
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles

from .. import __version__
from ..errors import AuthenticationError, AuthorizationError, VoError
from ..services import Services
from ._bridge import to_http
from ._errors import error_document
from ._metrics import CountRequests
from ._redact import redact_logs
from .routes import datalink, files, pages, products, sia, soda, tap

_LOG = logging.getLogger(__name__)

SERVER = f"lsst-dax-vo/{__version__}"
"""Value of the ``Server`` header; validators look for product/version."""


def create_app(services: Services) -> FastAPI:
    """Build the web application around a set of services.

    Parameters
    ----------
    services
        The services; closed when the application shuts down.

    Returns
    -------
    app : `fastapi.FastAPI`
        An ASGI application.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.start()
        yield
        services.close()

    redact_logs()
    app = FastAPI(
        title="lsst.dax.vo",
        version=__version__,
        summary="IVOA image services on Butler repositories",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    # The bundled page is the newest that comes as a package; it reads 3.0.
    app.openapi_version = "3.0.2"
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        # DELETE is for jobs.
        allow_methods=["GET", "HEAD", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag"],
    )
    app.add_middleware(CountRequests)
    app.add_exception_handler(Exception, _answer_error)
    app.add_exception_handler(VoError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_no_route)
    for room in (tap, sia, datalink, files, products, soda, pages):
        app.include_router(room.build_router(services))
    _add_docs(app)
    return app


async def _answer_error(request: Request, error: Exception) -> HttpResponse:
    # Paths of protocols answer in their own form; these are the others.
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        # The path as it came, so that no character of it is one of the log's
        # own; and never the query, which holds the signature.
        path = request.scope["raw_path"].partition(b"?")[0][:300].decode("ascii", "replace")
        client = request.client.host if request.client else "a socket"
        _LOG.warning("Refused %s %s to %s: %s", request.method, path, client, error)
    return to_http(error_document(error, "text"))


async def _answer_no_route(request: Request, error: Exception) -> HttpResponse:
    # Raised by the framework alone: no such path, or not by this method.
    path, status = request.scope["path"][:200], 500
    headers: Mapping[str, str] | None = None
    if isinstance(error, HTTPException):
        status, headers = error.status_code, error.headers
    if status == 404:
        text = f"There is nothing at {path!r}; the page at / shows what there is"
    elif status == 405:
        allowed = _methods_of(request)
        headers = {"Allow": ", ".join(allowed)}
        text = f"{request.method} is not accepted at {path!r}; send {' or '.join(allowed)}"
    else:
        text = f"The request cannot be answered (HTTP status {status})"
    return PlainTextResponse(f"UsageError: {text}\n", status_code=status, headers=headers)


def _methods_of(request: Request) -> list[str]:
    # The framework names those of the first route; a path has several (RFC
    # 9110, 15.5.6).  Its routers tell their routes only by matching.
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    found = [
        method
        for method in ("GET", "HEAD", "POST", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    # What is mounted are files, of the page at /docs.
    return found or ["GET", "HEAD"]


def _add_docs(app: FastAPI) -> None:
    # The page's scripts come from a package: a data centre need not reach
    # the internet to read its own documentation.
    folder = Path(swagger_ui_bundle.swagger_ui_path)
    app.mount("/docs/static", StaticFiles(directory=folder), name="docs-static")

    @app.head("/docs", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    def docs() -> HttpResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="lsst.dax.vo",
            swagger_js_url="docs/static/swagger-ui-bundle.js",
            swagger_css_url="docs/static/swagger-ui.css",
            swagger_favicon_url="docs/static/favicon-32x32.png",
        )
