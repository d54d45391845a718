"""``butler vo init``."""

__all__ = ["init"]

from pathlib import Path

import click


@click.command()
@click.argument("repo")
@click.option(
    "--output", "-o", metavar="CONFIG", type=click.Path(path_type=Path), help="File; the terminal by default."
)
@click.option("--label", help="Label of the repository, for identifiers.")
@click.option("--overwrite", is_flag=True, help="Replace CONFIG if it is there.")
def init(repo: str, output: Path | None, label: str | None, overwrite: bool) -> None:
    """Look at REPO and write an exporter configuration to start from.

    It works as it stands; its comments tell what was found, and what a site
    should change before it publishes anything.
    """
    from ..errors import without_secrets
    from ..services import start_config
    from ._output import written_file

    if output is not None and output.exists() and not overwrite:
        raise click.ClickException(
            f"{output} is there already and stays as it is; choose another --output, or give --overwrite"
        )
    text = start_config(repo, label=label)
    with written_file(output) as stream:
        stream.write(text.encode())
    if output is not None:
        shown = without_secrets(repo, repo)
        click.echo(f"Wrote {output}; next: butler vo check {output} --repo {shown}")
