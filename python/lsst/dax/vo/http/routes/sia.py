"""``/api/sia``: SIAv2 on all repositories, or on the one of a label."""

__all__ = ["build_router"]

from fastapi import APIRouter

from ...services import Services
from .._bridge import Endpoint, add_endpoint

_PARAMETERS = (
    ("POS", "CIRCLE ra dec radius, RANGE ra1 ra2 dec1 dec2 or POLYGON ra1 dec1 ..., degrees"),
    ("BAND", "Wavelength or interval, m"),
    ("TIME", "MJD or interval, UTC"),
    ("POL", "Polarization state"),
    ("FOV", "Interval of field of view, deg"),
    ("SPATRES", "Interval of resolution, arcsec"),
    ("SPECRP", "Interval of resolving power"),
    ("EXPTIME", "Interval of exposure time, s"),
    ("TIMERES", "Interval of time resolution, s"),
    ("ID", "obs_publisher_did"),
    ("COLLECTION", "obs_collection"),
    ("FACILITY", "facility_name"),
    ("INSTRUMENT", "instrument_name"),
    ("DPTYPE", "image or cube"),
    ("DPSUBTYPE", "dataproduct_subtype"),
    ("CALIB", "calib_level, 0 to 4"),
    ("TARGET", "target_name"),
    ("FORMAT", "access_format"),
    ("MAXREC", "Most rows wanted; 0 for the columns alone"),
    ("RESPONSEFORMAT", "votable, csv or tsv, or their media types"),
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
        ):
            add_endpoint(router, endpoint, config, answer)
    return router
