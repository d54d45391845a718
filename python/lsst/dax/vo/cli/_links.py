"""``butler vo links``."""

__all__ = ["links"]

import sys
from pathlib import Path

import click


@click.command()
@click.argument("repo")
@click.argument("datasets", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration of the services, of which the links of REPO count.",
)
def links(repo: str, datasets: tuple[str, ...], config_path: Path | None) -> None:
    """Write the DataLink document of the datasets ID of REPO.

    An ID is a UUID, butler://label/uuid, or an obs_publisher_did.  One that
    leads nowhere is a row that says why, and makes the exit status 1.
    Pictures and what else only a running service makes are not there.
    """
    from ..services import link_datasets

    for chunk in link_datasets(repo, datasets, config_path=config_path):
        sys.stdout.buffer.write(chunk)
    sys.stdout.flush()
