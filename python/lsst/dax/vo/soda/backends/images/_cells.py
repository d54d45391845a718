"""The parts of a coadd of cells that follow the box: PSFs and provenance.

A cutout holds the PSFs of the cells that it touches, and the rows of
provenance of those cells and their inputs, as the library's own cutouts do.
"""

from __future__ import annotations

__all__ = ["cut_cells"]

import io
import re
from typing import Any

import numpy as np
from lsst.images import Box, NoOverlapError
from lsst.images.cells import CellGridBounds

from ....errors import UnsupportedError
from ..._box import PixelBox
from .._codecs import stored_type
from .._fits_file import FitsFile
from .._hdu import Hdu
from .._header import padded
from .._plane import image_header
from ._archive import Key, Layout, Part, find_hdus, parse_reference
from ._damage import DAMAGE

type Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

_FORM = re.compile(r"(\d*)([LBIJKED])")
_KINDS = {"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
# A tract of 40 000 pixels in cells of 50 has fewer.
_MAX_CELLS = 10**6
_INPUT = ("instrument", "visit", "detector")


def cut_cells(file: FitsFile, layout: Layout, tree: dict[str, Any], box: PixelBox) -> dict[Key, Part | None]:
    """Restrict PSFs and provenance to the cells of a box.

    Parameters
    ----------
    file
        The file.
    layout
        Its layout.
    tree
        The tree of the cutout; it is changed.
    box
        The box.

    Returns
    -------
    parts : `dict`
        The HDUs of these parts; `None` for those that the cutout has not.

    Raises
    ------
    UnsupportedError
        Raised if there is no PSF in the box, or the file is damaged.
    """
    try:
        parts, bounds = _cut_psf(file, layout, tree, box)
        return parts | _cut_provenance(file, layout, tree, bounds)
    except NoOverlapError as err:
        raise UnsupportedError(
            f"The complete object in {file.source.name!r} cannot be cut here (no cell of it has a PSF); "
            "send CUTOUTDETAIL=MaskedImage"
        ) from err
    except DAMAGE as err:
        # Of a tree, or a table, that is not what its schema says.
        raise file.source.truncated() from err


def _cut_psf(
    file: FitsFile, layout: Layout, tree: dict[str, Any], box: PixelBox
) -> tuple[dict[Key, Part | None], CellGridBounds]:
    psf = tree["psf"]
    bounds = CellGridBounds.model_validate(psf["bounds"])
    bbox = Box.factory[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
    subset = bounds[bbox.intersection(bounds.bbox)]
    first, last = subset.subgrid_start - bounds.subgrid_start, subset.subgrid_stop - bounds.subgrid_start
    key = _key_of(psf["array"]["source"])
    (hdu,) = find_hdus(file, layout, [key])
    shape = list(reversed(hdu.shape))
    if (
        shape != psf["array"]["shape"]
        or len(shape) != 4
        or not 0 <= first.i < last.i <= shape[0]
        or not 0 <= first.j < last.j <= shape[1]
        or shape[0] * shape[1] > _MAX_CELLS
    ):
        raise file.source.truncated()
    kernels = _read_kernels(file, hdu, (first.i, last.i), (first.j, last.j))
    tree["psf"] = {
        **psf,
        "array": {**psf["array"], "shape": list(kernels.shape)},
        "bounds": subset.model_dump(mode="json"),
    }
    header = image_header(hdu, is_primary=False)
    for axis, length in enumerate(reversed(kernels.shape), start=1):
        header.set(f"NAXIS{axis}", length)
    return {key: Part(header, (padded(kernels.tobytes()),))}, subset


def _read_kernels(file: FitsFile, hdu: Hdu, rows: tuple[int, int], columns: tuple[int, int]) -> Array:
    # Kernels of cells, as FITS stores them.
    width, height, across, _ = hdu.shape
    flat = _flattened(hdu)
    if flat is None:
        kernels: Array = _read_tiled_kernels(file, hdu)[slice(*rows), slice(*columns)]
        return kernels.astype(stored_type(hdu.bitpix))
    count = columns[1] - columns[0]
    boxes = [(0, (row * across + columns[0]) * height, width, count * height) for row in range(*rows)]
    data = b"".join(file.read_boxes([(flat, box) for box in boxes]))
    return np.frombuffer(data, dtype=stored_type(hdu.bitpix)).reshape(len(boxes), count, height, width)


def _flattened(hdu: Hdu) -> Hdu | None:
    # An array of four axes is one of two whose rows are those of all
    # kernels, if no tile reaches from one kernel into another.
    width, height, across, down = hdu.shape
    header = hdu.header.copy()
    prefix = "Z" if hdu.is_tiled else ""
    if hdu.is_tiled:
        tile = [header.integer(f"ZTILE{axis}", width if axis == 1 else 1) or 0 for axis in (1, 2, 3, 4)]
        if tile[2:] != [1, 1] or not 0 < tile[1] <= height or height % tile[1]:
            return None
    header.set(f"{prefix}NAXIS", 2)
    header.set(f"{prefix}NAXIS2", height * across * down)
    header.drop(lambda key: key in (f"{prefix}NAXIS3", f"{prefix}NAXIS4", "ZTILE3", "ZTILE4"))
    return Hdu(header, hdu.offset, hdu.data_offset, hdu.data_size)


def _read_tiled_kernels(file: FitsFile, hdu: Hdu) -> Any:
    # Tiles of several kernels are left to astropy, which decodes those that
    # are asked for.
    from astropy.io import fits

    table = fits.BinTableHDU.readfrom(io.BytesIO(file.read_all(hdu)), memmap=False, cache=False)
    return fits.CompImageHDU(bintable=table).section


def _cut_provenance(
    file: FitsFile, layout: Layout, tree: dict[str, Any], bounds: CellGridBounds
) -> dict[Key, Part | None]:
    provenance = tree.get("provenance")
    if provenance is None:
        return {}
    names = ("inputs", "contributions")
    keys = [_key_of(provenance[name]["columns"][0]["data"]["source"].partition("[")[0]) for name in names]
    hdus = find_hdus(file, layout, keys)
    inputs, contributions = (_Table(file, hdu, key) for hdu, key in zip(hdus, keys, strict=True))
    kept = _in_cells(contributions.integers("cell_i"), contributions.integers("cell_j"), bounds)
    if not np.any(kept):
        # The library keeps no provenance without inputs.
        tree["provenance"] = None
        return {inputs.key: None, contributions.key: None}
    columns = [name for name in _INPUT if name in inputs.names and name in contributions.names]
    used = np.unique(contributions.identities(columns)[kept])
    return {
        inputs.key: inputs.part(np.isin(inputs.identities(columns), used)),
        contributions.key: contributions.part(kept),
    }


def _in_cells(i: Array, j: Array, bounds: CellGridBounds) -> Array:
    start, size = bounds.subgrid_start, bounds.subgrid_size
    is_wanted = np.zeros((size.i, size.j), dtype=bool)
    for cell in bounds.cell_indices():
        is_wanted[cell.i - start.i, cell.j - start.j] = True
    row, column = i.astype(np.int64) - start.i, j.astype(np.int64) - start.j
    inside: Array = (row >= 0) & (row < size.i) & (column >= 0) & (column < size.j)
    inside[inside] = is_wanted[row[inside], column[inside]]
    return inside


class _Table:
    """A table of plain columns, whose rows are selected without a change."""

    def __init__(self, file: FitsFile, hdu: Hdu, key: Key) -> None:
        header = hdu.header
        self.key = key
        self._header = header
        fields, offset = [], 0
        for number in range(1, (header.integer("TFIELDS") or 0) + 1):
            form = _FORM.fullmatch(header.text(f"TFORM{number}"))
            if form is None:
                raise ValueError("a column that is no number")
            fields.append((number, header.text(f"TTYPE{number}"), _KINDS[form[2]], offset, int(form[1] or 1)))
            offset += np.dtype(_KINDS[form[2]]).itemsize * fields[-1][4]
        self._columns = {name: (number, kind, at) for number, name, kind, at, count in fields if count == 1}
        width, count = header.integer("NAXIS1") or 0, header.integer("NAXIS2") or 0
        if width != offset or header.integer("PCOUNT"):
            raise ValueError("a table of another shape")
        self.rows = np.frombuffer(file.read_data(hdu), dtype=np.uint8, count=width * count).reshape(
            count, width
        )

    @property
    def names(self) -> set[str]:
        return set(self._columns)

    def integers(self, name: str) -> Array:
        number, kind, offset = self._columns[name]
        size = np.dtype(kind).itemsize
        raw = np.ascontiguousarray(self.rows[:, offset : offset + size]).view(kind)[:, 0]
        # Unsigned numbers are stored shifted (FITS 4.0, 5.2.5).
        shift = int(self._header.number(f"TZERO{number}") or 0)
        shifted: Array = raw.astype(np.int64).view(np.uint64) + np.uint64(shift % 2**64)
        return shifted

    def identities(self, names: list[str]) -> Array:
        stacked = np.column_stack([self.integers(name) for name in names])
        return stacked.view([("", stacked.dtype)] * len(names))[:, 0]

    def part(self, kept: Array) -> Part:
        header = self._header.copy()
        header.drop(lambda key: key in ("CHECKSUM", "DATASUM"))
        header.set("NAXIS2", int(np.count_nonzero(kept)))
        return Part(header, (padded(self.rows[kept].tobytes()),))


def _key_of(source: object) -> Key:
    key = parse_reference(source)
    if key is None:
        raise ValueError(f"{source!r} is no reference")
    return key
