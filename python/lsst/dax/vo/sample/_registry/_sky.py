"""Where and when a generated survey looked, as arrays: no pixels, no files."""

__all__ = [
    "EXPOSURE_S",
    "FIRST_DAY",
    "Camera",
    "Visits",
    "field_area_deg2",
    "polygon",
    "tract_frames",
    "tract_patches",
]

import math
from dataclasses import dataclass

import numpy as np
from lsst.sphgeom import ConvexPolygon, UnitVector3d

from ._counts import BANDS, PATCHES

_CENTER_DEG = (62.0, -36.0)
_FIELD_DEG2 = 300.0

_BAND_SHARES = (0.08, 0.11, 0.22, 0.22, 0.19, 0.18)
_NIGHTS = 1826
_CADENCE_S = 40
EXPOSURE_S = 30
FIRST_DAY = "2022-01-01"

# Degrees: what is between the middles of detectors and of rafts, and the
# sides of a detector of 4072 by 4000 pixels of 0.2 arcsec.
_DETECTOR_PITCH, _RAFT_PITCH = 0.2347, 0.7056
_WIDTH, _HEIGHT = 0.2262, 0.2222
_TRACT_PITCH, _PATCH_PITCH, _PATCH_SIZE = 1.40, 0.20, 0.22

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Integers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Visits:
    """Pointings of the survey, in the order of time."""

    ids: Integers
    """Day and number within the day."""

    days: Integers
    """Day as YYYYMMDD."""

    begin_s: Integers
    """Seconds since the beginning of the first day."""

    bands: Integers
    """Place of the band in `BANDS`."""

    frames: Floats
    """Unit vectors of each camera: its x and y axes, and where it looks."""

    turns_deg: Floats
    """How far each camera is turned."""

    @classmethod
    def scatter(cls, count: int, area_deg2: float, rng: np.random.Generator) -> "Visits":
        """Choose times and places at random.

        Parameters
        ----------
        count
            How many.
        area_deg2
            Area of the field.
        rng
            Source of chance.
        """
        nights = np.sort(rng.integers(0, _NIGHTS, count))
        number = np.arange(count) - np.searchsorted(nights, nights) + 1
        dates = np.datetime64(FIRST_DAY, "D") + nights
        days = np.array([int(text.replace("-", "")) for text in np.datetime_as_string(dates)], np.int64)
        half = math.sqrt(area_deg2) / 2
        x, y = np.radians(rng.uniform(-half, half, (2, count)))
        turns = rng.uniform(0.0, 360.0, count)
        return cls(
            ids=days * 100_000 + number,
            days=days,
            begin_s=nights * 86400 + 7200 + number * _CADENCE_S,
            bands=rng.choice(len(BANDS), count, p=_BAND_SHARES),
            frames=_frames(_to_sky(_frames(_vector(*_CENTER_DEG)), x, y), turns),
            turns_deg=turns,
        )


class Camera:
    """Detectors of the focal plane: 21 rafts of nine, `DETECTORS` in all."""

    def __init__(self) -> None:
        steps = np.arange(5) - 2
        rafts = [(x, y) for y in steps for x in steps if abs(x) + abs(y) < 4]
        centers = np.array(
            [
                (x * _RAFT_PITCH + i * _DETECTOR_PITCH, y * _RAFT_PITCH + j * _DETECTOR_PITCH)
                for x, y in rafts
                for j in (-1, 0, 1)
                for i in (-1, 0, 1)
            ]
        )
        self.names = [
            (f"R{y + 2}{x + 2}", f"S{j}{i}") for x, y in rafts for j in (0, 1, 2) for i in (0, 1, 2)
        ]
        signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        self._centers = np.radians(centers)
        self._corners = np.radians(centers[:, None, :] + signs * (_WIDTH / 2, _HEIGHT / 2))
        wide, narrow = 2 * _RAFT_PITCH, _RAFT_PITCH
        edge_x, edge_y = _DETECTOR_PITCH + _WIDTH / 2, _DETECTOR_PITCH + _HEIGHT / 2
        quarter = [(wide + edge_x, narrow + edge_y), (narrow + edge_x, wide + edge_y)]
        outline = [(sx * x, sy * y) for x, y in quarter for sx in (-1, 1) for sy in (-1, 1)]
        self._outline = np.radians(sorted(outline, key=lambda point: math.atan2(point[1], point[0])))

    def outlines(self, frames: Floats) -> Floats:
        """Return the corners of whole visits.

        Parameters
        ----------
        frames
            Those of the visits.
        """
        return _to_sky(frames[:, None], self._outline[:, 0], self._outline[:, 1])

    def corners(self, frames: Floats, detectors: Integers) -> Floats:
        """Return the four corners of detectors, against the clock.

        Parameters
        ----------
        frames
            The frame for each.
        detectors
            Their numbers.
        """
        corners = self._corners[detectors]
        return _to_sky(frames[:, None], corners[..., 0], corners[..., 1])


