"""What a cutout is cut by: a stencil, a box of pixels, a size at a place."""

from __future__ import annotations

__all__ = ["Region", "SkyBox", "format_region", "parse_regions", "region_parameter"]

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, final

from ..dali import (
    Circle,
    ParamSet,
    Polygon,
    Range,
    Stencil,
    format_pos,
    parse_circle,
    parse_numbers,
    parse_point,
    parse_polygon,
    parse_pos,
    to_interior,
)
from ..errors import UsageError, quoted
from ._box import PixelBox, parse_pixels

_ARCSEC_AROUND_SKY = 360 * 3600.0

# Nine digits are more pixels than any image has along an axis.
_WHOLE = re.compile(r"\+?[0-9]{1,9}")


@final
@dataclass(frozen=True, slots=True)
class SkyBox:
    """A box of pixels of a given size around a place on the sky.

    Its sides follow those of the image, so that cutouts of one place from
    many images have one shape, whatever way the images are turned.
    """

    ra_deg: float
    """Longitude of the center, 0 <= ra < 360."""

    dec_deg: float
    """Latitude of the center, -90 <= dec <= 90."""

    width: float
    """Length of its rows, in `unit`."""

    height: float
    """Length of its columns, in `unit`."""

    unit: Literal["arcsec", "pixel"]
    """Arcseconds, which are rounded to whole pixels, or pixels."""


type Region = Stencil | PixelBox | SkyBox
"""All that a cutout can be cut by."""


def parse_regions(params: ParamSet) -> tuple[Region, ...]:
    """Parse everything that is to be cut.

    Parameters
    ----------
    params
        Parameters as received: CIRCLE, POLYGON and POS of the standard; our
        own PIXELS, and CENTER with SIZE or SIZEPIX.

    Returns
    -------
    regions : `tuple` [`Region`, ...]
        In the order in which they were sent; each CENTER has as many as
        there are sizes.  Empty when none was sent.

    Raises
    ------
    UsageError
        Raised if a value is not accepted, or a polygon crosses itself or
        encloses nothing.
    """
    given = [(name, value) for name, value in params.pairs if name in _SIZES]
    sizes = [_SIZES[name](value, parameter=name) for name, value in given]
    centers = params.values("CENTER")
    if bool(sizes) != bool(centers):
        lone = "CENTER" if centers else given[0][0]
        raise UsageError(
            f"{lone} needs its companion; send CENTER=<ra dec> in degrees together with SIZE=<width height> "
            "in arcseconds or SIZEPIX=<width height> in pixels",
            parameter=lone,
        )
    return tuple(region for name, value in params.pairs for region in _parse(name, value, sizes))


type _Size = tuple[float, float, Literal["arcsec", "pixel"]]


def _parse(name: str, value: str, sizes: list[_Size]) -> Iterator[Region]:
    if name in _SHAPES:
        region = _SHAPES[name](value, parameter=name)
        if isinstance(region, Polygon):
            # Found out before any file is opened.
            to_interior(region)
        yield region
    elif name == "PIXELS":
        yield parse_pixels(value)
    elif name == "CENTER":
        ra_deg, dec_deg = parse_point(value, parameter=name)
        for width, height, unit in sizes:
            yield SkyBox(ra_deg, dec_deg, width, height, unit)


def _parse_arcsec(text: str, *, parameter: str) -> _Size:
    accepted = (
        "'width height' in arcseconds, or one number for both, greater than 0 and "
        f"at most {_ARCSEC_AROUND_SKY:.0f}"
    )
    numbers = parse_numbers(text, parameter=parameter, accepted=accepted)
    if len(numbers) > 2 or not all(0 < number <= _ARCSEC_AROUND_SKY for number in numbers):
        raise _refused(text, parameter, accepted)
    return numbers[0], numbers[-1], "arcsec"


def _parse_pixels(text: str, *, parameter: str) -> _Size:
    words = text.split()
    numbers = [int(word) for word in words if _WHOLE.fullmatch(word)]
    if not 1 <= len(words) <= 2 or len(numbers) != len(words) or 0 in numbers:
        raise _refused(
            text, parameter, "'width height' in pixels, or one number for both: whole numbers of 1 or more"
        )
    return numbers[0], numbers[-1], "pixel"


def _refused(text: str, parameter: str, accepted: str) -> UsageError:
    return UsageError(
        f"{parameter}={quoted(text)} is not accepted; give {accepted}", parameter=parameter, value=text
    )


_SHAPES: dict[str, Callable[..., Stencil]] = {
    "CIRCLE": parse_circle,
    "POLYGON": parse_polygon,
    "POS": parse_pos,
}

_SIZES: dict[str, Callable[..., _Size]] = {"SIZE": _parse_arcsec, "SIZEPIX": _parse_pixels}


def region_parameter(region: Region) -> str:
    """Return the name of the parameter that a region comes from.

    Parameters
    ----------
    region
        The region.

    Returns
    -------
    name : `str`
        ``POS`` only for ranges: its other shapes are those of CIRCLE and
        POLYGON (SODA 1.0, 3.3.1).
    """
    match region:
        case Circle():
            return "CIRCLE"
        case Polygon():
            return "POLYGON"
        case Range():
            return "POS"
        case PixelBox():
            return "PIXELS"
        case SkyBox():
            return "CENTER"


def format_region(region: Region) -> str:
    """Write a region for people, and so that equal regions have equal texts.

    Parameters
    ----------
    region
        The region.

    Returns
    -------
    text : `str`
        For example ``CIRCLE 55.7467 -32.2862 0.01`` or
        ``CENTER 55.7467 -32.2862 SIZE 10.0 10.0``.
    """
    match region:
        case PixelBox():
            return f"PIXELS {region}"
        case SkyBox():
            size = "SIZE" if region.unit == "arcsec" else "SIZEPIX"
            place = f"CENTER {region.ra_deg!r} {region.dec_deg!r}"
            return f"{place} {size} {region.width!r} {region.height!r}"
        case _:
            return format_pos(region)
