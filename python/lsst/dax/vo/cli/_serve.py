"""``butler vo serve``."""

__all__ = ["serve"]

import os
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from ..config import load_service_config


@click.command()
@click.argument("repositories", metavar="REPO...", nargs=-1)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Service configuration, YAML.")
@click.option(
    "--store",
    "stores",
    multiple=True,
    help="Store of a REPO, or 'live' for the Butler's own table; once for each, in their order.",
)
@click.option("--obscore", "exports", multiple=True, help="Exporter configuration, to make a missing store.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 for any free one.",
)
@click.option("--get", "get_path", metavar="PATH", help="Print the answer to one GET request, and stop.")
def serve(
    repositories: tuple[str, ...],
    config_path: Path | None,
    stores: tuple[str, ...],
    exports: tuple[str, ...],
    host: str,
    port: int,
    get_path: str | None,
) -> None:
    """Serve TAP, SIAv2, DataLink and SODA on one or more repositories.

    REPO is a path, URI or label of a Butler repository.  Its ObsCore table
    is in a store, as 'butler vo export REPO STORE' makes it; without one,
    the table is made now and kept until the service stops.
    """
    from ..services import build_services

    try:
        from ..http.server import get_once, run_server
    except ModuleNotFoundError as err:
        raise click.ClickException(
            f"Serving needs {err.name}, which is not installed; install lsst-dax-vo[server]"
        ) from err

    if {len(stores), len(exports)} - {0, len(repositories)}:
        raise click.UsageError(
            f"{len(repositories)} REPO, {len(stores)} --store and {len(exports)} --obscore were given; "
            "give one --store and one --obscore for each REPO, in their order, or none"
        )
    overrides: dict[str, Any] = {}
    if repositories:
        chosen = zip_longest(repositories, stores, exports)
        overrides["repositories"] = [
            {"repo": repo, "store": store, "obscore": obscore} for repo, store, obscore in chosen
        ]
    config = load_service_config(config_path, environment=os.environ, overrides=overrides)
    services = build_services(config)
    if get_path is not None:
        sys.exit(get_once(services, get_path, sys.stdout.buffer))
    run_server(services, host=host, port=port, announce=click.echo)
