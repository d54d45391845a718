"""What a cutout says about its origin, as FITS cards."""

from __future__ import annotations

__all__ = ["Card", "Provenance", "dataset_cards", "in_time_system", "is_stencil_card", "provenance_cards"]

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from ..dali import Circle, Interval, Polygon, Range
from ._box import FARTHEST, PixelBox
from ._coverage import Outside
from ._region import Region, SkyBox

type Card = tuple[str, str | int | float | bool, str]
"""Keyword, value and comment of one FITS card."""

# ST_RAnn and ST_DECnn have room for two digits of vertex number.
_MAX_VERTICES = 100


_STENCIL_CARD = re.compile(
    r"ST_(TYPE|RA[0-9]*|DEC[0-9]*|RAD|NVERT|X[01]|Y[01]|SIZE[12]|BAND[01]|TIME[01]|POL|OUT)"
)

# Seconds after TAI, by the names of FITS 4.0 (table 30) for scales that run
# as it does.
_AFTER_TAI = {"TAI": 0.0, "IAT": 0.0, "TT": 32.184, "TDT": 32.184, "ET": 32.184}


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


def provenance_cards(
    provenance: Provenance,
    region: Region | None,
    *,
    band: Interval | None = None,
    time: Interval | None = None,
    pols: Sequence[str] = (),
    outside: Outside = Outside.KEEP,
) -> tuple[Card, ...]:
    """Write provenance in the cards that Rubin's cutout service uses.

    Parameters
    ----------
    provenance
        Where the cutout comes from.
    region
        What was asked for, not what was left after clipping; `None` for the
        whole image.
    band, time, pols
        The other filters.
    outside
        What became of pixels outside of the region.

    Returns
    -------
    cards : `tuple` [`Card`, ...]
        BTLRUUID, BTLRNAME, BTLRKnnn and BTLRVnnn (data ID), ST_TYPE and the
        numbers of the stencil, DATE-CUT (UTC), CUTVERS; and our own, for
        what Rubin's service does not have: ST_BANDn, ST_TIMEn, ST_POL and
        ST_OUT.
    """
    return (
        *dataset_cards(provenance),
        *_region_cards(region),
        *_filter_cards(band, time, pols, outside),
        *_software_cards(provenance),
    )


def is_stencil_card(key: str) -> bool:
    """Tell whether a card says what an earlier cutout was cut by.

    Parameters
    ----------
    key
        Keyword.

    Returns
    -------
    is_stencil_card : `bool`
        A cutout of the cutout has its own, of perhaps another kind.
    """
    return _STENCIL_CARD.fullmatch(key) is not None


def in_time_system(cards: Iterable[Card], timesys: object) -> tuple[Card, ...]:
    """Write the time of cards in the time scale of a header.

    Parameters
    ----------
    cards
        Cards of `provenance_cards`.
    timesys
        Value of the header's TIMESYS, if it has one.

    Returns
    -------
    cards : `tuple` [`Card`, ...]
        With DATE-CUT in TAI where TIMESYS is TAI, as in files of LSST, or in
        another scale that goes with it; in UTC otherwise.

    References
    ----------
    FITS 4.0, 9.2.1: TIMESYS is the scale of all times in a header.
    """
    name = timesys.strip().upper() if isinstance(timesys, str) else ""
    if name not in _AFTER_TAI:
        return tuple(cards)
    return tuple(
        ("DATE-CUT", _from_utc(str(value), _AFTER_TAI[name]), f"{name} time of cutout extraction")
        if key == "DATE-CUT"
        else (key, value, comment)
        for key, value, comment in cards
    )


def _from_utc(text: str, after_tai: float) -> str:
    # Loaded here, since most of the package needs no astronomy of time.
    import erfa

    utc = dt.datetime.fromisoformat(text)
    offset = float(erfa.dat(utc.year, utc.month, utc.day, 0.0)) + after_tai
    return (utc + dt.timedelta(seconds=offset)).isoformat(timespec="milliseconds")


def dataset_cards(provenance: Provenance) -> Iterator[Card]:
    """Write which dataset something comes from.

    Parameters
    ----------
    provenance
        Where it comes from.

    Yields
    ------
    card : `Card`
        BTLRUUID, BTLRNAME, BTLRKnnn and BTLRVnnn.
    """
    if provenance.dataset_id is not None:
        yield "BTLRUUID", provenance.dataset_id.hex, "Butler UUID of the full image"
    if provenance.dataset_type is not None:
        yield "BTLRNAME", provenance.dataset_type, "Butler dataset type"
    for number, (name, value) in enumerate(provenance.data_id.items()):
        plain = value if isinstance(value, str | int | float) else str(value)
        yield f"BTLRK{number:03d}", name, f"Name of dimension {number} in the data ID"
        yield f"BTLRV{number:03d}", plain, f"Value of dimension {number} in the data ID"


def _region_cards(region: Region | None) -> Iterator[Card]:
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
            yield from _ends("ST_X", region.x0, region.x1, "pix", "column of the parent image")
            yield from _ends("ST_Y", region.y0, region.y1, "pix", "row of the parent image")
        case SkyBox():
            yield "ST_TYPE", "BOX", comment
            yield "ST_RA", region.ra_deg, "[deg] Box center Right Ascension"
            yield "ST_DEC", region.dec_deg, "[deg] Box center Declination"
            unit = "pix" if region.unit == "pixel" else region.unit
            yield "ST_SIZE1", region.width, f"[{unit}] Box size along rows"
            yield "ST_SIZE2", region.height, f"[{unit}] Box size along columns"


def _filter_cards(
    band: Interval | None, time: Interval | None, pols: Sequence[str], outside: Outside
) -> Iterator[Card]:
    if band is not None:
        yield from _ends("ST_BAND", band.low, band.high, "m", "wavelength asked for")
    if time is not None:
        yield from _ends("ST_TIME", time.low, time.high, "d", "time asked for, MJD UTC")
    if pols:
        yield "ST_POL", " ".join(pols), "Polarization states asked for"
    if outside is not Outside.KEEP:
        yield "ST_OUT", outside.value, "What became of pixels outside the stencil"


def _ends[Number: (int, float)](key: str, low: Number, high: Number, unit: str, what: str) -> Iterator[Card]:
    # FITS has no infinity: an open end has no card.
    for number, (word, value) in enumerate((("First", low), ("Last", high))):
        if abs(value) < FARTHEST:
            yield f"{key}{number}", value, f"[{unit}] {word} {what}"


def _software_cards(provenance: Provenance) -> Iterator[Card]:
    # FITS 4.0, 9.1: no zone suffix; DATE-type keywords are UTC unless
    # TIMESYS says otherwise, so the comment names the scale.
    utc = provenance.time.astimezone(dt.UTC).replace(tzinfo=None)
    yield "DATE-CUT", utc.isoformat(timespec="milliseconds"), "UTC time of cutout extraction"
    yield "CUTVERS", provenance.version, "lsst.dax.vo software version"
