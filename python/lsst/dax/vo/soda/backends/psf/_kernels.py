"""Kernels and functions of `lsst.afw.math`, evaluated from its archive.

Each class is a row of a table, with the ids of other objects that it is made
of.  These are what point spread functions of the classes KernelPsf and PcaPsf
consist of.
"""

from __future__ import annotations

__all__ = ["double_gaussian", "evaluate_kernel", "gaussian"]

import math

import numpy as np

from ....errors import UnsupportedError
from .._afw_archive import Archive, Row
from ._model import Floats, PsfImage

# A kernel of kernels of kernels would be none that afw writes.
_DEEPEST = 4

# Pixels on a side: more is a damaged table, and no kernel.
_LARGEST = 4001


def evaluate_kernel(archive: Archive, number: int, x: float, y: float) -> PsfImage:
    """Compute the image of a kernel at a place, with the sum 1.

    Parameters
    ----------
    archive
        The archive.
    number
        Id of the kernel.
    x, y
        The place, in parent coordinates.

    Returns
    -------
    image : `PsfImage`

    Raises
    ------
    UnsupportedError
        Raised if it is of a class that is not known here, or damaged.
    """
    values, center = _evaluate(archive, number, x, y, _DEEPEST)
    total = float(values.sum())
    if not math.isfinite(total) or total == 0.0:
        raise _unknown("a kernel without a sum")
    return PsfImage(values / total, *center)


