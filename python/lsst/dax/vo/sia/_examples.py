"""Requests to start from, about an image that the service has."""

from __future__ import annotations

__all__ = ["COLUMNS", "build_examples"]

from collections.abc import Mapping, Sequence
from typing import Any

from ..dali import Example

COLUMNS = (
    "s_ra",
    "s_dec",
    "em_min",
    "em_max",
    "t_min",
    "calib_level",
    "obs_collection",
    "obs_publisher_did",
)
"""What must be known of the image."""

_SIZE_DEG = 0.1


def build_examples(image: Mapping[str, Any] | None) -> Sequence[Example]:
    """Make the examples.

    Parameters
    ----------
    image
        Values of `COLUMNS` of an image, which all of them find; `None` if
        there is none.

    Returns
    -------
    examples : `~collections.abc.Sequence` [`~lsst.dax.vo.dali.Example`]
        Those for which the image has values, and one that it does not matter
        for.
    """
    found = [] if image is None else [*_iter_places(image), *_iter_others(image)]
    description = Example(
        "parameters",
        "The parameters and columns of this service",
        "With MAXREC=0, the answer has no rows, but describes all columns, and all parameters with the "
        "values that there are.",
        parameters=(("MAXREC", "0"),),
    )
    return (*found, description)


def _iter_places(image: Mapping[str, Any]) -> Sequence[Example]:
    ra, dec = image["s_ra"], image["s_dec"]
    if ra is None or dec is None:
        return ()
    low, high = dec - _SIZE_DEG, dec + _SIZE_DEG
    west, east = (ra - _SIZE_DEG) % 360.0, (ra + _SIZE_DEG) % 360.0
    examples = [
        Example(
            "circle",
            "Images around a place",
            "Finds what covers any part of a circle: right ascension, declination and radius, degrees, ICRS.",
            parameters=(("POS", f"CIRCLE {ra:.5f} {dec:.5f} {_SIZE_DEG}"),),
        ),
    ]
    # At a pole, and across longitude 0, these are no examples to begin with.
    if west < east and max(abs(low), abs(high)) < 89.0:
        examples.append(
            Example(
                "range",
                "Images in a range of coordinates",
                "Finds what covers any part of a range of right ascensions and declinations.",
                parameters=(("POS", f"RANGE {west:.5f} {east:.5f} {low:.5f} {high:.5f}"),),
            )
        )
        examples.append(
            Example(
                "places",
                "Images of one or another place",
                "A parameter may be repeated: what fulfils any of its values is found.",
                parameters=(
                    ("POS", f"CIRCLE {ra:.5f} {dec:.5f} 0.01"),
                    ("POS", f"POLYGON {west:.5f} {low:.5f} {east:.5f} {low:.5f} {ra:.5f} {high:.5f}"),
                ),
            )
        )
    return examples


def _iter_others(image: Mapping[str, Any]) -> Sequence[Example]:
    examples = []
    em_min, em_max = image["em_min"], image["em_max"]
    if em_min is not None and em_max is not None:
        examples.append(
            Example(
                "band",
                "Calibrated images at a wavelength",
                "Different parameters must all be fulfilled. Wavelengths are in meters; two numbers are an "
                "interval.",
                parameters=(
                    ("BAND", f"{(em_min + em_max) / 2:.9g}"),
                    ("CALIB", str(image["calib_level"])),
                ),
            )
        )
    if image["t_min"] is not None:
        examples.append(
            Example(
                "time",
                "Images of a day",
                "Times are Modified Julian Dates, UTC. Images without a time, such as coadds, are not found.",
                parameters=(("TIME", f"{image['t_min'] - 0.5:.2f} {image['t_min'] + 0.5:.2f}"),),
            )
        )
    if image["obs_collection"] is not None:
        examples.append(
            Example(
                "collection",
                "Images of a collection, as CSV",
                "RESPONSEFORMAT takes short names such as csv, parquet and fits.",
                parameters=(("COLLECTION", image["obs_collection"]), ("RESPONSEFORMAT", "csv")),
            )
        )
    examples.append(
        Example(
            "id",
            "One image by its identifier",
            "Its access_url leads to its files and cutouts (DataLink).",
            parameters=(("ID", image["obs_publisher_did"]),),
        )
    )
    return examples
