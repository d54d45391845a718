"""Stores by their names, the Butler's own table among them."""

from __future__ import annotations

__all__ = ["live_store", "open_named_store"]

from contextlib import closing
from urllib.parse import quote

from ..errors import UsageError
from ..obscore import columns_of, parse_obscore_config
from ..repo import Repository, find_live_table, open_repository
from ..store import LiveLocation, LiveStore, PostgresLocation, Store, open_store, parse_store
from ._export import store_properties


def open_named_store(text: str) -> Store:
    """Open a store of any kind.

    Parameters
    ----------
    text
        Its name.

    Returns
    -------
    store : `~lsst.dax.vo.store.Store`

    Raises
    ------
    NotFoundError
        Raised if there is no such store or repository.
    UsageError
        Raised if there is something else in its place, or it is damaged.
    UnsupportedError
        Raised if the Butler's own table cannot be read as it is.
    TransientError
        Raised if it cannot be read now.
    """
    location = parse_store(text)
    if not isinstance(location, LiveLocation):
        return open_store(location)
    if not location.repo:
        raise UsageError(
            f"The store {text!r} does not say of which repository; give live:REPO with its path or label",
            value=text,
        )
    with closing(open_repository(location.repo)) as repository:
        return live_store(repository, location)


def live_store(repository: Repository, location: LiveLocation) -> LiveStore:
    """Describe the Butler's own table of an open repository.

    Parameters
    ----------
    repository
        The repository; its label is that of each row.
    location
        How the table is named.

    Returns
    -------
    store : `~lsst.dax.vo.store.LiveStore`

    Raises
    ------
    UsageError
        Raised if the repository has no such table, or one that cannot be
        understood.
    UnsupportedError
        Raised if the registry is not in PostgreSQL.
    TransientError
        Raised if the registry does not answer.
    """
    table = find_live_table(repository)
    label = repository.label
    config = parse_obscore_config(table.config, f"The configuration of the Butler's own table in {label!r}")
    did_format = None
    if config.obs_publisher_did_fmt is None:
        # Without an identifier no row would lead anywhere; this is the one
        # of configurations that 'butler vo init' makes.
        name = quote(label, safe="")
        did_format = f"ivo://x-unregistered/{name}?repo={name}&id={{id}}"
        config = config.model_copy(update={"obs_publisher_did_fmt": did_format})
    there = frozenset(table.columns)
    return LiveStore(
        location=location,
        database=PostgresLocation(table.conninfo, table.schema, table.table),
        label=label,
        columns=columns_of(config),
        filled=there,
        id_column=table.id_column,
        region_column=table.region_column,
        position_column=table.position_column,
        did_format=did_format,
        properties=store_properties(label, config),
    )
