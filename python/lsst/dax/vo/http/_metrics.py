"""Counters of the HTTP front."""

__all__ = ["JOBS", "REGISTRY", "CountRequests"]

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REGISTRY = CollectorRegistry()
"""The counters of this process."""

_REQUESTS = Counter("dax_vo_requests", "Answered requests", ("service", "status"), registry=REGISTRY)
_SECONDS = Histogram(
    "dax_vo_request_seconds", "Seconds until the last byte of an answer", ("service",), registry=REGISTRY
)
_IN_PROGRESS = Gauge(
    "dax_vo_requests_in_progress", "Requests whose last byte is not sent", ("service",), registry=REGISTRY
)
JOBS = Gauge("dax_vo_jobs_running", "Jobs that this process runs", ("service",), registry=REGISTRY)
"""Set by whoever reads the counters."""

_SERVICES = frozenset({"tap", "sia", "datalink", "cutout", "files", "image"})


class CountRequests:
    """Count requests and their time by service; an ASGI middleware.

    Parameters
    ----------
    app
        The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        # The first part of the path alone: a label or an identifier would
        # make as many series as there are datasets.
        parts = scope["path"].split("/")
        service = parts[2] if len(parts) > 2 and parts[1] == "api" and parts[2] in _SERVICES else "other"
        started = time.perf_counter()
        in_progress = _IN_PROGRESS.labels(service)
        in_progress.inc()
        try:
            await self._app(scope, receive, watch)
        finally:
            in_progress.dec()
            _REQUESTS.labels(service, str(status)).inc()
            _SECONDS.labels(service).observe(time.perf_counter() - started)
