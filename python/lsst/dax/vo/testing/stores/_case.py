"""What the tests of stores need: of a kind of store, and of processes."""

from __future__ import annotations

__all__ = ["StoreCase", "fail_in_the_middle", "kill_at", "run_program", "when_free"]

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ...errors import TransientError
from ...store import Store, Writer
from ._rows import Location, make_store_rows

# Replaces a function of the store by the end of the process.
_DEADLY = """
import importlib, os, signal, sys
from lsst.dax.vo.store import open_writer, parse_store
from lsst.dax.vo.testing import STORE_COLUMNS, make_store_rows, update_store

def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

store, module, function, *arguments = sys.argv[1:]
setattr(importlib.import_module(f"lsst.dax.vo.store.{module}"), function, die)
"""


class StoreCase:
    """What tests need to know of a kind of store; subclasses give what raises `NotImplementedError`."""

    late: tuple[tuple[str, str], ...] = ()
    """Functions of the writer, as module of the room and name, that put a
    table into its place."""

    late_changes: tuple[tuple[str, str], ...] = ()
    """Those with which an updater changes a few rows."""

    @pytest.fixture
    def location(self) -> Location:
        """Return where a store can be; there is none yet."""
        raise NotImplementedError("subclasses give the fixture 'location'")

    @pytest.fixture
    def forbidden(self, location: Location) -> Location:
        """Return where a store is that may not be read or written, nor made."""
        raise NotImplementedError("subclasses give the fixture 'forbidden'")

    def read(self, store: Store) -> list[dict[str, Any]]:
        """Return the rows of a table with all columns of the writer, in the order of ``obs_id``."""
        raise NotImplementedError("subclasses give the method 'read'")

    def count_slowly(self, store: Store) -> contextlib.AbstractContextManager[Iterator[int]]:
        """Keep a table open; each step of the iterator counts its rows."""
        raise NotImplementedError("subclasses give the method 'count_slowly'")

    def names(self, location: Location) -> list[str]:
        """Return the names of all things that make up the store."""
        raise NotImplementedError("subclasses give the method 'names'")

    def tell(self, location: Location, name: str, value: str | None) -> None:
        """Change what the store tells: its ``layout``, or spoil all with `None`."""
        raise NotImplementedError("subclasses give the method 'tell'")

    def put_something_else(self, location: Location) -> None:
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


def run_program(program: str, location: Location, *arguments: str) -> subprocess.Popen[str]:
    """Run a program.

    Parameters
    ----------
    program
        Python.
    location
        Its first argument: a store.
    *arguments
        More of them.

    Returns
    -------
    process : `subprocess.Popen`
        To be used in a ``with`` statement.
    """
    command = [sys.executable, "-c", program, str(location), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_at(step: tuple[str, str], program: str, location: Location, *arguments: str) -> None:
    """Run a program that is killed when it comes to a function.

    Parameters
    ----------
    step
        Module of the room ``store``, and name of the function.
    program
        What it does with ``store`` and ``arguments``.
    location
        The store.
    *arguments
        More of them.
    """
    with run_program(_DEADLY + program, location, *step, *arguments) as process:
        assert process.wait() == -signal.SIGKILL


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
