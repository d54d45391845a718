"""How files are delivered."""

from __future__ import annotations

__all__ = ["DeliveryConfig"]

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic

type _Location = Annotated[str, pydantic.Field(pattern=r"^/[A-Za-z0-9._~/-]*$")]


class DeliveryConfig(pydantic.BaseModel):
    """How files are delivered, and to whom."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    urls: Literal["signed", "stable"] = "signed"
    """Which URL of a file stands in a links document: one that is ``signed``
    and works for ``link_lifetime_s`` seconds without a login, or the
    ``stable`` one, which leads to a signed one whenever it is visited."""

    from_stores: bool = True
    """Whether files in stores that sign URLs (S3, Google's, WebDAV with
    macaroons) are read from there.  If clients cannot reach the store,
    ``false``: then all bytes come through this service."""

    user_header: str | None = pydantic.Field(None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    """Header in which ``trusted_proxies`` name the user, such as
    ``X-Auth-Request-User`` of Gafaelfawr.  A URL that a user got then works
    for that user alone, who has to be logged in to follow it."""

    nginx: Mapping[Path, _Location] = {}
    """Folders whose files nginx in front of this service can send itself
    (``X-Accel-Redirect``), and the internal location under which it has each.
    Counts for requests from ``trusted_proxies``."""
