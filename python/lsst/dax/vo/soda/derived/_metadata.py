"""What a file says of itself, as JSON."""

from __future__ import annotations

__all__ = ["plain", "write_metadata"]

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._ast import AST_LOCK
from .._box import PixelBox
from .._image import CutImage
from .._projection import Projection
from ..backends._fits_file import FitsFile
from ..backends._hdu import Hdu
from ..backends.psf import find_psf
from ..picture import fit_plane
from ._cards import Value, parse_cards
from ._legend import find_mask_planes

# HDUs whose cards are written, beside the first: those of images.  An archive
# of afw has tables by the dozen.
_MOST_HDUS = 100

# The parts of a tree of lsst.images that say something of the observation.
_TREE_PARTS = (
    "metadata",
    "butler_info",
    "obs_info",
    "summary_stats",
    "band",
    "photometric_scaling",
    "patch",
    "provenance",
)
_PROVENANCE = re.compile(r"LSST BUTLER (.+)")


def write_metadata(file: FitsFile, image: CutImage) -> bytes:
    """Write what a file says of itself.

    Parameters
    ----------
    file
        The file.
    image
        Its image.

    Returns
    -------
    content : `bytes`
        A JSON object, whose keys the documentation lists.  Numbers that are
        no numbers are null.

    Raises
    ------
    UnsupportedError
        Raised if it is damaged.
    """
    box, hdus = image.box, file.hdus()[:_MOST_HDUS]
    with AST_LOCK:
        wcs = _describe_wcs(image.projection(), box)
    psf = find_psf(file)
    model = file.primary.header.text("DATAMODL")
    pictures = [(number, hdu) for number, hdu in enumerate(hdus) if hdu.is_image or number == 0]
    headers = {number: parse_cards(hdu.header) for number, hdu in pictures}
    content: dict[str, Any] = {
        "file": {
            "name": file.source.name,
            "size_bytes": file.source.size,
            "data_model": model or ("afw" if "AR_HDU" in file.primary.header else "FITS"),
        },
        "image": {
            "width": box.width,
            "height": box.height,
            "x0": box.x0,
            "y0": box.y0,
            "unit": next(
                (str(value) for cards in headers.values() for key, value, _ in cards if key == "BUNIT"), None
            ),
        },
        "wcs": wcs,
        "psf": None if psf is None else {"model": psf.name, "can_be_computed": not psf.obstacle},
        "mask_planes": [plane.name for plane in find_mask_planes(file)],
        "provenance": _read_provenance([card for cards in headers.values() for card in cards]),
        "object": _describe_object(file) if model else None,
        "hdus": [_describe_hdu(number, hdu, headers.get(number)) for number, hdu in enumerate(hdus)],
    }
    return json.dumps(plain(content), ensure_ascii=False, allow_nan=False).encode()


def plain(value: Any) -> Any:
    """Make a value fit for JSON.

    Parameters
    ----------
    value
        Any value.

    Returns
    -------
    value : `object`
        Numbers that are infinite or no numbers become `None`, and what JSON
        does not have its text.
    """
    match value:
        case None | bool() | int():
            return value
        case str():
            # A lone surrogate cannot be written as UTF-8.
            return value.encode("utf-8", "replace").decode()
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(plain(str(key))): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    return plain(str(value))


def _describe_hdu(number: int, hdu: Hdu, cards: list[tuple[str, Value, str]] | None) -> dict[str, Any]:
    return {
        "number": number,
        "name": hdu.header.text("EXTNAME") or None,
        "kind": "image" if hdu.is_image else hdu.header.text("XTENSION").lower() or "primary",
        "compression": hdu.header.text("ZCMPTYPE") or None if hdu.is_tiled else None,
        "bitpix": hdu.bitpix if hdu.is_image else None,
        "shape": list(reversed(hdu.shape)) if hdu.is_image else None,
        "cards": cards,
    }


def _describe_wcs(projection: Projection | None, box: PixelBox) -> dict[str, Any] | None:
    if projection is None:
        return None
    x = np.array([box.x0 - 0.5, box.x1 + 0.5, box.x1 + 0.5, box.x0 - 0.5])
    y = np.array([box.y0 - 0.5, box.y0 - 0.5, box.y1 + 0.5, box.y1 + 0.5])
    corners = [[float(value) for value in np.degrees(one)] for one in projection.to_sky(x, y)]
    plane = fit_plane(projection, box)
    found: dict[str, Any] = {
        "frame": "ICRS",
        "corners_deg": list(zip(*corners, strict=True)),
        "center_deg": None,
        "pixel_scale_arcsec": None,
        "north_angle_deg": None,
        "is_mirrored": None,
    }
    if plane is not None:
        (a, b), (c, d) = plane.cd
        determinant = a * d - b * c
        found["center_deg"] = [plane.lon_deg, plane.lat_deg]
        found["pixel_scale_arcsec"] = 3600.0 * math.sqrt(abs(determinant))
        # The direction in pixels in which declination rises.
        found["north_angle_deg"] = (
            math.degrees(math.atan2(a, -b) if determinant > 0 else math.atan2(-a, b)) % 360.0
        )
        found["is_mirrored"] = determinant > 0
    return found


def _read_provenance(cards: list[tuple[str, Value, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value, _ in cards:
        match = _PROVENANCE.fullmatch(key)
        if match is not None:
            found.setdefault(match[1].lower().replace(" ", "_"), value)
    return found


def _describe_object(file: FitsFile) -> dict[str, Any]:
    from ..backends.images import known_layout

    tree = known_layout(file).tree
    return {key: tree[key] for key in _TREE_PARTS if tree.get(key) is not None}
