"""``butler vo cutout``."""

__all__ = ["cutout"]

from pathlib import Path

import click

_SHAPES = ("circle", "polygon", "pos", "pixels", "center", "size", "sizepix", "band", "time", "pol")


@click.command()
@click.argument("repo", required=False)
@click.argument("datasets", metavar="ID", nargs=-1)
@click.option(
    "--file",
    "paths",
    metavar="FITS_OR_URL",
    multiple=True,
    help="Cut this file, without a repository; may be repeated.",
)
@click.option("--hdu", metavar="NUMBER_OR_NAME", help="Of a file with several images: the one to cut.")
@click.option("--circle", metavar="'RA DEC R'", multiple=True, help="Circle, degrees, ICRS.")
@click.option("--polygon", metavar="'RA1 DEC1 RA2 DEC2 ...'", multiple=True, help="Polygon, degrees, ICRS.")
@click.option("--pos", metavar="'SHAPE ...'", multiple=True, help="CIRCLE, RANGE or POLYGON and its numbers.")
@click.option(
    "--pixels",
    metavar="'X0 X1 Y0 Y1'",
    multiple=True,
    help="First and last pixel, inclusive, in the parent image's own coordinates (xy0 counted).",
)
@click.option(
    "--center", metavar="'RA DEC'", multiple=True, help="Center of a box of --size or --sizepix, degrees."
)
@click.option("--size", metavar="'W H'", multiple=True, help="Width and height around --center, arcseconds.")
@click.option("--sizepix", metavar="'W H'", multiple=True, help="Width and height around --center, pixels.")
@click.option(
    "--band", metavar="'LOW HIGH'", multiple=True, help="Wavelengths, metres: only images that have some."
)
@click.option(
    "--time", metavar="'LOW HIGH'", multiple=True, help="Times, MJD (UTC): only images that have some."
)
@click.option("--pol", metavar="STATE", multiple=True, help="Polarization state: only images that have it.")
@click.option(
    "--detail",
    type=click.Choice(["Image", "MaskedImage", "Exposure"], case_sensitive=False),
    default="Image",
    show_default=True,
    help="How much of the image: its pixels, with mask and variance, or all there is.",
)
@click.option(
    "--outside",
    type=click.Choice(["keep", "mask", "nan"], case_sensitive=False),
    default="keep",
    show_default=True,
    help="What becomes of pixels outside of the shape.",
)
@click.option(
    "--format",
    "response_format",
    metavar="FORMAT",
    default="fits",
    show_default=True,
    help="fits, png, jpeg; of several cutouts one file: tar, zip, mef, tar-png, zip-png, ...",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "fits", "images", "afw"], case_sensitive=False),
    default="auto",
    show_default=True,
    help="What reads the file: by default what fits it; afw needs lsst.afw.",
)
@click.option("--stretch", help="Of a picture: asinh, linear, log, sqrt or zscale.")
@click.option("--limits", help="Of a picture, black and white: 'LOW HIGH', minmax, zscale, or as 99.5%.")
@click.option("--colormap", help="Of a picture: gray, viridis, ...")
@click.option("--north-up", is_flag=True, help="Turn a picture so that north is up.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write; of several cutouts a folder that exists.",
)
def cutout(
    repo: str | None,
    datasets: tuple[str, ...],
    paths: tuple[str, ...],
    hdu: str | None,
    detail: str,
    outside: str,
    response_format: str,
    backend: str,
    stretch: str | None,
    limits: str | None,
    colormap: str | None,
    north_up: bool,
    output: Path,
    **shapes: tuple[str, ...],
) -> None:
    """Cut regions out of the datasets ID of REPO, or out of files.

    Each ID or file is cut by each shape.
    """
    from ..services import write_cutouts
    from ..soda import Backend

    if bool(paths) == bool(datasets) or (repo is not None) != bool(datasets):
        raise click.UsageError("give either REPO and ID, or --file")
    if hdu is not None and not paths:
        raise click.UsageError("--hdu goes with --file")
    if not any(shapes.values()):
        raise click.UsageError(
            "give one of --circle, --polygon, --pos, --pixels, and --center with --size or --sizepix"
        )
    pairs = [("ID", text) for text in (*datasets, *paths)]
    pairs += [(name.upper(), text) for name in _SHAPES for text in shapes[name]]
    pairs += [("CUTOUTDETAIL", detail), ("OUTSIDE", outside), ("RESPONSEFORMAT", response_format)]
    pairs += [
        (name, value)
        for name, value in (("STRETCH", stretch), ("LIMITS", limits), ("COLORMAP", colormap))
        if value is not None
    ]
    if north_up:
        pairs.append(("NORTHUP", "true"))
    for line in write_cutouts(output, pairs, repo=repo, hdu=hdu, backend=Backend(backend.lower())):
        click.echo(line)
