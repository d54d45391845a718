"""Cutouts of files of `lsst.images`.

Pixels are read by our own reader of tiles, and the tree of the object is
changed only where it depends on the box.  Objects of schemas that are not
known here are cut by the library itself.
"""

from __future__ import annotations

__all__ = ["known_layout", "open_image"]

from collections.abc import Iterator
from contextlib import contextmanager

from ..._image import CutImage
from .._fits_file import FitsFile
from ._archive import FORMAT, known_layout
from ._tree import UnknownTreeError, find_planes, parse_schema


@contextmanager
def open_image(file: FitsFile) -> Iterator[CutImage]:
    """Open a FITS file of `lsst.images` for cutting.

    Parameters
    ----------
    file
        The file.

    Yields
    ------
    image : `CutImage`

    Raises
    ------
    UnsupportedError
        Raised if it is damaged, or no image.
    """
    primary = file.primary.header
    schema = parse_schema(primary.text("DATAMODL"))
    if primary.integer("FMTVER") == FORMAT and schema is not None:
        layout = known_layout(file)
        try:
            box, planes = find_planes(layout.tree, schema)
        except UnknownTreeError:
            pass
        else:
            from ._cut import ImagesImage

            yield ImagesImage(file, layout, schema[0], box, planes)
            return
    from ._library import open_with_library

    with open_with_library(file) as image:
        yield image
