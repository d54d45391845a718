"""What the header of a file says of its wavelengths and times."""

from __future__ import annotations

__all__ = ["read_extent"]

from datetime import timedelta

from astropy.time import Time
from lsst.resources import ResourcePath

from .._extent import Extent
from ._hdu import FitsFile
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
    """Read wavelengths and times from the header of a file.

    Parameters
    ----------
    uri
        The file.

    Returns
    -------
    extent : `Extent`
        Unknown is what no card tells.  Wavelengths are those of Rubin's band
        when FILTER or BAND is its letter.

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
    band = next((band for header in headers for band in [_band(header)] if band is not None), (None, None))
    times = next((pair for header in headers for pair in [_times(header)] if pair is not None), (None, None))
    return Extent(*band, *times)


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
