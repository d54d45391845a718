"""The errors of this package, as facts of our domain.

::

    VoError
     ├─ UsageError            the caller can fix it: .parameter .value
     │   ├─ MultiValuedError  a single-valued parameter was repeated
     │   └─ QueryError        ADQL text: .line .column, and the text marked
     ├─ NotFoundError         unknown identifier, job, file or store
     ├─ AuthenticationError   who are you?
     ├─ AuthorizationError    you may not
     ├─ TransientError        try again: .retry_after
     └─ UnsupportedError      understood, cannot be done here

Only the text of a `VoError` ever reaches a client.  It says what was given,
what is accepted and what to do next, and holds no token, path of the server
or SQL.  HTTP status codes and the fault words of each standard are data in
`lsst.dax.vo.dali`, looked up by class.
"""

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "MultiValuedError",
    "NotFoundError",
    "QueryError",
    "TransientError",
    "UnsupportedError",
    "UsageError",
    "VoError",
    "quoted",
    "without_secrets",
]

import re
from collections.abc import Sequence
from urllib.parse import unquote, unquote_plus


class VoError(Exception):
    """Base of all errors whose text is meant for the caller."""


class UsageError(VoError):
    """A request that its sender can mend.

    Parameters
    ----------
    message
        What was given, what is accepted, what to do next.
    parameter
        Name of the parameter at fault, in the standard's spelling.
    value
        The value at fault, as it was given.
    """

    def __init__(self, message: str, *, parameter: str | None = None, value: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.value = value


class MultiValuedError(UsageError):
    """A parameter that takes one value was given several (DALI 1.1, 2.1).

    Parameters
    ----------
    parameter
        Name of the parameter.
    values
        The values given.
    advice
        What to do next.
    """

    def __init__(
        self, parameter: str, values: Sequence[str], *, advice: str = "send one request for each value"
    ) -> None:
        super().__init__(
            f"{parameter} takes one value, {len(values)} were given; {advice}",
            parameter=parameter,
            value=", ".join(values),
        )


class QueryError(UsageError):
    """ADQL text that cannot be answered.

    Parameters
    ----------
    message
        What is wrong and what was expected.
    line, column
        Place in the query text, both counted from 1; `None` where no single
        place is at fault.
    excerpt
        The line of the query with a mark under the place, for people.
    """

    def __init__(
        self,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        place = f" (line {line}, column {column})" if line is not None else ""
        super().__init__(message + place, parameter="QUERY")
        self.line = line
        self.column = column
        self.excerpt = excerpt


class NotFoundError(VoError):
    """An identifier, job, dataset, file or store that does not exist here."""


class AuthenticationError(VoError):
    """The request needs to say who sends it, or its signature is not valid."""


class AuthorizationError(VoError):
    """The sender is known but may not do this."""


class TransientError(VoError):
    """Something outside this request is unavailable; it may work later.

    Parameters
    ----------
    message
        What is unavailable.
    retry_after
        Seconds after which trying again makes sense.
    """

    def __init__(self, message: str, *, retry_after: int = 30) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnsupportedError(VoError):
    """A request that is understood but cannot be done here."""


_SHOWN_CHARACTERS = 200
# A password with an @ in it is no password to others: up to the last one.
_PASSWORDS = re.compile(r"//[^:/?#@]*:(.+)@|[?&][^=&]*(?:password|secret)[^=&]*=([^&#]+)", re.IGNORECASE)


def quoted(text: str) -> str:
    """Quote what a client gave, for a message.

    Parameters
    ----------
    text
        Text of any length.

    Returns
    -------
    text : `str`
        In quotes, without control characters; of a long text the first 200
        characters and an ellipsis.
    """
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def without_secrets(text: str, url: str) -> str:
    """Take the passwords of a URL out of a text.

    Parameters
    ----------
    text
        What somebody says who knows the URL, or the URL itself.
    url
        The URL; it need not be a proper one.

    Returns
    -------
    text : `str`
        With ``***`` in the place of each password, however it is escaped.
    """
    found = {secret for match in _PASSWORDS.finditer(url) for secret in match.groups() if secret}
    forms = {form for secret in found for form in (secret, unquote(secret), unquote_plus(secret))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
