"""What a point spread function is here."""

from __future__ import annotations

__all__ = ["Floats", "PsfImage", "PsfKind"]

from dataclasses import dataclass
from typing import Any

import numpy as np

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class PsfKind:
    """Which model a file has."""

    name: str
    """Its class in afw, or the name of its schema in `lsst.images`."""

    obstacle: str = ""
    """Why it cannot be computed here; empty if it can."""


@dataclass(frozen=True, slots=True)
class PsfImage:
    """The image of a star, whose center is the center of a pixel."""

    values: Floats
    """Part of the light in each pixel, shape ``(height, width)``."""

    x: int
    """Column of the pixel with the star's center, from 0."""

    y: int
    """Its row."""

    place: tuple[float, float] | None = None
    """Where in the parent image it is so; `None` for where it was wanted."""
