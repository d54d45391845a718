"""The web application: one function that puts the routes together."""

__all__ = ["SERVER", "create_app"]

import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import swagger_ui_bundle
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.responses import Response as HttpResponse
from starlette.staticfiles import StaticFiles

from .. import __version__
from ..dali import fault_of, message_of
from ..errors import TransientError, VoError
from ..services import Services
from ._metrics import CountRequests
from .routes import datalink, pages, sia, soda, tap

SERVER = f"lsst-dax-vo/{__version__}"
"""Value of the ``Server`` header; validators look for product/version."""

_LOG = logging.getLogger(__name__)


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
        yield
        services.close()

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
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["*"],
        expose_headers=["Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag"],
    )
    app.add_middleware(CountRequests)
    app.add_exception_handler(Exception, _answer_error)
    app.add_exception_handler(VoError, _answer_error)
    for room in (tap, sia, datalink, soda, pages):
        app.include_router(room.build_router(services))
    _add_docs(app)
    return app


async def _answer_error(_request: Request, error: Exception) -> HttpResponse:
    # Protocol rooms answer their own errors in their own form; what comes
    # here failed before one was reached, or is a defect.
    fault = fault_of(error)
    message = message_of(error)
    if not isinstance(error, VoError):
        log_id = uuid.uuid4().hex[:12]
        _LOG.error("Request failed, log id %s", log_id, exc_info=error)
        message += f" (log id {log_id})"
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TransientError) else None
    return PlainTextResponse(f"{fault.soda}: {message}", status_code=fault.http_status, headers=headers)


def _add_docs(app: FastAPI) -> None:
    # The page's scripts come from a package: a data centre need not reach
    # the internet to read its own documentation.
    folder = Path(swagger_ui_bundle.swagger_ui_path)
    app.mount("/docs/static", StaticFiles(directory=folder), name="docs-static")

    @app.get("/docs", include_in_schema=False)
    def docs() -> HttpResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="lsst.dax.vo",
            swagger_js_url="docs/static/swagger-ui-bundle.js",
            swagger_css_url="docs/static/swagger-ui.css",
            swagger_favicon_url="docs/static/favicon-32x32.png",
        )
