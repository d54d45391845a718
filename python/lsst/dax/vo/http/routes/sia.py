"""``/api/sia``: SIAv2 on all repositories, or on the one of a label."""

__all__ = ["build_router"]

from fastapi import APIRouter

from ...dali import TABLE_FORMATS
from ...services import Services
from ...sia import PARAMETERS
from .._bridge import Endpoint, add_endpoint

_PARAMETERS = (
    *((parameter.name, parameter.description) for parameter in PARAMETERS),
    ("MAXREC", "Most rows wanted; 0 for the columns alone"),
    ("RESPONSEFORMAT", f"{', '.join(item.name for item in TABLE_FORMATS)}, or their media types"),
)


def build_router(services: Services) -> APIRouter:
    """Build the paths of SIAv2.

    Parameters
    ----------
    services
        The services.

    Returns
    -------
    router : `fastapi.APIRouter`
    """
    router = APIRouter(prefix="/api/sia", tags=["SIAv2"])
    sia, config = services.sia, services.config
    for prefix in ("", "/{label}"):
        for endpoint, answer in (
            (
                Endpoint(f"{prefix}/query", "Find images", _PARAMETERS, errors="sia"),
                lambda p, base, path: sia.query(p, base, label=path.get("label")),
            ),
            (
                Endpoint(f"{prefix}/capabilities", "What this service can do (VOSI)", (), ("GET",)),
                lambda _p, base, path: sia.capabilities(base, label=path.get("label")),
            ),
            (
                Endpoint(f"{prefix}/availability", "Whether this service is up (VOSI)", (), ("GET",)),
                lambda _p, _base, path: sia.availability(label=path.get("label")),
            ),
            (
                Endpoint(f"{prefix}/examples", "Searches to start from (DALI-examples)", (), ("GET",)),
                lambda _p, base, path: sia.examples(base, label=path.get("label")),
            ),
        ):
            add_endpoint(router, endpoint, config, answer)
    return router
