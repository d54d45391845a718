"""What the links of each dataset type are: the key ``links`` of a repository."""

from __future__ import annotations

__all__ = ["LinksConfig", "resolve_links"]

import difflib
import fnmatch
import re
from collections.abc import Mapping
from typing import Annotated

import pydantic

_PLACE = re.compile(r"\{([^{}]*)\}")


# Version of 2026-01-15; for what comes later, its URI can be written.
_PRODUCT_TYPES = tuple(
    f"#{term}"
    for term in (
        "cube",
        "dynamic-spectrum",
        "event",
        "event-bundle",
        "event-list",
        "image",
        "light-curve",
        "measurements",
        "polarization-cube",
        "polarized-spectrum",
        "sed",
        "slit-spectrum",
        "spatial-profile",
        "spectral-cube",
        "spectrum",
        "time-cube",
        "timeseries",
        "velocity-curve",
        "visibility",
    )
)


def _check_types(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(item, str) and item for item in found):
        shown = repr(str(value)[:100])
        raise ValueError(f"{shown} is not accepted; give true, false, or a list of dataset types")
    return tuple(found) or False


def _check_qualifier(value: object) -> object:
    if value is None or value in _PRODUCT_TYPES or (isinstance(value, str) and "://" in value):
        return value
    near = difflib.get_close_matches(f"#{str(value).removeprefix('#').lower()}", _PRODUCT_TYPES, n=1)
    advice = f"did you mean {near[0]!r}?" if near else "give '#' and a term of it, or a URI"
    raise ValueError(f"{str(value)[:100]!r} is no term of http://www.ivoa.net/rdf/product-type; {advice}")


def _check_switch(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    raise ValueError(f"{str(value)[:100]!r} is not accepted; give true or false")


type _Switch = Annotated[bool | None, pydantic.BeforeValidator(_check_switch)]
"""Yes or no."""

type _Types = Annotated[bool | tuple[str, ...] | None, pydantic.BeforeValidator(_check_types)]
"""Yes, no, or exactly these dataset types: names and patterns, as ``calexp*``."""


class LinksConfig(pydantic.BaseModel):
    """Which links the datasets of a dataset type have.

    Every key may be left out; what no entry says is as by default: all links
    that the repository knows of.  Where dataset types are accepted, ``true``
    stands for what is usual, ``false`` for none, and a list of names and
    patterns for exactly those.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    description: str | None = None
    """Text about the dataset itself; ``{dataset_type}``, ``{run}`` and the
    names of the data ID in braces stand for their values."""

    qualifier: Annotated[str | None, pydantic.BeforeValidator(_check_qualifier)] = None
    """Kind of product, a term of http://www.ivoa.net/rdf/product-type with
    ``#`` in front, as ``#image``, or a URI; by default told by the storage
    class."""

    cutout: _Switch = None
    """Whether cutouts are offered, of what is an image on the sky."""

    preview: _Switch = None
    """Whether a picture and a thumbnail are offered, of what is an image."""

    progenitor: _Types = None
    """What it was made from."""

    derivation: _Types = None
    """What was made from it."""

    coderived: _Types = None
    """Other products of the same observation."""

    calibration: _Types = None
    """What it was calibrated with."""

    auxiliary: _Types = None
    """Datasets that help in using it, such as summaries of visits."""

    psf: _Switch = None
    """Whether an image of the point spread function is offered."""

    mask_planes: _Switch = None
    """Whether a legend of the bits of the mask is offered."""

    metadata: _Switch = None
    """Whether what the file says of itself is offered as JSON."""

    @pydantic.field_validator("description")
    @classmethod
    def _check_places(cls, text: str | None) -> str | None:
        if text is not None and any(mark in _PLACE.sub("", text) for mark in "{}"):
            raise ValueError(f"{text[:100]!r} has a brace without its other; write names as {{visit}}")
        return text

    def describe(self, values: Mapping[str, object]) -> str | None:
        """Write the description of a dataset.

        Parameters
        ----------
        values
            Values by the names that may stand in braces.

        Returns
        -------
        text : `str` or `None`
            `None` without a configured one; a name without a value stays
            away.
        """
        if self.description is None:
            return None
        return _PLACE.sub(lambda match: str(values.get(match[1], "")), self.description)


def resolve_links(entries: Mapping[str, LinksConfig], dataset_type: str) -> LinksConfig:
    """Return what is configured for a dataset type.

    Parameters
    ----------
    entries
        By name or pattern.  All that fit count; where two say different
        things of one key, the later one wins.
    dataset_type
        Name of the dataset type.

    Returns
    -------
    links : `LinksConfig`
        With `None` where no entry says anything.
    """
    said: dict[str, object] = {}
    for pattern, entry in entries.items():
        if fnmatch.fnmatchcase(dataset_type, pattern):
            said |= {name: getattr(entry, name) for name in entry.model_fields_set}
    return LinksConfig.model_construct(**said)  # type: ignore[arg-type]
