"""URLs that stores sign themselves, so that nothing is copied through here."""

from __future__ import annotations

__all__ = ["sign_at_once", "sign_when_asked"]

import logging
from datetime import timedelta
from typing import Any

from lsst.resources import ResourcePath

from ...errors import TransientError

_LOG = logging.getLogger(__name__)


def sign_at_once(uri: ResourcePath, lifetime_s: int) -> str | None:
    """Return a store's own URL for a file, if nobody has to be asked for it.

    Parameters
    ----------
    uri
        A remote file.
    lifetime_s
        Seconds for which the URL is to work.

    Returns
    -------
    url : `str` or `None`
        `None` if the store cannot sign, or only by a request for each file.
    """
    if uri.fragment:
        # A part of the file, which the store does not know.
        return None
    match uri.scheme:
        case "http" | "https" if uri.query:
            # A Butler server hands out URLs that are signed already.
            return str(uri.geturl())
        case "s3":
            return _sign(uri, lifetime_s)
        case "gs":
            return _sign_blob(uri, lifetime_s)
    return None


def sign_when_asked(uri: ResourcePath, lifetime_s: int) -> str | None:
    """Return a store's own URL for a file, even if it takes a request.

    Parameters
    ----------
    uri
        A remote file.
    lifetime_s
        Seconds for which the URL is to work.

    Returns
    -------
    url : `str` or `None`
        `None` if the store cannot sign.

    Raises
    ------
    TransientError
        Raised if the store does not answer.
    """
    if uri.fragment:
        return None
    match uri.scheme:
        case "http" | "https" if not uri.query:
            return _sign_by_macaroon(uri, lifetime_s)
        case "dav" | "davs":
            return _sign(uri, lifetime_s)
    return sign_at_once(uri, lifetime_s)


def _sign(uri: ResourcePath, lifetime_s: int) -> str | None:
    try:
        return str(uri.generate_presigned_get_url(expiration_time_seconds=lifetime_s))
    except NotImplementedError:
        return None
    except Exception as err:
        # Each store's library has errors of its own: of credentials that are
        # not there, of servers that do not answer.
        _LOG.warning("A URL of a store of the kind %r cannot be signed: %s", uri.scheme, type(err).__name__)
        raise TransientError("The store of the file signs no URL at present; try again") from err


def _sign_by_macaroon(uri: Any, lifetime_s: int) -> str | None:
    # A server that is no WebDAV server, or one without macaroons, signs
    # nothing: lsst.resources would then return its plain URL, which not
    # everybody can reach.
    try:
        can_sign = uri.is_webdav_endpoint and uri.server_signs_urls
    except Exception as err:
        # It is asked over the network: errors of any layer of HTTP.
        raise TransientError("The store of the file does not answer; try again") from err
    return _sign(uri, lifetime_s) if can_sign else None


def _sign_blob(uri: Any, lifetime_s: int) -> str | None:
    # lsst.resources has no signed URLs for this store; its library has.
    try:
        return str(
            uri.blob.generate_signed_url(version="v4", expiration=timedelta(seconds=lifetime_s), method="GET")
        )
    except Exception as err:
        # Only the key of a service account signs; on a machine of Google's
        # there may be none, and the file is then passed through.
        _LOG.debug("No URL of Google's store can be signed: %s", type(err).__name__)
        return None
