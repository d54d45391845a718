"""What the tests of stores need: of a kind of store, and of processes."""

from __future__ import annotations

__all__ = ["StoreCase", "fail_in_the_middle", "kill_at", "run_program", "when_free"]

import contextlib
import importlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from ...errors import TransientError
from ...store import OwnLocation, Store, Writer
from ._rows import make_store_rows

# Each process begins with what a server of processes has imported once: to
# import it takes 1.3 s of a CPU.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["lsst.dax.vo.testing"])


class StoreCase:
    """What tests need to know of a kind of store; subclasses give what raises `NotImplementedError`."""

    late: tuple[tuple[str, str], ...] = ()
    """Functions of the writer, as module of the room and name, that put a
    table into its place."""

    late_changes: tuple[tuple[str, str], ...] = ()
    """Those with which an updater changes a few rows."""

    @pytest.fixture
    def location(self) -> OwnLocation:
        """Return where a store can be; there is none yet."""
        raise NotImplementedError("subclasses give the fixture 'location'")

    @pytest.fixture
    def forbidden(self, location: OwnLocation) -> OwnLocation:
        """Return where a store is that may not be read or written, nor made."""
        raise NotImplementedError("subclasses give the fixture 'forbidden'")

    def read(self, store: Store) -> list[dict[str, Any]]:
        """Return the rows of a table with all columns of the writer, in the order of ``obs_id``."""
        raise NotImplementedError("subclasses give the method 'read'")

    def count_slowly(self, store: Store) -> contextlib.AbstractContextManager[Iterator[int]]:
        """Keep a table open; each step of the iterator counts its rows."""
        raise NotImplementedError("subclasses give the method 'count_slowly'")

    def names(self, location: OwnLocation) -> list[str]:
        """Return the names of all things that make up the store."""
        raise NotImplementedError("subclasses give the method 'names'")

    def tell(self, location: OwnLocation, name: str, value: str | None) -> None:
        """Change what the store tells: its ``layout``, or spoil all with `None`."""
        raise NotImplementedError("subclasses give the method 'tell'")

    def put_something_else(self, location: OwnLocation) -> None:
        """Put something in the place of the store that is none."""
        raise NotImplementedError("subclasses give the method 'put_something_else'")


def fail_in_the_middle(writer: Writer) -> None:
    """Begin to write, and raise an exception.

    Parameters
    ----------
    writer
        What writes.
    """
    with writer:
        writer.write(make_store_rows(1.0, 2.0))
        raise ZeroDivisionError


@contextlib.contextmanager
def run_program(program: Callable[..., None], *arguments: object) -> Iterator[BaseProcess]:
    """Run a function in a process of its own.

    Parameters
    ----------
    program
        A function of a module.
    *arguments
        Its own, which can be pickled.

    Yields
    ------
    process : `multiprocessing.process.BaseProcess`
        Its end is waited for.
    """
    process = _PROCESSES.Process(target=_run, args=(dict(os.environ), program, *arguments))
    process.start()
    try:
        yield process
    except BaseException:
        process.kill()
        raise
    finally:
        process.join()


def kill_at(step: tuple[str, str], program: Callable[..., None], *arguments: object) -> None:
    """Run a function in a process that is killed when it comes to another function.

    Parameters
    ----------
    step
        Module of the room ``store``, and name of the function.
    program
        A function of a module.
    *arguments
        Its own, which can be pickled.
    """
    with run_program(_die_at, step, program, *arguments) as process:
        pass
    assert process.exitcode == -signal.SIGKILL


def _run(environment: Mapping[str, str], program: Callable[..., None], *arguments: object) -> None:
    # The server has that of its start.
    os.environ.clear()
    os.environ.update(environment)
    program(*arguments)


def _die_at(step: tuple[str, str], program: Callable[..., None], *arguments: object) -> None:
    module, function = step

    def die(*_arguments: object, **_options: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(importlib.import_module(f"lsst.dax.vo.store.{module}"), function, die)
    program(*arguments)


def when_free[T](run: Callable[[], T]) -> T:
    """Write to a store whose writer was killed.

    Parameters
    ----------
    run
        What writes.

    Returns
    -------
    answer : ``T``
        Its own.
    """
    # A server may take a moment to see that a process was killed.
    for _ in range(100):
        try:
            return run()
        except TransientError:
            time.sleep(0.1)
    return run()
