"""Requests to start from, about an image that the service has."""

from __future__ import annotations

__all__ = ["CutoutExample", "build_examples"]

from collections.abc import Sequence
from dataclasses import dataclass

from ..dali import Example

_RADIUS_DEG = 0.002


@dataclass(frozen=True, slots=True)
class CutoutExample:
    """A dataset, and a place in it."""

    id: str
    """Its identifier."""

    ra_deg: float
    """Longitude, ICRS."""

    dec_deg: float
    """Latitude, ICRS."""


def build_examples(found: CutoutExample | None) -> Sequence[Example]:
    """Make the examples.

    Parameters
    ----------
    found
        What is cut; `None` where there is nothing.

    Returns
    -------
    examples : `~collections.abc.Sequence` [`~lsst.dax.vo.dali.Example`]
        The first is a small synchronous call (SODA 1.0, 2.1).
    """
    if found is None:
        return ()
    identifier = ("ID", found.id)
    place = f"{found.ra_deg!r} {found.dec_deg!r}"
    circle = ("CIRCLE", f"{place} {_RADIUS_DEG}")
    picture = (("RESPONSEFORMAT", "image/png"), ("NORTHUP", "true"))
    return (
        Example("circle", "A circle", "The pixels around a place.", parameters=(identifier, circle)),
        Example(
            "planes",
            "Image, mask and variance",
            "The same with all three planes.",
            parameters=(identifier, circle, ("CUTOUTDETAIL", "MaskedImage")),
        ),
        Example(
            "stamp",
            "A stamp to look at",
            "A square of 10 arcseconds as a picture, north up.",
            parameters=(identifier, ("CENTER", place), ("SIZE", "10 10"), *picture),
        ),
    )
