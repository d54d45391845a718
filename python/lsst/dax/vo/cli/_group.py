"""The group ``butler vo`` and its list of commands."""

__all__ = ["vo"]

from importlib import import_module
from typing import Any

import click

from ..errors import VoError

_COMMANDS = {
    "check": "Say what is wrong with a configuration, a store, or a service.",
    "cutout": "Cut a region out of an image.",
    "export": "Export a repository's ObsCore table to a file or a store.",
    "init": "Write a configuration to start from.",
    "links": "Write the DataLink document of some datasets.",
    "query": "Ask a store in ADQL.",
    "serve": "Serve TAP, SIAv2, DataLink and SODA.",
    "update": "Bring a store up to date with its repository.",
}
"""Names, each a module ``_<name>`` of this folder, and what help says."""


class _LazyGroup(click.Group):
    """A group that imports a command when it is run, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        # Docstring inherited.
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # Docstring inherited.
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"._{cmd_name}", __package__), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Docstring inherited.
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        # The one place where an error of ours becomes a line on the terminal.
        try:
            return super().invoke(ctx)
        except VoError as err:
            raise click.ClickException(str(err)) from err


@click.group(name="vo", cls=_LazyGroup)
def vo() -> None:
    """Serve the images of a repository to the Virtual Observatory."""
