"""How many of everything a generated registry has: DP0.2, scaled."""

__all__ = [
    "BANDS",
    "CHAIN",
    "DETECTORS",
    "GOVERNORS",
    "INSTRUMENT",
    "KINDS",
    "PATCHES",
    "SKYMAP",
    "Counts",
    "DatasetKind",
]

import math
from dataclasses import dataclass

DETECTORS = 189
"""Detectors of the camera."""

PATCHES = 7
"""Patches along a side of a tract."""

BANDS = "ugrizy"
"""Bands of the survey."""

INSTRUMENT = "SimCam"
SKYMAP = "sim_grid"
CHAIN = "survey/dr1"
"""The collection that has everything."""

GOVERNORS = {"instrument": INSTRUMENT, "skymap": SKYMAP}
"""Names by the dimensions that they are values of."""

_PRESENT = 0.96  # of the detectors of a visit, on average


@dataclass(frozen=True, slots=True)
class DatasetKind:
    """A dataset type."""

    name: str
    """Its name."""

    dimensions: tuple[str, ...]
    """What identifies a dataset."""

    dp02: int
    """How many there are in DP0.2."""

    runs: tuple[str, ...]
    """RUN collections, among which they are divided in the order of time."""

    megabytes: float
    """How large a file is, about."""

    storage_class: str = "ExposureF"
    """Its storage class."""


KINDS = (
    DatasetKind("raw", ("exposure", "detector"), 2_870_807, ("survey/raw",), 18.0, "Exposure"),
    DatasetKind(
        "calexp", ("visit", "detector"), 2_805_017, ("survey/dr1/step1/1", "survey/dr1/step1/2"), 112.0
    ),
    DatasetKind(
        "goodSeeingDiff_differenceExp", ("visit", "detector"), 2_707_834, ("survey/dr1/step4",), 108.0
    ),
    DatasetKind(
        "deepCoadd_calexp", ("skymap", "tract", "patch", "band"), 46_158, ("survey/dr1/step3",), 147.0
    ),
    DatasetKind(
        "goodSeeingCoadd", ("skymap", "tract", "patch", "band"), 46_158, ("survey/dr1/step3",), 131.0
    ),
)
"""Images of DP0.2 in its proportions; each of a kind is one of the kind before."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers that follow from the number of datasets."""

    datasets: dict[str, int]
    """Datasets of each type."""

    visits: int
    """Visits, each of one exposure."""

    patches: int
    """Patches that have coadds."""

    tracts: int
    """Tracts that have such patches."""

    @classmethod
    def scale(cls, datasets: int) -> "Counts":
        """Divide a number of datasets as DP0.2 does.

        Parameters
        ----------
        datasets
            How many in all.
        """
        total = sum(kind.dp02 for kind in KINDS)
        shares = {kind.name: datasets * kind.dp02 // total for kind in KINDS}
        shares["raw"] += datasets - sum(shares.values())
        patches = math.ceil(shares["deepCoadd_calexp"] / len(BANDS))
        return cls(
            datasets=shares,
            visits=math.ceil(shares["raw"] / (DETECTORS * _PRESENT)),
            patches=patches,
            tracts=math.ceil(patches / PATCHES**2),
        )
