"""Signed URL paths: whoever holds one may read that one file, for a while.

The signature is an HMAC-SHA256 over the path, the id of the key and the time
at which it ends; the path holds the label, the dataset and the file name.
Time and keys are arguments.  All characters of a signed path and query are
letters, digits and ``-_.~%/?=&``: cfitsio's extended file names leave those
alone, so that ``ExposureF(url)`` works.
"""

from __future__ import annotations

__all__ = ["HmacKey", "Signer", "sign_path", "verify_path"]

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..errors import AuthenticationError, AuthorizationError, UsageError

# Separates these signatures from anything else that a site may sign with the
# same secret.
_PURPOSE = "lsst-dax-vo file 1"
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
# Seconds since 1970 without leading zeros, until the year 5138.
_EXPIRES = re.compile(r"[1-9][0-9]{0,10}")
_ADVICE = "follow the dataset's DataLink for a new one"


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


def sign_path(path: str, key: HmacKey, expires_s: int) -> str:
    """Sign the path of a URL.

    Parameters
    ----------
    path
        Path below the service's base URL, percent-encoded.
    key
        Key that signs.
    expires_s
        When the signature ends, seconds since 1970.

    Returns
    -------
    query : `str`
        ``expires=…&key=…&signature=…``, to be put after the path and ``?``.
    """
    expires = str(expires_s)
    return f"expires={expires}&key={key.id}&signature={_digest(path, key, expires)}"


def verify_path(
    path: str,
    *,
    expires: str | None,
    key_id: str | None,
    signature: str | None,
    keys: Sequence[HmacKey],
    now_s: float,
    lifetime_s: int,
) -> int:
    """Check the signature of a path.

    Parameters
    ----------
    path
        Path below the service's base URL, percent-encoded as it was signed.
    expires, key_id, signature
        The parts of the query, as they came; `None` for those that did not.
    keys
        Keys whose signatures count.
    now_s
        The time, seconds since 1970.
    lifetime_s
        Longest time for which a signature may still last.

    Returns
    -------
    left_s : `int`
        Seconds for which the signature still lasts.

    Raises
    ------
    AuthenticationError
        Raised if there is no signature.
    AuthorizationError
        Raised if the signature is not of this path, has ended, or lasts
        longer than this service lets any.
    """
    if expires is None or key_id is None or signature is None:
        raise AuthenticationError(f"The URL of a file needs its signature; {_ADVICE}")
    refused = AuthorizationError(f"The signature of this URL is not valid; {_ADVICE}")
    key = next((key for key in keys if key.id == key_id), None)
    if key is None or not _EXPIRES.fullmatch(expires):
        raise refused
    # Texts are compared, not what they decode to: base64 has several texts
    # for the same bytes, of which only ours is good.
    if not hmac.compare_digest(_digest(path, key, expires).encode(), signature.encode(errors="replace")):
        raise refused
    left_s = int(expires) - now_s
    if left_s <= 0:
        ended = datetime.fromtimestamp(int(expires), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise AuthorizationError(f"This URL ended at {ended}; {_ADVICE}")
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

    def sign(self, path: str) -> str:
        """Sign a path for the configured lifetime.

        Parameters
        ----------
        path
            Path below the service's base URL, percent-encoded.

        Returns
        -------
        target : `str`
            The path with the signature as its query.
        """
        query = sign_path(path, self._keys[0], int(self._clock()) + self.lifetime_s)
        return f"{path}?{query}"

    def verify(self, path: str, *, expires: str | None, key_id: str | None, signature: str | None) -> int:
        """Check the signature of a path; see `verify_path`.

        Parameters
        ----------
        path
            Path below the service's base URL, percent-encoded.
        expires, key_id, signature
            The parts of the query, as they came.

        Returns
        -------
        left_s : `int`
            Seconds for which the signature still lasts.

        Raises
        ------
        AuthenticationError
            Raised if there is no signature.
        AuthorizationError
            Raised if the signature is not valid, or not any more.
        """
        return verify_path(
            path,
            expires=expires,
            key_id=key_id,
            signature=signature,
            keys=self._keys,
            now_s=self._clock(),
            lifetime_s=self.lifetime_s,
        )


def _digest(path: str, key: HmacKey, expires: str) -> str:
    # A percent-encoded path holds no line end, nor do the others.
    message = "\n".join([_PURPOSE, path, key.id, expires])
    digest = hmac.digest(key.secret, message.encode(), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
