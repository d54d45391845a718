"""``/api/datalink`` and ``/api/files``: from a row to its file."""

__all__ = ["build_router"]

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response as HttpResponse

from ...services import Services
from .._bridge import Endpoint, add_endpoint, to_http
from .._forms import open_params


def build_router(services: Services) -> APIRouter:
    """Build the paths of DataLink and of file delivery.

    Parameters
    ----------
    services
        The services.

    Returns
    -------
    router : `fastapi.APIRouter`
    """
    router = APIRouter(prefix="/api", tags=["DataLink"])
    links, config = services.links, services.config
    parameters = (("ID", "Dataset: its obs_publisher_did, butler://label/uuid, or UUID; may be repeated"),)
    for endpoint, answer in (
        (
            Endpoint("/datalink/links", "Files and services of datasets", parameters, errors="datalink"),
            lambda p, base, _: links.links(p, base),
        ),
        (
            Endpoint("/datalink/capabilities", "What this service can do (VOSI)", (), ("GET",)),
            lambda _p, base, _: links.capabilities(base),
        ),
        (
            Endpoint("/datalink/availability", "Whether this service is up (VOSI)", (), ("GET",)),
            lambda _p, _base, _: services.availability(),
        ),
    ):
        add_endpoint(router, endpoint, config, answer)

    async def deliver(request: Request, label: str, dataset_id: str, name: str) -> HttpResponse:
        async with open_params(request, config.limits.request_bytes) as params:
            response = await run_in_threadpool(
                services.files.deliver,
                label,
                dataset_id,
                name,
                params,
                method=request.method,
                headers=dict(request.headers),
            )
        return to_http(response)

    for method in ("GET", "HEAD"):
        router.add_api_route(
            "/files/{label}/{dataset_id}/{name}",
            deliver,
            methods=[method],
            summary="One file, by a signed URL",
            operation_id=f"{method} file",
            response_class=HttpResponse,
            include_in_schema=method == "GET",
        )
    return router
