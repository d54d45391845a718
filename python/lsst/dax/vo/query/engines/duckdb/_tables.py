"""The table of datasets in DuckDB: the tables of the stores, as a query."""

from __future__ import annotations

__all__ = ["select_rows"]

from collections.abc import Collection, Sequence

from ....store import HIDDEN_COLUMNS
from .._words import quote_name, quote_text
from ._blocks import STORE_ROWS
from ._stores import Table

_ROW = "_row"


def select_rows(
    stores: Sequence[Table], *, wanted: Collection[str] | None = None, service: str | None = None
) -> str:
    """Return what selects the rows of all stores.

    Parameters
    ----------
    stores
        One or more, attached in this order.
    wanted
        Names of columns that are needed, and any others; `None` for all
        columns.  The database looks up each name that it is given, needed or
        not, twice for each query: all of them take a tenth of a search by
        place.
    service
        URL under which clients reach the services, where ``access_url`` leads;
        `None` for what was exported.

    Returns
    -------
    sql : `str`
    """
    only = None if wanted is None else {name.lower() for name in wanted}
    return " UNION ALL BY NAME ".join(
        _select(number, store, only, service) for number, store in enumerate(stores)
    )


def _select(number: int, store: Table, wanted: Collection[str] | None, service: str | None) -> str:
    shown = {column.name.lower(): quote_name(column.name) for column in store.columns}
    if service is not None and {"access_url", "obs_publisher_did"} <= set(shown):
        links = quote_text(f"{service}/api/datalink/links?ID=")
        shown["access_url"] = f"coalesce({links} || url_encode(obs_publisher_did), access_url) AS access_url"
    shown |= {name: name for name in HIDDEN_COLUMNS}
    # Their numbers do not meet those of another store.
    shown[_ROW] = f"rowid + {number * STORE_ROWS} AS {_ROW}" if number else f"rowid AS {_ROW}"
    parts = [way for name, way in shown.items() if wanted is None or name in wanted]
    return f"SELECT {', '.join(parts or ['NULL AS _none'])} FROM s{number}.obscore"