def field_area_deg2(tracts: int) -> float:
    """Return the area where visits look, which holds all tracts.

    Parameters
    ----------
    tracts
        How many there are.
    """
    return max(_FIELD_DEG2, tracts * _TRACT_PITCH**2)


def tract_frames(count: int) -> Floats:
    """Return frames of the tracts of a grid that are nearest to its middle.

    Parameters
    ----------
    count
        How many.
    """
    side = math.ceil(math.sqrt(count)) + 2
    steps = np.arange(side) - (side - 1) / 2
    # Gnomonic, as for everything here: a grid of 100 tracts a side still fits.
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    nearest = np.sort(np.argsort(np.hypot(x, y), kind="stable")[:count])
    middle = _frames(_vector(*_CENTER_DEG))
    pitch = math.radians(_TRACT_PITCH)
    return _frames(_to_sky(middle, x[nearest] * pitch, y[nearest] * pitch))


def tract_patches(frame: Floats) -> tuple[Floats, Floats]:
    """Return the corners of a tract, and of its patches row by row.

    Parameters
    ----------
    frame
        One of `tract_frames`.
    """
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    steps = (np.arange(PATCHES) - (PATCHES - 1) / 2) * _PATCH_PITCH
    y, x = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    patches = np.radians(np.stack([x, y], -1)[:, None] + signs * _PATCH_SIZE / 2)
    half = ((PATCHES - 1) * _PATCH_PITCH + _PATCH_SIZE) / 2
    tract = np.radians(signs * half)
    return _to_sky(frame, tract[:, 0], tract[:, 1]), _to_sky(frame, patches[..., 0], patches[..., 1])


def polygon(corners: Floats) -> ConvexPolygon:
    """Return the region within some corners.

    Parameters
    ----------
    corners
        Unit vectors, against the clock.
    """
    return ConvexPolygon([UnitVector3d(*map(float, corner)) for corner in corners])


def _vector(ra_deg: float, dec_deg: float) -> Floats:
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    return np.array([math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)])


def _frames(centers: Floats, turns_deg: Floats | float = 0.0) -> Floats:
    """Return x and y axes, east and north unless turned, and the centers."""
    east = np.stack([-centers[..., 1], centers[..., 0], np.zeros_like(centers[..., 0])], -1)
    east /= np.linalg.norm(east, axis=-1, keepdims=True)
    north = np.cross(centers, east)
    turn = np.radians(turns_deg)[..., None] if np.ndim(turns_deg) else np.zeros(1)
    x, y = np.cos(turn) * east + np.sin(turn) * north, np.cos(turn) * north - np.sin(turn) * east
    return np.stack([x, y, centers], -2)


def _to_sky(frames: Floats, x: Floats, y: Floats) -> Floats:
    """Return unit vectors of places in tangent planes."""
    vectors = x[..., None] * frames[..., 0, :] + y[..., None] * frames[..., 1, :] + frames[..., 2, :]
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors
