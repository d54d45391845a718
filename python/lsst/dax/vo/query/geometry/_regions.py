"""Regions as texts: the part of STC-S that ADQL's REGION knows.

::

    region   := shape | compound
    shape    := NAME [frame [refpos]] [flavor] numbers
    compound := (UNION | INTERSECTION) [frame [refpos]] [flavor] "(" region region ... ")"
              | NOT [frame [refpos]] [flavor] "(" region ")"

with the shapes POSITION, CIRCLE, ELLIPSE, BOX, POLYGON, POSITIONINTERVAL and
ALLSKY; numbers are degrees, and positions ICRS.
"""

from __future__ import annotations

__all__ = ["encode_texts", "parse_region"]

import math
import re
from collections.abc import Callable, Sequence

import pyarrow as pa
from lsst.sphgeom import (
    Angle,
    Box,
    Circle,
    ConvexPolygon,
    Ellipse,
    IntersectionRegion,
    LonLat,
    Region,
    UnionRegion,
    UnitVector3d,
)

from ...errors import UsageError, quoted
from ._geometry import box_region, circle_region, encode_point, encode_region, polygon_region

FRAMES = frozenset({"ICRS", "UNKNOWNFRAME"})
"""What positions may refer to: the same."""

REFERENCES = frozenset(
    ["BARYCENTER", "GEOCENTER", "HELIOCENTER", "LSR", "TOPOCENTER", "RELOCATABLE", "UNKNOWNREFPOS"]
)
"""Places of the observer, which do not matter for directions."""

_FLAVORS = frozenset({"SPHERICAL2"})
_OTHER_FRAMES = frozenset(
    ["FK4", "FK5", "J2000", "B1950", "GALACTIC", "ECLIPTIC", "SUPERGALACTIC", "GEO_C", "GEO_D"]
)
_WORD = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*|[()]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)", re.ASCII)
_MOST_NESTED = 20
_MOST_PARTS = 5000
_SHAPES = "POSITION CIRCLE ELLIPSE BOX POLYGON POSITIONINTERVAL ALLSKY UNION INTERSECTION NOT"


def parse_region(text: str) -> bytes:
    """Parse a region.

    Parameters
    ----------
    text
        Such as ``CIRCLE ICRS 10 20 1``; words in any case.

    Returns
    -------
    encoding : `bytes`
        Of a point or region.

    Raises
    ------
    UsageError
        Raised for what is none of the texts, for other frames than ICRS, and
        for shapes that enclose nothing or cross themselves.

    References
    ----------
    TAP 1.0, 6; ADQL 2.1, 4.2.20; STC-S 1.33.
    """
    reader = _Reader(text)
    found = reader.read(0)
    reader.finish()
    return found if isinstance(found, bytes) else encode_region(found)


def encode_texts(texts: pa.Array) -> pa.Array:
    """Encode many regions.

    Parameters
    ----------
    texts
        As for `parse_region`.

    Returns
    -------
    encodings : `pyarrow.Array`
        NULL where there is no such region.
    """

    def encode(text: str | None) -> bytes | None:
        try:
            return None if text is None else parse_region(text)
        except UsageError:
            return None

    return pa.array([encode(text) for text in texts.to_pylist()], pa.binary())


