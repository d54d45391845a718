"""Cutouts to look at: PNG and JPEG, grey, in false colours, or of three images."""

from ._draw import Layer, draw
from ._options import (
    COLOR_MAPS,
    LARGEST,
    Limits,
    Percentage,
    PictureOptions,
    Stretch,
    Values,
    Zscale,
    parse_picture,
)
from ._sky import TangentPlane, fit_plane

__all__ = [
    "COLOR_MAPS",
    "LARGEST",
    "Layer",
    "Limits",
    "Percentage",
    "PictureOptions",
    "Stretch",
    "TangentPlane",
    "Values",
    "Zscale",
    "draw",
    "fit_plane",
    "parse_picture",
]
