"""The model of PSFEx: images that are added up with a polynomial's terms.

The model is sampled finer, or coarser, than the pixels are; its own images
are added at the place that is wanted, and the sum is interpolated.  Sums are
rounded to single precision where `lsst.meas.extensions.psfex` does, so that
the result is the same to the last bit (see the tests, where its effective
area is that which the pipelines wrote into real files).

References
----------
Bertin 2011, ASP Conf. Ser. 442, 435; the interpolation is Lanczos's with
five zeroes on each side, normalized at each pixel.
"""

from __future__ import annotations

__all__ = ["PsfexModel"]

from dataclasses import dataclass

import numpy as np

from ._model import Floats, PsfImage

_ZEROES = 5


@dataclass(frozen=True, slots=True)
class PsfexModel:
    """A model of two variables, the coordinates."""

    components: Floats
    """Images of ``float32``, shape ``(terms, height, width)``."""

    step: float
    """Size of a pixel of the model, in pixels."""

    offsets: tuple[float, float]
    """What is taken away from the coordinates."""

    scales: tuple[float, float]
    """What they are divided by after that."""

    degree: int
    """Degree of the polynomial, whose terms are x^i y^j, i fastest."""

    def kernel_image(self, x: float, y: float) -> PsfImage:
        """Compute the image of a star.

        Parameters
        ----------
        x, y
            Its place, in parent coordinates.

        Returns
        -------
        image : `PsfImage`
        """
        first, second = (
            (value - offset) / scale
            for value, offset, scale in zip((x, y), self.offsets, self.scales, strict=True)
        )
        terms = [first**i * second**j for j in range(self.degree + 1) for i in range(self.degree + 1 - j)]
        total = np.zeros(self.components.shape[1:], np.float32)
        for term, component in zip(terms, self.components, strict=True):
            total += np.float32(term) * component
        height, width = (_odd(int(size * self.step)) for size in total.shape)
        rows = (total.astype(float) @ _interpolation(total.shape[1], width, self.step).T).astype(np.float32)
        pixels = (_interpolation(total.shape[0], height, self.step) @ rows.astype(float)).astype(np.float32)
        # Added one after the other, in single precision.
        pixels /= np.cumsum(pixels.ravel(), dtype=np.float32)[-1]
        return PsfImage(pixels.astype(float), width // 2, height // 2)


def _odd(size: int) -> int:
    return size + 1 - size % 2


def _interpolation(size: int, wanted: int, step: float) -> Floats:
    """Return the matrix from samples to pixels around the same center."""
    stride = float(np.float32(1) / np.float32(step))
    start = size // 2 - (wanted // 2) * stride
    first = 0 if start >= 0 else int(1 - start / stride)
    start += first * stride
    count = max(0, min(int((size - 1 - start) / stride + 1), wanted - first))
    distance = np.arange(size) - (start + np.arange(count) * stride)[:, None]
    weights = np.where(np.abs(distance) <= _ZEROES, np.sinc(distance) * np.sinc(distance / _ZEROES), 0.0)
    result = np.zeros((wanted, size))
    result[first : first + count] = weights / weights.sum(axis=1, keepdims=True)
    return result
