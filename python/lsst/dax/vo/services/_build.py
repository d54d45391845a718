"""Build all services from their configuration."""

from __future__ import annotations

__all__ = ["Services", "build_services"]

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from .. import __version__
from ..config import ServiceConfig
from ..dali import XML_MEDIA_TYPE, Availability, Response, message_of, write_availability
from ..datalink import (
    FileService,
    HandOver,
    HmacKey,
    LinksService,
    ProductService,
    ResultService,
    Signer,
    describe_cutouts,
)
from ..errors import UsageError, VoError
from ..query import Engine
from ..repo import Repositories
from ..sia import SiaService
from ..soda import MULTIPLE, CutoutRunner, SodaService
from ..tap import TapService, merge_uploads
from ..uws import JobService
from ._cutout_service import cutout_locator, find_example, open_runner
from ._datalink import build_links
from ._ground import Ground, build_ground
from ._jobs import open_jobs

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

    products: ProductService
    """What is made of images, and its delivery."""

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
        ground = build_ground(config, clock, stack)
        signer = _build_signer(config, clock, make_secret)
        files = FileService(
            ground.repositories,
            signer,
            urls=config.delivery.urls,
            from_stores=config.delivery.from_stores,
            hand_over=HandOver(config.delivery.nginx),
        )
        tap, tap_jobs = _build_tap(ground, stack)
        runner = stack.enter_context(open_runner(config))
        cutouts, cutout_jobs = _build_cutouts(ground, runner, stack)
        products = ProductService(ground.repositories, signer, runner, version=__version__, clock=clock)
        stack.callback(products.close)
        return Services(
            config=config,
            repositories=ground.repositories,
            tap=tap,
            tap_jobs=tap_jobs,
            sia=_build_sia(ground, stack),
            links=build_links(ground, files, products, stack),
            files=files,
            products=products,
            cutouts=cutouts,
            cutout_jobs=cutout_jobs,
            cutout_results=ResultService(cutout_jobs, signer, CUTOUT_RESULTS),
            engine=ground.engine,
            up_since=datetime.fromtimestamp(clock(), UTC),
            resources=stack.pop_all(),
        )


def _build_signer(
    config: ServiceConfig, clock: Callable[[], float], make_secret: Callable[[int], bytes]
) -> Signer:
    keys = [HmacKey(key.id, key.secret.get_secret_value().encode()) for key in config.signing_keys]
    return Signer(
        keys or [HmacKey("process", make_secret(_SECRET_BYTES))],
        lifetime_s=config.link_lifetime_s,
        clock=clock,
    )


def _build_tap(ground: Ground, stack: ExitStack) -> tuple[TapService, JobService]:
    tap = TapService(
        ground.engine,
        limits=ground.config.limits,
        origin=ground.origins["tap"],
        open_result=lambda job_id, name: jobs.open_result(job_id, name),
        describe_related=describe_cutouts,
        clock=ground.clock,
    )
    jobs = stack.enter_context(
        open_jobs(
            "tap",
            tap.run_job,
            tap.describe_error,
            ground.config,
            merges={"UPLOAD": merge_uploads},
            clock=ground.clock,
        )
    )
    return tap, jobs


def _build_sia(ground: Ground, stack: ExitStack) -> SiaService:
    sia = SiaService(
        ground.engine,
        labels=ground.repositories,
        limits=ground.config.limits,
        origin=ground.origins["sia"],
        expand_id=ground.dids.expand,
        describe_related=describe_cutouts,
        clock=ground.clock,
    )
    stack.callback(sia.close)
    return sia


def _build_cutouts(ground: Ground, runner: CutoutRunner, stack: ExitStack) -> tuple[SodaService, JobService]:
    limits = ground.config.limits
    locate = cutout_locator(ground.repositories, ground.coverage.extents)
    cutouts = SodaService(
        locate,
        version=__version__,
        runner=runner,
        max_pixels=limits.cutout_pixels,
        max_products=limits.cutout_products,
        find_example=lambda: find_example(ground.engine, locate),
        clock=ground.clock,
    )
    jobs = stack.enter_context(
        open_jobs(
            "cutout",
            cutouts.run_job,
            cutouts.describe_error,
            ground.config,
            multiple=MULTIPLE,
            clock=ground.clock,
        )
    )
    return cutouts, jobs
