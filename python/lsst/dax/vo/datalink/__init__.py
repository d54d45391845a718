"""DataLink: from an identifier to files and services, and file delivery."""

from ._choice import LinkChoice
from ._descriptors import Coverage, describe_cutouts
from ._link import Caller, Link, LinkSource, error_link
from ._links import DATALINK_MEDIA_TYPE, LinksService
from ._products import PRODUCTS_PATH, STABLE_PRODUCT_PATH, ProductService
from .delivery import (
    STABLE_PATH,
    DirectFiles,
    FileService,
    HandOver,
    HmacKey,
    ResultService,
    Signature,
    Signer,
    sign_path,
    verify_path,
)
from .links import AuxiliaryLinks, CutoutLinks, PreviewLinks, RelatedLinks, ThisLinks

__all__ = [
    "DATALINK_MEDIA_TYPE",
    "PRODUCTS_PATH",
    "STABLE_PATH",
    "STABLE_PRODUCT_PATH",
    "AuxiliaryLinks",
    "Caller",
    "Coverage",
    "CutoutLinks",
    "DirectFiles",
    "FileService",
    "HandOver",
    "HmacKey",
    "Link",
    "LinkChoice",
    "LinkSource",
    "LinksService",
    "PreviewLinks",
    "ProductService",
    "RelatedLinks",
    "ResultService",
    "Signature",
    "Signer",
    "ThisLinks",
    "describe_cutouts",
    "error_link",
    "sign_path",
    "verify_path",
]
