"""What a name can mean, among many, and which one was meant."""

from __future__ import annotations

__all__ = ["Names", "match_names", "nearest"]

import difflib
from collections.abc import Callable, Iterable, Sequence

from sqlglot import exp

_MOST_SHOWN = 12
_MOST_NEAR = 1000
"""Names among which the nearest one is looked for."""


class Names[Named]:
    """What there is, by name.

    A query may have ten thousand names, each one of ten thousand columns.

    Parameters
    ----------
    items
        What there is.
    name_of
        Gives the name of an item.
    """

    def __init__(self, items: Iterable[Named], name_of: Callable[[Named], str]) -> None:
        self._name_of = name_of
        self._items: dict[str, list[Named]] = {}
        for item in items:
            self._items.setdefault(name_of(item).lower(), []).append(item)

    def match(self, identifier: exp.Expr) -> list[Named]:
        """Return what an identifier can mean; see `match_names`."""
        name = identifier.name
        found = self._items.get(name.lower(), [])
        is_quoted = bool(identifier.args.get("quoted"))
        if not found or (len(found) == 1 and not is_quoted):
            return found
        exact = [item for item in found if self._name_of(item) == name]
        return exact if exact or is_quoted else found


def match_names[Named](
    identifier: exp.Expr, items: Iterable[Named], name_of: Callable[[Named], str]
) -> list[Named]:
    """Return what an identifier can mean.

    Parameters
    ----------
    identifier
        A name; in quotes it is exact, without them its case does not count.
    items
        What there is.
    name_of
        Gives the name of an item.

    Returns
    -------
    found : `list`
        Where several differ in case alone, the one that is written the same.

    References
    ----------
    ADQL 2.1, 2.1.2.
    """
    return Names(items, name_of).match(identifier)


def nearest(name: str, known: Sequence[str]) -> str:
    """Say which name may have been meant.

    Parameters
    ----------
    name
        A name that does not exist.
    known
        Those that do.

    Returns
    -------
    advice : `str`
    """
    known = known[:_MOST_NEAR]
    folded = {item.lower(): item for item in known}
    close = difflib.get_close_matches(name.lower(), list(folded), n=1)
    if close:
        return f"did you mean {folded[close[0]]}?"
    names = list(dict.fromkeys(known))
    shown = ", ".join(names[:_MOST_SHOWN])
    return f"there are: {shown}{', ...' if len(names) > _MOST_SHOWN else ''}" if names else "there are none"
