"""``butler vo update``."""

__all__ = ["update"]

from typing import Any

import click

from ._export import chosen


@click.command()
@click.argument("repo")
@click.argument("store")
@chosen
def update(repo: str, store: str, progress: bool | None, **options: Any) -> None:
    """Bring STORE up to date with REPO: additions, changes and removals.

    Only rows are made behind which something has changed.  A reader sees the
    table before or after all of it; if nothing has changed, STORE stays as it
    is.  Without --config, the table keeps the configuration that it has.
    """
    from ..services import update_store
    from ..store import parse_store
    from ._progress import watched

    for name in ("collections", "dataset_types"):
        options[name] = options[name] or None
    with watched(progress) as watch:
        report, changes = update_store(repo, store, watch=watch, **options)
    counts = f"{changes.added:,} added, {changes.changed:,} changed, {changes.removed:,} removed"
    # Its URL may hold a password.
    click.echo(f"{parse_store(store)}: {counts}, {changes.kept:,} kept ({report.seconds:.1f} s)")
    for remark in report.remarks():
        click.echo(remark)
