"""What a cutout needs of the models of `lsst.images`: projection and bounds."""

from __future__ import annotations

__all__ = ["clip_bounds", "read_projection", "to_projection"]

from typing import Any

import numpy as np
import pydantic
import starlink.Ast as Ast
from lsst.images import Box, SkyProjectionSerializationModel, VisitImageSerializationModel
from lsst.images.fits import PointerModel
from lsst.images.serialization import DetachedArchive, parameterize_tree

from ....errors import UnsupportedError
from ..._ast import AST_LOCK
from ..._box import PixelBox
from ..._projection import Floats, Projection
from ._damage import DAMAGE

_PROJECTION = parameterize_tree(SkyProjectionSerializationModel, PointerModel)
_BOUNDS_TYPE: Any = VisitImageSerializationModel.model_fields["bounds"].annotation
_BOUNDS = pydantic.TypeAdapter(_BOUNDS_TYPE)


def read_projection(tree: dict[str, Any]) -> Projection | None:
    """Read a projection that has its mappings with it.

    Parameters
    ----------
    tree
        Its part of the tree.

    Returns
    -------
    projection : `Projection` or `None`
        In parent pixels; `None` if it is damaged.
    """
    with AST_LOCK:
        try:
            found: Any = _PROJECTION.model_validate(tree).deserialize(DetachedArchive())
            # AST reads mappings of any number of axes.
            found.pixel_to_sky_transform.apply_forward(x=np.zeros(1), y=np.zeros(1))
        except DAMAGE:
            return None
    return to_projection(found)


def to_projection(found: Any) -> Projection:
    """Wrap a projection of the library.

    Parameters
    ----------
    found
        A `~lsst.images.SkyProjection`.

    Returns
    -------
    projection : `Projection`
    """
    forward, backward = found.pixel_to_sky_transform, found.sky_to_pixel_transform

    def to_sky(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        lon, lat = _applied(forward, x, y)
        # A damaged mapping may leave the sphere.
        return lon, np.where(np.abs(lat) > np.pi / 2, np.nan, lat)

    def to_pixel(first: Floats, second: Floats) -> tuple[Floats, Floats]:
        return _applied(backward, first, second)

    return Projection(to_sky, to_pixel)


def clip_bounds(tree: Any, box: PixelBox) -> Any:
    """Restrict the region in which an image is valid to a box.

    Parameters
    ----------
    tree
        Its part of the tree of the object.
    box
        The box.

    Returns
    -------
    tree : `dict` or `None`
        The same for the box; `None` if it is valid in all of the box.

    Raises
    ------
    NoOverlapError
        Raised if it is valid nowhere in the box.
    ValueError
        Raised if the tree is damaged.
    """
    bbox = Box.factory[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
    bounds = _BOUNDS.validate_python(tree).deserialize()
    # As `VisitImage` does when it is made.
    if not bbox.contains(bounds.bbox):
        bounds = bounds.intersection(bbox)
    return None if bounds == bbox else _BOUNDS.dump_python(bounds.serialize(), mode="json")


def _applied(transform: Any, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    # AST knows no NaN and may fail on it; what it cannot map it marks with
    # the lowest double.
    bad = ~(np.isfinite(first) & np.isfinite(second))
    try:
        with AST_LOCK:
            result = transform.apply_forward(x=np.where(bad, 0.0, first), y=np.where(bad, 0.0, second))
    except (Ast.AstError, UnicodeDecodeError) as err:
        raise UnsupportedError(
            "The WCS of the image cannot be evaluated, it is damaged; cut the image by pixels instead"
        ) from err
    a, b = np.asarray(result.x, dtype=float), np.asarray(result.y, dtype=float)
    bad = bad | ~(np.abs(a) < 1e300) | ~(np.abs(b) < 1e300)
    return np.where(bad, np.nan, a), np.where(bad, np.nan, b)
