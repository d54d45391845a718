"""Workers as the service sees them: made, spoken to, ended."""

from __future__ import annotations

__all__ = ["Nursery", "Worker", "WorkerEndedError"]

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import EllipsisType

from ...errors import TransientError
from .._work import CutoutWork
from ._messages import Reply, parse_reply, send_work
from ._template import FORK, KILL

# How often a thread that waits for a worker looks whether anybody waits for it.
_LOOK_S = 0.1
_READY_S = 60.0

_PROGRAM = "import sys; from lsst.dax.vo.soda.workers._template import main; main(*map(int, sys.argv[1:]))"
# Some libraries start threads when they are loaded (linear algebra, and the
# allocator of Arrow), with which no process should fork.
_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


class WorkerEndedError(Exception):
    """A worker is not there any more."""


class Worker:
    """One worker.

    Parameters
    ----------
    number
        Its process.
    channel
        The way to it.
    """

    def __init__(self, number: int, channel: socket.socket) -> None:
        self.number = number
        """Its process."""
        self._channel = channel
        self._channel.settimeout(_LOOK_S)
        self._received = bytearray()

    def send(self, work: CutoutWork, folder: Path) -> None:
        """Give it work.

        Parameters
        ----------
        work
            The work.
        folder
            Where cutouts are written.

        Raises
        ------
        WorkerEndedError
            Raised if it has ended.
        """
        try:
            self._channel.settimeout(None)
            send_work(self._channel, work, folder)
        except OSError as err:
            raise WorkerEndedError from err
        finally:
            with suppress(OSError):
                self._channel.settimeout(_LOOK_S)

    def receive(self, is_over: Callable[[], bool]) -> Reply | EllipsisType:
        """Wait for its next answer.

        Parameters
        ----------
        is_over
            Tells whether to go on waiting; asked now and then.

        Returns
        -------
        reply : `Reply` or `Ellipsis`
            The answer; `Ellipsis` if waiting is over.

        Raises
        ------
        WorkerEndedError
            Raised if it has ended.
        """
        while b"\n" not in self._received:
            try:
                piece = self._channel.recv(65536)
            except TimeoutError:
                if is_over():
                    return ...
                continue
            except OSError as err:
                raise WorkerEndedError from err
            if not piece:
                raise WorkerEndedError
            self._received += piece
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        return parse_reply(line)

    def is_there(self) -> bool:
        """Tell whether it waits for work, and has not ended meanwhile.

        Returns
        -------
        is_there : `bool`
        """
        try:
            self._channel.setblocking(False)
            # One that waits has sent nothing; the end of one that has ended is read.
            return bool(self._channel.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            with suppress(OSError):
                self._channel.settimeout(_LOOK_S)

    def close(self) -> None:
        """Close the way to it."""
        self._channel.close()


class Nursery:
    """Makes workers, and ends them; the template behind it is started when needed.

    Parameters
    ----------
    memory_bytes
        Memory that a worker may use.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._template: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._has_made = False
        self._is_closed = False

    def start(self) -> None:
        """Start the template; it loads its libraries while others go on."""
        with self._lock:
            self._start()

    def make(self) -> Worker:
        """Make a worker.

        Returns
        -------
        worker : `Worker`

        Raises
        ------
        TransientError
            Raised if that cannot be done now.
        """
        ours, theirs = socket.socketpair()
        try:
            number = self._order(FORK, 0, theirs)
        except OSError as err:
            ours.close()
            raise TransientError("No process for cutouts can be started now; try again later") from err
        finally:
            theirs.close()
        return Worker(number, ours)

    def end(self, worker: Worker) -> None:
        """End a worker, whatever it is at.

        Parameters
        ----------
        worker
            The worker.
        """
        worker.close()
        # One whose template has died ends as well when it finds nobody.
        with suppress(OSError):
            self._order(KILL, worker.number, None)

    def close(self) -> None:
        """End the template, and with it all workers."""
        with self._lock:
            self._is_closed = True
            if self._control is not None:
                self._control.close()
            if self._template is not None:
                if not self._has_made:
                    # It may still be loading, and need not finish that.
                    self._template.kill()
                try:
                    self._template.wait(5)
                except subprocess.TimeoutExpired:
                    self._template.kill()
                    self._template.wait()
            self._control = self._template = None

    def _order(self, command: bytes, number: int, handle: socket.socket | None) -> int:
        message = command + number.to_bytes(8)
        with self._lock:
            # Once more with a new template, if the old one has died.
            for is_last in (False, True):
                if self._template is None or self._template.poll() is not None:
                    if command == KILL:
                        return number
                    if self._is_closed:
                        raise ConnectionError
                    self._start()
                control = self._control
                if control is None:
                    raise ConnectionError
                try:
                    if handle is None:
                        control.sendall(message)
                    else:
                        socket.send_fds(control, [message], [handle.fileno()])
                    answer = b""
                    while len(answer) < 8:
                        piece = control.recv(8 - len(answer))
                        if not piece:
                            raise ConnectionError
                        answer += piece
                except OSError:
                    self._discard()
                    if is_last:
                        raise
                    continue
                self._has_made = True
                return int.from_bytes(answer)
        raise ConnectionError

    def _start(self) -> None:
        if self._template is not None and self._template.poll() is None:
            return
        self._discard()
        ours, theirs = socket.socketpair()
        ours.settimeout(_READY_S)
        with theirs:
            self._template = subprocess.Popen(  # noqa: S603 (our own module)
                [
                    sys.executable,
                    # What lies in the working directory is not for it.
                    "-P",
                    "-c",
                    _PROGRAM,
                    str(theirs.fileno()),
                    str(self._memory_bytes),
                ],
                env=os.environ | _ONE_THREAD,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # What the terminal sends is for the service.
                start_new_session=True,
            )
        self._control, self._has_made = ours, False

    def _discard(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._template is not None:
            if self._template.poll() is None:
                self._template.kill()
            self._template.wait()
        self._control = self._template = None
