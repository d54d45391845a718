"""Who cuts: ours, and the others."""

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from lsst.dax.vo.soda import Detail, PixelBox, cut

from ._exposures import PLANES


class Case(NamedTuple):
    """One way to cut."""

    name: str
    suffix: str
    """What its files end with."""

    read: Callable[[Path, PixelBox], Any]
    write: Callable[[Any, Path], None]
    requires: str | None = None


def read_ours(detail: Detail) -> Callable[[Path, PixelBox], Any]:
    def read(path: Path, box: PixelBox) -> Any:
        cutout = cut(str(path), box, detail=detail)
        assert cutout is not None
        return cutout

    return read


def write_ours(cutout: Any, path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        for piece in cutout.pieces():
            stream.write(piece)


def read_fitsio(path: Path, box: PixelBox) -> Any:
    import fitsio

    rows, columns = slice(box.y0, box.y1 + 1), slice(box.x0, box.x1 + 1)
    with fitsio.FITS(str(path)) as file:
        return [(file[number][rows, columns], file[number].read_header()) for number in (1, 2, 3)]


def write_fitsio(planes: Any, path: Path) -> None:
    import fitsio

    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        for data, header in planes:
            file.write(data, header=header)


def read_section(path: Path, box: PixelBox) -> Any:
    rows, columns = slice(box.y0, box.y1 + 1), slice(box.x0, box.x1 + 1)
    with fits.open(path) as hdus:
        return [(np.array(hdus[number].section[rows, columns]), hdus[number].header) for number in (1, 2, 3)]


def write_astropy(planes: Any, path: Path) -> None:
    hdus = [fits.ImageHDU(data, header) for data, header in planes]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)


def read_cutout2d(path: Path, box: PixelBox) -> Any:
    from astropy.nddata import Cutout2D
    from astropy.wcs import WCS

    center = (box.x0 + (box.width - 1) / 2, box.y0 + (box.height - 1) / 2)
    planes = []
    with fits.open(path) as hdus:
        for number in (1, 2, 3):
            header = hdus[number].header
            found = Cutout2D(hdus[number].data, center, (box.height, box.width), wcs=WCS(header))
            header.update(found.wcs.to_header(relax=True))
            planes.append((found.data, header))
        return planes


def read_astrocut(path: Path, box: PixelBox) -> Any:
    from astrocut import FITSCutout
    from astropy.wcs import WCS

    with fits.open(path) as hdus:
        center = WCS(hdus[1].header).pixel_to_world(
            box.x0 + (box.width - 1) / 2, box.y0 + (box.height - 1) / 2
        )
    return FITSCutout([str(path)], center, [box.width, box.height], extension=[1, 2, 3], fill_value=0)


def write_astrocut(cutout: Any, path: Path) -> None:
    cutout.write_as_fits(path.parent)


def read_lsst_images(path: Path, box: PixelBox) -> Any:
    from lsst.images import Box, MaskedImage

    return MaskedImage.read(path, bbox=Box.factory[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1])


def write_lsst_images(image: Any, path: Path) -> None:
    from lsst.images.serialization import write_archive

    path.unlink(missing_ok=True)
    write_archive(image, path, compression_options=dict.fromkeys(PLANES))


def read_afw(path: Path, box: PixelBox) -> Any:
    import lsst.afw.image as afw
    import lsst.geom as geom

    corner, extent = geom.Point2I(box.x0, box.y0), geom.Extent2I(box.width, box.height)
    return afw.ExposureF(str(path), geom.Box2I(corner, extent))


CASES = (
    *(Case(f"ours, {detail.value}", ".fits", read_ours(detail), write_ours) for detail in Detail),
    Case("fitsio", ".fits", read_fitsio, write_fitsio, "fitsio"),
    Case("astropy .section", ".fits", read_section, write_astropy),
    Case("astropy Cutout2D", ".fits", read_cutout2d, write_astropy),
    Case("astrocut", ".fits", read_astrocut, write_astrocut, "astrocut"),
    Case("lsst.afw", ".fits", read_afw, lambda exposure, path: exposure.writeFits(str(path)), "lsst.afw"),
    Case("lsst.images", ".lsst.fits", read_lsst_images, write_lsst_images),
    Case("ours, MaskedImage of lsst.images", ".lsst.fits", read_ours(Detail.MASKED_IMAGE), write_ours),
)


def available(cases: Sequence[Case]) -> list[Case]:
    def is_there(name: str) -> bool:
        with suppress(ImportError):
            return importlib.util.find_spec(name) is not None
        return False

    return [case for case in cases if case.requires is None or is_there(case.requires)]
