"""Signed URL paths: whoever holds one may read that one file, for a while.

The signature is an HMAC-SHA256 over the path, the id of the key, the time at
which it ends and, perhaps, the name of the one user for whom it counts; the
path holds the label, the dataset and the file name.  The URL does not tell the
user's name, but that there is one.
Time and keys are arguments.  All characters of a signed path and query are
letters, digits and ``-_.~%/?=&``: cfitsio's extended file names leave those
alone, so that ``ExposureF(url)`` works.
"""

from __future__ import annotations

__all__ = ["HmacKey", "Signature", "Signer", "sign_path", "verify_path"]

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ...dali import ParamSet
from ...errors import AuthenticationError, AuthorizationError, UsageError

# Separates these signatures from anything else that a site may sign with the
# same secret.
_PURPOSE = "lsst-dax-vo file 2"
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
# Seconds since 1970 without leading zeros, until the year 5138.
_EXPIRES = re.compile(r"[1-9][0-9]{0,10}")
_RENEWAL = "follow the dataset's DataLink for a new one"


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A key that signs, known by its id."""

    id: str
    """Part of each URL that it signed: letters, digits, ``_`` and ``-``."""

    secret: bytes = field(repr=False)
    """The key; never shown."""

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.id):
            raise UsageError(
                f"The key id {self.id!r} is not accepted; give 1 to 32 letters, digits, '_' or '-'"
            )
        if len(self.secret) < 16:
            raise UsageError(f"The secret of the key {self.id!r} is too short; give 16 or more characters")


@dataclass(frozen=True, slots=True)
class Signature:
    """The query of a signed URL, as it came."""

    expires: str | None = None
    """When it ends, seconds since 1970."""

    key_id: str | None = None
    """Which key signed."""

    signature: str | None = field(default=None, repr=False)
    """The signature; never shown."""

    bound: str | None = None
    """``1`` if it counts for one user alone."""

    @classmethod
    def from_params(cls, params: ParamSet) -> Signature:
        """Take it out of the parameters of a request.

        Parameters
        ----------
        params
            ``EXPIRES``, ``KEY``, ``SIGNATURE`` and perhaps ``BOUND``.

        Returns
        -------
        signature : `Signature`

        Raises
        ------
        MultiValuedError
            Raised if one of them has several values.
        """
        return cls(*(params.single(name) for name in ("EXPIRES", "KEY", "SIGNATURE", "BOUND")))


def sign_path(path: str, key: HmacKey, expires_s: int, user: str | None = None) -> str:
    """Sign the path of a URL.

    Parameters
    ----------
    path
        Path below the service's base URL, percent-encoded.
    key
        Key that signs.
    expires_s
        When the signature ends, seconds since 1970.
    user
        For whom alone it counts; `None` for everybody.

    Returns
    -------
    query : `str`
        ``expires=…&key=…&signature=…``, to be put after the path and ``?``.
    """
    expires = str(expires_s)
    bound = "" if user is None else "&bound=1"
    return f"expires={expires}&key={key.id}{bound}&signature={_digest(path, key, expires, user)}"


def verify_path(
    path: str,
    given: Signature,
    *,
    keys: Sequence[HmacKey],
    now_s: float,
    lifetime_s: int,
    user: str | None = None,
    renewal: str = _RENEWAL,
) -> int:
    """Check the signature of a path.

    Parameters
    ----------
    path
        Path below the service's base URL, percent-encoded as it was signed.
    given
        The query, as it came.
    keys
        Keys whose signatures count.
    now_s
        The time, seconds since 1970.
    lifetime_s
        Longest time for which a signature may still last.
    user
        Who asks; `None` if nobody is logged in.
    renewal
        What to do when the signature has ended.

    Returns
    -------
    left_s : `int`
        Seconds for which the signature still lasts.

    Raises
    ------
    AuthenticationError
        Raised if there is no signature, or one for a user and nobody is
        logged in.
    AuthorizationError
        Raised if the signature is not of this path and this user, has ended,
        or lasts longer than this service lets any.
    """
    if given.expires is None or given.key_id is None or given.signature is None:
        raise AuthenticationError(f"The URL of a file needs its signature; {_RENEWAL}")
    refused = AuthorizationError(f"The signature of this URL is not valid; {_RENEWAL}")
    key = next((key for key in keys if key.id == given.key_id), None)
    if key is None or not _EXPIRES.fullmatch(given.expires) or given.bound not in (None, "1"):
        raise refused
    if given.bound is None:
        user = None
    elif user is None:
        raise AuthenticationError("This URL is for one user alone; log in as the one who got it")
    # Texts are compared, not what they decode to: base64 has several texts
    # for the same bytes, of which only ours is good.
    wanted = _digest(path, key, given.expires, user)
    if not hmac.compare_digest(wanted.encode(), given.signature.encode(errors="replace")):
        raise refused
    left_s = int(given.expires) - now_s
    if left_s <= 0:
        ended = datetime.fromtimestamp(int(given.expires), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise AuthorizationError(f"This URL ended at {ended}; {renewal}")
    # One second for the rounding when it was signed.
    if left_s > lifetime_s + 1:
        raise refused
    return int(left_s)


class Signer:
    """Signs paths, and checks what it or its siblings signed.

    Parameters
    ----------
    keys
        The first signs; all of them verify, so that a key can be replaced
        while URLs that it signed are in use.
    lifetime_s
        Seconds for which a signature lasts.
    clock
        Returns seconds since 1970.

    Raises
    ------
    UsageError
        Raised if there are no keys, or two have the same id.
    """

    def __init__(self, keys: Sequence[HmacKey], *, lifetime_s: int, clock: Callable[[], float]) -> None:
        if not keys:
            raise UsageError("Signed URLs need a key; give one or more signing_keys")
        if len({key.id for key in keys}) != len(keys):
            raise UsageError("Two signing keys have the same id; give each its own")
        self._keys = tuple(keys)
        self._clock = clock
        self.lifetime_s = lifetime_s

    def sign(self, path: str, user: str | None = None) -> str:
        """Sign a path for the configured lifetime.

        Parameters
        ----------
        path
            Path below the service's base URL, percent-encoded.
        user
            For whom alone it counts; `None` for everybody.

        Returns
        -------
        target : `str`
            The path with the signature as its query.
        """
        query = sign_path(path, self._keys[0], int(self._clock()) + self.lifetime_s, user)
        return f"{path}?{query}"

    def verify(self, path: str, given: Signature, user: str | None = None, *, renewal: str = _RENEWAL) -> int:
        """Check the signature of a path; see `verify_path`.

        Parameters
        ----------
        path
            Path below the service's base URL, percent-encoded.
        given
            The query, as it came.
        user
            Who asks; `None` if nobody is logged in.
        renewal
            What to do when the signature has ended.

        Returns
        -------
        left_s : `int`
            Seconds for which the signature still lasts.

        Raises
        ------
        AuthenticationError
            Raised if there is no signature, or nobody for whom it counts.
        AuthorizationError
            Raised if the signature is not valid, or not any more.
        """
        return verify_path(
            path,
            given,
            keys=self._keys,
            now_s=self._clock(),
            lifetime_s=self.lifetime_s,
            user=user,
            renewal=renewal,
        )


def _digest(path: str, key: HmacKey, expires: str, user: str | None) -> str:
    # A percent-encoded path holds no line end, nor do the others; the name of
    # the user comes last, whatever it holds.
    message = "\n".join([_PURPOSE, path, key.id, expires, "all" if user is None else f"one {user}"])
    digest = hmac.digest(key.secret, message.encode(), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
