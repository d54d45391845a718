"""What all engines say, and how they write names and texts in SQL."""

from __future__ import annotations

__all__ = [
    "UNREADABLE",
    "explain_evaluation",
    "explain_memory",
    "explain_stop",
    "merge_columns",
    "quote_name",
    "quote_text",
]

from collections.abc import Iterable

from ...dali import Column, arrow_type
from ...errors import UsageError
from ...store import Store
from ._clock import Clock

UNREADABLE = "The ObsCore table cannot be read now; try again later"
"""What clients are told when a store fails; the reason is for the log alone."""


def explain_stop(clock: Clock) -> UsageError:
    """Return the error of a query that was stopped.

    Parameters
    ----------
    clock
        That of the query.

    Returns
    -------
    error : `UsageError`
    """
    if clock.is_cancelled:
        return UsageError("The query was stopped before its end; send it again if the answer is wanted")
    return UsageError(
        f"The query took more than {clock.seconds:g} s; ask for less: "
        "a place, fewer rows (TOP), or one table instead of a join"
    )


def explain_memory(needed: str) -> UsageError:
    """Return the error of a query that is too large.

    Parameters
    ----------
    needed
        How much it needs, for example ``more than 64 MB of memory``.

    Returns
    -------
    error : `UsageError`
    """
    return UsageError(f"The query needs {needed}; ask for less: fewer rows or columns, or no ORDER BY")


def explain_evaluation(reason: str) -> UsageError:
    """Return the error of a query that the database refuses.

    Parameters
    ----------
    reason
        What the database says.

    Returns
    -------
    error : `UsageError`
    """
    return UsageError(f"The query cannot be evaluated: {reason}")


def merge_columns(stores: Iterable[Store]) -> list[Column]:
    """Return the columns of all stores.

    Parameters
    ----------
    stores
        One or more.

    Returns
    -------
    columns : `list` [`~lsst.dax.vo.dali.Column`]
        Each name once, in the order in which they come.

    Raises
    ------
    UsageError
        Raised if two stores have a column of one name and different types.
    """
    merged: dict[str, tuple[Column, Store]] = {}
    for store in stores:
        for column in store.columns:
            first, other = merged.setdefault(column.name.lower(), (column, store))
            if arrow_type(first) != arrow_type(column):
                raise UsageError(
                    f"Column {column.name!r} is of type {first.datatype} in the store {other.location} and "
                    f"of type {column.datatype} in {store.location}; "
                    "export one of them again with the type of the other"
                )
    return [column for column, _ in merged.values()]


def quote_text(value: str) -> str:
    """Return a text as SQL has it.

    Parameters
    ----------
    value
        The text.

    Returns
    -------
    literal : `str`
        With its quotes.
    """
    return "'" + value.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Return a name as SQL has it.

    Parameters
    ----------
    name
        The name.

    Returns
    -------
    identifier : `str`
        With its quotes.
    """
    return '"' + name.replace('"', '""') + '"'
