"""Which point spread function a file has, and its image at a place."""

from __future__ import annotations

__all__ = ["compute_psf", "find_psf"]

from collections.abc import Callable

import numpy as np

from ....errors import UnsupportedError
from .._afw_archive import Archive, Persisted, read_archive
from .._fits_file import FitsFile
from ._kernels import double_gaussian, evaluate_kernel, gaussian
from ._model import PsfImage, PsfKind
from ._psfex import PsfexModel
from ._with_afw import compute_with_afw, obstacle_to_afw

# Terms of a polynomial of PSFEx, and pixels of a side of its images.
_MOST_TERMS = 100
_LARGEST = 1000

# Classes that consist of others: what these are is looked at too.
_COMPOSITE = ("KernelPsf", "PcaPsf")
_KNOWN_PARTS = frozenset(
    {
        "FixedKernel",
        "DeltaFunctionKernel",
        "AnalyticKernel",
        "LinearCombinationKernel",
        "GaussianFunction2D",
        "GaussianFunction2F",
        "DoubleGaussianFunction2D",
        "DoubleGaussianFunction2F",
        "PolynomialFunction2D",
        "PolynomialFunction2F",
        "Chebyshev1Function2D",
        "Chebyshev1Function2F",
    }
)
# Classes whose rows are a pickle, which may run anything when it is read.
_PICKLED = ("PiffPsf",)


def find_psf(file: FitsFile) -> PsfKind | None:
    """Tell which point spread function a file has, without computing it.

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
    if file.is_of_images:
        from ..images import psf

        return psf.find_psf(file)
    found = _locate(file)
    if found is None:
        return None
    archive, number = found
    name = archive.class_of(number)
    if name is None:
        raise file.source.truncated()
    return PsfKind(name, _obstacle(archive, name, number))


def compute_psf(file: FitsFile, x: float, y: float) -> PsfImage:
    """Compute the image of a star.

    Parameters
    ----------
    file
        The file.
    x, y
        Its place, in parent coordinates.

    Returns
    -------
    image : `PsfImage`
        With the sum that its model has, which is 1.  Of a coadd whose cell there is missing, that of the
        nearest cell.

    Raises
    ------
    UnsupportedError
        Raised if the file has no point spread function, one that cannot be
        computed here, or one that does not reach there; or is damaged.
    """
    kind = find_psf(file)
    if kind is None:
        raise UnsupportedError(f"The file {file.source.name!r} has no point spread function")
    if kind.obstacle:
        raise UnsupportedError(
            f"The point spread function of {file.source.name!r}, a {kind.name}, cannot be computed here: "
            f"{kind.obstacle}"
        )
    if file.is_of_images:
        from ..images import psf

        image = psf.compute_psf(file, x, y)
    else:
        found = _locate(file)
        if found is None:
            raise file.source.truncated()
        compute = _MODELS.get(kind.name)
        try:
            image = compute(*found, x, y) if compute is not None else compute_with_afw(file, x, y)
        except (LookupError, ValueError, TypeError, ArithmeticError) as err:
            raise file.source.truncated() from err
    if not np.all(np.isfinite(image.values)) or not image.values.sum() > 0:
        raise UnsupportedError(
            f"The point spread function of {file.source.name!r} has no image at column {x:g}, row {y:g}"
        )
    return image


def _locate(file: FitsFile) -> tuple[Archive, int] | None:
    header = file.primary.header
    number = header.integer("ARCHIVE_ID_PSF", header.integer("PSF_ID"))
    archive = read_archive(file) if number else None
    return None if archive is None or not number else (archive, number)


def _obstacle(archive: Archive, name: str, number: int) -> str:
    if name in _PICKLED:
        return "afw keeps it as a pickle, which is not read from files that others may have written"
    if name not in _MODELS:
        return obstacle_to_afw(archive)
    if name in _COMPOSITE:
        unknown = sorted(_parts(archive, number) - _KNOWN_PARTS)
        if unknown:
            return f"it consists of a {unknown[0]}, which is not known here"
    return ""


def _parts(archive: Archive, number: int) -> set[str]:
    # The classes of all objects that a kernel leads to, by their ids.
    waiting, seen, names = [_kernel_of(archive.get(number))], set[int](), set[str]()
    while waiting and len(seen) < _MOST_TERMS * 2:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        persisted = archive.get(one)
        names.add(persisted.name)
        for row in persisted.parts[0] if persisted.parts else ():
            for key in ("kernelfunction", "spatialfunctions", "components"):
                waiting += row[key].tolist() if key in row else []
    return names


def _kernel_of(psf: Persisted) -> int:
    return int(psf.parts[0][0]["kernel"][0])


def _gaussian(archive: Archive, number: int, _x: float, _y: float) -> PsfImage:
    row = archive.get(number).parts[0][0]
    return gaussian(int(row["dimensions_x"][0]), int(row["dimensions_y"][0]), float(row["sigma"][0]))


def _double_gaussian(archive: Archive, number: int, _x: float, _y: float) -> PsfImage:
    row = archive.get(number).parts[0][0]
    return double_gaussian(
        int(row["dimensions_x"][0]),
        int(row["dimensions_y"][0]),
        *(float(row[key][0]) for key in ("sigma1", "sigma2", "b")),
    )


def _kernel(archive: Archive, number: int, x: float, y: float) -> PsfImage:
    return evaluate_kernel(archive, _kernel_of(archive.get(number)), x, y)


def _psfex(archive: Archive, number: int, x: float, y: float) -> PsfImage:
    first, second = (part[0] for part in archive.get(number).parts)
    size = second["_size"].tolist()
    width, height = size[:2]
    terms = size[2] if len(size) > 2 else 1
    (degree,), context = second["degree"].tolist(), second["_context_first"].tolist()
    # Both coordinates in one group: what the pipelines fit.
    if len(context) != 2 or second["group"].tolist() != [0, 0] or degree < 0:
        raise UnsupportedError("The point spread function of the file depends on more than coordinates")
    expected = (degree + 1) * (degree + 2) // 2
    if terms != expected or terms > _MOST_TERMS or not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise ValueError(size)
    components = second["_comp"].astype(np.float32).reshape(terms, height, width)
    step = float(first["_pixstep"][0])
    if not 0.01 < step < 10:
        raise ValueError(step)
    scales = second["_context_second"].tolist()
    model = PsfexModel(components, step, (context[0], context[1]), (scales[0], scales[1]), degree)
    return model.kernel_image(x, y)


_MODELS: dict[str, Callable[[Archive, int, float, float], PsfImage]] = {
    "GaussianPsf": _gaussian,
    "SingleGaussianPsf": _gaussian,
    "DoubleGaussianPsf": _double_gaussian,
    "KernelPsf": _kernel,
    "PcaPsf": _kernel,
    "PsfexPsf": _psfex,
}
