"""``butler vo check``."""

__all__ = ["check"]

import sys

import click


@click.command()
@click.argument("target", metavar="CONFIG|STORE|URL")
@click.option("--repo", help="Repository that CONFIG is for.")
def check(target: str, repo: str | None) -> None:
    """Say what is wrong with a configuration, a store, or a running service.

    Each problem is a line: where it is, what is wrong, how to mend it.  The
    exit status is 1 if there are errors; warnings alone leave it 0.
    """
    from ..services import check as run

    report = run(target, repo=repo)
    click.echo(report.describe())
    if report.errors:
        sys.exit(1)
