"""What goes into a coadd, and how the coadd tells of it."""

from __future__ import annotations

__all__ = ["CellShare", "CoaddInput", "share_of_cells", "tell_inputs"]

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lsst.images import Box, Polygon, SkyProjection, TractFrame
from lsst.images.cells import CoaddProvenance

from ._pixels import psf_sigma_px


@dataclass(frozen=True, slots=True)
class CoaddInput:
    """A visit image that may go into coadds."""

    pixels: Path
    """File with its arrays, as `numpy.savez` wrote them."""

    shape: tuple[int, int]
    """Rows and columns."""

    projection: SkyProjection[Any]
    """Its pixels to ICRS."""

    seeing_arcsec: float
    """Its seeing."""

    instrument: str
    """Its instrument."""

    visit: int
    """Its visit."""

    detector: int
    """Its detector."""

    physical_filter: str
    """Its filter."""

    day_obs: int
    """Night of the visit."""


class CellShare(NamedTuple):
    """What one image adds to each cell of a patch."""

    center: np.ndarray
    """Whether it sees the middle."""

    seen: np.ndarray
    """Which part it sees."""

    good: np.ndarray
    """Which part went in."""

    weight: np.ndarray
    """Its mean weight."""


def share_of_cells(inside: np.ndarray, good: np.ndarray, weight: np.ndarray, size: int) -> CellShare:
    """Return what an image adds to the cells of a patch.

    Parameters
    ----------
    inside, good
        Which pixels of the patch it sees, and which of these are good.
    weight
        Its weight in each pixel.
    size
        Pixels along a side of a cell.

    Returns
    -------
    share : `CellShare`
    """
    rows, columns = (length // size for length in inside.shape)

    def mean(values: np.ndarray) -> np.ndarray:
        return values.reshape(rows, size, columns, size).mean(axis=(1, 3))

    center = inside[size // 2 :: size, size // 2 :: size]
    return CellShare(center, mean(inside), mean(good), mean(weight))


def tell_inputs(
    inputs: Sequence[CoaddInput],
    shares: Sequence[CellShare],
    tract: SkyProjection[TractFrame],
    box: Box,
) -> CoaddProvenance | None:
    """Return the tables of images, and of what each adds to the cells.

    Parameters
    ----------
    inputs
        Images that went into a coadd.
    shares
        What each adds.
    tract
        Pixels of the tract to ICRS.
    box
        Pixels of the patch.

    Returns
    -------
    provenance : `lsst.images.cells.CoaddProvenance` or `None`
        `None` without any image.
    """
    if not inputs:
        return None
    rows, parts = [], []
    for one, share in zip(inputs, shares, strict=True):
        name = one.instrument, one.visit, one.detector
        rows.append((*name, one.physical_filter, one.day_obs, _outline(one, tract, box)))
        moment = psf_sigma_px(one.seeing_arcsec) ** 2
        parts += [
            (i, j, *name, *(plane[i, j] for plane in share), moment, moment, 0.0, False)
            for i, j in zip(*np.nonzero(share.seen), strict=True)
        ]
    images = CoaddProvenance.make_empty_input_table(len(rows))
    contributions = CoaddProvenance.make_empty_contribution_table(len(parts))
    for table, values in ((images, rows), (contributions, parts)):
        for name, column in zip(table.colnames, zip(*values, strict=True), strict=True):
            for number, value in enumerate(column):
                table[name][number] = value
    return CoaddProvenance(images, contributions)


def _outline(one: CoaddInput, tract: SkyProjection[TractFrame], box: Box) -> Any:
    """Return the outline of an image within a box of the tract."""
    rows, columns = one.shape
    sky = one.projection.pixel_to_sky_transform.apply_forward(
        x=np.array([-0.5, columns - 0.5, columns - 0.5, -0.5]),
        y=np.array([-0.5, -0.5, rows - 0.5, rows - 0.5]),
    )
    corners = tract.sky_to_pixel_transform.apply_forward(x=sky.x, y=sky.y)
    return Polygon(x_vertices=corners.x, y_vertices=corners.y).intersection(box)
