"""``/api/cutout``: SODA cutouts, and the older name of their path."""

__all__ = ["build_router"]

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response as HttpResponse

from ...services import Services
from ...soda import PARAMETERS
from .._bridge import Endpoint, add_endpoint, to_http
from .._forms import open_params
from .._jobs import add_job_routes

_ASKED = (
    *((item.name, item.description) for item in PARAMETERS),
    ("RUNID", "Your own name for this request"),
)


def build_router(services: Services) -> APIRouter:
    """Build the paths of SODA.

    Parameters
    ----------
    services
        The services.

    Returns
    -------
    router : `fastapi.APIRouter`
    """
    router = APIRouter(prefix="/api", tags=["SODA"])
    cutouts, config = services.cutouts, services.config
    for path in ("/cutout/sync", "/image/soda/sync"):
        add_endpoint(
            router,
            Endpoint(path, "Cut a region out of an image", _ASKED, errors="soda"),
            config,
            lambda p, _base, _: cutouts.sync(p),
        )
    # Rubin's own service has its jobs under the second name.
    for path in ("/cutout/async", "/cutout/jobs"):
        add_job_routes(
            router,
            path,
            services.cutout_jobs,
            config,
            parameters=_ASKED,
            result_url=services.cutout_results.url,
        )
    for endpoint, answer in (
        (
            Endpoint("/cutout/capabilities", "What this service can do (VOSI)", (), ("GET",)),
            lambda _p, base, _: cutouts.capabilities(base),
        ),
        (
            Endpoint("/cutout/availability", "Whether this service is up (VOSI)", (), ("GET",)),
            lambda _p, _base, _: services.availability(),
        ),
        (
            Endpoint("/cutout/examples", "Cutouts to start from (DALI-examples)", (), ("GET",)),
            lambda _p, base, _: cutouts.examples(base),
        ),
    ):
        add_endpoint(router, endpoint, config, answer)
    _add_results(router, services)
    return router


def _add_results(router: APIRouter, services: Services) -> None:
    """Serve results of jobs by signed URLs."""

    async def deliver(request: Request, job: str, name: str) -> HttpResponse:
        async with open_params(request, services.config.limits.request_bytes) as params:
            response = await run_in_threadpool(
                services.cutout_results.deliver,
                job,
                name,
                params,
                method=request.method,
                headers=dict(request.headers),
            )
        return to_http(response)

    for method in ("GET", "HEAD"):
        router.add_api_route(
            "/cutout/results/{job}/{name}",
            deliver,
            methods=[method],
            summary="One result of a job, by a signed URL",
            operation_id=f"{method} cutout result",
            response_class=HttpResponse,
            include_in_schema=method == "GET",
        )
