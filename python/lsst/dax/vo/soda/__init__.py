"""SODA: regions cut out of images."""

from ._backend import Backend
from ._box import PixelBox, parse_pixels
from ._cache import CutoutCache, SpooledCutout
from ._coverage import Coverage, Outside, coverage
from ._cutout import cut
from ._derived import Derived, Facts, parse_facts
from ._description import ASYNC_ID, SYNC_ID
from ._examples import CutoutExample
from ._extent import Extent, selects
from ._formats import FITS, FORMATS, Format, Package
from ._image import CutImage
from ._inputs import FileInputs
from ._parameters import MULTIPLE, PARAMETERS
from ._plan import Locate, PlannedProduct
from ._projection import Projection
from ._provenance import Card, Provenance, provenance_cards
from ._region import Region, SkyBox, format_region, parse_regions
from ._request import (
    CutoutRequest,
    Detail,
    Product,
    parse_request,
)
from ._result import Cutout
from ._runner import CutoutRunner, Delivery, LocalRunner, Outcome, PooledRunner
from ._service import SodaService
from ._source import CutoutSource
from ._stencil import region_box, stencil_box
from ._work import CutoutWork, ImageFile
from .picture import COLOR_MAPS, PictureOptions, Stretch
from .workers import WorkerPool

__all__ = [
    "ASYNC_ID",
    "COLOR_MAPS",
    "FITS",
    "FORMATS",
    "MULTIPLE",
    "PARAMETERS",
    "SYNC_ID",
    "Backend",
    "Card",
    "Coverage",
    "CutImage",
    "Cutout",
    "CutoutCache",
    "CutoutExample",
    "CutoutRequest",
    "CutoutRunner",
    "CutoutSource",
    "CutoutWork",
    "Delivery",
    "Derived",
    "Detail",
    "Extent",
    "Facts",
    "FileInputs",
    "Format",
    "ImageFile",
    "LocalRunner",
    "Locate",
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
    "coverage",
    "cut",
    "format_region",
    "parse_facts",
    "parse_pixels",
    "parse_regions",
    "parse_request",
    "provenance_cards",
    "region_box",
    "selects",
    "stencil_box",
]
