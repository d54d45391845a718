"""Build all services from their configuration."""

from __future__ import annotations

__all__ = ["Services", "build_services"]

import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from .. import __version__
from ..config import RepositoryConfig, ServiceConfig
from ..dali import XML_MEDIA_TYPE, Availability, Response, message_of, write_availability
from ..datalink import FileService, HmacKey, LinksService, ResultService, Signer, describe_cutouts
from ..errors import NotFoundError, UsageError, VoError, without_secrets
from ..obscore import ExportChoice
from ..query import Engine, open_engine
from ..repo import PublisherForm, Repositories, Repository, open_repository
from ..sia import SiaService
from ..soda import MULTIPLE, SodaService
from ..store import (
    LiveLocation,
    OwnLocation,
    Store,
    open_store,
    parse_store,
)
from ..tap import TapService, merge_uploads
from ..uws import JobService
from ._cutouts import StoreExtents, cutout_locator, find_example, open_runner
from ._export import export_rows, publisher_forms, served_label
from ._identifiers import PublisherDids
from ._jobs import open_jobs
from ._origin import build_origins
from ._stores import live_store, open_named_store

CUTOUT_RESULTS = "/api/cutout/results"
"""Where results of cutout jobs are delivered."""

_NO_DATASET = UUID(int=0)
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Services:
    """All services on a set of repositories; closed together."""

    config: ServiceConfig
    """What they were built from."""

    repositories: Repositories
    """The repositories, by label."""

    tap: TapService
    """TAP."""

    tap_jobs: JobService
    """Jobs of TAP."""

    sia: SiaService
    """SIAv2."""

    links: LinksService
    """DataLink."""

    files: FileService
    """Delivery of files."""

    cutouts: SodaService
    """SODA."""

    cutout_jobs: JobService
    """Jobs of SODA."""

    cutout_results: ResultService
    """Delivery of their results."""

    engine: Engine
    """Runs queries on the ObsCore table."""

    up_since: datetime
    """Since when they run."""

    resources: ExitStack
    """What is closed with them."""

    def count_rows(self) -> dict[str, int]:
        """Count the rows of each repository.

        Returns
        -------
        counts : `dict` [`str`, `int`]
            By label.

        Raises
        ------
        TransientError
            Raised if a store cannot be read.
        """
        return self.engine.count_rows()

    def availability(self) -> Response:
        """Tell whether the registries answer, for DataLink and SODA.

        Returns
        -------
        response : `~lsst.dax.vo.dali.Response`
            A VOSI document.
        """
        notes = []
        for repository in self.repositories.values():
            try:
                repository.datasets([_NO_DATASET])
            except VoError as err:
                notes.append(message_of(err))
        state = Availability(False, notes=tuple(notes)) if notes else Availability(True, self.up_since)
        return Response(200, XML_MEDIA_TYPE, write_availability(state))

    def start(self) -> None:
        """Run jobs from now on; those first that wait for it."""
        self.cutouts.start()
        self.tap_jobs.start()
        self.cutout_jobs.start()

    def close(self) -> None:
        """End jobs; close stores and repositories."""
        self.resources.close()


@dataclass(frozen=True, slots=True)
class _Served:
    """A repository that is served, and the store that describes it."""

    repository: Repository
    store: Store
    did_formats: tuple[str, ...]
    forms: Sequence[PublisherForm]


