"""From pixels to the objects of `lsst.images`, and to files of the Butler."""

__all__ = ["make_difference_image", "make_raw", "make_visit_image", "write_dataset"]

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astro_metadata_translator import ObservationInfo, makeObservationInfo
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord
from astropy.time import Time
from lsst.daf.butler import DatasetProvenance, DatasetRef, FileDescriptor, Location
from lsst.images import (
    DetectorFrame,
    DifferenceImage,
    Image,
    Mask,
    MaskedImage,
    MaskPlane,
    MaskSchema,
    ObservationSummaryStats,
    SkyProjection,
    VisitImage,
    get_legacy_difference_image_mask_planes,
    get_legacy_visit_image_mask_planes,
)
from lsst.images.cameras import Detector
from lsst.images.formatters import GenericFormatter
from lsst.images.psfs import GaussianPointSpreadFunction
from lsst.resources import ResourcePath

from ._camera import PIXEL_SCALE_ARCSEC
from ._pixels import ExposedPixels, noise_of, psf_sigma_px
from ._survey import Visit

_TILE = [125, 120]
"""Rows and columns that are compressed together: 16 tiles in a detector.
Tiles of one row each, the default, take seven times as long to write."""


def _quantize(level: float) -> dict[str, Any]:
    return {
        "algorithm": "RICE_1",
        "tile_shape": _TILE,
        "quantization": {"dither": "SUBTRACTIVE_DITHER_2", "level": level},
    }


RECIPES: dict[str, Any] = {
    # Lossless, for integers.
    "raw": {"image": {"algorithm": "RICE_1", "tile_shape": _TILE}},
    # Noise in 10 steps for each standard deviation; the variance, which has
    # no noise of its own, in coarser ones.
    "calibrated": {
        "image": _quantize(10.0),
        "mask": {"algorithm": "GZIP_2", "tile_shape": _TILE},
        "variance": _quantize(4.0),
        "psf": {"algorithm": "GZIP_2", "tile_shape": [5, 5, 21, 21]},
    },
}
"""How pixels are compressed, in the form of the Butler's write recipes."""

_EDGE_OF_DETECTION = 12
_TEMPLATE_DEPTH = 5
"""Visits whose noise is in a template."""


def make_raw(pixels: ExposedPixels, projection: SkyProjection[DetectorFrame]) -> Image:
    """Make a raw image: counts as they were read.

    Parameters
    ----------
    pixels
        What the detector saw.
    projection
        Pixels to ICRS.

    Returns
    -------
    raw : `lsst.images.Image`
    """
    return Image(pixels.raw, unit=u.adu, sky_projection=projection)


def make_visit_image(
    pixels: ExposedPixels,
    projection: SkyProjection[DetectorFrame],
    detector: Detector,
    visit: Visit,
    physical_filter: str,
) -> VisitImage:
    """Make a calibrated image of one detector.

    Parameters
    ----------
    pixels
        What the detector saw.
    projection
        Pixels to ICRS.
    detector
        The detector.
    visit
        The visit.
    physical_filter
        Its filter.

    Returns
    -------
    image : `lsst.images.VisitImage`
        With a PSF model that is one Gaussian as wide as the stars: their
        wings are not in it, as in many a quick reduction.
    """
    image = Image(pixels.image, unit=u.nJy, sky_projection=projection)
    sigma = psf_sigma_px(visit.seeing_arcsec)
    return VisitImage(
        image,
        mask=_make_mask(pixels, get_legacy_visit_image_mask_planes()),
        variance=Image(pixels.variance, unit=u.nJy**2),
        psf=GaussianPointSpreadFunction(sigma, bounds=image.bbox, stamp_size=2 * math.ceil(5 * sigma) + 1),
        obs_info=_describe(visit, detector, physical_filter),
        summary_stats=_summarize(pixels, projection, visit),
        detector=detector,
        band=visit.band,
    )


def make_difference_image(
    visit_image: VisitImage, pixels: ExposedPixels, visit: Visit, *, seed: list[int]
) -> DifferenceImage:
    """Subtract what does not change.

    Parameters
    ----------
    visit_image
        The image.
    pixels
        What it was made from.
    visit
        The visit.
    seed
        For the noise of the template.

    Returns
    -------
    difference : `lsst.images.DifferenceImage`
        The template is the sky before the supernova, with the seeing of the
        visit and the noise of a coadd; NaN where the detector was saturated.
    """
    noise = noise_of(visit.band).sky_njy / math.sqrt(_TEMPLATE_DEPTH)
    rng = np.random.default_rng(seed)
    template = pixels.steady + noise * rng.standard_normal(pixels.steady.shape)
    difference = (pixels.image - template).astype(np.float32)
    variance = (pixels.variance + noise**2).astype(np.float32)
    difference[pixels.saturated] = variance[pixels.saturated] = np.nan
    mask = _make_mask(pixels, get_legacy_difference_image_mask_planes(), ("DETECTED_NEGATIVE",))
    significance = np.nan_to_num(difference / np.sqrt(variance))
    mask.clear("DETECTED")
    mask.set("DETECTED", significance > 5)
    mask.set("DETECTED_NEGATIVE", significance < -5)
    return DifferenceImage(
        Image(difference, unit=u.nJy, sky_projection=visit_image.sky_projection),
        mask=mask,
        variance=Image(variance, unit=u.nJy**2),
        psf=visit_image.psf,
        obs_info=visit_image.obs_info,
        summary_stats=visit_image.summary_stats,
        detector=visit_image.detector,
        band=visit.band,
    )


