"""``/api/tap``: TAP 1.1, with VOSI and DALI-examples beside it."""

__all__ = ["build_router"]

from fastapi import APIRouter

from ...services import Services
from .._bridge import Endpoint, add_endpoint
from .._jobs import add_job_routes

_QUERY = (
    ("QUERY", "ADQL text"),
    ("LANG", "ADQL, ADQL-2.0 or ADQL-2.1"),
    ("MAXREC", "Most rows wanted; 0 for the columns alone"),
    ("RESPONSEFORMAT", "Short name or media type of a format; the capabilities list them"),
    ("UPLOAD", "name,param:part for a VOTable in that part of the form, or name,URL; may be repeated"),
    ("RUNID", "Your own name for this request"),
)


def build_router(services: Services) -> APIRouter:
    """Build the paths of TAP.

    Parameters
    ----------
    services
        The services.

    Returns
    -------
    router : `fastapi.APIRouter`
    """
    router = APIRouter(prefix="/api/tap", tags=["TAP"])
    tap, config = services.tap, services.config
    detail = (("detail", "min for names alone, max for all"),)
    for endpoint, answer in (
        (
            Endpoint("/sync", "Run a query", _QUERY, errors="tap", uploads=True),
            lambda p, base, _: tap.sync(p, base),
        ),
        (
            Endpoint("/tables", "Published tables (VOSI)", detail, ("GET",)),
            lambda p, _base, _: tap.tables(p),
        ),
        (
            Endpoint("/tables/{name}", "One published table (VOSI)", (), ("GET",)),
            lambda p, _base, path: tap.tables(p, path["name"]),
        ),
        (
            Endpoint("/capabilities", "What this service can do (VOSI)", (), ("GET",)),
            lambda _p, base, _: tap.capabilities(base),
        ),
        (
            Endpoint("/availability", "Whether this service is up (VOSI)", (), ("GET",)),
            lambda _p, _base, _: tap.availability(),
        ),
        (
            Endpoint("/examples", "Queries to start from (DALI-examples)", (), ("GET",)),
            lambda _p, base, _: tap.examples(base),
        ),
    ):
        add_endpoint(router, endpoint, config, answer)
    add_job_routes(router, "/async", services.tap_jobs, config, parameters=_QUERY, uploads=True)
    return router
