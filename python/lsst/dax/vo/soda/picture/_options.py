"""How a picture is made of pixels: parameters of our own, beside SODA's."""

from __future__ import annotations

__all__ = [
    "COLOR_MAPS",
    "LARGEST",
    "Limits",
    "Percentage",
    "PictureOptions",
    "Stretch",
    "Values",
    "Zscale",
    "parse_picture",
]

import enum
from dataclasses import dataclass
from typing import final

from ...dali import ParamSet, parse_numbers
from ...errors import UsageError, quoted

COLOR_MAPS: dict[str, str] = {
    "gray": "matlab:gray",
    "gray_r": "matlab:gray_r",
    "viridis": "bids:viridis",
    "magma": "bids:magma",
    "inferno": "bids:inferno",
    "plasma": "bids:plasma",
    "cividis": "cividis:cividis",
    "cubehelix": "cubehelix:cubehelix",
    "hot": "matlab:hot",
    "turbo": "google:turbo",
    "coolwarm": "matplotlib:coolwarm",
    "RdBu_r": "colorbrewer:RdBu_r",
}
"""Names of colour maps that requests may give, and those of the library that has them."""

LARGEST = 1e30
"""What is larger is no brightness, and would overflow sums of float32."""

_ACCEPTED_LIMITS = (
    "two numbers 'low high' in the unit of the image, 'minmax', 'zscale', or a percentage as '99.5%'"
)


class Stretch(enum.Enum):
    """From values to brightness."""

    ASINH = "asinh"
    """Linear for faint pixels, logarithmic for bright ones."""

    LINEAR = "linear"
    """In proportion."""

    LOG = "log"
    """Logarithm."""

    SQRT = "sqrt"
    """Square root."""

    ZSCALE = "zscale"
    """In proportion, between the limits that IRAF's algorithm finds."""


@final
@dataclass(frozen=True, slots=True)
class Values:
    """Black and white as values, in the unit of the image."""

    low: float
    """Black."""

    high: float
    """White, larger."""


@final
@dataclass(frozen=True, slots=True)
class Percentage:
    """Black and white between which a part of the pixels lies, as many left out below as above."""

    percent: float
    """The part; more than 0, at most 100."""


@final
@dataclass(frozen=True, slots=True)
class Zscale:
    """Black and white as IRAF's algorithm finds them."""


type Limits = Values | Percentage | Zscale
"""Values that become black and white."""


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """How to make a picture."""

    stretch: Stretch = Stretch.ASINH
    """From values to brightness."""

    limits: Limits | None = None
    """Black and white; from the pixels, in a way fit for the stretch, when `None`."""

    color_map: str = "gray"
    """One of `COLOR_MAPS`; three images have colours of their own."""

    north_up: bool = False
    """Whether to turn the image so that north is up and east left."""


def parse_picture(params: ParamSet) -> PictureOptions:
    """Parse STRETCH, LIMITS, COLORMAP and NORTHUP.

    Parameters
    ----------
    params
        Parameters as received.

    Returns
    -------
    options : `PictureOptions`

    Raises
    ------
    UsageError
        Raised if a value is not accepted; the message lists those that are.
    """
    default = PictureOptions()
    stretch = params.choice("STRETCH", [one.value for one in Stretch])
    return PictureOptions(
        default.stretch if stretch is None else Stretch(stretch),
        _parse_limits(params.single("LIMITS")),
        params.choice("COLORMAP", list(COLOR_MAPS)) or default.color_map,
        params.choice("NORTHUP", ["true", "false", "1", "0"]) in ("true", "1"),
    )


def _parse_limits(text: str | None) -> Limits | None:
    if text is None or not text.strip():
        return None
    word = text.strip().lower()
    if word == "zscale":
        return Zscale()
    if word == "minmax":
        return Percentage(100.0)
    numbers = parse_numbers(
        word.removesuffix("%").replace(",", " "), parameter="LIMITS", accepted=_ACCEPTED_LIMITS
    )
    match numbers:
        case (percent,) if word.endswith("%") and 0.0 < percent <= 100.0:
            return Percentage(percent)
        case (low, high) if not word.endswith("%") and -LARGEST <= low < high <= LARGEST:
            return Values(low, high)
    raise UsageError(
        f"LIMITS={quoted(text)} is not accepted; give {_ACCEPTED_LIMITS}", parameter="LIMITS", value=text
    )