def gaussian(width: int, height: int, sigma: float) -> PsfImage:
    """Compute a round Gaussian, with the sum 1.

    Parameters
    ----------
    width, height
        Size of the image; afw accepts odd ones.
    sigma
        Its sigma, in pixels.

    Returns
    -------
    image : `PsfImage`

    Raises
    ------
    UnsupportedError
        Raised if it is none.
    """
    _check_size(width, height)
    if not (math.isfinite(sigma) and sigma > 0):
        raise _unknown(f"a Gaussian of sigma {sigma}")
    center = ((width - 1) // 2, (height - 1) // 2)
    x, y = _grid(width, height, *center)
    exponents = -0.5 * (x * x + y * y) / (sigma * sigma)
    # The C library's function, and one pixel added after the other, as in
    # afw: the same to the last bit (numpy's exp is off by one here and there).
    values = np.array([math.exp(one) for one in exponents.ravel().tolist()]).reshape(height, width)
    return PsfImage(values / np.cumsum(values.ravel())[-1], *center)


def double_gaussian(width: int, height: int, sigma1: float, sigma2: float, amplitude: float) -> PsfImage:
    """Compute the sum of two round Gaussians, with the sum 1.

    Parameters
    ----------
    width, height
        Size of the image.
    sigma1, sigma2
        Their sigmas, in pixels.
    amplitude
        Height of the second, where that of the first is 1.

    Returns
    -------
    image : `PsfImage`

    Raises
    ------
    UnsupportedError
        Raised if it is none.
    """
    _check_size(width, height)
    center = ((width - 1) // 2, (height - 1) // 2)
    if amplitude == 0.0 and sigma2 == 0.0:
        sigma2 = 1.0
    if not (sigma1 > 0 and sigma2 > 0 and math.isfinite(sigma1 + sigma2 + amplitude)):
        raise _unknown("a double Gaussian without two sigmas")
    values = _double(*_grid(width, height, *center), sigma1, sigma2, amplitude)
    return PsfImage(values / np.cumsum(values.ravel())[-1], *center)


def _evaluate(
    archive: Archive, number: int, x: float, y: float, depth: int
) -> tuple[Floats, tuple[int, int]]:
    if depth == 0:
        raise _unknown("kernels in kernels")
    persisted = archive.get(number)
    row = _only(persisted.parts)
    width, height = _number(row, "dimensions_x"), _number(row, "dimensions_y")
    _check_size(width, height)
    center = _number(row, "center_x"), _number(row, "center_y")
    if not (0 <= center[0] < width and 0 <= center[1] < height):
        raise _unknown("a kernel whose center is outside")
    match persisted.name:
        case "FixedKernel":
            image = row.get("image", np.zeros(0))
            if len(image) != width * height:
                raise _unknown("a kernel without its image")
            return image.reshape(height, width), center
        case "DeltaFunctionKernel":
            values = np.zeros((height, width))
            values[_number(row, "pixel_y"), _number(row, "pixel_x")] = 1.0
            return values, center
        case "AnalyticKernel":
            if "spatialfunctions" in row:
                raise _unknown("an analytic kernel that varies")
            return _analytic(archive, _number(row, "kernelfunction"), _grid(width, height, *center)), center
        case "LinearCombinationKernel":
            members = row.get("components", np.zeros(0, int)).tolist()
            if "spatialfunctions" in row:
                weights = [_surface(archive, int(one), x, y) for one in row["spatialfunctions"].tolist()]
            else:
                weights = row.get("amplitudes", np.zeros(0)).tolist()
            if not members or len(weights) != len(members):
                raise _unknown("a combination without weights")
            values = np.zeros((height, width))
            for weight, member in zip(weights, members, strict=True):
                part, _ = _evaluate(archive, int(member), x, y, depth - 1)
                if part.shape != values.shape:
                    raise _unknown("kernels of several sizes")
                values = values + weight * part
            return values, center
    raise _unknown(f"a {persisted.name}")


def _analytic(archive: Archive, number: int, grid: tuple[Floats, Floats]) -> Floats:
    persisted = archive.get(number)
    row, (x, y) = _only(persisted.parts), grid
    match persisted.name:
        case "GaussianFunction2D" | "GaussianFunction2F":
            sigma1, sigma2, angle = (float(row[key][0]) for key in ("sigma1", "sigma2", "angle"))
            first = math.cos(angle) * x + math.sin(angle) * y
            second = -math.sin(angle) * x + math.cos(angle) * y
            if sigma1 > 0 and sigma2 > 0:
                scale = 1.0 / (2.0 * math.pi * sigma1 * sigma2)
                values: Floats = scale * np.exp(
                    -first * first / (2 * sigma1 * sigma1) - second * second / (2 * sigma2 * sigma2)
                )
                return values
        case "DoubleGaussianFunction2D" | "DoubleGaussianFunction2F":
            sigma1, sigma2, amplitude = (float(row[key][0]) for key in ("sigma1", "sigma2", "ampl2"))
            if sigma1 > 0 and sigma2 > 0:
                return _double(x, y, sigma1, sigma2, amplitude)
    raise _unknown(f"a {persisted.name}")


def _surface(archive: Archive, number: int, x: float, y: float) -> float:
    persisted = archive.get(number)
    row = _only(persisted.parts)
    values = row.get("coefficients", np.zeros(0)).tolist()
    # As many coefficients as a polynomial of some degree in x and y has,
    # ordered by degree: 1, x, y, x², xy, y², …
    degree = round((math.sqrt(8 * len(values) + 1) - 3) / 2)
    if not values or (degree + 1) * (degree + 2) // 2 != len(values):
        raise _unknown("a polynomial without coefficients")
    powers = [(total - j, j) for total in range(degree + 1) for j in range(total + 1)]
    match persisted.name:
        case "PolynomialFunction2D" | "PolynomialFunction2F":
            return math.fsum(value * x**i * y**j for value, (i, j) in zip(values, powers, strict=True))
        case "Chebyshev1Function2D" | "Chebyshev1Function2F":
            (x0, x1), (y0, y1) = (
                (float(row[f"min_{axis}"][0]), float(row[f"max_{axis}"][0])) for axis in ("x", "y")
            )
            if x1 > x0 and y1 > y0:
                first = _chebyshev((2 * x - x0 - x1) / (x1 - x0), degree)
                second = _chebyshev((2 * y - y0 - y1) / (y1 - y0), degree)
                return math.fsum(
                    value * first[i] * second[j] for value, (i, j) in zip(values, powers, strict=True)
                )
    raise _unknown(f"a {persisted.name}")


def _chebyshev(x: float, degree: int) -> list[float]:
    values = [1.0, x]
    while len(values) <= degree:
        values.append(2 * x * values[-1] - values[-2])
    return values


def _double(x: Floats, y: Floats, sigma1: float, sigma2: float, amplitude: float) -> Floats:
    square = x * x + y * y
    scale = 1.0 / (2.0 * math.pi * (sigma1 * sigma1 + amplitude * sigma2 * sigma2))
    values: Floats = scale * (
        np.exp(-square / (2 * sigma1 * sigma1)) + amplitude * np.exp(-square / (2 * sigma2 * sigma2))
    )
    return values


def _grid(width: int, height: int, x: int, y: int) -> tuple[Floats, Floats]:
    return np.arange(width, dtype=float)[None, :] - x, np.arange(height, dtype=float)[:, None] - y


def _check_size(width: int, height: int) -> None:
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise _unknown(f"a kernel of {width} x {height} pixels")


def _only(parts: tuple[tuple[Row, ...], ...]) -> Row:
    if len(parts) != 1 or len(parts[0]) != 1:
        raise _unknown("an object of several rows")
    return parts[0][0]


def _number(row: Row, name: str) -> int:
    found = row.get(name)
    if found is None or found.shape != (1,):
        raise _unknown(f"a table without {name}")
    return int(found[0])


def _unknown(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"The point spread function of the file consists of {what}, which is not known here; read it with "
        "the library that wrote it"
    )
