"""The mapping between pixels and sky, as the stencil code sees it."""

__all__ = ["Projection"]

from dataclasses import dataclass
from typing import Protocol

import numpy as np

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class Mapping(Protocol):
    """Two coordinates to two coordinates, arrays of one dimension."""

    def __call__(self, first: Floats, second: Floats, /) -> tuple[Floats, Floats]: ...


@dataclass(frozen=True, slots=True)
class Projection:
    """A WCS in parent pixel coordinates, ICRS.

    Both mappings give NaN, or any number that does not map back, where a
    point has no image.
    """

    to_sky: Mapping
    """Pixel x and y to longitude and latitude, radians."""

    to_pixel: Mapping
    """Longitude and latitude, radians, to pixel x and y."""
