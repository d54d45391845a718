"""Small objects of every class of `lsst.images` that is an image."""

from __future__ import annotations

__all__ = [
    "make_cell_coadd",
    "make_color_image",
    "make_difference_image",
    "make_lsst_image",
    "make_masked_image",
    "make_visit_image",
]

import math
from typing import Any

import numpy as np
from astro_metadata_translator import makeObservationInfo
from astropy import units as u
from astropy.time import Time
from astropy.wcs import WCS
from lsst.images import (
    YX,
    BackgroundMap,
    Box,
    ColorImage,
    DetectorFrame,
    DifferenceImage,
    GeneralFrame,
    Image,
    Mask,
    MaskedImage,
    MaskPlane,
    MaskSchema,
    ObservationSummaryStats,
    Polygon,
    SkyProjection,
    TractFrame,
    VisitImage,
)
from lsst.images.cells import (
    CellCoadd,
    CellField,
    CellGrid,
    CellGridBounds,
    CellIJ,
    CellPointSpreadFunction,
    CoaddProvenance,
    PatchDefinition,
)
from lsst.images.convolution_kernels import ImageBasisConvolutionKernel
from lsst.images.fields import ChebyshevField, SplineField
from lsst.images.psfs import GaussianPointSpreadFunction

from ..sample._camera import CameraPlan, DetectorPlan
from ._cutout_files import IMAGE_SHAPE, IMAGE_XY0, make_image_header, make_image_planes

_BOX = Box.factory[IMAGE_XY0[1] : IMAGE_XY0[1] + IMAGE_SHAPE[0], IMAGE_XY0[0] : IMAGE_XY0[0] + IMAGE_SHAPE[1]]
_CELL = YX(24, 20)
_VISIT = 2026010200003


def make_masked_image(schema: MaskSchema | None = None, frame: Any = None) -> MaskedImage:
    """Make image, mask and variance of `make_image_planes` with their WCS.

    Parameters
    ----------
    schema
        Mask planes; by default the three of which two have pixels.
    frame
        Frame of the pixels; a plain one by default.

    Returns
    -------
    image : `lsst.images.MaskedImage`
    """
    planes: dict[str, Any] = dict(make_image_planes())
    projection = SkyProjection.from_fits_wcs(
        WCS(make_image_header()), frame or GeneralFrame(unit=u.pix), x0=IMAGE_XY0[0], y0=IMAGE_XY0[1]
    )
    schema = schema or MaskSchema(
        [MaskPlane("BAD", "bad"), MaskPlane("SAT", "full"), MaskPlane("DETECTED", "found")]
    )
    mask = Mask(0, schema=schema, bbox=_BOX)
    mask.set("BAD", (planes["mask"] & 1) != 0)
    mask.set("DETECTED", (planes["mask"] & 4) != 0)
    return MaskedImage(
        Image(planes["image"], bbox=_BOX, unit=u.nJy),
        mask=mask,
        variance=Image(planes["variance"], bbox=_BOX, unit=u.nJy**2),
        sky_projection=projection,
        metadata={"id": 7, "note": "not a number: NaN", "ratio": 0.1},
    )


def make_lsst_image() -> Image:
    """Make the image alone.

    Returns
    -------
    image : `lsst.images.Image`
    """
    whole = make_masked_image()
    return Image(whole.image.array, bbox=_BOX, unit=u.nJy, sky_projection=whole.sky_projection)


def make_color_image() -> ColorImage:
    """Make three channels of bytes.

    Returns
    -------
    image : `lsst.images.ColorImage`
    """
    rgb = np.random.default_rng(1).integers(0, 255, (*IMAGE_SHAPE, 3), dtype=np.uint8)
    return ColorImage(rgb, bbox=_BOX, sky_projection=make_masked_image().sky_projection)


def make_visit_image() -> VisitImage:
    """Make a visit image with PSF, detector, calibrations and backgrounds.

    Returns
    -------
    image : `lsst.images.VisitImage`
        It is valid in a triangle that holds its middle.
    """
    return VisitImage(**_visit_parts())


def make_difference_image() -> DifferenceImage:
    """Make a difference image, which has a kernel beside all of a visit image.

    Returns
    -------
    image : `lsst.images.DifferenceImage`
    """
    basis = np.random.default_rng(3).random((2, 3, 3))
    kernel = ImageBasisConvolutionKernel(basis, [_field(1.0), _field(0.2)])
    return DifferenceImage(**_visit_parts(), kernel=kernel, templates=[])


