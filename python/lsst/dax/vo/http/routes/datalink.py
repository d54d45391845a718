"""``/api/datalink``: from a row to files and services."""

__all__ = ["build_router"]

from fastapi import APIRouter

from ...services import Services
from .._bridge import Endpoint, add_endpoint


def build_router(services: Services) -> APIRouter:
    """Build the paths of DataLink.

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
            Endpoint(
                "/datalink/links",
                "Files and services of datasets",
                parameters,
                errors="datalink",
                names_user=True,
            ),
            lambda p, base, path: links.links(p, base, path.get("user")),
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
    return router
