"""``/api/products``: pictures and other things made of images, by signed URLs."""

__all__ = ["build_router"]

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response as HttpResponse

from ...dali import ParamSet, Response
from ...datalink import PRODUCTS_PATH, STABLE_PRODUCT_PATH
from ...services import Services
from .._bridge import Endpoint, add_endpoint, answer_request

# They wait for the processes that cut, as cutouts do.
_ENDPOINT = Endpoint(
    f"{PRODUCTS_PATH}/{{label}}/{{dataset_id}}/{{name}}",
    "What is made of one image",
    errors="soda",
    names_user=True,
)
_STABLE = Endpoint(
    STABLE_PRODUCT_PATH,
    "Leads to what is made of one image, by a URL that is signed now",
    (("ID", "Dataset, as for links"), ("NAME", "What is wanted, such as preview.png")),
    ("GET",),
    names_user=True,
)

_DESCRIPTION = """\
What the links document of a dataset leads to with `#preview` and `#auxiliary`, by a signed URL:
`preview.png`, `thumbnail.png`, `psf.fits` (the point spread function at the center of the image), `mask.json`
(what the bits of the mask mean) or `metadata.json`.  Made when it is asked for, and kept."""


def build_router(services: Services) -> APIRouter:
    """Build the paths of what is made of images.

    Parameters
    ----------
    services
        The services.

    Returns
    -------
    router : `fastapi.APIRouter`
    """
    router = APIRouter(tags=["DataLink"])
    add_endpoint(
        router,
        _STABLE,
        services.config,
        lambda params, base_url, path: services.products.redirect(params, base_url, user=path.get("user")),
    )

    async def deliver(request: Request, label: str, dataset_id: str, name: str) -> HttpResponse:
        del label, dataset_id, name
        answer = partial(_answer, services, request.method, dict(request.headers))
        return await answer_request(request, _ENDPOINT, services.config, answer)

    for method in ("GET", "HEAD"):
        router.add_api_route(
            _ENDPOINT.path,
            deliver,
            methods=[method],
            summary="A picture, the PSF, the mask's legend, or the metadata of one image",
            description=_DESCRIPTION,
            operation_id=f"{method} product",
            response_class=HttpResponse,
            responses={
                200: {
                    "description": "The file",
                    "content": {kind: {} for kind in ("image/png", "application/fits", "application/json")},
                }
            },
            include_in_schema=method == "GET",
        )
    return router


def _answer(
    services: Services,
    method: str,
    headers: dict[str, str],
    params: ParamSet,
    base_url: str,
    path: dict[str, str],
) -> Response:
    return services.products.deliver(
        path["label"],
        path["dataset_id"],
        path["name"],
        params,
        base_url=base_url,
        method=method,
        headers=headers,
        user=path.get("user"),
    )
