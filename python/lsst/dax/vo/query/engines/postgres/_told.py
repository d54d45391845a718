"""What the database says, in our words."""

from __future__ import annotations

__all__ = ["ReplacedError", "explained", "told_by"]

import contextlib
import logging
import re
from collections.abc import Iterator

import pyarrow as pa
from adbc_driver_manager import Error as DriverError

from ....errors import TransientError, without_secrets
from .._clock import Clock, StoppedError
from .._words import UNREADABLE, explain_evaluation, explain_memory, explain_stop

_LOG = logging.getLogger(__name__)

_BROKEN = re.compile(r"could not|cannot open|cannot read|terminat|canceling|invalid page")
_FULL = re.compile(r"out of memory|No space left|temporary file size")
# Classes of SQLSTATE (PostgreSQL, Appendix A) that are no fault of the query.
_UNREADY = ("08", "57", "58", "XX", "40", "55")


class ReplacedError(Exception):
    """A table was removed before it was read."""


@contextlib.contextmanager
def explained(clock: Clock, conninfo: str) -> Iterator[None]:
    """Put what the database says about a query into our words.

    Parameters
    ----------
    clock
        That of the query.
    conninfo
        URL of the database, whose passwords are not repeated.

    Raises
    ------
    UsageError
        Raised if the query was stopped, is too large or cannot be evaluated.
    TransientError
        Raised if the database cannot be read now.
    ReplacedError
        Raised if a table is gone.
    """
    try:
        yield
    except StoppedError:
        raise explain_stop(clock) from None
    except (DriverError, pa.ArrowException, OSError) as err:
        state = getattr(err, "sqlstate", None) or _state_in(err)
        if clock.has_stopped:
            raise explain_stop(clock) from None
        if state == "42P01":
            raise ReplacedError from None
        reason = told_by(err, conninfo)
        if state is None and "ERROR: " in str(err) and not _BROKEN.search(reason):
            # While rows come, the driver leaves the state out.
            state = "53000" if _FULL.search(reason) else "22000"
        if state is None or state.startswith(_UNREADY):
            _LOG.error("The ObsCore table cannot be read: %s", reason)
            raise TransientError(UNREADABLE) from None
        if state.startswith("53"):
            raise explain_memory(f"more memory or room than the database has ({reason})") from None
        raise explain_evaluation(reason) from None


def told_by(err: Exception, conninfo: str) -> str:
    """Return what an error says, without a password.

    Parameters
    ----------
    err
        The driver's error.
    conninfo
        URL of the database.

    Returns
    -------
    text : `str`
        The database's own first line: the driver repeats the statement
        behind it.
    """
    found = re.search(r"ERROR:\s+(.*)", str(err))
    text = found[1] if found else str(err).partition("\n")[0]
    return without_secrets(text, conninfo)


def _state_in(err: Exception) -> str | None:
    found = re.search(r"SQLSTATE: ([0-9A-Z]{5})", str(err))
    return None if found is None else found[1]
