"""The command line: ``butler vo …``.

The entry point's function runs whenever anybody runs any butler command, and
an error in it would end them all: it imports click and this folder alone.
"""

from ._group import vo

__all__ = ["get_cli_subcommands", "vo"]

import click


def get_cli_subcommands() -> list[click.Command]:
    """Return the commands that this package adds to ``butler``.

    Returns
    -------
    commands : `list` [`click.Command`]
        The group ``vo``; its commands import what they need when they run.
    """
    return [vo]
