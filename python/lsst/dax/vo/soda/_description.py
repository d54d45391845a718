"""How the service describes itself: capabilities and examples."""

from __future__ import annotations

__all__ = ["ASYNC_ID", "SYNC_ID", "describe_capabilities", "describe_examples"]

from ..dali import (
    XML_MEDIA_TYPE,
    Capability,
    Response,
    examples_capability,
    vosi_capabilities,
    write_capabilities,
    write_examples,
)
from ._examples import CutoutExample, build_examples

SYNC_ID = "ivo://ivoa.net/std/SODA#sync-1.0"
"""Standard ID of synchronous cutouts."""

ASYNC_ID = "ivo://ivoa.net/std/SODA#async-1.0"
"""Standard ID of cutouts as jobs."""


def describe_capabilities(url: str) -> Response:
    """Describe what the service can do.

    Parameters
    ----------
    url
        URL of the service, above its resources.

    Returns
    -------
    response : `Response`

    References
    ----------
    SODA 1.0, 2.5.
    """
    entries = (
        Capability(SYNC_ID, f"{url}/sync"),
        Capability(ASYNC_ID, f"{url}/async"),
        *vosi_capabilities(url),
        examples_capability(url),
    )
    return Response(200, XML_MEDIA_TYPE, write_capabilities(entries))


def describe_examples(found: CutoutExample | None, url: str) -> Response:
    """Describe requests that find something.

    Parameters
    ----------
    found
        An image that can be cut, if there is one.
    url
        URL of the service, above its resources.

    Returns
    -------
    response : `Response`

    References
    ----------
    DALI 1.1, 2.3; SODA 1.0, 2.1.
    """
    page = write_examples(
        build_examples(found), title="Example cutouts", capability=SYNC_ID, run_url=f"{url}/sync"
    )
    return Response(200, "application/xhtml+xml", page)
