"""The light curve of the one source that changes."""

__all__ = ["Supernova"]

import math
from dataclasses import dataclass

# Band: peak flux in nJy, days of decline by a factor e, and share of the
# second maximum, about 28 days after the first: a supernova of type Ia.
_LIGHT = {
    "u": (24_000.0, 11.0, 0.0),
    "g": (47_000.0, 16.0, 0.0),
    "r": (52_000.0, 21.0, 0.14),
    "i": (42_000.0, 21.0, 0.34),
    "z": (40_000.0, 20.0, 0.38),
    "y": (39_000.0, 19.0, 0.45),
}
_RISE_DAYS = 17.5


@dataclass(frozen=True, slots=True)
class Supernova:
    """A point that was not there before, and fades away."""

    ra_deg: float
    """Right ascension, ICRS."""

    dec_deg: float
    """Declination, ICRS."""

    explosion_mjd: float
    """When it begins to shine."""

    def flux_njy(self, band: str, mjd: float) -> float:
        """Return its flux at a time.

        Parameters
        ----------
        band
            One of ``ugrizy``.
        mjd
            Time, MJD.

        Returns
        -------
        flux : `float`
            In nJy; 0 before the explosion.
        """
        peak, decline, second = _LIGHT[band]
        days = mjd - self.explosion_mjd
        if days <= 0:
            return 0.0
        after = days - _RISE_DAYS
        if after <= 0:
            # First with the surface of the fireball, so with the square of
            # time; flat at the maximum.
            return peak * math.sin(0.5 * math.pi * days / _RISE_DAYS) ** 2
        falling = math.exp(-(math.hypot(after, 6) - 6) / decline)
        return peak * (falling + second * math.exp(-(((after - 26) / 11) ** 2)))
