"""Engines: what runs plans on stores."""

from __future__ import annotations

__all__ = ["Engine", "open_engine"]

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import pyarrow as pa

from ..config import Limits
from ..dali import ResultTable
from ..errors import UnsupportedError, UsageError
from ..store import LiveStore, ParquetLocation, PostgresLocation, Store, StoreLocation
from ._catalog import Catalog
from ._plan import Plan


class Engine(Protocol):
    """Runs plans on one table of datasets, made of one or more stores.

    All methods may be called from several threads at once.
    """

    @property
    def catalog(self) -> Catalog:
        """What queries may read now.

        Raises
        ------
        TransientError
            Raised if a store cannot be read now.
        """
        ...

    def run(
        self,
        plan: Plan,
        *,
        maxrec: int | None,
        base_url: str | None = None,
        uploads: Mapping[str, pa.Table] | None = None,
        seconds: float | None = None,
    ) -> ResultTable:
        """Run a plan.

        Parameters
        ----------
        plan
            Made with `catalog`.
        maxrec
            Rows that may be sent; `None` for no limit.  At most one more is
            fetched.
        base_url
            URL under which clients reach the services, without ``/`` at its
            end; ``access_url`` leads there.  `None` leaves the one that was
            exported.
        uploads
            Rows of the tables that came with the query, by the name behind
            ``TAP_UPLOAD.``: columns named as the catalog's without quotes, of
            the types of `~lsst.dax.vo.dali.arrow_type`.
        seconds
            How long the query may take; `None` for what the limits say.

        Returns
        -------
        table : `~lsst.dax.vo.dali.ResultTable`
            Runs when its batches are asked for.  Then `UsageError` is raised
            if the query takes more time or memory than the limits, cannot be
            evaluated or was cancelled, and `TransientError` if a store cannot
            be read now.
        """
        ...

    def count_rows(self) -> dict[str, int]:
        """Count the rows of each repository.

        Returns
        -------
        counts : `dict` [`str`, `int`]
            By label.

        Raises
        ------
        TransientError
            Raised if a store cannot be read now.
        """
        ...

    def close(self) -> None:
        """Close the stores; queries that are running end first."""
        ...


def open_engine(
    stores: Sequence[Store], *, limits: Limits, access_url: Literal["service", "exported"] = "service"
) -> Engine:
    """Open an engine on stores.

    Parameters
    ----------
    stores
        One or more; their rows make one table, with the columns of all.
    limits
        Time and memory of a query.
    access_url
        Whether ``access_url`` leads to the service, or is the one that was
        exported.

    Returns
    -------
    engine : `Engine`
        To be closed by the caller.

    Raises
    ------
    UsageError
        Raised if two stores have a column of one name and different types.
    UnsupportedError
        Raised if the stores are of different kinds, or in different
        databases of PostgreSQL.
    TransientError
        Raised if a store cannot be read now.
    """
    folders = [
        store.location for store in stores if isinstance(store.location, StoreLocation | ParquetLocation)
    ]
    databases: list[PostgresLocation | LiveStore] = []
    for store in stores:
        if isinstance(store, LiveStore):
            databases.append(store)
        elif isinstance(store.location, PostgresLocation):
            databases.append(store.location)
    if not databases:
        from .engines.duckdb import DuckdbEngine

        return DuckdbEngine(folders, limits=limits, access_url=access_url)
    if folders:
        others = [store.location for store in stores if store.location not in folders]
        raise UnsupportedError(
            f"The stores {folders[0]} and {others[0]} are of different kinds; "
            "serve stores that are all in PostgreSQL, or none of them"
        )
    try:
        from .engines.postgres import PostgresEngine
    except ModuleNotFoundError as err:
        raise UsageError(
            f"Stores in PostgreSQL need {err.name}, which is not installed: "
            "pip install 'lsst-dax-vo[postgres]'"
        ) from err
    return PostgresEngine(databases, limits=limits, access_url=access_url)
