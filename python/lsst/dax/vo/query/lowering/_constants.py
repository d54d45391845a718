"""Geometries that are known when a query is planned."""

from __future__ import annotations

__all__ = ["Constant", "fold_constant", "fold_region"]

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from .._tree import blob_literal
from ..geometry._geometry import (
    box_of,
    box_region,
    circle_region,
    encode_point,
    encode_region,
    polygon_region,
)
from ..geometry._regions import parse_region


@dataclass(frozen=True, slots=True)
class Constant:
    """A geometry without columns."""

    literal: exp.Expr
    """Its bytes."""

    bounds: tuple[float, ...]
    """Bounds of its unit vectors: x, y, z of the lower and the upper end."""


def fold_constant(name: str, numbers: Sequence[float]) -> Constant:
    """Evaluate a geometry.

    Parameters
    ----------
    name
        ``POINT CIRCLE BOX POLYGON``.
    numbers
        Its arguments, degrees, ICRS.

    Returns
    -------
    constant : `Constant`

    Raises
    ------
    UsageError
        Raised if a number is out of bounds, or a polygon crosses itself or
        encloses nothing.
    """
    match name:
        case "POINT":
            ra_deg, dec_deg = numbers
            data = encode_point(ra_deg, dec_deg)
        case "CIRCLE":
            ra_deg, dec_deg, radius_deg = numbers
            data = encode_region(circle_region(ra_deg, dec_deg, radius_deg))
        case "BOX":
            ra_deg, dec_deg, width_deg, height_deg = numbers
            data = encode_region(box_region(ra_deg, dec_deg, width_deg, height_deg))
        case _:
            data = encode_region(polygon_region(numbers))
    return Constant(blob_literal(data), box_of(data))


def fold_region(text: str) -> Constant:
    """Evaluate a region that is given as a text.

    Parameters
    ----------
    text
        The argument of REGION.

    Returns
    -------
    constant : `Constant`

    Raises
    ------
    UsageError
        Raised if the text is no region, or one that encloses nothing or
        crosses itself.
    """
    data = parse_region(text)
    return Constant(blob_literal(data), box_of(data))
