"""Which HDUs of a file are its image."""

from __future__ import annotations

__all__ = ["PLANES", "Planes", "find_planes"]

from dataclasses import dataclass
from math import prod

from ...errors import UnsupportedError
from ._fits_file import FitsFile
from ._hdu import Hdu
from ._mosaic import Mosaic, find_mosaic

PLANES = ("image", "mask", "variance")
"""The planes of a MaskedImage, in order."""

# Planes of a cube; a longer axis is one of spectra or tables.
_MAX_CUBE = 4096


@dataclass(frozen=True, slots=True)
class Planes:
    """The HDUs that hold the image of a file."""

    image: Hdu
    """The pixels; of a detector read out by amplifiers, the first of these."""

    mask: Hdu | None = None
    """Its mask, if it has one."""

    variance: Hdu | None = None
    """Its variance; there with the mask."""

    mosaic: Mosaic | None = None
    """How the image is put together from amplifiers, if it is."""

    @property
    def all(self) -> tuple[Hdu, ...]:
        """Image, and mask and variance if there are any."""
        return tuple(hdu for hdu in (self.image, self.mask, self.variance) if hdu is not None)


def find_planes(file: FitsFile, choice: int | str | None) -> Planes:
    """Find the image of a file.

    Parameters
    ----------
    file
        The file.
    choice
        Number (0 is the primary) or EXTNAME of the HDU to take; by default
        it is found by the rules below.

    Returns
    -------
    planes : `Planes`

    Raises
    ------
    UnsupportedError
        Raised if there is no image, or not the one that was chosen.

    Notes
    -----
    1. A file whose first three extensions are IMAGE, MASK and VARIANCE, by
       EXTTYPE or EXTNAME, is an Exposure or a MaskedImage of afw.
    2. A file whose image extensions are amplifiers that fill a rectangle of
       the detector by their cards DATASEC and DETSEC is the image of this
       rectangle.
    3. Of any other file it is the first HDU with pixels on two axes.
    """
    if choice is not None:
        return Planes(_chosen(file, choice))
    if not file.primary.is_image:
        first = [hdu for hdu in (file.hdu(i) for i in (1, 2, 3)) if hdu is not None and hdu.is_image]
        if len(first) == 3 and _are_exposure(first):
            return Planes(first[0], first[1], first[2])
        if first and "DETSEC" in first[0].header:
            if file.is_cut_off():
                raise file.source.truncated()
            mosaic = find_mosaic(file)
            if mosaic is not None:
                return Planes(mosaic.amplifiers[0].hdu, mosaic=mosaic)
    number = 0
    while (hdu := file.hdu(number)) is not None:
        if hdu.is_image:
            return Planes(_checked(file, hdu))
        number += 1
    raise UnsupportedError(
        f"The file {file.source.name!r} holds no image; cutouts are made from FITS images of two axes"
    )


def _chosen(file: FitsFile, choice: int | str) -> Hdu:
    if isinstance(choice, int):
        found = file.hdu(choice) if choice >= 0 else None
    else:
        wanted = choice.strip().upper()
        found = next((hdu for hdu in file.hdus() if hdu.header.text("EXTNAME").upper() == wanted), None)
    if found is None or not found.is_image:
        images = [
            f"{number} {hdu.header.text('EXTNAME')}".rstrip()
            for number, hdu in enumerate(file.hdus())
            if hdu.is_image
        ]
        listed = ", ".join(images[:20]) + (", …" if len(images) > 20 else "") if images else "none"
        raise UnsupportedError(
            f"HDU {str(choice)[:80]!r} of {file.source.name!r} is no image; its images are: {listed}"
        )
    return _checked(file, found)


def _checked(file: FitsFile, hdu: Hdu) -> Hdu:
    if prod(hdu.shape[2:]) > _MAX_CUBE:
        raise UnsupportedError(
            f"The image in {file.source.name!r} is a cube of more than {_MAX_CUBE} planes; "
            "extract the planes to cut first"
        )
    return hdu


def _are_exposure(planes: list[Hdu]) -> bool:
    # afw writes EXTTYPE; the name stands in where it was lost.
    kinds = [hdu.header.text("EXTTYPE") or hdu.header.text("EXTNAME") for hdu in planes]
    same_shape = len({hdu.shape for hdu in planes}) == 1
    return same_shape and [kind.upper() for kind in kinds] == [name.upper() for name in PLANES]
