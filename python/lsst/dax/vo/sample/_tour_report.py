"""What the tour prints: on the terminal, and the same words into a file."""

__all__ = ["Report"]

import io
import math
import textwrap
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_WIDTH = 100
"""Columns of the printed page, everywhere: the documentation shows them."""


class Report:
    """A printed walk: numbered steps, what was sent, what came back.

    Parameters
    ----------
    quiet
        Record only; print nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        # A console that is told to be quiet records nothing either.
        self._console = Console(
            file=io.StringIO() if quiet else None, width=_WIDTH, record=True, highlight=False, soft_wrap=False
        )
        self._step = 0
        self._start = time.perf_counter()

    def begin(self, title: str, text: str) -> None:
        """Print the title of the walk.

        Parameters
        ----------
        title
            What it is.
        text
            What it shows.
        """
        self._console.print(
            Panel(Text(textwrap.fill(text, _WIDTH - 4)), title=f"[bold]{escape(title)}", box=box.ROUNDED)
        )

    def step(self, title: str) -> None:
        """Begin a numbered step.

        Parameters
        ----------
        title
            What is done in it.
        """
        self._step += 1
        self._console.print(f"\n[bold cyan]{self._step:2d}  {escape(title)}")

    def say(self, text: str) -> None:
        """Print a finding.

        Parameters
        ----------
        text
            One or more sentences.
        """
        for line in text.splitlines():
            indent = line[: len(line) - len(line.lstrip())]
            filled = textwrap.fill(line, _WIDTH - 4, subsequent_indent=indent)
            self._console.print(Text(filled), style="default", soft_wrap=False)

    def code(self, text: str) -> None:
        """Print what is sent: a command, ADQL or Python.

        Parameters
        ----------
        text
            One or more lines.
        """
        self._console.print(
            Text(textwrap.indent(textwrap.dedent(text).strip(), "    ")), style="green", soft_wrap=True
        )

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        *,
        most_rows: int = 12,
        unit: str = "rows",
    ) -> None:
        """Print rows.

        Parameters
        ----------
        columns
            Names of the columns.
        rows
            Values; numbers are set to the right.
        most_rows
            Rows shown; how many more there are is told.
        unit
            What a row is, in the plural.
        """
        listed = list(rows)
        table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=True)
        for index, name in enumerate(columns):
            number = all(_is_number(row[index]) for row in listed) and listed
            table.add_column(escape(name), justify="right" if number else "left", overflow="fold")
        for row in listed[:most_rows]:
            table.add_row(*(Text(_format(value)) for value in row))
        self._console.print(table)
        if len(listed) > most_rows:
            self._console.print(f"    … and {len(listed) - most_rows} more {unit}", style="dim")

    def picture(self, path: Path, text: str) -> None:
        """Tell of a figure that was written.

        Parameters
        ----------
        path
            The file.
        text
            What it shows.
        """
        self._console.print(Text.assemble(("    picture  ", "magenta"), f"{path.name}: {text}"))

    def finish(self, text: str) -> None:
        """Print the last line, and how long it all took.

        Parameters
        ----------
        text
            Where the results are.
        """
        seconds = time.perf_counter() - self._start
        self._console.print(f"\n[bold green]Done in {seconds:.0f} s.[/] {escape(text)}")

    def text(self) -> str:
        """Return everything printed so far, without colors.

        Returns
        -------
        text : `str`
            Lines without trailing blanks.
        """
        exported = self._console.export_text(clear=False, styles=False)
        return "\n".join(line.rstrip() for line in exported.splitlines()) + "\n"


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, str | bytes)


def _format(value: Any) -> str:
    if value is None or bool(getattr(value, "mask", False)) or (_is_number(value) and math.isnan(value)):
        return "–"
    if _is_number(value) and hasattr(value, "is_integer") and not float(value).is_integer():
        return f"{float(value):.6g}"
    return str(value)
