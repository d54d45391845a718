"""Point spread functions of `lsst.images`, by the library's own models."""

from __future__ import annotations

__all__ = ["compute_psf", "find_psf"]

import math
from typing import Any

from lsst.images.cells import CellPointSpreadFunction

from ....errors import UnsupportedError
from ..._ast import AST_LOCK
from .._fits_file import FitsFile
from .._installed import is_installed
from ..psf._model import PsfImage, PsfKind
from ._archive import known_layout
from ._damage import DAMAGE
from ._library import open_reader
from ._tree import parse_schema

# What each model needs beside lsst.images.
_NEEDS = {
    "gaussian_psf": (),
    "cell_psf": (),
    "piff_psf": ("piff",),
    "psfex_psf": ("lsst.meas.extensions.psfex",),
}


def find_psf(file: FitsFile) -> PsfKind | None:
    """Tell which point spread function a file has, without reading it.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    kind : `PsfKind` or `None`
        `None` if it has none.

    Raises
    ------
    UnsupportedError
        Raised if it is damaged.
    """
    tree = known_layout(file).tree.get("psf")
    if not isinstance(tree, dict):
        return None
    url = tree.get("schema_url")
    schema = parse_schema(url) if isinstance(url, str) else None
    if schema is None:
        return PsfKind(str(url)[:100], "its schema is not one of lsst.images")
    name = schema[0]
    if name not in _NEEDS:
        return PsfKind(name, "its schema is not known here")
    missing = [module for module in _NEEDS[name] if not is_installed(module)]
    return PsfKind(name, f"the package {missing[0]} is not installed" if missing else "")


def compute_psf(file: FitsFile, x: float, y: float) -> PsfImage:
    """Compute the image of a star.

    Parameters
    ----------
    file
        A file that has a point spread function.
    x, y
        Its place, in parent coordinates.

    Returns
    -------
    image : `PsfImage`

    Raises
    ------
    UnsupportedError
        Raised if the model does not reach there, or the file is damaged.
    """
    with AST_LOCK, open_reader(file) as reader:
        try:
            model: Any = reader.get_component("psf")
        except DAMAGE as err:
            raise file.source.truncated() from err
        try:
            place = _nearest(model, x, y)
            found = model.compute_kernel_image(x=place[0], y=place[1])
        except (*DAMAGE, NotImplementedError) as err:
            reason = " ".join(str(err).split())[:200]
            raise UnsupportedError(
                f"The point spread function of {file.source.name!r} has no image at column {x:g}, row {y:g}"
                + (f": {reason}" if reason else "")
            ) from err
    return PsfImage(found.array.astype(float), -found.bbox.x.min, -found.bbox.y.min, place)


def _nearest(model: Any, x: float, y: float) -> tuple[float, float]:
    """Return the place itself, or the center of the nearest cell that has a PSF."""
    if not isinstance(model, CellPointSpreadFunction):
        return x, y
    bounds = model.bounds
    # Rounded as the library does it: half a pixel may be in another cell.
    cell = bounds.grid.index_of(x=round(x), y=round(y))
    if bounds.contains_cell(cell) and cell not in bounds.missing:
        return x, y
    boxes = [bounds.grid.bbox_of(cell) for cell in bounds.cell_indices()]
    centers = [((box.x.min + box.x.max) / 2, (box.y.min + box.y.max) / 2) for box in boxes]
    return min(centers, key=lambda center: math.dist(center, (x, y)), default=(x, y))
