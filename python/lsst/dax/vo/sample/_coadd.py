"""Coadds: visit images, resampled to the pixels of a tract, and averaged."""

__all__ = ["TractPlan", "make_coadd", "save_input"]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from lsst.images import (
    YX,
    Box,
    Image,
    Mask,
    MaskSchema,
    SkyProjection,
    TractFrame,
    get_legacy_deep_coadd_mask_planes,
)
from lsst.images.cells import (
    CellCoadd,
    CellGrid,
    CellGridBounds,
    CellIJ,
    CellPointSpreadFunction,
    PatchDefinition,
)

from ._camera import PIXEL_SCALE_ARCSEC
from ._coadd_inputs import CellShare, CoaddInput, share_of_cells, tell_inputs
from ._pixels import ExposedPixels, psf_kernel
from ._survey import PATCH_BORDER, PATCH_SIZE, PATCHES, Field
from ._wcs import tract_projection

_CELL = 100
_PSF_RADIUS = 10
_UNUSABLE, _SATURATED, _COSMIC_RAY = 1, 2, 4
"""Bits of the flags in the files of inputs."""

_MESH = 25
"""Pixels between points for which the projections are computed; between them
they are interpolated, to some 1e-4 pixels."""


@dataclass(frozen=True, slots=True)
class TractPlan:
    """A tract with patches around the center of a field."""

    skymap: str
    """Sky map."""

    field: Field
    """The field."""

    @property
    def box(self) -> Box:
        """Pixels of the tract."""
        size = PATCHES * PATCH_SIZE
        return Box.factory[0:size, 0:size]

    def projection(self) -> SkyProjection[TractFrame]:
        """Return pixels to ICRS.

        Returns
        -------
        projection : `lsst.images.SkyProjection`
            Centered so that the center of the field is in the middle of its
            patch.
        """
        frame = TractFrame(skymap=self.skymap, tract=self.field.tract, bbox=self.box)
        middle = self.inner_box(self.field.patch)
        center = (PATCHES * PATCH_SIZE - 1) / 2
        # The point of tangency is the middle of the tract.  North of the
        # field's center by so many degrees; east by so many.
        north = (center - middle.y.center) * PIXEL_SCALE_ARCSEC / 3600
        west = (center - middle.x.center) * PIXEL_SCALE_ARCSEC / 3600
        dec = self.field.dec_deg + north
        ra = self.field.ra_deg - west / math.cos(math.radians(dec))
        return tract_projection(frame, ra_deg=ra, dec_deg=dec, x=center, y=center)

    def cell(self, patch: int) -> tuple[int, int]:
        """Return column and row of a patch."""
        return patch % PATCHES, patch // PATCHES

    def inner_box(self, patch: int) -> Box:
        """Return its pixels that no neighbour has."""
        column, row = self.cell(patch)
        x, y = column * PATCH_SIZE, row * PATCH_SIZE
        return Box.factory[y : y + PATCH_SIZE, x : x + PATCH_SIZE]

    def outer_box(self, patch: int) -> Box:
        """Return all its pixels."""
        inner = self.inner_box(patch)
        return Box.factory[
            inner.y.start - PATCH_BORDER : inner.y.stop + PATCH_BORDER,
            inner.x.start - PATCH_BORDER : inner.x.stop + PATCH_BORDER,
        ]


def save_input(path: Path, pixels: ExposedPixels) -> None:
    """Keep what coadds need of a visit image.

    Parameters
    ----------
    path
        The file.
    pixels
        What the detector saw.
    """
    flags = _UNUSABLE * (pixels.bad | pixels.edge | pixels.saturated)
    flags = flags + _SATURATED * pixels.saturated + _COSMIC_RAY * pixels.cosmic_ray
    np.savez(path, image=pixels.image, variance=pixels.variance, flags=flags.astype(np.uint8))


