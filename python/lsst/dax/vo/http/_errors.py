"""Errors, in the form of the standard whose path was asked.

Services answer their own errors themselves; what comes here failed before
one was reached (a form that is none, a body too long), or is a defect.
"""

__all__ = ["ErrorForm", "error_document"]

import logging
import uuid
from typing import Literal

from ..dali import VOTABLE_MEDIA_TYPE, Response, fault_of, message_of, votable_error
from ..errors import TransientError, VoError

type ErrorForm = Literal["tap", "sia", "datalink", "soda", "text"]
"""A VOTable with the words of that standard, or plain text with SODA's."""

_LOG = logging.getLogger(__name__)


def error_document(error: Exception, form: ErrorForm) -> Response:
    """Describe an error to the client.

    Parameters
    ----------
    error
        Any error.  Of one that is none of ours, the client reads a general
        line and an id, under which the log has everything.
    form
        Form of the document.

    Returns
    -------
    response : `~lsst.dax.vo.dali.Response`

    References
    ----------
    TAP 1.1, 3.3; SIA 2.0, 4.3; DataLink 1.1, 3.4; SODA 1.0, 5.3.
    """
    fault = fault_of(error)
    message = message_of(error)
    if not isinstance(error, VoError):
        log_id = uuid.uuid4().hex[:12]
        _LOG.error("Request failed, log id %s", log_id, exc_info=error)
        message += f" (log id {log_id})"
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TransientError) else {}
    match form:
        case "tap":
            document = votable_error(message)
        case "sia":
            document = votable_error(f"{fault.sia}: {message}")
        case "datalink":
            document = votable_error(f"{fault.datalink}: {message}")
        case "soda" | "text":
            text = f"{fault.soda}: {message}\n"
            return Response(fault.http_status, "text/plain; charset=utf-8", text.encode(), headers)
    return Response(fault.http_status, VOTABLE_MEDIA_TYPE, document, headers)
