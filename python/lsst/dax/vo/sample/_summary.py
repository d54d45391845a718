"""The summary of a visit: a row for each detector."""

__all__ = ["make_summary", "write_summary"]

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet
from astropy import units as u
from astropy.table import Table
from lsst.daf.butler import DatasetProvenance, DatasetRef
from lsst.daf.butler.formatters.parquet import astropy_to_arrow
from lsst.images import VisitImage

from ._survey import Visit


def make_summary(visit: Visit, physical_filter: str, images: Mapping[int, VisitImage]) -> Table:
    """Summarize the images of a visit.

    Parameters
    ----------
    visit
        The visit.
    physical_filter
        Its filter.
    images
        Its images, by detector.

    Returns
    -------
    summary : `astropy.table.Table`
        With names and meanings of the columns of DP2's ``visit_summary``.
    """
    boxes = [image.bbox for image in images.values()]
    stats = [image.summary_stats for image in images.values()]
    pixels = {
        f"bbox_{end}_{axis}": [getattr(getattr(box, axis), end) for box in boxes]
        for end in ("min", "max")
        for axis in "xy"
    }
    table = Table(
        {
            "id": list(images),
            "visit": [visit.id] * len(images),
            "physical_filter": [physical_filter] * len(images),
            "band": [visit.band] * len(images),
            **pixels,
            **{
                name: [getattr(stat, name) for stat in stats]
                for name in (
                    "psfSigma",
                    "pixelScale",
                    "ra",
                    "dec",
                    "zenithDistance",
                    "zeroPoint",
                    "skyBg",
                    "skyNoise",
                )
            },
        }
    )
    for name, unit in (("psfSigma", u.pix), ("pixelScale", u.arcsec / u.pix), ("ra", u.deg), ("dec", u.deg)):
        table[name].unit = unit
    return table


def write_summary(table: Table, ref: DatasetRef, path: Path, inputs: Sequence[DatasetRef]) -> None:
    """Write a summary as the Butler writes tables.

    Parameters
    ----------
    table
        The summary; what it was made from is added to its metadata.
    ref
        What it will be in the repository.
    path
        The file, in Parquet.
    inputs
        Datasets that it was made from.
    """
    provenance = DatasetProvenance()
    for one in inputs:
        provenance.add_input(one)
    # As its delegate for tables does in "put".
    table.meta.update(provenance.to_flat_dict(ref, prefix="LSST.BUTLER", sep=".", simple_types=True))
    pyarrow.parquet.write_table(astropy_to_arrow(table), path)
