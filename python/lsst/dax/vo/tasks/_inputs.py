"""What a task reads: dataset types, before anybody has asked a repository.

A pipeline is put together without a repository, so that a task has to say
itself which dimensions and which storage class its inputs have.
"""

from __future__ import annotations

__all__ = [
    "QUANTA",
    "InputRefs",
    "InputType",
    "OutputRefs",
    "connect_inputs",
    "describe_input",
    "find_inputs",
]

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lsst.daf.butler import DatasetRef
from lsst.pipe.base import connectionTypes

from ..errors import UsageError

type InputRefs = tuple[connectionTypes.BaseInput, Collection[DatasetRef]]
"""A connection, and the datasets of it that a quantum reads."""

type OutputRefs = tuple[connectionTypes.Output, Collection[DatasetRef]]
"""The same, that it writes."""

QUANTA: dict[str, tuple[str, ...]] = {
    "visit": ("instrument", "visit"),
    "raw": ("instrument", "visit"),
    "exposure": ("instrument", "exposure"),
    "tract": ("skymap", "tract"),
}
"""Kinds of quanta, and the dimensions of each."""

_RAW = ("instrument", "exposure", "detector")
_VISIT = ("instrument", "visit", "detector")
_SUMMARY = ("instrument", "visit")
_COADD = ("skymap", "tract", "patch", "band")
_KNOWN: dict[str, tuple[tuple[str, ...], str]] = {
    "raw": (_RAW, "Exposure"),
    "postISRCCD": (_RAW, "Exposure"),
    "post_isr_image": (_RAW, "Exposure"),
    "calexp": (_VISIT, "ExposureF"),
    "pvi": (_VISIT, "ExposureF"),
    "quickLookExp": (_RAW, "ExposureF"),
    "preliminary_visit_image": (_VISIT, "ExposureF"),
    "visit_image": (_VISIT, "ExposureF"),
    "difference_image": (_VISIT, "ExposureF"),
    "deepDiff_differenceExp": (_VISIT, "ExposureF"),
    "goodSeeingDiff_differenceExp": (_VISIT, "ExposureF"),
    "deepCoadd": (_COADD, "ExposureF"),
    "deepCoadd_calexp": (_COADD, "ExposureF"),
    "goodSeeingCoadd": (_COADD, "ExposureF"),
    "deep_coadd": (_COADD, "ExposureF"),
    "template_coadd": (_COADD, "ExposureF"),
    "visitSummary": (_SUMMARY, "ExposureCatalog"),
    "finalVisitSummary": (_SUMMARY, "ExposureCatalog"),
    "visit_summary": (_SUMMARY, "ExposureCatalog"),
    "preliminary_visit_summary": (_SUMMARY, "ExposureCatalog"),
    "visit_detector_table": (("instrument",), "ArrowAstropy"),
}
"""Dimensions and storage classes of Rubin's releases until DP1."""


@dataclass(frozen=True, slots=True)
class InputType:
    """A dataset type that a task reads."""

    name: str
    """Its name."""

    dimensions: tuple[str, ...]
    """Its dimensions."""

    storage_class: str
    """Name of its storage class."""

    @property
    def connection(self) -> str:
        """Name of its connection."""
        return f"input_{self.name}"

    @property
    def is_of_exposures(self) -> bool:
        """Whether it takes a visit to place its datasets on the sky."""
        return "exposure" in self.dimensions and "visit" not in self.dimensions

    @property
    def is_placed_by_detectors(self) -> bool:
        """Whether it takes the detectors of a visit to do so."""
        return self.is_of_exposures and "detector" in self.dimensions


def find_inputs(
    names: Iterable[str],
    quantum: str,
    *,
    dimensions: Mapping[str, str],
    storage_classes: Mapping[str, str],
) -> list[InputType]:
    """Return the dataset types that quanta of a kind read.

    Parameters
    ----------
    names
        Names of dataset types.
    quantum
        Kind of the quanta.
    dimensions
        Dimensions of dataset types, separated by spaces or commas; of those
        that are not well known.
    storage_classes
        Storage classes, likewise.

    Returns
    -------
    inputs : `list` [`InputType`]
        Each dataset type belongs to one kind of quanta; only those of
        exposures belong to two, ``raw`` and, because not every exposure is
        one of a visit, ``exposure``.

    Raises
    ------
    UsageError
        Raised if dimensions or storage class of a dataset type are not known,
        or it belongs nowhere.
    """
    found = (describe_input(name, dimensions, storage_classes) for name in names)
    return [kind for kind in found if quantum in _quanta_of(kind)]


def connect_inputs(kind: InputType, doc: str) -> connectionTypes.PrerequisiteInput:
    """Make the connection to all datasets of a type that belong to a quantum.

    Parameters
    ----------
    kind
        The dataset type.
    doc
        What its datasets are for.

    Returns
    -------
    connection : `lsst.pipe.base.connectionTypes.PrerequisiteInput`
        None of them has to be there, and a quantum is not made because of
        them; they are loaded when the task wants to.
    """
    return connectionTypes.PrerequisiteInput(
        doc=doc,
        name=kind.name,
        storageClass=kind.storage_class,
        dimensions=kind.dimensions,
        multiple=True,
        deferLoad=True,
        minimum=0,
    )


def describe_input(name: str, dimensions: Mapping[str, str], storage_classes: Mapping[str, str]) -> InputType:
    """Return what a task has to say of a dataset type.

    Parameters
    ----------
    name
        Name of the dataset type.
    dimensions, storage_classes
        As `find_inputs` has them.

    Returns
    -------
    kind : `InputType`

    Raises
    ------
    UsageError
        Raised if it is not known.
    """
    known_dimensions, known_class = _KNOWN.get(name, ((), ""))
    kind = InputType(
        name,
        tuple(dimensions[name].replace(",", " ").split()) if name in dimensions else known_dimensions,
        storage_classes.get(name, known_class),
    )
    for field, value in (("dimensions", kind.dimensions), ("storage_classes", kind.storage_class)):
        if not value:
            raise UsageError(
                f"{field}: nothing is said of the dataset type {name!r}; give "
                f"{field}[{name!r}], which 'butler query-dataset-types -v REPO {name}' tells"
            )
    return kind


def _quanta_of(kind: InputType) -> tuple[str, ...]:
    if "tract" in kind.dimensions:
        return ("tract",)
    if kind.is_of_exposures:
        return ("raw", "exposure")
    if "visit" in kind.dimensions:
        return ("visit",)
    raise UsageError(
        f"The dataset type {kind.name!r} has the dimensions {', '.join(kind.dimensions)}; tasks export what "
        "has a tract, a visit or an exposure. Name the others in dataset_types, and export this one with "
        "'butler vo export'"
    )
