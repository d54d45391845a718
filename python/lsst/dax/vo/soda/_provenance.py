"""What a cutout says about its origin, as FITS cards."""

from __future__ import annotations

__all__ = ["Card", "Provenance", "provenance_cards"]

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from ..dali import Circle, Polygon, Range, Stencil
from ._box import PixelBox

type Card = tuple[str, str | int | float | bool, str]
"""Keyword, value and comment of one FITS card."""

# ST_RAnn and ST_DECnn have room for two digits of vertex number.
_MAX_VERTICES = 100


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a cutout comes from.

    The clock is the caller's: nothing here asks for the time.
    """

    time: dt.datetime
    """When it was cut; with a time zone."""

    version: str
    """Version of the software that cut it."""

    dataset_id: UUID | None = None
    """The Butler's id of the dataset; `None` for a file of no repository."""

    dataset_type: str | None = None
    """Name of the dataset type."""

    data_id: Mapping[str, object] = field(default_factory=dict)
    """Dimensions and values of the data ID."""


def provenance_cards(provenance: Provenance, region: Stencil | PixelBox) -> tuple[Card, ...]:
    """Write provenance in the cards that Rubin's cutout service uses.

    Parameters
    ----------
    provenance
        Where the cutout comes from.
    region
        What was asked for, not what was left after clipping.

    Returns
    -------
    cards : `tuple` [`Card`, ...]
        BTLRUUID, BTLRNAME, BTLRKnnn and BTLRVnnn (data ID), ST_TYPE and the
        numbers of the stencil, DATE-CUT (UTC), CUTVERS.
    """
    return (*_dataset_cards(provenance), *_region_cards(region), *_software_cards(provenance))


def _dataset_cards(provenance: Provenance) -> Iterator[Card]:
    if provenance.dataset_id is not None:
        yield "BTLRUUID", provenance.dataset_id.hex, "Butler UUID of the full image"
    if provenance.dataset_type is not None:
        yield "BTLRNAME", provenance.dataset_type, "Butler dataset type"
    for number, (name, value) in enumerate(provenance.data_id.items()):
        plain = value if isinstance(value, str | int | float) else str(value)
        yield f"BTLRK{number:03d}", name, f"Name of dimension {number} in the data ID"
        yield f"BTLRV{number:03d}", plain, f"Value of dimension {number} in the data ID"


def _region_cards(region: Stencil | PixelBox) -> Iterator[Card]:
    comment = "Type of stencil used to create this cutout"
    match region:
        case Circle():
            yield "ST_TYPE", "CIRCLE", comment
            yield "ST_RA", region.ra_deg, "[deg] Circle center Right Ascension"
            yield "ST_DEC", region.dec_deg, "[deg] Circle center Declination"
            yield "ST_RAD", region.radius_deg, "[deg] Circle radius"
        case Polygon():
            yield "ST_TYPE", "POLYGON", comment
            yield "ST_NVERT", len(region.ra_deg), "Number of vertices"
            for number, (ra, dec) in enumerate(zip(region.ra_deg, region.dec_deg, strict=True)):
                if number == _MAX_VERTICES:
                    break
                yield f"ST_RA{number:02d}", ra, f"[deg] Vertex {number} Right Ascension"
                yield f"ST_DEC{number:02d}", dec, f"[deg] Vertex {number} Declination"
        case Range():
            yield "ST_TYPE", "RANGE", comment
            yield "ST_RA00", region.ra_min_deg, "[deg] Western edge"
            yield "ST_RA01", region.ra_max_deg, "[deg] Eastern edge"
            yield "ST_DEC00", region.dec_min_deg, "[deg] Southern edge"
            yield "ST_DEC01", region.dec_max_deg, "[deg] Northern edge"
        case PixelBox():
            yield "ST_TYPE", "PIXELS", comment
            yield "ST_X0", region.x0, "[pix] First column, parent image"
            yield "ST_X1", region.x1, "[pix] Last column, parent image"
            yield "ST_Y0", region.y0, "[pix] First row, parent image"
            yield "ST_Y1", region.y1, "[pix] Last row, parent image"


def _software_cards(provenance: Provenance) -> Iterator[Card]:
    # FITS 4.0, 9.1: no zone suffix; DATE-type keywords are UTC unless
    # TIMESYS says otherwise, so the comment names the scale.
    utc = provenance.time.astimezone(dt.UTC).replace(tzinfo=None)
    yield "DATE-CUT", utc.isoformat(timespec="milliseconds"), "UTC time of cutout extraction"
    yield "CUTVERS", provenance.version, "lsst.dax.vo software version"
