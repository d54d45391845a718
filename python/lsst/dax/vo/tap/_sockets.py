"""Connections to hosts that may take their time, for clients that may not wait.

Each step is left when nobody waits for its end any more, or its time is over:
the look-up of the name, the connection, the handshake, each byte.
"""

from __future__ import annotations

__all__ = ["HttpTo", "HttpsTo", "Place", "Watch", "look_up"]

import http.client
import io
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Buffer, Callable, Sequence
from functools import partial
from typing import override

from ..errors import TransientError, UsageError, quoted

_SILENCE_S = 10.0
# How soon it is seen that nobody waits any more.
_LOOK_S = 0.25
# All heads of one answer; "100 Continue" may come any number of times.
_MOST_HEAD_BYTES = 64 * 1024
# The system has no way to stop the look-up of a name: one that is left goes
# on, in a thread of its own, until the system itself gives up.
_LOOK_UPS = threading.BoundedSemaphore(32)

type Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
"""Kind of an address, and the address with its port."""


class Watch:
    """What is expected of a host: the time for everything, and the size of a head.

    Parameters
    ----------
    url
        What is asked for.
    end_s
        When the time for everything is over, on the monotonic clock.
    is_over
        Whether nobody waits any more.
    """

    def __init__(self, url: str, end_s: float, is_over: Callable[[], bool]) -> None:
        self.head_bytes_left: int | None = _MOST_HEAD_BYTES
        """Bytes that may come before the content; `None` when that has begun."""
        self._url = url
        self._end_s = end_s
        self._is_over = is_over

    def look(self) -> None:
        """Look whether somebody waits.

        Raises
        ------
        TransientError
            Raised if nobody waits any more.
        """
        if time.monotonic() > self._end_s or self._is_over():
            raise TransientError(
                f"UPLOAD: {quoted(self._url)} takes too long; try again later, or send the table"
            )

    def count(self, size: int) -> None:
        """Count bytes that came.

        Parameters
        ----------
        size
            How many.

        Raises
        ------
        UsageError
            Raised if the head has no end.
        """
        if self.head_bytes_left is None:
            return
        self.head_bytes_left -= size
        if self.head_bytes_left < 0:
            raise UsageError(
                f"UPLOAD: {quoted(self._url)} answers with more than {_MOST_HEAD_BYTES} bytes before its "
                "content; give another URL, or send the table",
                parameter="UPLOAD",
            )

    def wait(self, is_ready: Callable[[float], bool]) -> None:
        """Wait for something, as long as somebody waits for the file.

        Parameters
        ----------
        is_ready
            Waits so many seconds, and tells whether it has happened.

        Raises
        ------
        TimeoutError
            Raised if it does not happen for ten seconds.
        TransientError
            Raised if nobody waits any more.
        """
        silent_s = time.monotonic() + _SILENCE_S
        self.look()
        while not is_ready(_LOOK_S):
            self.look()
            if time.monotonic() > silent_s:
                raise TimeoutError("The host is silent")


def look_up(host: str, port: int, watch: Watch) -> list[Place]:
    """Find the addresses of a host.

    Parameters
    ----------
    host, port
        Its name, and the port that is asked.
    watch
        Ends the waiting.

    Returns
    -------
    places : `list` [`Place`]
        At least one.

    Raises
    ------
    OSError
        Raised if it has none, or the system does not find out in time.
    UnicodeError
        Raised if that is no name.
    TransientError
        Raised if nobody waits any more, or too many names are being looked up.
    """
    found: list[Place] = []
    failures: list[Exception] = []
    done = threading.Event()
    if not _LOOK_UPS.acquire(blocking=False):
        raise TransientError("UPLOAD: too many hosts do not answer now; try again later, or send the table")

    def run() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend((entry[0], entry[4]) for entry in entries)
        except (OSError, UnicodeError) as err:
            failures.append(err)
        finally:
            _LOOK_UPS.release()
            done.set()

    threading.Thread(target=run, name="upload-look-up", daemon=True).start()
    watch.wait(done.wait)
    for failure in failures:
        raise failure
    return found


def _connect(places: Sequence[Place], watch: Watch) -> socket.socket:
    """Connect to the first address that answers; an old one may be out of use."""
    failure = OSError("The host has no address")
    for family, address in places:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            try:
                sock.connect(address)
            except BlockingIOError:
                watch.wait(partial(_is_ready, sock, select.POLLOUT))
                if number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(number, os.strerror(number)) from None
        except OSError as err:
            sock.close()
            failure = err
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _shake_hands(sock: ssl.SSLSocket, watch: Watch) -> None:
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            watch.wait(partial(_is_ready, sock, select.POLLIN))
        except ssl.SSLWantWriteError:
            watch.wait(partial(_is_ready, sock, select.POLLOUT))
        else:
            return


def _is_ready(sock: socket.socket, event: int, seconds: float) -> bool:
    # Not select(): it knows no file beyond the thousandth.
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(seconds * 1000))


class _Reader(io.RawIOBase):
    """What a host sends, as long as somebody waits for it.

    The timeout of a socket begins anew with each byte: it is no end for a
    host that sends one now and then.
    """

    def __init__(self, sock: socket.socket, watch: Watch) -> None:
        self._sock = sock
        # The socket stays open as long as this is.
        self._file = sock.makefile("rb", buffering=0)
        self._watch = watch

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        silent_s = time.monotonic() + _SILENCE_S
        while True:
            self._watch.look()
            try:
                size = self._sock.recv_into(buffer)
            except TimeoutError:
                if time.monotonic() > silent_s:
                    raise
                continue
            self._watch.count(size)
            return size

    @override
    def close(self) -> None:
        self._file.close()
        super().close()


class _Line:
    """What `http.client` needs of a socket, with a `_Reader`."""

    def __init__(self, sock: socket.socket, watch: Watch) -> None:
        # A request is small: it waits for the system alone.
        sock.settimeout(_SILENCE_S)
        self._sock = sock
        self._watch = watch
        self.sendall = sock.sendall
        self.close = sock.close

    def makefile(self, _mode: str) -> io.BufferedReader:
        self._sock.settimeout(_LOOK_S)
        return io.BufferedReader(_Reader(self._sock, self._watch))


class HttpTo(http.client.HTTPConnection):
    """A connection to an address that was checked, whatever the name leads to next."""

    places: Sequence[Place]
    """The addresses."""

    watch: Watch
    """Ends the waiting."""

    @override
    def connect(self) -> None:
        """Connect."""
        self.sock = _Line(_connect(self.places, self.watch), self.watch)


class HttpsTo(http.client.HTTPSConnection):
    """The same, with the certificate of the name."""

    places: Sequence[Place]
    """The addresses."""

    watch: Watch
    """Ends the waiting."""

    @override
    def connect(self) -> None:
        """Connect."""
        sock = _connect(self.places, self.watch)
        try:
            # It takes the other one's place, which is no socket any more.
            sock = secure = ssl.create_default_context().wrap_socket(
                sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            _shake_hands(secure, self.watch)
        except BaseException:
            sock.close()
            raise
        self.sock = _Line(sock, self.watch)
