"""The simulated sky: stars, galaxies, a cluster, and a supernova in it."""

__all__ = ["BANDS", "Profile", "Sky", "Sources", "make_sky"]

import math
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from ._supernova import Supernova

BANDS = ("u", "g", "r", "i", "z", "y")
"""The bands, blue to red; the order of fluxes everywhere in this room."""

_AB_ZERO_POINT = 31.4
"""Magnitude of one nJy."""

# Magnitudes in all bands above that in i. Galaxies: from a star-forming one
# to an elliptical one at the redshift of the cluster, about 0.25.
_BLUE_GALAXY = np.array([0.85, 0.42, 0.18, 0.0, -0.08, -0.12])
_RED_GALAXY = np.array([3.75, 1.95, 0.52, 0.0, -0.30, -0.45])
# Stars: from F to late M.
_BLUE_STAR = np.array([1.45, 0.35, 0.08, 0.0, 0.0, 0.0])
_RED_STAR = np.array([5.1, 2.7, 1.25, 0.0, -0.58, -0.85])

_KNOT_COLOR = np.array([0.15, 0.12, 0.05, 0.0, 0.05, 0.08])
"""Young stars: knots in spiral arms, and the arc."""


class Profile(IntEnum):
    """How the light of a source falls off."""

    POINT = 0
    EXPONENTIAL = 1
    DE_VAUCOULEURS = 2


