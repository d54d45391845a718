"""Cut a region out of a file: what services, commands and notebooks call."""

from __future__ import annotations

__all__ = ["cut"]

from lsst.resources import ResourcePath

from ..dali import Interval
from ..errors import VoError
from ._backend import Backend
from ._coverage import Outside
from ._extent import Extent
from ._formats import FITS
from ._provenance import Provenance
from ._region import Region, checked_region
from ._request import Detail, Product
from ._result import Cutout
from ._work import CutoutWork, ImageFile, iter_cutouts
from .picture import PictureOptions


def cut(
    uri: ResourcePath | str,
    region: Region | None = None,
    *,
    detail: Detail = Detail.IMAGE,
    outside: Outside = Outside.KEEP,
    band: Interval | None = None,
    time: Interval | None = None,
    pols: tuple[str, ...] = (),
    extent: Extent | None = None,
    media_type: str = FITS,
    picture: PictureOptions | None = None,
    provenance: Provenance | None = None,
    hdu: int | str | None = None,
    backend: Backend = Backend.AUTO,
    max_pixels: int | None = None,
) -> Cutout | None:
    """Cut a region out of an image file.

    Parameters
    ----------
    uri
        A FITS file of any kind that this package reads, local or remote.
    region
        A shape or a box on the sky, or a box of parent pixels; `None` is the
        whole image.
    detail
        How much of the image the cutout holds.
    outside
        What becomes of pixels whose centers are outside of the region.
    band, time, pols
        Wavelengths (metres), times (MJD, UTC) and polarization states to
        keep: the image is kept whole or not at all.
    extent
        What the image covers of those; by default what its header says.
    media_type
        ``application/fits``, ``image/png`` or ``image/jpeg``.
    picture
        How a picture is drawn.
    provenance
        What its header says of its origin; nothing by default.
    hdu
        Number or name of the HDU with the image; by default the file tells.
    backend
        What reads the file; by default what fits it.
    max_pixels
        Most pixels of one plane; without a limit by default.

    Returns
    -------
    cutout : `Cutout` or `None`
        The pixels of the region's bounding box, clipped to the image; `None`
        when the region touches no pixel, or a filter leaves nothing.

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    UsageError
        Raised if the region is not one, or larger than the limit.
    UnsupportedError
        Raised if the file is no image, is damaged, or has no WCS while the
        region is one on the sky; if the backend does not read it; and if
        what a filter needs is not known.
    TransientError
        Raised if the store of the file does not answer.

    References
    ----------
    SODA 1.0, 3.3 and 4.1.
    """
    work = CutoutWork(
        (ImageFile(str(uri), None, provenance, extent, hdu, backend),),
        (Product("", None if region is None else checked_region(region), band, time, pols),),
        detail,
        outside,
        media_type,
        picture or PictureOptions(),
        max_pixels,
    )
    outcome = next(iter_cutouts(work))
    if isinstance(outcome, VoError):
        raise outcome
    return outcome
