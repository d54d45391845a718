"""What each error is called by each standard: one table."""

__all__ = ["FAULTS", "Fault", "fault_of", "message_of"]

from dataclasses import dataclass

from ..errors import (
    AuthenticationError,
    AuthorizationError,
    MultiValuedError,
    NotFoundError,
    TransientError,
    UnsupportedError,
    UsageError,
    VoError,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """The names of one kind of error.

    DALI 1.1 (4.2) leaves the words to each standard, so there is one field
    for each of them.  TAP has no words: there the message alone is sent.
    """

    http_status: int
    """Status of a synchronous answer."""

    soda: str
    """First word of the text/plain document (SODA 1.0, 5.3)."""

    sia: str
    """First word of the error INFO (SIA 2.0, 4.3)."""

    datalink: str
    """First word of ``error_message`` (DataLink 1.1, 3.4)."""

    uws: str
    """``errorSummary@type`` of a job (UWS 1.1): transient or fatal."""


FAULTS: dict[type[BaseException], Fault] = {
    UsageError: Fault(400, "UsageError", "UsageFault", "UsageFault", "fatal"),
    MultiValuedError: Fault(400, "MultiValuedParamNotSupported", "UsageFault", "UsageFault", "fatal"),
    # SODA and SIA have no word for "not found"; theirs is a usage error.
    NotFoundError: Fault(404, "UsageError", "UsageFault", "NotFoundFault", "fatal"),
    AuthenticationError: Fault(401, "AuthenticationError", "DefaultFault", "DefaultFault", "fatal"),
    AuthorizationError: Fault(403, "AuthorizationError", "DefaultFault", "DefaultFault", "fatal"),
    TransientError: Fault(503, "ServiceUnavailable", "TransientFault", "TransientFault", "transient"),
    UnsupportedError: Fault(400, "UsageError", "FatalFault", "FatalFault", "fatal"),
    BaseException: Fault(500, "Error", "DefaultFault", "DefaultFault", "fatal"),
}
"""Looked up along the class's ``__mro__``, so that it is total."""


def fault_of(error: BaseException) -> Fault:
    """Return the names of an error.

    Parameters
    ----------
    error
        Any exception.

    Returns
    -------
    fault : `Fault`
        That of the nearest class in `FAULTS`.
    """
    return next(FAULTS[cls] for cls in type(error).__mro__ if cls in FAULTS)


def message_of(error: BaseException) -> str:
    """Return what a client may read of an error.

    Parameters
    ----------
    error
        Any exception.

    Returns
    -------
    message : `str`
        The text of a `~lsst.dax.vo.errors.VoError`; a general line for all
        others, whose text may hold paths, SQL or secrets.
    """
    if isinstance(error, VoError):
        return str(error)
    return "The service failed in a way it did not foresee; its log has the details"
