"""Cutouts to look at: PNG and JPEG, grey, in false colours, or of three images."""

from ._draw import Layer, draw
from ._options import COLOR_MAPS, Limits, Percentage, PictureOptions, Stretch, Values, Zscale, parse_picture

__all__ = [
    "COLOR_MAPS",
    "Layer",
    "Limits",
    "Percentage",
    "PictureOptions",
    "Stretch",
    "Values",
    "Zscale",
    "draw",
    "parse_picture",
]
