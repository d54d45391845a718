"""``butler vo query``."""

__all__ = ["query"]

from pathlib import Path

import click


@click.command()
@click.argument("store")
@click.argument("adql")
@click.option(
    "--format",
    "response_format",
    type=click.Choice(["table", "votable", "csv", "tsv", "fits", "parquet", "arrow", "json", "html"]),
    default="table",
    show_default=True,
    help="What is written.",
)
@click.option("--maxrec", type=click.IntRange(min=0), help="Most rows that are written.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File; the terminal by default.")
def query(store: str, adql: str, response_format: str, maxrec: int | None, output: Path | None) -> None:
    """Ask STORE a question in ADQL and print the answer.

    For example: butler vo query sky.store "SELECT COUNT(*) FROM ivoa.ObsCore"
    """
    from ..dali import ParamSet, parse_format, write_table
    from ..services import query_store
    from ._output import print_table, written_file

    with query_store(store, adql, maxrec=maxrec) as result:
        if response_format == "table" and output is None:
            print_table(result)
            return
        wanted = "csv" if response_format == "table" else response_format
        answer = parse_format(ParamSet.from_pairs([("RESPONSEFORMAT", wanted)]))
        with written_file(output) as stream:
            for chunk in write_table(result, answer):
                stream.write(chunk)
