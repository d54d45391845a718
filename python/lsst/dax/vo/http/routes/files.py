"""``/api/files``: files by signed URLs, and the stable URLs that lead to these."""

__all__ = ["build_router"]

from collections.abc import Callable

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response as HttpResponse

from ...dali import ParamSet, Response
from ...datalink import STABLE_PATH
from ...services import Services
from .._bridge import base_url_of, is_from_proxy, to_http, user_of
from .._forms import open_params

# Stores may keep a thread waiting: links, and the state of the service, have
# others.
_THREADS = 64


def build_router(services: Services) -> APIRouter:
    """Build the paths of file delivery.

    Parameters
    ----------
    services
        The services.

    Returns
    -------
    router : `fastapi.APIRouter`
    """
    router = APIRouter(tags=["Files"])
    files, config = services.files, services.config
    limiter = CapacityLimiter(_THREADS)

    async def answer(request: Request, call: Callable[[ParamSet, str, str | None], Response]) -> HttpResponse:
        async with open_params(request, config.limits.request_bytes) as params:
            user, base_url = user_of(request, config), base_url_of(request, config)
            response = await to_thread.run_sync(call, params, base_url, user, limiter=limiter)
        return to_http(response, limiter)

    async def deliver(request: Request, label: str, dataset_id: str, name: str) -> HttpResponse:
        def call(params: ParamSet, base_url: str, user: str | None) -> Response:
            return files.deliver(
                label,
                dataset_id,
                name,
                params,
                base_url=base_url,
                method=request.method,
                headers=dict(request.headers),
                user=user,
                is_behind_proxy=is_from_proxy(request, config),
            )

        return await answer(request, call)

    async def redirect(request: Request) -> HttpResponse:
        def call(params: ParamSet, base_url: str, user: str | None) -> Response:
            return files.redirect(params, base_url, user=user, method=request.method)

        return await answer(request, call)

    parameters = [
        {"name": "ID", "in": "query", "description": "Dataset, as for links", "schema": {"type": "string"}}
    ]
    for method in ("GET", "HEAD"):
        router.add_api_route(
            "/api/files/{label}/{dataset_id}/{name}",
            deliver,
            methods=[method],
            summary="One file, by a signed URL",
            operation_id=f"{method} file",
            response_class=HttpResponse,
            include_in_schema=method == "GET",
        )
        router.add_api_route(
            STABLE_PATH,
            redirect,
            methods=[method],
            summary="Leads to the file of a dataset, by a URL that is signed now",
            operation_id=f"{method} stable",
            response_class=HttpResponse,
            openapi_extra={"parameters": parameters},
            include_in_schema=method == "GET",
        )
    return router