def write_dataset(
    dataset: Image | MaskedImage, ref: DatasetRef, path: Path, inputs: Sequence[DatasetRef] = ()
) -> None:
    """Write a file as the Butler's ``put`` does, but in any process.

    Parameters
    ----------
    dataset
        What is written.
    ref
        What it will be in the repository.
    path
        The file.
    inputs
        Datasets that it was made from, for its header.
    """
    storage_class = ref.datasetType.storageClass
    formatter = GenericFormatter(
        FileDescriptor(Location(str(path.parent), path.name), storage_class),
        ref=ref,
        write_parameters={"recipe": recipe_of(storage_class.name)},
        write_recipes=RECIPES,
    )
    provenance = DatasetProvenance()
    for one in inputs:
        provenance.add_input(one)
    formatter.add_provenance(dataset, provenance=provenance)
    formatter.write_local_file(dataset, ResourcePath(path))


def recipe_of(storage_class: str) -> str:
    """Return which of the recipes a kind of image is written with.

    Parameters
    ----------
    storage_class
        Name of its storage class.

    Returns
    -------
    recipe : `str`
    """
    return "raw" if storage_class == "ImageV2" else "calibrated"


def _make_mask(pixels: ExposedPixels, planes: dict[str, MaskPlane], more: tuple[str, ...] = ()) -> Mask:
    used = ("BAD", "SAT", "INTRP", "CR", "EDGE", "DETECTED", "NO_DATA", *more)
    mask = Mask(schema=MaskSchema([planes[name] for name in used]), shape=pixels.image.shape)
    border = np.ones(pixels.image.shape, dtype=bool)
    border[_EDGE_OF_DETECTION:-_EDGE_OF_DETECTION, _EDGE_OF_DETECTION:-_EDGE_OF_DETECTION] = False
    mask.set("BAD", pixels.bad)
    mask.set("SATURATED", pixels.saturated)
    mask.set("INTERPOLATED", pixels.cosmic_ray)
    mask.set("COSMIC_RAY", pixels.cosmic_ray)
    mask.set("DETECTION_EDGE", border)
    mask.set("DETECTED", pixels.detected)
    mask.set("NO_DATA", pixels.bad | pixels.edge)
    return mask


def _describe(visit: Visit, detector: Detector, physical_filter: str) -> ObservationInfo:
    begin = Time(visit.begin_mjd, format="mjd", scale="tai")
    _, zenith_deg = visit.horizontal_deg()
    return makeObservationInfo(
        instrument=detector.instrument,
        telescope="Simonyi Survey Telescope",
        visit_id=visit.id,
        exposure_id=visit.id,
        observation_id=visit.name,
        observation_type="science",
        observing_day=visit.day_obs,
        observation_counter=visit.seq_num,
        physical_filter=physical_filter,
        datetime_begin=begin,
        datetime_end=Time(visit.begin_mjd + visit.exposure_s / 86400, format="mjd", scale="tai"),
        exposure_time=visit.exposure_s * u.s,
        boresight_airmass=1 / math.cos(math.radians(zenith_deg)),
        boresight_rotation_angle=Angle(visit.rotator_deg * u.deg),
        boresight_rotation_coord="sky",
        tracking_radec=SkyCoord(visit.ra_deg, visit.dec_deg, unit="deg"),
        detector_num=detector.id,
        detector_name=detector.name,
        detector_unique_name=detector.name,
        detector_serial=detector.serial,
        has_simulated_content=True,
        can_see_sky=True,
    )


def _summarize(
    pixels: ExposedPixels, projection: SkyProjection[DetectorFrame], visit: Visit
) -> ObservationSummaryStats:
    rows, columns = pixels.image.shape
    corners = projection.pixel_to_sky(
        x=np.array([0, columns - 1, columns - 1, 0, (columns - 1) / 2]),
        y=np.array([0, 0, rows - 1, rows - 1, (rows - 1) / 2]),
    )
    noise = noise_of(visit.band)
    sigma = psf_sigma_px(visit.seeing_arcsec)
    ra, dec = corners.ra.deg.tolist(), corners.dec.deg.tolist()
    return ObservationSummaryStats(
        psfSigma=sigma,
        psfArea=4 * math.pi * sigma**2,
        psfIxx=sigma**2,
        psfIyy=sigma**2,
        psfIxy=0.0,
        ra=ra[4],
        dec=dec[4],
        pixelScale=PIXEL_SCALE_ARCSEC,
        zenithDistance=visit.horizontal_deg()[1],
        expTime=visit.exposure_s,
        zeroPoint=31.4 - 2.5 * math.log10(noise.njy_per_electron),
        skyBg=noise.sky_electrons,
        skyNoise=math.sqrt(noise.sky_electrons),
        meanVar=float(np.nanmedian(pixels.variance)),
        raCorners=tuple(ra[:4]),
        decCorners=tuple(dec[:4]),
    )
