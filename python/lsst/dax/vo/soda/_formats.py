"""The formats that cutouts come in: one table.

RESPONSEFORMAT chooses one row of it.  Requests, descriptors, packages, the
command line and the documentation read it; nothing else lists them.
"""

from __future__ import annotations

__all__ = ["FITS", "FORMATS", "SUFFIXES", "Format", "Package", "parse_format"]

import enum
from dataclasses import dataclass

from ..errors import UnsupportedError, quoted

FITS = "application/fits"
_PNG, _JPEG = "image/png", "image/jpeg"
SUFFIXES = {FITS: ".fits", _PNG: ".png", _JPEG: ".jpg"}
"""Suffixes of the file names of cutouts, by media type."""


class Package(enum.Enum):
    """How several cutouts become one answer."""

    NONE = ""
    """They do not: one cutout, one answer."""

    TAR = "tar"
    """A tar file."""

    ZIP = "zip"
    """A zip file."""

    MEF = "mef"
    """One FITS file with the planes of each as extensions."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format of answers."""

    name: str
    """Short name."""

    media_type: str
    """Media type of the answer."""

    member: str = FITS
    """Media type of each cutout: FITS, PNG or JPEG."""

    package: Package = Package.NONE
    """How several cutouts become one answer."""

    aliases: tuple[str, ...] = ()
    """Further names, lower case."""

    @property
    def suffix(self) -> str:
        """Suffix of the answer's file name."""
        match self.package:
            case Package.TAR | Package.ZIP:
                return f".{self.package.value}"
        return SUFFIXES[self.member]

    @property
    def is_picture(self) -> bool:
        """Whether its cutouts are to be looked at."""
        return self.member != FITS


FORMATS = (
    # DALI 1.1, 3.4.3; "image/fits" is what older clients ask for.
    Format("fits", FITS, aliases=("image/fits",)),
    Format("png", _PNG, _PNG),
    Format("jpeg", _JPEG, _JPEG, aliases=("jpg", "image/jpg")),
    Format("tar", "application/x-tar", package=Package.TAR),
    Format("zip", "application/zip", package=Package.ZIP),
    Format("mef", f"{FITS};content=mef", package=Package.MEF),
    Format("tar-png", "application/x-tar;content=png", _PNG, Package.TAR),
    Format("tar-jpeg", "application/x-tar;content=jpeg", _JPEG, Package.TAR),
    Format("zip-png", "application/zip;content=png", _PNG, Package.ZIP),
    Format("zip-jpeg", "application/zip;content=jpeg", _JPEG, Package.ZIP),
)
"""All formats; the first is the default."""


def parse_format(text: str | None) -> Format:
    """Parse RESPONSEFORMAT.

    Parameters
    ----------
    text
        A name or media type, in any case; `None` if it was not sent.

    Returns
    -------
    form : `Format`

    Raises
    ------
    UnsupportedError
        Raised if it is none of `FORMATS`; the message lists them.

    References
    ----------
    SODA 1.0, 3.1; DALI 1.1, 3.4.3.
    """
    if text is None:
        return FORMATS[0]
    # Some media types carry a parameter of ours; others do not matter.
    word = "".join(text.lower().split())
    form = _BY_NAME.get(word)
    if form is None and "content=" not in word:
        form = _BY_NAME.get(word.partition(";")[0])
    if form is None:
        known = " or ".join(map(repr, dict.fromkeys([*(one.media_type for one in FORMATS), *_BY_NAME])))
        raise UnsupportedError(f"RESPONSEFORMAT={quoted(text)} is not supported; give {known}")
    return form


_BY_NAME = {name: one for one in FORMATS for name in (one.name, one.media_type, *one.aliases)}
