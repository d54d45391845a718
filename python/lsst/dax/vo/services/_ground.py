"""What all services stand on: repositories, their tables, and what tells of both."""

from __future__ import annotations

__all__ = ["Ground", "build_ground"]

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..config import RepositoryConfig, ServiceConfig
from ..dali import DataOrigin
from ..errors import NotFoundError, UsageError, without_secrets
from ..obscore import ExportChoice
from ..query import Engine, open_engine
from ..repo import PublisherForm, Repositories, Repository, StoreProbe, open_repository
from ..store import LiveLocation, OwnLocation, Store, open_store, parse_store
from ._coverage import StoreCoverage
from ._export import export_rows, publisher_forms, searched_collections, served_label
from ._identifiers import PublisherDids
from ._origin import build_origins
from ._stores import live_store, open_named_store


@dataclass(frozen=True, slots=True)
class Ground:
    """What all services stand on."""

    config: ServiceConfig
    """What they are built from."""

    clock: Callable[[], float]
    """Seconds since 1970, UTC."""

    repositories: Repositories
    """The repositories, by label."""

    engine: Engine
    """Runs queries on the ObsCore table."""

    dids: PublisherDids
    """Tells what a dataset may be called in it."""

    coverage: StoreCoverage
    """Tells what datasets cover, by it."""

    collections: Mapping[str, Sequence[str]]
    """By label, the collections that the table was made from."""

    origins: Mapping[Literal["tap", "sia", "datalink"], DataOrigin]
    """Who answers, by service."""


@dataclass(frozen=True, slots=True)
class _Served:
    """A repository that is served, and the store that describes it."""

    repository: Repository
    store: Store
    did_formats: tuple[str, ...]
    forms: Sequence[PublisherForm]


def build_ground(config: ServiceConfig, clock: Callable[[], float], stack: ExitStack) -> Ground:
    """Open repositories and stores.

    Parameters
    ----------
    config
        Names them.
    clock
        Seconds since 1970, UTC.
    stack
        Closes them.

    Returns
    -------
    ground : `Ground`

    Raises
    ------
    NotFoundError
        Raised if a repository or store does not exist.
    UsageError
        Raised if the configuration cannot be served.
    TransientError
        Raised if a store or registry does not answer.
    """
    served = [_open(entry, config.remember_s, stack) for entry in config.repositories]
    repositories = Repositories(
        [item.repository for item in served],
        [form for item in served for form in item.forms],
        probe=StoreProbe(patience_s=config.limits.store_seconds, down_s=2 * config.limits.store_seconds),
    )
    engine = open_engine([item.store for item in served], limits=config.limits, access_url=config.access_url)
    stack.callback(engine.close)
    dids = PublisherDids(repositories, {item.repository.label: item.did_formats for item in served})
    origins = build_origins(
        config,
        [
            (item.repository.label, entry, item.store.properties)
            for entry, item in zip(config.repositories, served, strict=True)
        ],
    )
    coverage = StoreCoverage(engine, dids, remember_s=config.remember_s)
    collections = {item.repository.label: searched_collections(item.store.properties) for item in served}
    return Ground(config, clock, repositories, engine, dids, coverage, collections, origins)


def _open(entry: RepositoryConfig, remember_s: float, stack: ExitStack) -> _Served:
    location = None if entry.store is None else parse_store(entry.store)
    if isinstance(location, LiveLocation):
        return _open_live(entry, location, remember_s, stack)
    store = None if location is None else _open_existing(entry, location)
    label = entry.label if store is None else served_label(store.properties, entry.label, str(store.location))
    repository = open_repository(
        entry.repo, label=label, remember_s=remember_s, link_folders=entry.link_folders
    )
    stack.callback(repository.close)
    if store is None:
        store = _export(entry, repository, stack)
    return _serve(repository, store)


def _open_live(
    entry: RepositoryConfig, location: LiveLocation, remember_s: float, stack: ExitStack
) -> _Served:
    if location.repo not in ("", entry.repo):
        raise UsageError(
            f"The store {location} is in another repository than the one that is served, "
            f"{without_secrets(entry.repo, entry.repo)}; give 'live' alone for its own"
        )
    repository = open_repository(
        entry.repo, label=entry.label, remember_s=remember_s, link_folders=entry.link_folders
    )
    stack.callback(repository.close)
    return _serve(repository, live_store(repository, LiveLocation(entry.repo)))


def _serve(repository: Repository, store: Store) -> _Served:
    did_formats, forms = publisher_forms(store.properties, repository.label)
    return _Served(repository, store, did_formats, forms)


def _open_existing(entry: RepositoryConfig, location: OwnLocation) -> Store | None:
    try:
        return open_store(location)
    except NotFoundError:
        if entry.obscore is None:
            raise
        return None


def _export(entry: RepositoryConfig, repository: Repository, stack: ExitStack) -> Store:
    # Without a store of its own, the table lives as long as the services.
    where = entry.store
    if where is None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dax-vo-"))
        where = str(Path(folder) / f"{repository.label}.store")
    export_rows(repository, where, ExportChoice(), config_path=entry.obscore)
    return open_named_store(where)
