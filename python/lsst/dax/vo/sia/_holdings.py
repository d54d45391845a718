"""What there is to be found: the values and limits that the description tells."""

from __future__ import annotations

__all__ = ["NOTHING", "Holdings", "HoldingsReader", "read_holdings"]

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..dali import Hangup
from ..errors import TransientError
from ..query import (
    OBSCORE_TABLE,
    Catalog,
    Constraint,
    Engine,
    OneOf,
    Plan,
    Search,
    plan_extents,
    plan_search,
)
from ._parameters import PARAMETERS
from ._request import ONLY_IMAGES

_LOG = logging.getLogger(__name__)

# Kinds of parameters whose columns have few values, of which a client chooses.
_CHOSEN = ("word", "level", "media_type", "state")
# Names of targets are as many as there are targets.
_MANY = frozenset({"TARGET"})
_MOST_ROWS = 5_000
"""Combinations of values that are looked at; with more, none are told."""
_MOST_OPTIONS = 200
"""Values of one parameter that are told."""
_LIFETIME_S = 3600.0
"""Time after which they are read again: a table that others write to changes
without being replaced."""
_RETRY_S = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """What a table holds, by the names of parameters; each is equal to itself alone."""

    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All values, in order; none for a parameter that has too many."""

    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The least and the greatest value."""


NOTHING = Holdings()
"""Nothing is known."""


@dataclass(slots=True)
class _Known:
    """What is known of one repository, or of all."""

    holdings: Holdings | None = None
    catalog: Catalog | None = None
    read_at_s: float = 0.0
    reading: threading.Thread | None = None


class HoldingsReader:
    """Reads what a table holds, once for each table, beside the requests.

    Looking at each row of a large table takes seconds, which no client shall
    wait for: until it is done, what was known before is told, or nothing.

    Parameters
    ----------
    engine
        Runs searches on the ObsCore table.
    clock
        Seconds, from any start.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._hangup = Hangup()
        self._lock = threading.Lock()
        self._known: dict[str | None, _Known] = {}

    def get(self, label: str | None, catalog: Catalog, *, wait_s: float = 0.0) -> Holdings:
        """Return what is known now.

        Parameters
        ----------
        label
            The repository; `None` for all.
        catalog
            The engine's, as it is now: another one says that a table was
            replaced.
        wait_s
            Time that may be spent on waiting for it.

        Returns
        -------
        holdings : `Holdings`
        """
        with self._lock:
            known = self._known.setdefault(label, _Known())
            age_s = self._clock() - known.read_at_s
            fresh = known.catalog is catalog and age_s < (_RETRY_S if known.holdings is None else _LIFETIME_S)
            if not fresh and known.reading is None and not self._hangup.happened:
                known.reading = threading.Thread(
                    target=self._read, args=(label, catalog, known), name="sia-holdings"
                )
                known.reading.start()
            reading = known.reading
        if reading is not None and wait_s > 0:
            reading.join(wait_s)
        return known.holdings or NOTHING

    def close(self) -> None:
        """Stop what is being read."""
        self._hangup.happen()
        with self._lock:
            threads = [known.reading for known in self._known.values()]
        for thread in threads:
            if thread is not None:
                thread.join()

    def _read(self, label: str | None, catalog: Catalog, known: _Known) -> None:
        holdings = known.holdings
        try:
            holdings = read_holdings(self._engine, catalog, label, self._hangup)
        except TransientError as err:
            # It is tried again soon.
            _LOG.warning("What the ObsCore table holds is not known: %s", err)
        except Exception as err:  # the last frame of the thread
            # It takes too long, say, and would again.
            if not self._hangup.happened:
                _LOG.warning("What the ObsCore table holds is not known: %s", err)
            holdings = holdings or NOTHING
        finally:
            with self._lock:
                known.holdings, known.catalog = holdings, catalog
                known.read_at_s, known.reading = self._clock(), None


def read_holdings(engine: Engine, catalog: Catalog, label: str | None, hangup: Hangup) -> Holdings:
    """Read what a table holds.

    Parameters
    ----------
    engine
        Runs searches.
    catalog
        What it has.
    label
        The repository; `None` for all.
    hangup
        Stops it.

    Returns
    -------
    holdings : `Holdings`

    Raises
    ------
    VoError
        Raised if the table cannot be read.
    """
    there = {
        column.name for table in catalog.tables if table.name == OBSCORE_TABLE for column in table.columns
    }
    constraints: list[Constraint] = [ONLY_IMAGES]
    if label is not None:
        constraints.append(OneOf("_repo", (label,)))
    chosen = {
        item.name: item.columns[0]
        for item in PARAMETERS
        if item.kind in _CHOSEN and item.name not in _MANY and item.columns[0] in there
    }
    plan = plan_search(
        Search(tuple(chosen.values()), tuple(constraints), distinct=True, most=_MOST_ROWS + 1), catalog
    )
    rows = _fetch(engine, plan, hangup)
    options = {
        name: values
        for name, column in chosen.items()
        if len(rows) <= _MOST_ROWS and 0 < len(values := _values_of(name, rows, column)) <= _MOST_OPTIONS
    }
    ranged = [
        item for item in PARAMETERS if item.kind in ("overlap", "within") and there.issuperset(item.columns)
    ]
    extents: list[tuple[Literal["MIN", "MAX"], str]] = []
    for item in ranged:
        extents += [("MIN", item.columns[0]), ("MAX", item.columns[-1])]
    (row,) = _fetch(engine, plan_extents(extents, constraints, catalog), hangup)
    ends = list(row.values())
    limits = {
        item.name: (low, high)
        for item, low, high in zip(ranged, ends[::2], ends[1::2], strict=True)
        if low is not None and high is not None
    }
    return Holdings(options, limits)


def _fetch(engine: Engine, plan: Plan, hangup: Hangup) -> list[dict[str, Any]]:
    table = engine.run(plan, maxrec=None)
    hangup.add(table.cancel)
    return [row for batch in table.batches for row in batch.to_pylist()]


def _values_of(name: str, rows: list[dict[str, Any]], column: str) -> tuple[str, ...]:
    found = {row[column] for row in rows if row[column] is not None}
    if name == "POL":
        # ObsCore 1.1, B.6.6: /I/Q/U/.
        found = {state for states in found for state in states.split("/") if state}
    return tuple(sorted(map(str, found)))
