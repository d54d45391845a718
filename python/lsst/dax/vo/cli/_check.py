"""``butler vo check``."""

__all__ = ["check"]

import sys

import click


@click.command()
@click.argument("target", metavar="CONFIG|STORE|URL")
@click.option("--repo", help="Repository that CONFIG of the exporter, or STORE, is for.")
def check(target: str, repo: str | None) -> None:
    """Say what is wrong with a configuration, a store, or a running service.

    CONFIG is one of the exporter, or of the services (butler vo serve --config).
    Of a STORE whose repository is named, or known under its label, files that
    are gone, empty or out of reach are listed, too.

    Each problem is a line: where it is, what is wrong, how to mend it.  The
    exit status is 1 if there are errors; warnings alone leave it 0.
    """
    from ..services import check as run

    report = run(target, repo=repo)
    click.echo(report.describe())
    if report.errors:
        sys.exit(1)
