"""``/api/cutout``: SODA cutouts, and the older name of their path."""

__all__ = ["build_router"]

from fastapi import APIRouter

from ...services import Services
from .._bridge import Endpoint, add_endpoint

_PARAMETERS = (
    ("ID", "Dataset: its obs_publisher_did, butler://label/uuid, or UUID"),
    ("CIRCLE", "ra dec radius, degrees"),
    ("POLYGON", "ra1 dec1 ra2 dec2 ra3 dec3 ..., degrees"),
    ("POS", "CIRCLE ..., RANGE ... or POLYGON ..., degrees"),
    ("CUTOUTDETAIL", "Image, MaskedImage or Exposure"),
    ("RESPONSEFORMAT", "application/fits"),
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
            Endpoint(path, "Cut a region out of an image", _PARAMETERS),
            config,
            lambda p, _base, _: cutouts.sync(p),
        )
    add_endpoint(
        router,
        Endpoint("/cutout/capabilities", "What this service can do (VOSI)", (), ("GET",)),
        config,
        lambda _p, base, _: cutouts.capabilities(base),
    )
    add_endpoint(
        router,
        Endpoint("/cutout/availability", "Whether this service is up (VOSI)", (), ("GET",)),
        config,
        lambda _p, _base, _: services.availability(),
    )
    return router
