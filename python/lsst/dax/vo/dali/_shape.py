"""The shapes of DALI: circle, polygon and range on the sky, ICRS degrees.

One union, `Stencil`, serves SIAv2's POS, SODA's stencils and the command
line.  Its text forms are parsed and written here and nowhere else.
"""

from __future__ import annotations

__all__ = [
    "Circle",
    "Polygon",
    "Range",
    "Stencil",
    "format_pos",
    "parse_circle",
    "parse_point",
    "parse_polygon",
    "parse_pos",
    "parse_range",
]

import math
from dataclasses import dataclass
from typing import final

from ..errors import UsageError, quoted
from ._interval import parse_numbers

_ACCEPTED = {
    "POINT": "'longitude latitude' in degrees, ICRS",
    "CIRCLE": "'longitude latitude radius' in degrees, ICRS, with 0 < radius <= 180",
    "POLYGON": "three or more 'longitude latitude' pairs in degrees, ICRS",
    "RANGE": "'longitude1 longitude2 latitude1 latitude2' in degrees, ICRS (open ends: -Inf, +Inf)",
}


@final
@dataclass(frozen=True, slots=True)
class Circle:
    """All points within an angle of a center (DALI 1.1, 3.3.6)."""

    ra_deg: float
    """Longitude of the center, 0 <= ra < 360."""

    dec_deg: float
    """Latitude of the center, -90 <= dec <= 90."""

    radius_deg: float
    """Radius, 0 <= radius <= 180."""


@final
@dataclass(frozen=True, slots=True)
class Polygon:
    """The smaller side of a closed line of great-circle arcs (DALI 1.1, 3.3.7).

    Either winding is accepted, and concave polygons.
    """

    ra_deg: tuple[float, ...]
    """Longitudes of three or more distinct vertices, 0 <= ra < 360."""

    dec_deg: tuple[float, ...]
    """Latitudes of the vertices, -90 <= dec <= 90."""


@final
@dataclass(frozen=True, slots=True)
class Range:
    """A box between two meridians and two parallels (DALI 1.2, range).

    ``ra_min_deg > ra_max_deg`` goes eastward across longitude 0.
    """

    ra_min_deg: float
    """Western edge, 0 <= ra <= 360."""

    ra_max_deg: float
    """Eastern edge, 0 <= ra <= 360."""

    dec_min_deg: float
    """Southern edge, -90 <= dec <= 90."""

    dec_max_deg: float
    """Northern edge, ``dec_min_deg`` <= dec <= 90."""


type Stencil = Circle | Polygon | Range


def parse_pos(text: str, *, parameter: str = "POS", sia_bounds: bool = False) -> Stencil:
    """Parse a shape with its name in front.

    Parameters
    ----------
    text
        ``CIRCLE …``, ``POLYGON …`` or ``RANGE …``; the name in any case.
    parameter
        Name of the parameter, for the message.
    sia_bounds
        Whether the numbers keep to SIA 2.0 (2.1.1): longitudes outside
        0..360 are refused instead of folded, and a circle may have the
        radius 0.

    Returns
    -------
    stencil : `Stencil`

    Raises
    ------
    UsageError
        Raised if the name or the numbers are not accepted.

    References
    ----------
    SIA 2.0, POS; SODA 1.0, POS; DALI 1.2, shape.
    """
    name, *rest = text.split(maxsplit=1) or [""]
    numbers = rest[0] if rest else ""
    try:
        match name.upper():
            case "CIRCLE":
                return parse_circle(numbers, parameter=parameter, sia_bounds=sia_bounds)
            case "POLYGON":
                return parse_polygon(numbers, parameter=parameter, sia_bounds=sia_bounds)
            case "RANGE":
                return parse_range(numbers, parameter=parameter)
    except UsageError as err:
        # The same reason, of the value as it was given: its name is part of it.
        reason = str(err).replace(f"{parameter}={quoted(numbers)}", f"{parameter}={quoted(text)}", 1)
        start, give, accepted = reason.rpartition("; give ")
        if give:
            accepted = accepted.replace("0 < radius", "0 <= radius") if sia_bounds else accepted
            reason = f"{start}; give {name.upper()} and {accepted}"
        raise UsageError(reason, parameter=parameter, value=text) from err
    raise UsageError(
        f"{parameter}={quoted(text)} is not accepted; give 'CIRCLE ra dec radius', "
        "'RANGE ra1 ra2 dec1 dec2' or 'POLYGON ra1 dec1 ra2 dec2 ra3 dec3 ...', in degrees",
        parameter=parameter,
        value=text,
    )


def parse_point(text: str, *, parameter: str) -> tuple[float, float]:
    """Parse ``longitude latitude``.

    Parameters
    ----------
    text
        Two numbers, degrees.
    parameter
        Name of the parameter, for the message.

    Returns
    -------
    ra_deg, dec_deg : `float`
        Longitude folded into 0..360.

    Raises
    ------
    UsageError
        Raised if there are not two numbers within their bounds.

    References
    ----------
    DALI 1.1, 3.3.5.
    """
    numbers = _parse_finite(text, parameter, "POINT")
    if len(numbers) != 2:
        raise _refused(text, parameter, "POINT")
    return _longitude(numbers[0]), _latitude(numbers[1], text, parameter)


