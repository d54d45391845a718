"""``butler vo export``."""

__all__ = ["export"]

from pathlib import Path

import click


@click.command()
@click.argument("repo")
@click.argument("destination", metavar="DEST")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="Exporter configuration, YAML."
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["parquet", "csv", "votable", "arrow"]),
    help="Format of a file; by default its suffix tells. Without either, DEST is a store.",
)
@click.option("--collections", multiple=True, help="Collections, instead of the configuration's.")
@click.option("--dataset-type", "dataset_types", multiple=True, help="Only these of the configured types.")
@click.option("--where", help="Butler expression that the data IDs must fulfil.")
@click.option("--limit", type=click.IntRange(min=1), help="Most rows.")
@click.option("--label", help="Label of the repository, for identifiers.")
def export(
    repo: str,
    destination: str,
    config_path: Path | None,
    file_format: str | None,
    collections: tuple[str, ...],
    dataset_types: tuple[str, ...],
    where: str | None,
    limit: int | None,
    label: str | None,
) -> None:
    """Export the ObsCore table of REPO to DEST, a file or a store.

    DEST is replaced at once when everything is written: a reader sees the
    old table or the new one.
    """
    from ..services import export_repository

    report = export_repository(
        repo,
        destination,
        config_path=config_path,
        file_format=file_format,
        collections=collections or None,
        dataset_types=dataset_types or None,
        where=where,
        limit=limit,
        label=label,
    )
    click.echo(report.describe(destination))
