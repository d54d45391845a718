"""``butler vo export``."""

__all__ = ["chosen", "export"]

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--config", "config_path", type=click.Path(path_type=Path), help="Exporter configuration, YAML."
    ),
    click.option("--collections", multiple=True, help="Collections, instead of the configuration's."),
    click.option(
        "--dataset-type", "dataset_types", multiple=True, help="Only these of the configured types."
    ),
    click.option("--where", help="Butler expression that the data IDs must fulfil."),
    click.option(
        "--on-error",
        type=click.Choice(["fail", "null"]),
        default="fail",
        show_default=True,
        help="What a row does of which something cannot be made, such as a damaged region.",
    ),
    click.option(
        "--reader",
        type=click.Choice(["bulk", "public"]),
        help="Read the registry's database in bulk, or through the Butler's public interface alone; "
        "by default in bulk where that fits.",
    ),
    click.option("--label", help="Label of the repository, for identifiers."),
    click.option("--progress/--no-progress", default=None, help="Show a bar; by default on a terminal."),
)


def chosen(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is exported.

    Parameters
    ----------
    command
        The function of a command.

    Returns
    -------
    command : `~collections.abc.Callable`
    """
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("repo")
@click.argument("destination", metavar="DEST")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["parquet", "csv", "votable", "arrow"]),
    help="Format of a file; by default its suffix tells. Without either, DEST is a store.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Most rows.")
@click.option(
    "--parts",
    type=click.Path(path_type=Path),
    help="Folder for finished parts: the same command goes on where it was interrupted.",
)
@chosen
def export(repo: str, destination: str, progress: bool | None, **options: Any) -> None:
    """Export the ObsCore table of REPO to DEST, a file or a store.

    DEST is replaced at once when everything is written: a reader sees the
    old table or the new one.
    """
    from ..services import export_repository
    from ..store import parse_store
    from ._progress import watched

    for name in ("collections", "dataset_types"):
        options[name] = options[name] or None
    with watched(progress) as watch:
        report = export_repository(repo, destination, watch=watch, **options)
    # The URL of a database may hold a password.
    click.echo(report.describe(str(parse_store(destination)) if "://" in destination else destination))
