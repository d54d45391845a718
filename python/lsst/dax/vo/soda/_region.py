"""What a cutout is cut by: a stencil, a box of pixels, a size at a place."""

from __future__ import annotations

__all__ = ["Region", "SkyBox", "checked_region", "format_region", "parse_regions", "region_parameter"]

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
    parse_range,
    to_interior,
)
from ..errors import UsageError, quoted
from ._box import PixelBox, parse_pixels

_ARCSEC_AROUND_SKY = 360 * 3600.0

# Nine digits are more pixels than any image has along an axis.
_WHOLE = re.compile(r"\+?[0-9]{1,9}")

# More than a request may ask for, and less than fills the memory: each CENTER
# goes with each size.
_MAX_REGIONS = 100_000

# Checking a polygon of 10,000 takes 50 ms, and 0.6 s in the worst case.
_MAX_VERTICES = 100_000


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
    if len(centers) * len(sizes) > _MAX_REGIONS:
        raise UsageError(
            f"{len(centers)} values of CENTER with {len(sizes)} sizes are {len(centers) * len(sizes)} boxes; "
            f"give at most {_MAX_REGIONS}, in several requests",
            parameter="CENTER",
        )
    regions = tuple(region for name, value in params.pairs for region in _parse(name, value, sizes))
    polygons = [region for region in regions if isinstance(region, Polygon)]
    vertices = sum(len(polygon.ra_deg) for polygon in polygons)
    if vertices > _MAX_VERTICES:
        raise UsageError(
            f"The polygons have {vertices} vertices together; give at most {_MAX_VERTICES}, in several "
            "requests",
            parameter="POLYGON",
        )
    for polygon in polygons:
        # Found out before any file is opened.
        to_interior(polygon)
    return regions


type _Size = tuple[float, float, Literal["arcsec", "pixel"]]


def _parse(name: str, value: str, sizes: list[_Size]) -> Iterator[Region]:
    if name in _SHAPES:
        yield _SHAPES[name](value, parameter=name)
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


def checked_region(region: Region) -> Region:
    """Return a region that was not parsed as if it had been.

    Parameters
    ----------
    region
        The region; its numbers may be those of numpy.

    Returns
    -------
    region : `Region`
        Of Python's own numbers, longitudes within 0..360.

    Raises
    ------
    UsageError
        Raised if a parameter of the same numbers would be refused, or it is
        no region.
    """
    match region:
        case Circle():
            return parse_circle(_words(region.ra_deg, region.dec_deg, region.radius_deg))
        case Polygon():
            pairs = zip(region.ra_deg, region.dec_deg, strict=True)
            polygon = parse_polygon(_words(*(number for pair in pairs for number in pair)))
            to_interior(polygon)
            return polygon
        case Range():
            edges = (region.ra_min_deg, region.ra_max_deg, region.dec_min_deg, region.dec_max_deg)
            return parse_range(_words(*edges))
        case PixelBox():
            # One that is in order may begin or end at infinity, which has no digits.
            is_ordered = region.x0 <= region.x1 and region.y0 <= region.y1
            return region if is_ordered else parse_pixels(str(region))
        case SkyBox():
            ra_deg, dec_deg = parse_point(_words(region.ra_deg, region.dec_deg), parameter="CENTER")
            if region.unit == "pixel":
                sizes = map(float, (region.width, region.height))
                text = " ".join(f"{size:.0f}" if size.is_integer() else repr(size) for size in sizes)
                return SkyBox(ra_deg, dec_deg, *_parse_pixels(text, parameter="SIZEPIX"))
            return SkyBox(
                ra_deg, dec_deg, *_parse_arcsec(_words(region.width, region.height), parameter="SIZE")
            )
    raise UsageError(f"{quoted(str(region))} is no region; give a Circle, Polygon, Range, PixelBox or SkyBox")


def _words(*numbers: float) -> str:
    return " ".join(repr(float(number)) for number in numbers)


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
