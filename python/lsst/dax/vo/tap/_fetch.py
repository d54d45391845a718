"""Files that the service fetches because a client says so.

A request made by the server reaches what its clients may not: other services
of the machine, of the private network, of the cloud.  So only hosts that the
configuration lists are asked, by the address that was checked, and redirects
are checked alike.
"""

from __future__ import annotations

__all__ = ["fetch_file"]

import http.client
import ipaddress
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

from ..errors import TransientError, UsageError, quoted
from ._sockets import HttpsTo, HttpTo, Watch, look_up

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}
_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK_BYTES = 64 * 1024
# RFC 1035, 2.3.4: a label, and the whole name.
_NAME = re.compile(r"(?=.{1,253}\Z)[^.\s\0-\x20\x7f]{1,63}(?:\.[^.\s\0-\x20\x7f]{1,63})*", re.DOTALL)
# RFC 3986, 2: the characters of a URL; others are written with %.
_TARGET = re.compile(r"[!-~]*")
_MEMORY_BYTES = 2**20


def fetch_file(
    url: str,
    *,
    hosts: Sequence[str],
    max_bytes: int,
    seconds: float,
    is_over: Callable[[], bool] = lambda: False,
) -> BinaryIO:
    """Fetch a file.

    Parameters
    ----------
    url
        Its URL, ``http`` or ``https``.
    hosts
        Hosts that may be asked: ``name`` for the usual ports, ``name:port``,
        ``*.domain`` for all below it and ``*`` for all.  One with an address
        that is not public must be named itself.
    max_bytes
        Size that is read.
    seconds
        Time for everything.
    is_over
        Whether nobody waits for the file any more.

    Returns
    -------
    file : `typing.BinaryIO`
        A temporary file, at its beginning, to be closed by the caller.

    Raises
    ------
    UsageError
        Raised if the URL is not allowed, is refused there, or its content is
        too large.
    TransientError
        Raised if the host does not answer.
    """
    end_s = time.monotonic() + seconds
    for _ in range(_MOST_REDIRECTS + 1):
        parts = _split(url)
        watch = Watch(url, end_s, is_over)
        with closing(_connect(parts, hosts, watch)) as connection:
            response = _ask(connection, parts)
            watch.head_bytes_left = None
            location = response.getheader("Location")
            if response.status in _REDIRECTS and location:
                url = _join(url, location)
                continue
            if response.status != 200:
                raise UsageError(
                    f"UPLOAD: {quoted(url)} answers with status {response.status}; give the URL of a VOTable",
                    parameter="UPLOAD",
                    value=url,
                )
            return _save(response, url, max_bytes)
    raise UsageError(
        f"UPLOAD: {quoted(url)} leads on and on; give the URL of the file itself",
        parameter="UPLOAD",
        value=url,
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as err:
        raise _no_url(url) from err
    if not _TARGET.fullmatch(parts.path + parts.query):
        raise _no_url(url)
    return parts


def _join(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as err:
        raise _no_url(location) from err


def _no_url(text: str) -> UsageError:
    return UsageError(
        f"UPLOAD: {quoted(text)} is no URL; write it as http://host/path, and blanks and the like with %",
        parameter="UPLOAD",
    )


def _connect(parts: SplitResult, hosts: Sequence[str], watch: Watch) -> HttpTo | HttpsTo:
    host, port = _host_of(parts)
    by_name = _allow(host, port, parts.scheme, hosts)
    try:
        found = look_up(host, port, watch)
    except UnicodeError as err:
        # Such a name is none of a host, now and later.
        raise _no_url(parts.geturl()) from err
    except OSError as err:
        raise _no_answer(parts) from err
    addresses = [str(address[0]) for _, address in found]
    # One address that may not be asked is enough: who names it once may name
    # it always.
    if not by_name and not all(_is_public(address) for address in addresses):
        raise UsageError(
            f"UPLOAD: the host {quoted(host)} is in a private network, from which this service takes no "
            "tables; send the table with the request, as UPLOAD=name,param:part",
            parameter="UPLOAD",
        )
    connection = (HttpsTo if parts.scheme == "https" else HttpTo)(host, port)
    connection.places, connection.watch = found, watch
    return connection


def _host_of(parts: SplitResult) -> tuple[str, int]:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise UsageError(
            f"UPLOAD: {quoted(parts.geturl())} is not fetched by this service; give a URL with http or https",
            parameter="UPLOAD",
        )
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "UPLOAD: a URL with a user name is not fetched; send the table with the request",
            parameter="UPLOAD",
        )
    host = parts.hostname.lower().removesuffix(".")
    if not _NAME.fullmatch(host):
        raise _no_url(parts.geturl())
    return host, port or _PORTS[parts.scheme]


def _allow(host: str, port: int, scheme: str, hosts: Sequence[str]) -> bool:
    """Return whether a host is allowed by its own name; raise if it is not allowed."""
    by_pattern = False
    for entry in hosts:
        name, _, own_port = entry.lower().rpartition(":") if _has_port(entry) else (entry.lower(), "", "")
        if port != (int(own_port) if own_port else _PORTS[scheme]):
            continue
        name = name.strip("[]")
        if name == host:
            return True
        by_pattern = by_pattern or name == "*" or (name.startswith("*.") and host.endswith(name[1:]))
    if by_pattern:
        return False
    raise UsageError(
        f"UPLOAD: this service fetches no tables from {quoted(f'{host}:{port}')}; "
        + (
            f"it does from {', '.join(hosts)}"
            if hosts
            else "send the table with the request, as UPLOAD=name,param:part, or give the URL of a result of "
            "a job here"
        ),
        parameter="UPLOAD",
    )


def _has_port(entry: str) -> bool:
    # An IPv6 address has colons of its own, and stands in brackets before one.
    tail = entry.rpartition(":")[2]
    return tail.isdigit() and (entry.count(":") == 1 or "]:" in entry)


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = _ipv4_in(parsed) if isinstance(parsed, ipaddress.IPv6Address) else None
    reached = parsed if inner is None else inner
    return reached.is_global and not reached.is_multicast


def _ipv4_in(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the address of the older protocol that a gateway makes of this one."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _ask(connection: http.client.HTTPConnection, parts: SplitResult) -> http.client.HTTPResponse:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(
            "GET", target, headers={"Accept-Encoding": "identity", "User-Agent": "lsst-dax-vo (IVOA-upload)"}
        )
        return connection.getresponse()
    except (OSError, http.client.HTTPException, ValueError) as err:
        raise _no_answer(parts) from err


def _save(response: http.client.HTTPResponse, url: str, max_bytes: int) -> BinaryIO:
    file: BinaryIO = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # type: ignore[assignment]  # noqa: SIM115
    try:
        size = 0
        while True:
            chunk = response.read1(_CHUNK_BYTES)
            if not chunk:
                break
            size += len(chunk)
            if size > max_bytes:
                raise UsageError(
                    f"UPLOAD: {quoted(url)} has more than {max_bytes} bytes; send a smaller table",
                    parameter="UPLOAD",
                    value=url,
                )
            file.write(chunk)
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        file.seek(0)
    except (OSError, http.client.HTTPException) as err:
        file.close()
        raise _no_answer(urlsplit(url)) from err
    except BaseException:
        file.close()
        raise
    return file


def _no_answer(parts: SplitResult) -> TransientError:
    return TransientError(f"UPLOAD: {quoted(parts.geturl())} cannot be fetched now; try again later")