@dataclass(frozen=True, slots=True)
class Sources:
    """A catalogue; one array for each property, all of one length.

    A galaxy of bulge and disk is two sources at the same place.
    """

    ra_deg: np.ndarray
    """Right ascension, ICRS."""

    dec_deg: np.ndarray
    """Declination, ICRS."""

    flux_njy: np.ndarray
    """Total flux in each band, shape ``(n, 6)``, in the order of `BANDS`."""

    profile: np.ndarray
    """A `Profile` each."""

    radius_arcsec: np.ndarray
    """Half-light radius along the major axis; 0 for points."""

    axis_ratio: np.ndarray
    """Minor over major axis."""

    angle_rad: np.ndarray
    """Position angle of the major axis, from north to east."""

    def __len__(self) -> int:
        return len(self.ra_deg)

    def take(self, index: np.ndarray) -> "Sources":
        """Select some of them.

        Parameters
        ----------
        index
            Boolean or integer index.

        Returns
        -------
        chosen : `Sources`
        """
        return Sources(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


@dataclass(frozen=True, slots=True)
class Sky:
    """Everything that shines."""

    steady: Sources
    """What never changes."""

    supernova: Supernova
    """What does."""


@dataclass(slots=True)
class _Catalogue:
    """Rows under construction, as offsets from a center."""

    ra_deg: float
    dec_deg: float
    rows: list[tuple[np.ndarray, ...]]

    def add(
        self,
        east: np.ndarray,
        north: np.ndarray,
        mag_i: np.ndarray,
        colors: np.ndarray,
        profile: Profile,
        radius: np.ndarray | float = 0.0,
        axis_ratio: np.ndarray | float = 1.0,
        angle: np.ndarray | float = 0.0,
    ) -> None:
        """Add sources; offsets and radii in arcseconds."""
        east, north, mag_i = np.atleast_1d(east), np.atleast_1d(north), np.atleast_1d(mag_i)
        count = len(east)
        dec = self.dec_deg + north / 3600
        ra = self.ra_deg + east / 3600 / np.cos(np.radians(dec))
        magnitudes = mag_i[:, np.newaxis] + np.broadcast_to(colors, (count, len(BANDS)))
        flux = 10 ** (0.4 * (_AB_ZERO_POINT - magnitudes))
        self.rows.append(
            (
                ra,
                dec,
                flux,
                np.full(count, int(profile)),
                *(np.broadcast_to(value, count).astype(float) for value in (radius, axis_ratio, angle)),
            )
        )

    def finish(self) -> Sources:
        return Sources(*(np.concatenate(column) for column in zip(*self.rows, strict=True)))


def make_sky(
    seed: int, *, ra_deg: float, dec_deg: float, half_width_arcsec: float, explosion_mjd: float
) -> Sky:
    """Simulate a field with a cluster of galaxies in its center.

    Parameters
    ----------
    seed
        The same number gives the same sky.
    ra_deg, dec_deg
        Center, ICRS.
    half_width_arcsec
        The field reaches that far in each direction.
    explosion_mjd
        When the supernova explodes.

    Returns
    -------
    sky : `Sky`
    """
    rng = np.random.default_rng([seed, 1])
    catalogue = _Catalogue(ra_deg, dec_deg, [])
    area_arcmin2 = (2 * half_width_arcsec / 60) ** 2
    _add_stars(catalogue, rng, int(2.6 * area_arcmin2), half_width_arcsec)
    _add_field_galaxies(catalogue, rng, int(38 * area_arcmin2), half_width_arcsec)
    _add_cluster(catalogue, rng)
    _add_arc(catalogue, rng)
    host = (8.5, -7.0)
    _add_spiral(catalogue, rng, host)
    # In an arm of the spiral, where young stars are.
    east, north = host[0] + 2.3, host[1] + 1.35
    dec = dec_deg + north / 3600
    ra = ra_deg + east / 3600 / math.cos(math.radians(dec))
    return Sky(catalogue.finish(), Supernova(ra, dec, explosion_mjd))


def _faint_end(rng: np.random.Generator, count: int, bright: float, faint: float, slope: float) -> np.ndarray:
    """Draw magnitudes whose numbers grow as ``10 ** (slope * mag)``."""
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    drawn: np.ndarray = np.log10(rng.uniform(low, high, count)) / slope
    return drawn


def _mix(blue: np.ndarray, red: np.ndarray, share: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = blue + (red - blue) * share[:, np.newaxis]
    return mixed


def _add_stars(catalogue: _Catalogue, rng: np.random.Generator, count: int, half_width: float) -> None:
    magnitude = _faint_end(rng, count, 15.6, 24.0, 0.12)
    # Faint stars are nearby dwarfs: redder.
    share = np.clip(rng.beta(1.3, 1.6, count) * 0.5 + (magnitude - 16) / 18, 0, 1)
    east, north = rng.uniform(-half_width, half_width, (2, count))
    # The brightest ones would hide the cluster.
    far = (np.hypot(east, north) > 45) | (magnitude > 19.5)
    catalogue.add(
        east[far], north[far], magnitude[far], _mix(_BLUE_STAR, _RED_STAR, share[far]), Profile.POINT
    )
    # One that saturates every detector it falls on.
    catalogue.add(np.array([-58.0]), np.array([-31.0]), np.array([14.6]), _BLUE_STAR, Profile.POINT)


def _add_field_galaxies(
    catalogue: _Catalogue, rng: np.random.Generator, count: int, half_width: float
) -> None:
    magnitude = _faint_end(rng, count, 17.5, 25.6, 0.32)
    east, north = rng.uniform(-half_width, half_width, (2, count))
    share = np.clip(rng.beta(0.9, 1.9, count) + rng.normal(0, 0.03, count), 0, 1)
    radius = 0.55 * 10 ** (-0.13 * (magnitude - 22.5) + rng.normal(0, 0.14, count))
    angle = rng.uniform(0, np.pi, count)
    ratio = rng.uniform(0.25, 1.0, count)
    colors = _mix(_BLUE_GALAXY, _RED_GALAXY, share)
    elliptical = share > 0.62
    catalogue.add(
        east[elliptical],
        north[elliptical],
        magnitude[elliptical],
        colors[elliptical],
        Profile.DE_VAUCOULEURS,
        1.1 * radius[elliptical],
        np.sqrt(ratio[elliptical]),
        angle[elliptical],
    )
    disk = ~elliptical
    catalogue.add(
        east[disk],
        north[disk],
        magnitude[disk],
        colors[disk],
        Profile.EXPONENTIAL,
        radius[disk],
        ratio[disk],
        angle[disk],
    )
    # Bright disks have bulges: redder, rounder, smaller.
    bulge = disk & (magnitude < 22.5)
    catalogue.add(
        east[bulge],
        north[bulge],
        magnitude[bulge] + 1.6,
        _mix(_BLUE_GALAXY, _RED_GALAXY, np.full(int(bulge.sum()), 0.8)),
        Profile.DE_VAUCOULEURS,
        0.4 * radius[bulge],
        np.sqrt(ratio[bulge]),
        angle[bulge],
    )


def _add_cluster(catalogue: _Catalogue, rng: np.random.Generator) -> None:
    """Add ellipticals on one red sequence, around one that is the largest."""
    red = _RED_GALAXY[np.newaxis]
    giants = np.array(
        [
            # east, north, i, radius, axis ratio, angle in degrees
            (-3.0, 2.0, 17.0, 3.6, 0.72, 35),
            (-14.0, -4.5, 18.5, 1.7, 0.85, 110),
            (4.5, 13.0, 18.8, 1.4, 0.66, 70),
            (1.5, 3.2, 19.4, 0.8, 0.9, 15),
        ]
    )
    catalogue.add(
        giants[:, 0],
        giants[:, 1],
        giants[:, 2],
        red,
        Profile.DE_VAUCOULEURS,
        giants[:, 3],
        giants[:, 4],
        np.radians(giants[:, 5]),
    )
    count = 42
    magnitude = _faint_end(rng, count, 19.2, 23.2, 0.22)
    # A projected King-like profile around the largest one.
    distance = 12.0 * np.sqrt(rng.uniform(0, 1, count) ** -0.75 - 1)
    azimuth = rng.uniform(0, 2 * np.pi, count)
    near = distance < 75
    scatter = rng.normal(0, 0.03, (count, 1)) * np.linspace(1.5, -0.5, len(BANDS))
    catalogue.add(
        (-3 + distance * np.cos(azimuth))[near],
        (2 + distance * np.sin(azimuth))[near],
        magnitude[near],
        # Fainter members are a little bluer.
        (red * (1 - 0.02 * (magnitude[:, np.newaxis] - 19)) + scatter)[near],
        Profile.DE_VAUCOULEURS,
        (0.75 * 10 ** (-0.15 * (magnitude - 20)))[near],
        rng.uniform(0.5, 1, count)[near],
        rng.uniform(0, np.pi, count)[near],
    )


def _add_arc(catalogue: _Catalogue, rng: np.random.Generator) -> None:
    """Add a background galaxy, drawn out to an arc by the cluster."""
    azimuth = np.radians(np.linspace(150, 213, 26))
    radius = 10.2 + rng.normal(0, 0.06, len(azimuth))
    brightness = 23.6 - 0.9 * np.exp(-(((azimuth - azimuth.mean()) / 0.32) ** 2)) + rng.normal(0, 0.25, 26)
    catalogue.add(
        -3 + radius * np.cos(azimuth),
        2 + radius * np.sin(azimuth),
        brightness,
        _KNOT_COLOR + np.array([0.5, 0, 0, 0, 0, 0]),
        Profile.EXPONENTIAL,
        0.3,
        0.4,
        # Along the tangent; position angles count from north to east.
        -azimuth,
    )


def _add_spiral(catalogue: _Catalogue, rng: np.random.Generator, at: tuple[float, float]) -> None:
    """Add a spiral galaxy in front: bulge, disk, and knots along two arms."""
    share = np.array([0.28])
    catalogue.add(
        np.array(at[:1]),
        np.array(at[1:]),
        np.array([17.9]),
        _mix(_BLUE_GALAXY, _RED_GALAXY, share),
        Profile.EXPONENTIAL,
        2.5,
        0.74,
        math.radians(120),
    )
    catalogue.add(
        np.array(at[:1]),
        np.array(at[1:]),
        np.array([19.2]),
        _mix(_BLUE_GALAXY, _RED_GALAXY, np.array([0.75])),
        Profile.DE_VAUCOULEURS,
        0.6,
        0.9,
        math.radians(120),
    )
    # Logarithmic arms, in the plane of the disk; then seen from the side.
    turn = np.concatenate([np.linspace(0.5, 4.2, 34)] * 2)
    along = 0.95 * np.exp(0.36 * turn) + rng.normal(0, 0.12, turn.size)
    azimuth = turn + np.repeat([0.0, np.pi], 34) + rng.normal(0, 0.05, turn.size)
    major, minor = along * np.cos(azimuth), 0.74 * along * np.sin(azimuth)
    tilt = math.radians(120)
    catalogue.add(
        at[0] + major * math.sin(tilt) + minor * math.cos(tilt),
        at[1] + major * math.cos(tilt) - minor * math.sin(tilt),
        22.9 + 0.12 * along + rng.normal(0, 0.45, turn.size),
        _KNOT_COLOR,
        Profile.EXPONENTIAL,
        0.24,
    )