def make_cell_coadd() -> CellCoadd:
    """Make a coadd of cells, one of which is missing, with provenance.

    Returns
    -------
    coadd : `lsst.images.cells.CellCoadd`
    """
    frame = TractFrame(skymap="cells", tract=4431, bbox=_BOX)
    whole = make_masked_image(frame=frame)
    rng = np.random.default_rng(4)
    grid = CellGrid(bbox=_BOX, cell_shape=_CELL)
    bounds = CellGridBounds(grid=grid, bbox=_BOX, missing=frozenset([CellIJ(i=1, j=2)]))
    kernels = rng.random((*grid.grid_size.as_tuple(), 5, 7))
    kernels[1, 2] = np.nan
    factors = rng.random(grid.grid_size.as_tuple())
    factors[1, 2] = np.nan
    return CellCoadd(
        whole.image,
        mask=whole.mask,
        variance=whole.variance,
        mask_fractions={"rejected": Image(rng.random(IMAGE_SHAPE).astype("f4"), bbox=_BOX)},
        noise_realizations=[
            Image(rng.normal(0, 1, IMAGE_SHAPE).astype("f4"), bbox=_BOX, unit=u.nJy) for _ in range(2)
        ],
        sky_projection=whole.sky_projection,
        band="r",
        psf=CellPointSpreadFunction(kernels, bounds),
        aperture_corrections={"gaap": CellField(bounds, factors)},
        patch=PatchDefinition(id=43, index=YX(4, 3), inner_bbox=_BOX, cells=grid),
        provenance=_make_provenance(bounds, rng),
    )


def _visit_parts() -> dict[str, Any]:
    camera = CameraPlan("SimCam", (DetectorPlan(4, "R22", "S11", 0.0, 0.0, 30.0),), IMAGE_SHAPE)
    frame = DetectorFrame(instrument="SimCam", visit=_VISIT, detector=4, bbox=_BOX)
    whole = make_masked_image(frame=frame)
    begin = Time(61000.25, format="mjd", scale="tai")
    obs_info = makeObservationInfo(
        instrument="SimCam",
        telescope="Simonyi Survey Telescope",
        visit_id=_VISIT,
        exposure_id=_VISIT,
        observation_type="science",
        physical_filter="r_57",
        datetime_begin=begin,
        datetime_end=begin + 30 * u.s,
        exposure_time=30 * u.s,
        detector_num=4,
    )
    x0, y0 = IMAGE_XY0
    backgrounds = BackgroundMap()
    backgrounds.add(
        "sky",
        SplineField(
            _BOX,
            np.random.default_rng(2).random((20, 30)),
            y=np.linspace(y0, y0 + 71, 20),
            x=np.linspace(x0, x0 + 79, 30),
            unit=u.nJy,
        ),
        "of the sky",
    )
    return {
        "image": whole.image,
        "mask": whole.mask,
        "variance": whole.variance,
        "bounds": Polygon(
            x_vertices=np.array([x0 - 0.5, x0 + 79.5, x0 + 40.0]),
            y_vertices=np.array([y0 - 0.5, y0 + 2.5, y0 + 71.5]),
        ),
        "obs_info": obs_info,
        "summary_stats": ObservationSummaryStats(
            psfSigma=1.7, zeroPoint=31.4, raCorners=(1.0, 2.0, 3.0, 4.0)
        ),
        "photometric_scaling": ChebyshevField(_BOX, np.array([[1.5, 0.01]]), unit=u.nJy / u.electron),
        "psf": GaussianPointSpreadFunction(1.7, bounds=_BOX, stamp_size=2 * math.ceil(5 * 1.7) + 1),
        "detector": camera.detector(camera.detectors[0], camera.frames(), _VISIT),
        "aperture_corrections": {"base_PsfFlux_instFlux": _field(1.01)},
        "backgrounds": backgrounds,
        "band": "r",
        "metadata": {"id": 47152417142},
    }


def _field(value: float) -> ChebyshevField:
    return ChebyshevField(_BOX, np.array([[value, 0.01], [0.02, 0.0]]))


def _make_provenance(bounds: CellGridBounds, rng: np.random.Generator) -> CoaddProvenance:
    # Each visit saw some of the cells.
    inputs = CoaddProvenance.make_empty_input_table(9)
    outline = Polygon.from_box(_BOX)
    for number in range(9):
        inputs["instrument"][number], inputs["physical_filter"][number] = "SimCam", "r_57"
        inputs["visit"][number], inputs["detector"][number] = _VISIT + number // 2, number % 2
        inputs["day_obs"][number], inputs["polygon"][number] = 20260102, outline
    seen = [
        (cell, number)
        for number in range(9)
        for cell in bounds.cell_indices()
        if rng.random() < 1 / (1 + number)
    ]
    table = CoaddProvenance.make_empty_contribution_table(len(seen))
    for row, (cell, number) in enumerate(seen):
        table["cell_i"][row], table["cell_j"][row] = cell.i, cell.j
        for name in ("instrument", "visit", "detector"):
            table[name][row] = inputs[name][number]
    for name in ("overlap_fraction", "unmasked_fraction", "weight", "psf_shape_xx"):
        table[name] = rng.random(len(seen))
    return CoaddProvenance(inputs, table)
