"""How commands write: whole files or nothing, and tables for people."""

__all__ = ["print_table", "write_file", "written_file"]

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.table import Table

from ..dali import ResultTable, RowLimit
from ..files import replacing


@contextmanager
def written_file(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only when it is complete.

    Parameters
    ----------
    path
        The file; `None` for standard output.

    Yields
    ------
    stream : `typing.BinaryIO`
        Where the content goes.

    Raises
    ------
    UsageError
        Raised if the file cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    with replacing(path, advice="choose another --output") as stream:
        yield stream


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file, or none.

    Parameters
    ----------
    path
        The file.
    content
        All of it.
    """
    with written_file(path) as stream:
        stream.write(content)


def print_table(result: ResultTable, *, most_columns: int = 12) -> None:
    """Print rows for a person.

    Parameters
    ----------
    result
        The rows; read to their limit.
    most_columns
        Columns shown; more than that would only wrap.
    """
    console = Console()
    shown = result.columns[:most_columns]
    table = Table(show_edge=False, header_style="bold")
    for column in shown:
        header = f"{column.name}\n[dim]{column.unit}[/dim]" if column.unit else column.name
        number = column.datatype not in ("char", "unicodeChar") and column.arraysize is None
        table.add_column(header, justify="right" if number else "left", overflow="fold")
    rows = RowLimit(result)
    count = 0
    for batch in rows:
        for row in batch.select(range(len(shown))).to_pylist():
            table.add_row(*("" if value is None else str(value) for value in row.values()))
            count += 1
    console.print(table)
    notes = [f"{count} row" if count == 1 else f"{count} rows"]
    if rows.overflow:
        notes.append("more exist (raise --maxrec)")
    if len(result.columns) > len(shown):
        notes.append(f"{len(result.columns) - len(shown)} further columns not shown (use --format csv)")
    console.print(", ".join(notes), style="dim")
