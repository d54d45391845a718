"""SODA: regions cut out of images."""

from ._box import PixelBox, parse_pixels
from ._cutout import Cutout, cut
from ._image import CutImage
from ._projection import Projection
from ._provenance import Card, Provenance, provenance_cards
from ._request import CutoutRequest, Detail, parse_detail, parse_region, parse_request
from ._service import CutoutSource, SodaService
from ._stencil import stencil_box

__all__ = [
    "Card",
    "CutImage",
    "Cutout",
    "CutoutRequest",
    "CutoutSource",
    "Detail",
    "PixelBox",
    "Projection",
    "Provenance",
    "SodaService",
    "cut",
    "parse_detail",
    "parse_pixels",
    "parse_region",
    "parse_request",
    "provenance_cards",
    "stencil_box",
]
