"""Times of the Butler, in bulk: TAI nanoseconds to MJD in UTC."""

from __future__ import annotations

__all__ = ["mjd_utc"]

import erfa
import numpy as np

_NANOSECONDS = 1_000_000_000
_SECONDS_PER_DAY = 86_400
# Julian date of the Butler's epoch, 1970-01-01T00:00:00 TAI, and of MJD 0.
_EPOCH_JD = 2_440_587.5
_MJD0_JD = 2_400_000.5


def mjd_utc(nanoseconds: np.ndarray) -> np.ndarray:
    """Convert times of the registry to MJD in UTC.

    Parameters
    ----------
    nanoseconds
        TAI nanoseconds since 1970-01-01T00:00:00 TAI, int64.

    Returns
    -------
    mjd : `numpy.ndarray` [`float`]
        Bit for bit what astropy makes of the same times, as the table of
        leap seconds of ERFA has it; on a day with a leap second the day is
        stretched, as ERFA does it.
    """
    seconds, rest = np.divmod(np.asarray(nanoseconds, np.int64), _NANOSECONDS)
    days, seconds = np.divmod(seconds, _SECONDS_PER_DAY)
    # The fraction is kept apart, and within half a day, for its precision.
    fraction = (seconds + rest / _NANOSECONDS) / _SECONDS_PER_DAY - 0.5
    whole = _EPOCH_JD + 0.5 + days
    late = fraction > 0.5
    # The ufunc itself does not warn of years whose leap seconds are not yet
    # announced; silencing a warning is no matter for one thread among many.
    first, second, _ = erfa.ufunc.taiutc(whole + late, fraction - late)
    days = np.rint(first + second)
    # The differences of whole and half days are exact.
    mjd: np.ndarray = (days - _MJD0_JD) + ((first - days) + second)
    return mjd
