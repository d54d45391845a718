"""``butler vo``: what it costs other commands, what help says, how errors look."""

import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from lsst.dax.vo.cli import get_cli_subcommands, vo
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.soda import MULTIPLE, PARAMETERS, Backend

COMMANDS = ("check", "cutout", "export", "init", "links", "query", "serve", "update")


def test_entry_point_gives_the_group() -> None:
    assert get_cli_subcommands() == [vo]


def test_listing_commands_loads_nothing_heavy() -> None:
    """The entry point runs in every butler command of everybody."""
    code = (
        "import sys\n"
        "from lsst.dax.vo.cli import get_cli_subcommands\n"
        "[group] = get_cli_subcommands()\n"
        "import click\n"
        "assert group.list_commands(click.Context(group))\n"
        "heavy = {'pydantic', 'duckdb', 'sqlglot', 'fastapi', 'uvicorn', 'pyarrow', 'numpy', 'astropy',\n"
        "         'lsst.daf.butler', 'lsst.images', 'rich', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(vo, ["--help"])
    assert result.exit_code == 0
    listed = re.findall(r"^  ([a-z]+)  +\S", result.output, re.MULTILINE)
    assert tuple(listed) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_says_what_it_does(command: str) -> None:
    result = CliRunner().invoke(vo, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: vo {command} ")
    assert "--help" in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_described(command: str) -> None:
    found = vo.get_command(click.Context(vo), command)
    assert found is not None
    for parameter in found.params:
        if isinstance(parameter, click.Option) and parameter.name != "response_format":
            assert parameter.help, parameter.name


@pytest.mark.parametrize("command", COMMANDS)
def test_command_line_and_help_of_the_group_agree(command: str) -> None:
    found = vo.get_command(click.Context(vo), command)
    assert found is not None
    assert found.name == command


def test_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(vo, ["nothing"])
    assert result.exit_code == 2
    assert "No such command 'nothing'" in result.stderr


def test_errors_of_ours_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command("broken")
    def broken() -> None:
        raise UsageError("ID='x' is no identifier; give another")

    monkeypatch.setattr(type(vo), "get_command", lambda *_: broken)
    result = CliRunner().invoke(vo, ["broken"])
    assert result.exit_code == 1
    assert (result.stdout, result.stderr) == ("", "Error: ID='x' is no identifier; give another\n")


def test_cutouts_have_the_parameters_of_the_service() -> None:
    """Their words are written once more in the command, which must not load the service to say them."""
    command = vo.get_command(click.Context(vo), "cutout")
    assert command is not None
    options = {parameter.name: parameter for parameter in command.params}
    names = {
        "CUTOUTDETAIL": "detail",
        "RESPONSEFORMAT": "response_format",
        "NORTHUP": "north_up",
        "ID": "datasets",
    }
    for parameter in PARAMETERS:
        option = options[names.get(parameter.name, parameter.name.lower())]
        if isinstance(option.type, click.Choice):
            assert tuple(option.type.choices) == parameter.options
        if parameter.name in MULTIPLE:
            assert option.multiple or option.nargs == -1
    assert tuple(options["backend"].type.choices) == tuple(one.value for one in Backend)
