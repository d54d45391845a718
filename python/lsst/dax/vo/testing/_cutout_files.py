"""Small image files in the formats that the cutout backends read."""

from __future__ import annotations

__all__ = ["IMAGE_SHAPE", "IMAGE_XY0", "make_image_header", "make_image_planes", "write_afw_file"]

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

type Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

IMAGE_SHAPE = (72, 80)
"""Rows and columns of the images."""

IMAGE_XY0 = (1000, -40)
"""Parent coordinates of their first pixel."""


def make_image_header(*, ra_deg: float = 359.9995, dec_deg: float = -32.3, sip: bool = False) -> fits.Header:
    """Make a WCS with square pixels of 0.2 arcseconds, rotated and flipped.

    Parameters
    ----------
    ra_deg, dec_deg
        Position of the reference pixel, ICRS.
    sip
        Whether there are distortions.

    Returns
    -------
    header : `astropy.io.fits.Header`
        The cards of the WCS.
    """
    angle = np.radians(33.0)
    scale = 0.2 / 3600
    suffix = "-SIP" if sip else ""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = f"RA---TAN{suffix}", f"DEC--TAN{suffix}"
    header["CRVAL1"], header["CRVAL2"] = ra_deg, dec_deg
    header["CRPIX1"], header["CRPIX2"] = 37.25, 30.5
    header["CD1_1"], header["CD1_2"] = -scale * np.cos(angle), scale * np.sin(angle)
    header["CD2_1"], header["CD2_2"] = scale * np.sin(angle), scale * np.cos(angle)
    header["RADESYS"] = "ICRS"
    if sip:
        header["A_ORDER"], header["B_ORDER"] = 2, 2
        header["A_2_0"], header["A_1_1"], header["B_0_2"] = 3e-6, -2e-6, 4e-6
    return header


def make_image_planes(seed: int = 5) -> dict[str, Array]:
    """Make image, mask and variance.

    Parameters
    ----------
    seed
        Of the random numbers.

    Returns
    -------
    planes : `dict` [`str`, `numpy.ndarray`]
        Types float32, int32 and float32; one pixel of the image is NaN.
    """
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 10, IMAGE_SHAPE).astype("f4")
    image[3, 5] = np.nan
    mask = (rng.random(IMAGE_SHAPE) < 0.1).astype("i4") * 4 + (rng.random(IMAGE_SHAPE) < 0.02).astype("i4")
    variance = rng.normal(50, 1, IMAGE_SHAPE).astype("f4")
    return {"image": image, "mask": mask, "variance": variance}


def write_afw_file(path: Path, compression: str | None = None, **options: Any) -> None:
    """Write a MaskedImage with a WCS as afw lays it out.

    Parameters
    ----------
    path
        File to write.
    compression
        A ZCMPTYPE; none by default.
    **options
        Further options of `astropy.io.fits.CompImageHDU`.
    """
    hdus: list[Any] = [fits.PrimaryHDU()]
    hdus[0].header["TELESCOP"] = "Simonyi"
    for name, data in make_image_planes().items():
        header = make_image_header(sip=True)
        header["EXTTYPE"], header["INHERIT"] = name.upper(), True
        for axis, first in enumerate(IMAGE_XY0, start=1):
            header[f"LTV{axis}"] = float(-first)
            header[f"CTYPE{axis}A"] = "LINEAR"
            header[f"CRPIX{axis}A"], header[f"CRVAL{axis}A"] = 1.0, float(first)
        if name == "mask":
            header["MP_BAD"], header["HIERARCH MP_DETECTED"] = 0, 2
        if compression is None:
            hdus.append(fits.ImageHDU(data, header, name=name.upper()))
        else:
            lossy = {"quantize_level": 0 if compression.startswith("GZIP") else 16} | options
            hdus.append(
                fits.CompImageHDU(data, header, name=name.upper(), compression_type=compression, **lossy)
            )
    fits.HDUList(hdus).writeto(path)