def make_coadd(
    tract: TractPlan, patch: int, band: str, inputs: Sequence[CoaddInput]
) -> tuple[CellCoadd, list[int]]:
    """Average visit images.

    Parameters
    ----------
    tract
        The tract.
    patch
        The patch.
    band
        The band.
    inputs
        Images in that band; those that do not reach the patch are left out.

    Returns
    -------
    coadd : `lsst.images.cells.CellCoadd`
        NaN, and NO_DATA, where there was no good pixel.
    used : `list` [`int`]
        Indices of the inputs that went in.
    """
    box, projection = tract.outer_box(patch), tract.projection()
    shape = box.shape
    total, weights, variance, seen = (np.zeros(shape) for _ in range(4))
    rejected, saturated, cosmic_ray = (np.zeros(shape, dtype=bool) for _ in range(3))
    grid = CellGrid(bbox=box, cell_shape=YX(_CELL, _CELL))
    size = grid.grid_size
    kernels = np.zeros((size.i, size.j, 2 * _PSF_RADIUS + 1, 2 * _PSF_RADIUS + 1))
    kernel_weights = np.zeros((size.i, size.j))
    used: list[int] = []
    shares: list[CellShare] = []
    for index, one in enumerate(inputs):
        with np.load(one.pixels) as arrays:
            place = _pixels_of(one.projection, projection, box, one.shape)
            warped = _resample(arrays, *place) if place is not None else None
        if warped is None:
            continue
        used.append(index)
        weight = warped.good / warped.sky_variance
        total += weight * warped.image
        variance += weight**2 * warped.variance
        weights += weight
        seen += warped.inside
        rejected |= warped.inside & ~warped.good
        saturated |= warped.saturated
        cosmic_ray |= warped.cosmic_ray & warped.good
        # The images that a cell's PSF tells of are those that see its middle.
        middle = weight[_CELL // 2 :: _CELL, _CELL // 2 :: _CELL]
        shares.append(share_of_cells(warped.inside, warped.good, weight, _CELL))
        kernels += middle[:, :, np.newaxis, np.newaxis] * psf_kernel(one.seeing_arcsec, _PSF_RADIUS)
        kernel_weights += middle
    with np.errstate(invalid="ignore", divide="ignore"):
        image = (total / weights).astype(np.float32)
        noise = (variance / weights**2).astype(np.float32)
        kernels /= kernel_weights[:, :, np.newaxis, np.newaxis]
    planes = get_legacy_deep_coadd_mask_planes()
    mask = Mask(
        schema=MaskSchema(
            [planes[name] for name in ("NO_DATA", "CR", "SAT", "EDGE", "REJECTED", "DETECTED", "INEXACT_PSF")]
        ),
        bbox=box,
    )
    border = np.ones(shape, dtype=bool)
    border[12:-12, 12:-12] = False
    partly = rejected | (seen != np.repeat(np.repeat(seen[50::100, 50::100], 100, axis=0), 100, axis=1))
    mask.set("NO_DATA", weights == 0)
    mask.set("COSMIC_RAY", cosmic_ray)
    mask.set("SATURATED", saturated)
    mask.set("DETECTION_EDGE", border)
    mask.set("REJECTED", rejected)
    mask.set("DETECTED", _is_detected(image, noise))
    mask.set("INEXACT_PSF", partly)
    missing = frozenset(CellIJ(int(i), int(j)) for i, j in zip(*np.nonzero(kernel_weights == 0), strict=True))
    column, row = tract.cell(patch)
    coadd = CellCoadd(
        Image(image, bbox=box, unit=u.nJy, sky_projection=projection),
        mask=mask,
        variance=Image(noise, bbox=box, unit=u.nJy**2),
        band=band,
        psf=CellPointSpreadFunction(kernels, CellGridBounds(grid=grid, bbox=box, missing=missing)),
        patch=PatchDefinition(id=patch, index=YX(row, column), inner_bbox=tract.inner_box(patch), cells=grid),
        provenance=tell_inputs([inputs[index] for index in used], shares, projection, box),
    )
    return coadd, used


@dataclass(frozen=True, slots=True)
class _Warped:
    image: np.ndarray
    variance: np.ndarray
    good: np.ndarray
    inside: np.ndarray
    saturated: np.ndarray
    cosmic_ray: np.ndarray
    sky_variance: float


def _pixels_of(
    projection: SkyProjection[Any], tract: SkyProjection[TractFrame], box: Box, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return where the pixels of a box are in another image, if any is."""
    rows, columns = box.shape
    knots_y, knots_x = np.arange(0, rows + _MESH, _MESH), np.arange(0, columns + _MESH, _MESH)
    grid_x, grid_y = np.meshgrid(box.x.start + knots_x, box.y.start + knots_y)
    sky = tract.pixel_to_sky_transform.apply_forward(x=grid_x, y=grid_y)
    found = projection.sky_to_pixel_transform.apply_forward(x=sky.x, y=sky.y)
    x, y = np.asarray(found.x), np.asarray(found.y)
    reach = 2 * _MESH
    if not ((x > -reach) & (x < shape[1] + reach) & (y > -reach) & (y < shape[0] + reach)).any():
        return None
    across, down = _linear(columns, knots_x.size), _linear(rows, knots_y.size)
    return down @ x @ across.T, down @ y @ across.T


def _linear(size: int, knots: int) -> np.ndarray:
    """Return the matrix that interpolates between knots."""
    position = np.arange(size) / _MESH
    left = np.floor(position).astype(int)
    matrix = np.zeros((size, knots))
    matrix[np.arange(size), left] = 1 - (position - left)
    matrix[np.arange(size), left + 1] = position - left
    return matrix


def _resample(arrays: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> _Warped | None:
    """Interpolate an image with bicubic convolution; `None` if it is off."""
    image, variance, flags = arrays["image"], arrays["variance"], arrays["flags"]
    rows, columns = image.shape
    left, bottom = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    inside = (left >= 1) & (left < columns - 2) & (bottom >= 1) & (bottom < rows - 2)
    chosen = np.flatnonzero(inside)
    if not chosen.size:
        return None
    weights_x = _cubic((x - left).ravel()[chosen])
    weights_y = _cubic((y - bottom).ravel()[chosen])
    corner = (bottom.ravel()[chosen] - 1) * columns + left.ravel()[chosen] - 1
    values = np.where(flags & _UNUSABLE == 0, image, 0).ravel()
    total = np.zeros(chosen.size, dtype=np.float32)
    for row in range(4):
        line = np.zeros(chosen.size, dtype=np.float32)
        for column in range(4):
            line += weights_x[column] * values[corner + (row * columns + column)]
        total += weights_y[row] * line
    # Variance is smooth: one pixel stands for sixteen.  What was wrong with
    # any of them is wrong with the result.
    squares = (weights_x**2).sum(axis=0) * (weights_y**2).sum(axis=0)
    nearest = np.nan_to_num(variance).ravel()[corner + columns + 1]
    touched = _spread_flags(flags).ravel()[corner]
    result = np.zeros((2, *x.shape), dtype=np.float32)
    result.reshape(2, -1)[:, chosen] = total, squares * nearest
    bits = np.zeros(x.shape, dtype=np.uint8)
    bits.reshape(-1)[chosen] = touched
    return _Warped(
        image=result[0],
        variance=result[1],
        good=inside & (bits & _UNUSABLE == 0),
        inside=inside,
        saturated=bits & _SATURATED != 0,
        cosmic_ray=bits & _COSMIC_RAY != 0,
        sky_variance=float(np.nanmedian(variance)),
    )


def _spread_flags(flags: np.ndarray) -> np.ndarray:
    """Return the flags of each pixel and the 4 by 4 above and to its right."""
    spread = np.pad(flags, ((0, 3), (0, 3)))
    for step in (1, 2):
        spread[:-step] |= spread[step:]
        spread[:, :-step] |= spread[:, step:]
    return spread[: flags.shape[0], : flags.shape[1]]


def _cubic(offset: np.ndarray) -> np.ndarray:
    """Return the four weights of Keys' cubic convolution (a = -1/2)."""
    t = offset.astype(np.float32)
    return np.stack(
        [
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        ]
    )


def _is_detected(image: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Say which pixels stand out of the noise, smoothed over 3 by 3 pixels."""
    ratio = np.pad(np.nan_to_num(image / np.sqrt(variance)), 1)
    rows, columns = image.shape
    smoothed = sum(
        ratio[row : row + rows, column : column + columns] for row in range(3) for column in range(3)
    )
    return np.asarray(smoothed > 9 * 1.5)
