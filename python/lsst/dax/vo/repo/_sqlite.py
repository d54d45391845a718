"""Registries in SQLite files that somebody else has locked."""

from __future__ import annotations

__all__ = ["limit_patience"]

from typing import Any

import sqlalchemy
from lsst.daf.butler import Butler

PATIENCE_MS = 5_000
"""So long a service waits for a lock."""


def limit_patience(butler: Butler) -> None:
    """Let a Butler give up soon when its registry is locked.

    Parameters
    ----------
    butler
        The Butler; its clones share its connections.

    Notes
    -----
    daf_butler waits for five minutes, which suits whoever writes.  A service
    would lose a thread to each request for so long: the datasets of other
    repositories would wait, too.
    """
    # Nothing public leads to the engine; the client of a Butler server has none.
    registry = getattr(butler, "_registry", None)
    engine = getattr(getattr(registry, "_db", None), "_engine", None)
    if isinstance(engine, sqlalchemy.Engine) and engine.dialect.name == "sqlite":
        sqlalchemy.event.listen(engine, "checkout", _set_patience)


def _set_patience(connection: Any, *_: object) -> None:
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