class _Reader:
    """Reads a text word by word."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts = 0
        self._words: list[str] = []
        self._next = 0
        place = 0
        text = text.rstrip()
        while place < len(text):
            found = _WORD.match(text, place)
            if found is None:
                raise self._refused(f"{quoted(text[place:].strip()[:20])} is no word, number or parenthesis")
            self._words.append(found[1].upper())
            place = found.end()

    def finish(self) -> None:
        """Refuse what follows."""
        if self._next < len(self._words):
            raise self._refused(f"{quoted(self._words[self._next])} follows the region")

    def read(self, depth: int) -> Region | bytes:
        """Read a shape or compound."""
        self._parts += 1
        if depth > _MOST_NESTED or self._parts > _MOST_PARTS:
            raise self._refused(
                f"it has more than {_MOST_NESTED} levels or {_MOST_PARTS} parts; give fewer of them"
            )
        name = self._take()
        self._skip_frame()
        match name:
            case "UNION" | "INTERSECTION":
                parts = self._inner(depth)
                if len(parts) < 2:
                    raise self._refused(f"{name} needs two or more regions")
                return UnionRegion(*parts) if name == "UNION" else IntersectionRegion(*parts)
            case "NOT":
                parts = self._inner(depth)
                if len(parts) != 1:
                    raise self._refused("NOT needs one region")
                return self._rest_of(parts[0])
        make = _MAKERS.get(name)
        if make is None:
            known = ", ".join(_SHAPES.split())
            raise self._refused(f"{quoted(name)} is no shape; give one of {known}")
        count, build = make
        numbers = self._numbers()
        if (count is not None and len(numbers) != count) or (count is None and len(numbers) < 6):
            wanted = "6 or more" if count is None else count
            raise self._refused(f"{name} has {len(numbers)} numbers; give {wanted}")
        return build(numbers)

    def _inner(self, depth: int) -> list[Region]:
        if self._take() != "(":
            raise self._refused("the regions of UNION, INTERSECTION and NOT stand in parentheses")
        parts: list[Region] = []
        while self._peek() != ")":
            part = self.read(depth + 1)
            if isinstance(part, bytes):
                raise self._refused("POSITION is a point and cannot be a part of a region")
            parts.append(part)
        self._take()
        return parts

    def _rest_of(self, region: Region) -> Region:
        match region:
            case Circle():
                return region.complemented()
            case Ellipse():
                return region.complemented()
            case ConvexPolygon():
                # Whatever is beyond one of its sides.
                vertices = region.getVertices()
                halves = [
                    Circle(UnitVector3d(last.cross(first)), Angle(math.pi / 2))
                    for first, last in zip(vertices, [*vertices[1:], vertices[0]], strict=True)
                ]
                return UnionRegion(*halves)
            case UnionRegion():
                return IntersectionRegion(*[self._rest_of(part) for part in _operands(region)])
            case IntersectionRegion():
                return UnionRegion(*[self._rest_of(part) for part in _operands(region)])
        raise self._refused("NOT of a POSITIONINTERVAL is not supported; give the ranges around it")

    def _skip_frame(self) -> None:
        for accepted in (FRAMES, REFERENCES, _FLAVORS):
            word = self._peek()
            if word in _OTHER_FRAMES:
                raise self._refused(f"the frame {word} is not served; give positions in ICRS")
            if word in accepted:
                self._next += 1

    def _numbers(self) -> list[float]:
        numbers = []
        while self._peek()[:1] in tuple("+-.0123456789"):
            numbers.append(float(self._take()))
        return numbers

    def _peek(self) -> str:
        # What is behind the end closes all parentheses.
        return self._words[self._next] if self._next < len(self._words) else ")"

    def _take(self) -> str:
        if self._next >= len(self._words):
            raise self._refused("it ends too early")
        self._next += 1
        return self._words[self._next - 1]

    def _refused(self, reason: str) -> UsageError:
        return UsageError(
            f"The region {quoted(self._text)} is not accepted: {reason}. "
            "Regions are such as 'CIRCLE ICRS 10 20 1', 'POLYGON ICRS 1 2 3 4 5 6', "
            "'UNION ICRS (CIRCLE 10 20 1 CIRCLE 11 20 1)', in degrees"
        )


def _operands(region: UnionRegion | IntersectionRegion) -> list[Region]:
    return [region.cloneOperand(place) for place in range(region.nOperands())]


def _ellipse(numbers: Sequence[float]) -> Region:
    ra_deg, dec_deg, long_deg, short_deg, angle_deg = numbers
    encode_point(ra_deg, dec_deg)
    if not (0 < short_deg < 90 and 0 < long_deg < 90):
        raise UsageError(
            f"An ellipse has the half axes {long_deg} and {short_deg}; "
            "give more than 0 and less than 90 degrees"
        )
    center = UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))
    axes = [Angle.fromDegrees(value) for value in (long_deg, short_deg, angle_deg)]
    return Ellipse(center, *axes)


def _interval(numbers: Sequence[float]) -> Region:
    west_deg, south_deg, east_deg, north_deg = numbers
    for pair in ((west_deg, south_deg), (east_deg, north_deg)):
        encode_point(*pair)
    if south_deg > north_deg:
        raise UsageError(
            f"A range of latitudes goes from {south_deg} to {north_deg}; give the lower one first"
        )
    if east_deg - west_deg >= 360:
        west_deg, east_deg = 0.0, 360.0
    return Box.fromDegrees(west_deg, south_deg, east_deg, north_deg)


_MAKERS: dict[str, tuple[int | None, Callable[[Sequence[float]], Region | bytes]]] = {
    "POSITION": (2, lambda numbers: encode_point(*numbers)),
    "CIRCLE": (3, lambda numbers: circle_region(*numbers)),
    "ELLIPSE": (5, _ellipse),
    "BOX": (4, lambda numbers: box_region(*numbers)),
    "POLYGON": (None, polygon_region),
    "POSITIONINTERVAL": (4, _interval),
    "ALLSKY": (0, lambda _: Circle.full()),
}
"""Numbers of each shape, and what makes it of them."""
