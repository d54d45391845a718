"""``butler vo links``."""

__all__ = ["links"]

import sys

import click


@click.command()
@click.argument("repo")
@click.argument("datasets", metavar="ID...", nargs=-1, required=True)
def links(repo: str, datasets: tuple[str, ...]) -> None:
    """Write the DataLink document of the datasets ID of REPO.

    An ID is a UUID, butler://label/uuid, or an obs_publisher_did.  One that
    leads nowhere is a row that says why, and makes the exit status 1.
    """
    from ..services import link_datasets

    for chunk in link_datasets(repo, datasets):
        sys.stdout.buffer.write(chunk)
    sys.stdout.flush()
