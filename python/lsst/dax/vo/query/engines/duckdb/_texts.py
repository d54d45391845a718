"""SQL of plans that come again and again, as those of pages and scripts do."""

from __future__ import annotations

__all__ = ["Texts"]

import threading
from collections import OrderedDict
from collections.abc import Callable

from ..._plan import Plan

_MOST_TEXTS = 128
# Characters.
_LONGEST = 50_000


class Texts:
    """Remembers the SQL of plans, as long as the stores are what they are.

    To write a plan of a search by place takes 0.6 ms, a tenth of the search.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, str | None], tuple[Plan, str]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, plan: Plan, base_url: str | None, render: Callable[[], str]) -> str:
        """Return the SQL of a plan.

        Parameters
        ----------
        plan
            The plan; the same object when it comes again.
        base_url
            What else the text depends on.
        render
            Writes it.

        Returns
        -------
        sql : `str`
        """
        key = id(plan), base_url
        with self._lock:
            known = self._known.get(key)
            # Another plan may have come to the place of one that is gone.
            if known is not None and known[0] is plan:
                self._known.move_to_end(key)
                return known[1]
        sql = render()
        if len(sql) <= _LONGEST:
            with self._lock:
                self._known[key] = plan, sql
                while len(self._known) > _MOST_TEXTS:
                    self._known.popitem(last=False)
        return sql
