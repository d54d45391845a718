"""``python -m lsst.dax.vo.sample``: build the sample, serve it, or build a registry alone."""

__all__ = ["main"]

import os
import sys
from importlib import resources
from pathlib import Path

import click

from ..errors import VoError
from ..services import export_repository
from ._build import Sample, build_sample, sample_environment
from ._registry import build_registry

_ROOT = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the sample; made when it does not exist.",
)


@click.group()
def main() -> None:
    """Build or serve two small simulated Butler repositories, or build a large registry."""


@main.command()
@_ROOT
def build(root: Path) -> None:
    """Build the sample, unless it is there."""
    sample = _prepare(root)
    for name, value in sample_environment(sample.root).items():
        click.echo(f"export {name}='{value}'")


@main.command()
@_ROOT
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on; 0 for any free one.")
def serve(root: Path, host: str, port: int) -> None:
    """Build the sample and its stores, and serve them until stopped."""
    sample = _prepare(root)
    environment = os.environ | sample_environment(sample.root)
    os.environ.update(environment)
    try:
        for label, configuration in sample.configurations.items():
            if not sample.store(label).exists():
                report = export_repository(
                    label, str(sample.store(label)), config_path=configuration, label=label
                )
                click.echo(report.describe(sample.store(label).name))
    except VoError as err:
        raise click.ClickException(str(err)) from err
    # Of port 0, the server itself tells what it became.
    base = f"http://{host}:{port}" if port else "…"
    click.echo("Try, when it serves:")
    click.echo(f"  {base}/")
    click.echo(f"  {base}/api/tap/sync?LANG=ADQL&FORMAT=csv&QUERY=SELECT+COUNT(*)+FROM+ivoa.ObsCore")
    click.echo(f"  {base}/api/sia/query?POS=CIRCLE+55.7467+-32.2862+0.001")
    stores = [word for label in sample.repositories for word in ("--store", str(sample.store(label)))]
    command = [str(Path(sys.executable).with_name("butler")), "vo", "serve", *sample.repositories, *stores]
    sys.stdout.flush()
    # The server takes the place of this process: signals reach it at once.
    os.execve(command[0], [*command, "--host", host, "--port", str(port)], environment)  # noqa: S606


@main.command()
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the repository, which does not exist.",
)
@click.option("--datasets", type=click.IntRange(min=1), required=True, help="How many; DP0.2 has 8475974.")
@click.option("--database", help="URL of a PostgreSQL database for the registry, instead of SQLite.")
@click.option("--schema", help="Schema within that database.")
@click.option("--seed", default=1, show_default=True, help="The same registry comes from the same seed.")
@click.option("--no-overlaps", is_flag=True, help="Leave out what detectors overlap.")
def registry(
    root: Path, datasets: int, database: str | None, schema: str | None, seed: int, no_overlaps: bool
) -> None:
    """Build a repository with datasets of DP0.2's kinds, but no files.

    8.5 million take 2.5 minutes in SQLite and 5 in PostgreSQL on two cores,
    and 11 GB.
    """
    try:
        build_registry(
            root,
            datasets=datasets,
            database=database,
            schema=schema,
            seed=seed,
            overlaps=not no_overlaps,
            log=click.echo,
        )
    except VoError as err:
        raise click.ClickException(str(err)) from err
    click.echo(f"Export it with {resources.files(__package__) / 'obscore' / 'registry.yaml'}")


def _prepare(root: Path) -> Sample:
    try:
        return build_sample(root, log=click.echo)
    except VoError as err:
        raise click.ClickException(str(err)) from err


if __name__ == "__main__":
    main()
