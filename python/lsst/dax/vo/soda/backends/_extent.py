"""What a file says of its wavelengths and times."""

from __future__ import annotations

__all__ = ["read_extent"]

from datetime import timedelta
from typing import Any

from astropy.time import Time
from lsst.resources import ResourcePath

from .._extent import Extent
from ._fits_file import FitsFile
from ._header import Header
from ._open import open_source

# The bands of Rubin's filters, metres, as the exporter's starter has them.
_BANDS = {
    "u": (300.0e-9, 393.2e-9),
    "g": (402.6e-9, 548.3e-9),
    "r": (551.0e-9, 689.1e-9),
    "i": (693.6e-9, 818.8e-9),
    "z": (819.2e-9, 920.1e-9),
    "y": (927.8e-9, 1100.0e-9),
}
# An image's own cards are in the first HDU, or in that of its pixels.
_HEADERS = 2
_SCALES = {"UTC": "utc", "TAI": "tai", "TT": "tt", "TDB": "tdb"}


def read_extent(uri: ResourcePath) -> Extent:
    """Read wavelengths and times from the header of a file, or from the tree of an object.

    Parameters
    ----------
    uri
        The file.

    Returns
    -------
    extent : `Extent`
        Unknown is what nothing in it tells.  Wavelengths are those of Rubin's
        band when FILTER or BAND, or ``band`` in the tree of an object of
        `lsst.images`, is its letter.

    Raises
    ------
    VoError
        Raised if the file cannot be read.

    References
    ----------
    FITS 4.0, 9.5: MJD-BEG, MJD-END, DATE-BEG, DATE-END; TIMESYS, whose
    default is UTC.
    """
    with open_source(uri) as source:
        file = FitsFile(source)
        found = [file.hdu(number) for number in range(_HEADERS)]
        headers = [hdu.header for hdu in found if hdu is not None]
        tree = _read_tree(file)
    bands = (_BANDS.get(str(tree.get("band")).lower()), *map(_band, headers))
    times = (_times_of_object(tree.get("obs_info")), *map(_times, headers))
    first, second = (
        next((pair for pair in pairs if pair is not None), (None, None)) for pairs in (bands, times)
    )
    return Extent(*first, *second)


def _read_tree(file: FitsFile) -> dict[str, Any]:
    if not file.is_of_images:
        return {}
    from .images._archive import read_layout

    return read_layout(file).tree


def _times_of_object(about: Any) -> tuple[float, float] | None:
    """Return the times of an ``obs_info``: Julian days in TAI, each in two parts."""
    if not isinstance(about, dict):
        return None
    try:
        begin, end = (
            Time(first, second, format="jd", scale="tai")
            for first, second in (about["datetime_begin"], about["datetime_end"])
        )
        return float(begin.utc.mjd), float(end.utc.mjd)
    except (KeyError, TypeError, ValueError):
        # Coadds have none, and a tree may hold anything.
        return None


def _band(header: Header) -> tuple[float, float] | None:
    for key in ("BAND", "FILTER"):
        found = _BANDS.get(header.text(key).strip().lower())
        if found is not None:
            return found
    return None


def _times(header: Header) -> tuple[float, float] | None:
    scale = _SCALES.get((header.text("TIMESYS").strip() or "UTC").upper())
    if scale is None:
        return None
    exposure_s = header.number("EXPTIME")
    exposure = timedelta(seconds=exposure_s) if exposure_s is not None and 0 < exposure_s < 1e7 else None
    begin, end = _moment(header, "BEG", scale), _moment(header, "END", scale)
    middle, first = _moment(header, "AVG", scale), _moment(header, "OBS", scale)
    if exposure is not None:
        if begin is None and end is not None:
            begin = end - exposure
        if begin is None and middle is not None:
            begin, end = middle - exposure / 2, middle + exposure / 2
        begin = begin if begin is not None else first
        if end is None and begin is not None:
            end = begin + exposure
    if begin is None or end is None:
        return None
    return float(begin.utc.mjd), float(end.utc.mjd)


def _moment(header: Header, which: str, scale: str) -> Time | None:
    days = header.number(f"MJD-{which}")
    try:
        if days is not None:
            return Time(days, format="mjd", scale=scale)
        text = header.text(f"DATE-{which}").strip()
        return Time(text, format="fits", scale=scale) if text else None
    except ValueError:
        # A card that is no time tells none.
        return None
