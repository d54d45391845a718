"""``butler vo cutout``."""

__all__ = ["cutout"]

from pathlib import Path

import click


@click.command()
@click.argument("repo", required=False)
@click.argument("dataset", metavar="ID", required=False)
@click.option("--file", "path", metavar="FITS_OR_URL", help="Cut this file, without a repository.")
@click.option("--circle", metavar="'RA DEC R'", help="Circle, degrees, ICRS.")
@click.option("--polygon", metavar="'RA1 DEC1 RA2 DEC2 ...'", help="Polygon, degrees, ICRS.")
@click.option("--pos", metavar="'SHAPE ...'", help="CIRCLE, RANGE or POLYGON and its numbers.")
@click.option(
    "--pixels",
    metavar="'X0 X1 Y0 Y1'",
    help="First and last pixel, inclusive, in the parent image's own coordinates (xy0 counted).",
)
@click.option(
    "--detail",
    type=click.Choice(["Image", "MaskedImage", "Exposure"], case_sensitive=False),
    default="Image",
    show_default=True,
    help="How much of the image: its pixels, with mask and variance, or all there is.",
)
@click.option("--format", "response_format", type=click.Choice(["fits"]), default="fits", show_default=True)
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="File to write.")
def cutout(
    repo: str | None,
    dataset: str | None,
    path: str | None,
    circle: str | None,
    polygon: str | None,
    pos: str | None,
    pixels: str | None,
    detail: str,
    response_format: str,
    output: Path,
) -> None:
    """Cut a region out of the dataset ID of REPO, or out of a file."""
    from ..services import cut_dataset, cut_file
    from ._output import write_file

    shapes = {"CIRCLE": circle, "POLYGON": polygon, "POS": pos, "PIXELS": pixels}
    given = [(name, text) for name, text in shapes.items() if text is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --circle, --polygon, --pos and --pixels")
    pairs = [*given, ("CUTOUTDETAIL", detail), ("RESPONSEFORMAT", response_format)]
    if path is not None and repo is None:
        result = cut_file(path, pairs)
    elif path is None and repo is not None and dataset is not None:
        result = cut_dataset(repo, dataset, pairs)
    else:
        raise click.UsageError("give either REPO and ID, or --file")
    if result is None:
        raise click.ClickException("No pixel of the image lies inside the region; nothing was written")
    write_file(output, result.content)
    click.echo(f"Wrote {output}: {result.describe()}")
