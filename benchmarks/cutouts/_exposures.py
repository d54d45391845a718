"""What is cut: an exposure of three planes, in several layouts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from lsst.dax.vo.testing import make_image_header

PLANES = ("image", "mask", "variance")

LAYOUTS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "raw": ("uncompressed", None),
    "gzip2_rows": ("GZIP_2, rows", {"compression_type": "GZIP_2", "quantize_level": 0}),
    "rice_rows": ("RICE_1, rows", {"compression_type": "RICE_1", "quantize_method": 2, "dither_seed": 7}),
    "rice_256": (
        "RICE_1, tiles of 256 x 256",
        {"compression_type": "RICE_1", "quantize_method": 2, "dither_seed": 7, "tile_shape": (256, 256)},
    ),
}


def write_exposures(folder: Path, layouts: Sequence[str], size: int) -> None:
    """Write the exposure in every layout, as afw and lsst.images lay it out."""
    rng = np.random.default_rng(1)
    planes = {
        "image": rng.normal(100, 10, (size, size)).astype("f4"),
        "mask": (rng.random((size, size)) < 0.01).astype("i4") * 4,
        "variance": rng.normal(100, 1, (size, size)).astype("f4"),
    }
    for layout in layouts:
        options = LAYOUTS[layout][1]
        hdus: list[Any] = [fits.PrimaryHDU()]
        for name, data in planes.items():
            header = make_image_header(sip=True)
            header["EXTTYPE"] = name.upper()
            make = fits.ImageHDU if options is None else fits.CompImageHDU
            hdus.append(
                make(
                    data,
                    header,
                    name=name.upper(),
                    **({"tile_shape": (1, size)} | options if options else {}),
                )
            )
        fits.HDUList(hdus).writeto(folder / f"{layout}.fits")
        write_lsst_file(folder / f"{layout}.lsst.fits", planes, options, size)


def write_lsst_file(path: Path, planes: dict[str, Any], options: dict[str, Any] | None, size: int) -> None:
    from astropy import units as u
    from astropy.wcs import WCS
    from lsst.images import GeneralFrame, Image, Mask, MaskedImage, MaskPlane, MaskSchema, SkyProjection
    from lsst.images.fits import FitsCompressionOptions
    from lsst.images.serialization import write_archive

    box = Image(planes["image"]).bbox
    mask = Mask(0, schema=MaskSchema([MaskPlane("BAD", "bad")]), bbox=box)
    mask.set("BAD", planes["mask"] != 0)
    image = MaskedImage(
        Image(planes["image"], bbox=box, unit=u.nJy),
        mask=mask,
        variance=Image(planes["variance"], bbox=box, unit=u.nJy**2),
        sky_projection=SkyProjection.from_fits_wcs(
            WCS(make_image_header()), GeneralFrame(unit=u.pix), x0=0, y0=0
        ),
    )
    chosen: dict[str, Any] = dict.fromkeys(PLANES)
    if options:
        lossless = {
            "algorithm": options["compression_type"],
            "tile_shape": options.get("tile_shape", (1, size)),
        }
        lossy = {"quantization": {"dither": "SUBTRACTIVE_DITHER_2", "level": 16, "seed": 7}}
        for name in PLANES:
            is_lossy = "quantize_method" in options and name != "mask"
            chosen[name] = FitsCompressionOptions(**lossless | (lossy if is_lossy else {}))
    write_archive(image, path, compression_options=chosen)
