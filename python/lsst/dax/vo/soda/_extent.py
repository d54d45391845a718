"""Filters on what an image measured besides the sky: BAND, TIME and POL."""

__all__ = ["Extent", "selects"]

import math
from collections.abc import Collection
from dataclasses import dataclass

from ..dali import Interval
from ..errors import UnsupportedError


@dataclass(frozen=True, slots=True)
class Extent:
    """Wavelengths, times and polarization of one dataset; `None` is unknown."""

    em_min: float | None = None
    """Shortest wavelength, metres."""

    em_max: float | None = None
    """Longest wavelength, metres."""

    t_min: float | None = None
    """Begin of the exposure, MJD (UTC)."""

    t_max: float | None = None
    """End of the exposure, MJD (UTC)."""

    pol_states: tuple[str, ...] | None = None
    """Polarization states, as ObsCore names them (``I``, ``Q``, …)."""


def selects(
    extent: Extent,
    *,
    band: Interval | None = None,
    time: Interval | None = None,
    pols: Collection[str] = (),
) -> bool:
    """Tell whether filters leave anything of a dataset.

    Parameters
    ----------
    extent
        What the dataset covers.
    band
        Wavelengths to keep, metres; `None` keeps all.
    time
        Times to keep, MJD (UTC); `None` keeps all.
    pols
        States to keep, together one filter; none keeps all.

    Returns
    -------
    is_selected : `bool`
        An image has one pixel along each of these axes, so that it is kept
        whole or not at all; an interval that touches its pixel keeps it.

    Raises
    ------
    UnsupportedError
        Raised if a filter leaves out something, and what the dataset covers
        is not known: nobody can say then whether it is to be left out.

    References
    ----------
    SODA 1.0, 3.3.4 to 3.3.6; 4.1 on images of one band.
    """
    return (
        _overlaps("BAND", "wavelengths", band, extent.em_min, extent.em_max)
        and _overlaps("TIME", "times", time, extent.t_min, extent.t_max)
        and _has_state(pols, extent.pol_states)
    )


def _overlaps(name: str, what: str, kept: Interval | None, low: float | None, high: float | None) -> bool:
    if kept is None or (math.isinf(kept.low) and math.isinf(kept.high) and kept.low < kept.high):
        return True
    # One known end may decide all the same.
    if (low is not None and kept.high < low) or (high is not None and kept.low > high):
        return False
    if low is None or high is None:
        raise _unknown(name, what)
    return True


def _has_state(kept: Collection[str], states: tuple[str, ...] | None) -> bool:
    if not kept:
        return True
    if not states:
        raise _unknown("POL", "polarization states")
    return not set(kept).isdisjoint(states)


def _unknown(name: str, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{name} cannot be applied: the {what} of this dataset are not known here; leave {name} out"
    )