def build_services(
    config: ServiceConfig,
    *,
    clock: Callable[[], float] = time.time,
    make_secret: Callable[[int], bytes] = secrets.token_bytes,
) -> Services:
    """Build the services that a configuration describes.

    Parameters
    ----------
    config
        Repositories, their stores, limits and keys.
    clock
        Seconds since 1970, UTC.
    make_secret
        From a number of bytes to as many that nobody can guess; signs URLs
        where the configuration has no key.

    Returns
    -------
    services : `Services`
        To be closed by the caller.

    Raises
    ------
    NotFoundError
        Raised if a repository or store does not exist.
    UsageError
        Raised if the configuration cannot be served.
    TransientError
        Raised if a store or registry does not answer.
    """
    if not config.repositories:
        raise UsageError("There is nothing to serve; name a repository: butler vo serve REPO --store STORE")
    with ExitStack() as stack:
        served = [_open(entry, stack) for entry in config.repositories]
        repositories = Repositories(
            [item.repository for item in served], [form for item in served for form in item.forms]
        )
        engine = open_engine(
            [item.store for item in served], limits=config.limits, access_url=config.access_url
        )
        stack.callback(engine.close)
        dids = PublisherDids(repositories, {item.repository.label: item.did_formats for item in served})
        limits = config.limits
        origins = build_origins(
            config,
            [
                (item.repository.label, entry, item.store.properties)
                for entry, item in zip(config.repositories, served, strict=True)
            ],
        )
        keys = [HmacKey(key.id, key.secret.get_secret_value().encode()) for key in config.signing_keys]
        signer = Signer(
            keys or [HmacKey("process", make_secret(_SECRET_BYTES))],
            lifetime_s=config.link_lifetime_s,
            clock=clock,
        )
        files = FileService(repositories, signer)
        tap = TapService(
            engine,
            limits=limits,
            origin=origins["tap"],
            open_result=lambda job_id, name: tap_jobs.open_result(job_id, name),
            describe_related=describe_cutouts,
            clock=clock,
        )
        tap_jobs = stack.enter_context(
            open_jobs(
                "tap",
                tap.run_job,
                tap.describe_error,
                config,
                merges={"UPLOAD": merge_uploads},
                clock=clock,
            )
        )
        sia = SiaService(
            engine,
            labels=repositories,
            limits=limits,
            origin=origins["sia"],
            expand_id=dids.expand,
            describe_related=describe_cutouts,
            clock=clock,
        )
        stack.callback(sia.close)
        extents = StoreExtents(engine, dids)
        locate = cutout_locator(repositories, extents)
        cutouts = SodaService(
            locate,
            version=__version__,
            runner=stack.enter_context(open_runner(config)),
            max_pixels=limits.cutout_pixels,
            max_products=limits.cutout_products,
            find_example=lambda: find_example(engine, locate),
            clock=clock,
        )
        cutout_jobs = stack.enter_context(
            open_jobs(
                "cutout",
                cutouts.run_job,
                cutouts.describe_error,
                config,
                multiple=MULTIPLE,
                clock=clock,
            )
        )
        return Services(
            config=config,
            repositories=repositories,
            tap=tap,
            tap_jobs=tap_jobs,
            sia=sia,
            links=LinksService(
                repositories,
                files,
                max_ids=limits.links,
                find_extents=extents,
                origin=origins["datalink"],
                clock=clock,
            ),
            files=files,
            cutouts=cutouts,
            cutout_jobs=cutout_jobs,
            cutout_results=ResultService(cutout_jobs, signer, CUTOUT_RESULTS),
            engine=engine,
            up_since=datetime.fromtimestamp(clock(), UTC),
            resources=stack.pop_all(),
        )


def _open(entry: RepositoryConfig, stack: ExitStack) -> _Served:
    location = None if entry.store is None else parse_store(entry.store)
    if isinstance(location, LiveLocation):
        return _open_live(entry, location, stack)
    store = None if location is None else _open_existing(entry, location)
    label = entry.label if store is None else served_label(store.properties, entry.label, str(store.location))
    repository = open_repository(entry.repo, label=label)
    stack.callback(repository.close)
    if store is None:
        store = _export(entry, repository, stack)
    return _serve(repository, store)


def _open_live(entry: RepositoryConfig, location: LiveLocation, stack: ExitStack) -> _Served:
    if location.repo not in ("", entry.repo):
        raise UsageError(
            f"The store {location} is in another repository than the one that is served, "
            f"{without_secrets(entry.repo, entry.repo)}; give 'live' alone for its own"
        )
    repository = open_repository(entry.repo, label=entry.label)
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
