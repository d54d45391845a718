"""SODA: regions cut out of images."""

from ._box import PixelBox, parse_pixels
from ._cache import CutoutCache, SpooledCutout
from ._coverage import Coverage, Outside, coverage
from ._cutout import cut
from ._examples import CutoutExample
from ._extent import Extent, selects
from ._formats import FITS, FORMATS, Format, Package, accepted_formats
from ._image import CutImage
from ._parameters import MULTIPLE, PARAMETERS
from ._plan import PlannedProduct
from ._projection import Projection
from ._provenance import Card, Provenance, provenance_cards
from ._region import Region, SkyBox, format_region, parse_regions
from ._request import (
    FITS_FORMATS,
    CutoutRequest,
    Detail,
    Product,
    parse_detail,
    parse_outside,
    parse_request,
)
from ._result import Cutout
from ._runner import CutoutRunner, LocalRunner, Outcome, PooledRunner
from ._service import ASYNC_ID, SYNC_ID, SodaService
from ._source import CutoutSource
from ._stencil import region_box, stencil_box
from .picture import COLOR_MAPS, PictureOptions, Stretch
from .workers import WorkerPool

__all__ = [
    "ASYNC_ID",
    "COLOR_MAPS",
    "FITS",
    "FITS_FORMATS",
    "FORMATS",
    "MULTIPLE",
    "PARAMETERS",
    "SYNC_ID",
    "Card",
    "Coverage",
    "CutImage",
    "Cutout",
    "CutoutCache",
    "CutoutExample",
    "CutoutRequest",
    "CutoutRunner",
    "CutoutSource",
    "Detail",
    "Extent",
    "Format",
    "LocalRunner",
    "Outcome",
    "Outside",
    "Package",
    "PictureOptions",
    "PixelBox",
    "PlannedProduct",
    "PooledRunner",
    "Product",
    "Projection",
    "Provenance",
    "Region",
    "SkyBox",
    "SodaService",
    "SpooledCutout",
    "Stretch",
    "WorkerPool",
    "accepted_formats",
    "coverage",
    "cut",
    "format_region",
    "parse_detail",
    "parse_outside",
    "parse_pixels",
    "parse_regions",
    "parse_request",
    "provenance_cards",
    "region_box",
    "selects",
    "stencil_box",
]