def parse_circle(text: str, *, parameter: str = "CIRCLE", sia_bounds: bool = False) -> Circle:
    """Parse ``longitude latitude radius``.

    Parameters
    ----------
    text
        Three numbers, degrees.
    parameter
        Name of the parameter, for the message.
    sia_bounds
        As for `parse_pos`.

    Returns
    -------
    circle : `Circle`
        Longitude folded into 0..360.

    Raises
    ------
    UsageError
        Raised if there are not three numbers within their bounds.
    """
    numbers = _parse_finite(text, parameter, "CIRCLE")
    if len(numbers) != 3 or not 0 <= numbers[2] <= 180 or (numbers[2] == 0 and not sia_bounds):
        raise _refused(text, parameter, "CIRCLE")
    if sia_bounds:
        _check_longitudes(numbers[:1], text, parameter)
    return Circle(_longitude(numbers[0]), _latitude(numbers[1], text, parameter), numbers[2])


def parse_polygon(text: str, *, parameter: str = "POLYGON", sia_bounds: bool = False) -> Polygon:
    """Parse ``longitude1 latitude1 longitude2 latitude2 …``.

    Parameters
    ----------
    text
        Six or more numbers, an even count, degrees.
    parameter
        Name of the parameter, for the message.
    sia_bounds
        As for `parse_pos`.

    Returns
    -------
    polygon : `Polygon`
        Without repeated vertices: clients close the line although DALI
        closes it for them.

    Raises
    ------
    UsageError
        Raised if there are fewer than three distinct vertices, or an odd
        count of numbers, or a number out of bounds.
    """
    numbers = _parse_finite(text, parameter, "POLYGON")
    if len(numbers) % 2:
        raise _refused(text, parameter, "POLYGON")
    if sia_bounds:
        _check_longitudes(numbers[::2], text, parameter)
    vertices = [
        # A pole is one point, whatever its longitude.
        (_longitude(ra) if abs(dec) != 90 else 0.0, _latitude(dec, text, parameter))
        for ra, dec in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    distinct = [vertex for i, vertex in enumerate(vertices) if vertex != vertices[i - 1]]
    if len(distinct) < 3:
        raise _refused(text, parameter, "POLYGON")
    return Polygon(tuple(ra for ra, _ in distinct), tuple(dec for _, dec in distinct))


def parse_range(text: str, *, parameter: str = "RANGE") -> Range:
    """Parse ``longitude1 longitude2 latitude1 latitude2``.

    Parameters
    ----------
    text
        Four numbers, degrees; infinities mean no limit.
    parameter
        Name of the parameter, for the message.

    Returns
    -------
    range : `Range`
        ``359 1 -1 1`` crosses longitude 0 (DALI 1.2).

    Raises
    ------
    UsageError
        Raised if there are not four numbers within their bounds.
    """
    numbers = parse_numbers(text, parameter=parameter, accepted=_ACCEPTED["RANGE"])
    if len(numbers) != 4:
        raise _refused(text, parameter, "RANGE")
    ra_min, ra_max = max(numbers[0], 0.0), min(numbers[1], 360.0)
    dec_min, dec_max = max(numbers[2], -90.0), min(numbers[3], 90.0)
    if any(math.isfinite(dec) and abs(dec) > 90 for dec in numbers[2:]) or dec_min > dec_max:
        raise _refused(text, parameter, "RANGE")
    if any(math.isfinite(ra) and not 0 <= ra <= 360 for ra in numbers[:2]) or ra_min > 360 or ra_max < 0:
        raise _refused(text, parameter, "RANGE")
    return Range(ra_min, ra_max, dec_min, dec_max)


def format_pos(stencil: Stencil) -> str:
    """Write a shape with its name in front; the inverse of `parse_pos`.

    Parameters
    ----------
    stencil
        The shape.

    Returns
    -------
    text : `str`
        For example ``CIRCLE 55.7467 -32.2862 0.01``.
    """
    match stencil:
        case Circle():
            return f"CIRCLE {stencil.ra_deg!r} {stencil.dec_deg!r} {stencil.radius_deg!r}"
        case Polygon():
            pairs = zip(stencil.ra_deg, stencil.dec_deg, strict=True)
            return "POLYGON " + " ".join(f"{ra!r} {dec!r}" for ra, dec in pairs)
        case Range():
            return (
                f"RANGE {stencil.ra_min_deg!r} {stencil.ra_max_deg!r} "
                f"{stencil.dec_min_deg!r} {stencil.dec_max_deg!r}"
            )


def _parse_finite(text: str, parameter: str, shape: str) -> tuple[float, ...]:
    numbers = parse_numbers(text, parameter=parameter, accepted=_ACCEPTED[shape])
    if any(math.isinf(number) for number in numbers):
        raise _refused(text, parameter, shape)
    return numbers


def _longitude(value: float) -> float:
    # DALI 1.2 drops the 0..360 limit of 1.1 for longitudes on input.  Of a
    # tiny negative number the remainder is rounded up to 360 itself.
    folded = value % 360.0
    return folded if folded < 360.0 else 0.0


def _check_longitudes(values: tuple[float, ...], text: str, parameter: str) -> None:
    for value in values:
        if not 0 <= value <= 360:
            raise UsageError(
                f"{parameter}={quoted(text)} has the longitude {value}; longitudes lie within 0..360 degrees",
                parameter=parameter,
                value=text,
            )


def _latitude(value: float, text: str, parameter: str) -> float:
    if abs(value) > 90:
        raise UsageError(
            f"{parameter}={quoted(text)} has the latitude {value}; latitudes lie within -90..90 degrees",
            parameter=parameter,
            value=text,
        )
    return value


def _refused(text: str, parameter: str, shape: str) -> UsageError:
    return UsageError(
        f"{parameter}={quoted(text)} is not accepted; give {_ACCEPTED[shape]}",
        parameter=parameter,
        value=text,
    )
