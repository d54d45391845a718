"""Which dataset types are products, by names and storage classes."""

from __future__ import annotations

__all__ = ["DETECTOR_IMAGES", "is_made", "is_summary", "is_template", "is_usual", "order_of"]

import re

from lsst.daf.butler import DatasetType

from .._dataset import is_image_class

DETECTOR_IMAGES = ("visit_image", "calexp", "pvi", "preliminary_visit_image", "initial_pvi")
"""Names of images of detectors of which coadds are made, the best first."""

# Storage classes of what an observer takes home, beside images: not logs,
# metadata, configurations, plots and metrics.
_TABLES = re.compile(r".*Catalog|DataFrame|Arrow(Table|Astropy|Numpy(Dict)?)|AstropyQ?Table")
_BACKGROUND = re.compile(r"Background(List|Map)?")
_SUMMARY = re.compile(r".*visit_?summary", re.IGNORECASE)
_RAW = "raw"
_TEMPLATE = re.compile(r".*template.*|goodSeeingCoadd.*", re.IGNORECASE)


def is_usual(kind: DatasetType) -> bool:
    """Tell whether a dataset type is one of images, tables or backgrounds."""
    return _is_product(kind) or _is_background(kind)


def is_made(kind: DatasetType) -> bool:
    """Tell whether datasets of a type may have been made from others."""
    # Before raw data, there is nothing; and backgrounds do not tell.
    return kind.name != _RAW and _is_product(kind)


def is_summary(kind: DatasetType) -> bool:
    """Tell whether a dataset type is that of summaries of visits."""
    return _SUMMARY.fullmatch(kind.name) is not None and _is_product(kind)


def is_template(name: str) -> bool:
    """Tell whether images of visits are compared with coadds of such a name."""
    return _TEMPLATE.fullmatch(name) is not None


def order_of(kind: DatasetType) -> int:
    """Return the place of a type in lists: raw data, images, backgrounds, others."""
    if kind.name == _RAW:
        return 0
    if is_image_class(kind.storageClass_name):
        return 1
    return 2 if _is_background(kind) else 3


def _is_product(kind: DatasetType) -> bool:
    name = kind.storageClass_name
    return is_image_class(name) or _TABLES.fullmatch(name) is not None


def _is_background(kind: DatasetType) -> bool:
    return _BACKGROUND.fullmatch(kind.storageClass_name) is not None
