"""What is observed: visits, tracts and names of the two simulated surveys."""

__all__ = [
    "PATCHES",
    "PATCH_BORDER",
    "PATCH_SIZE",
    "Field",
    "Names",
    "Survey",
    "Visit",
    "plan_dp02",
    "plan_sample",
    "shorten",
]

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ._camera import PIXEL_SCALE_ARCSEC, CameraPlan, DetectorPlan

PATCHES = 7
"""Patches of a tract in either direction, as in the sky map of DC2."""

PATCH_SIZE = 400
"""Pixels of a patch, without its border, in either direction."""

PATCH_BORDER = 50
"""Pixels on each side that it shares with its neighbours."""

_SEED = 4431
_CENTER = (55.7467, -32.2862)
_OTHER_CENTER = (62.0, -37.0)
_EXPOSURE_S = 30.0
_FIRST_NIGHT_MJD = 60984.0
_EXPLOSION_NIGHT = 8
_NIGHTS = (
    (0, "ri"),
    (3, "gz"),
    (7, "uy"),
    (11, "ir"),
    (14, "gz"),
    (18, "u"),
    (22, "ry"),
    (26, "gz"),
    (30, "iu"),
    (43, "zy"),
    (50, "iu"),
    (58, "rg"),
    (66, "y"),
)
"""Days after the first night, and the bands of each: 24 visits, four in each band."""

_SEEING_ARCSEC = {"u": 0.92, "g": 0.84, "r": 0.78, "i": 0.74, "z": 0.72, "y": 0.74}
_LONGITUDE_DEG, _LATITUDE_DEG = -70.7494, -30.2446


@dataclass(frozen=True, slots=True)
class Names:
    """What a survey calls things."""

    raw: str
    """Dataset type of raw images."""

    visit_image: str
    """Dataset type of calibrated images."""

    difference_image: str | None
    """Dataset type of difference images, if there are any."""

    coadd: str
    """Dataset type of coadds."""

    visit_summary: str
    """Dataset type of summaries of visits."""

    raw_run: str
    """Collection of raw images."""

    run: str
    """Collection of everything else."""

    chain: str
    """Chained collection of both."""

    skymap: str
    """Name of the sky map."""

    physical_filters: dict[str, str]
    """Physical filter of each band."""


@dataclass(frozen=True, slots=True)
class Field:
    """A place on the sky, with a tract that has it in one of its patches."""

    seed: int
    """What the sky there is made from."""

    ra_deg: float
    """Center, ICRS."""

    dec_deg: float
    """Center, ICRS."""

    tract: int
    """Tract."""

    patch: int
    """Patch with the center of the field in its middle."""

    coadds: tuple[int, ...]
    """Patches for which there are coadds."""

    half_width_arcsec: float
    """How far the simulated sky reaches."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit of one exposure."""

    id: int
    """Number of the visit, and of its exposure."""

    name: str
    """Name of both."""

    field: int
    """Index of its field."""

    band: str
    """Band."""

    begin_mjd: float
    """Begin of the exposure, TAI."""

    exposure_s: float
    """Length of the exposure."""

    ra_deg: float
    """Where the camera points, ICRS."""

    dec_deg: float
    """Where the camera points, ICRS."""

    rotator_deg: float
    """How the focal plane is turned."""

    seeing_arcsec: float
    """Full width at half maximum of a star."""

    @property
    def day_obs(self) -> int:
        """Day of observation, which begins at noon of UTC-12, as YYYYMMDD."""
        day = dt.date(1858, 11, 17) + dt.timedelta(days=math.floor(self.begin_mjd - 0.5))
        return int(day.strftime("%Y%m%d"))

    @property
    def seq_num(self) -> int:
        """Number within the day."""
        return self.id % 100_000

    @property
    def middle_mjd(self) -> float:
        """Middle of the exposure, TAI."""
        return self.begin_mjd + self.exposure_s / 2 / 86400

    def horizontal_deg(self) -> tuple[float, float]:
        """Return azimuth and zenith angle, to about a tenth of a degree."""
        sidereal = 280.46 + 360.985647 * (self.middle_mjd - 51544.5) + _LONGITUDE_DEG
        hour = math.radians(sidereal - self.ra_deg)
        dec, latitude = math.radians(self.dec_deg), math.radians(_LATITUDE_DEG)
        up = math.sin(latitude) * math.sin(dec) + math.cos(latitude) * math.cos(dec) * math.cos(hour)
        east = -math.cos(dec) * math.sin(hour)
        north = math.cos(latitude) * math.sin(dec) - math.sin(latitude) * math.cos(dec) * math.cos(hour)
        return math.degrees(math.atan2(east, north)) % 360, math.degrees(math.acos(up))


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that a repository is built from."""

    label: str
    """Label of the repository."""

    camera: CameraPlan
    """The camera."""

    names: Names
    """What things are called."""

    fields: tuple[Field, ...]
    """Where it looks."""

    visits: tuple[Visit, ...]
    """When it looks."""

    explosion_mjd: float
    """When the supernova of each field explodes, TAI."""


def plan_sample() -> Survey:
    """Plan the survey with the names of DP2.

    Returns
    -------
    survey : `Survey`
    """
    camera = CameraPlan(
        "LSSTCam",
        (
            DetectorPlan(90, "R22", "S00", -2.6, -2.6, 0.0),
            DetectorPlan(91, "R22", "S01", 2.6, -2.6, 90.0),
            DetectorPlan(93, "R22", "S10", -2.6, 2.6, 180.0),
        ),
    )
    names = Names(
        raw="raw",
        visit_image="visit_image",
        difference_image="difference_image",
        coadd="deep_coadd",
        visit_summary="visit_summary",
        raw_run="LSSTCam/raw/all",
        run="LSSTCam/runs/DRP/DP2/sample",
        chain="LSSTCam/runs/DRP/DP2",
        skymap="lsst_cells_v1",
        physical_filters={"u": "u_24", "g": "g_6", "r": "r_57", "i": "i_39", "z": "z_20", "y": "y_10"},
    )
    field = Field(_SEED, *_CENTER, 4431, 17, (16, 17, 18), 230.0)
    rng = np.random.default_rng([_SEED, 2])
    visits: list[Visit] = []
    for night, bands in _NIGHTS:
        start = _FIRST_NIGHT_MJD + night + 0.16 + float(rng.uniform(0, 0.05))
        for index, band in enumerate(bands):
            begin = start + 0.0021 * index
            detector = camera.detectors[len(visits) % len(camera.detectors)]
            visit = Visit(
                0, "", 0, band, round(begin, 7), _EXPOSURE_S, 0.0, 0.0, float(rng.uniform(-85, 85)), 0.0
            )
            visit = _point(visit, field, detector, rng)
            number = 180 + 2 * night + index
            visits.append(
                replace(
                    visit,
                    id=visit.day_obs * 100_000 + number,
                    name=f"MC_O_{visit.day_obs}_{number:06d}",
                )
            )
    return Survey("sample", camera, names, (field,), tuple(visits), _FIRST_NIGHT_MJD + _EXPLOSION_NIGHT)


def plan_dp02() -> Survey:
    """Plan the smaller survey with the names of DP0.2.

    Returns
    -------
    survey : `Survey`
    """
    camera = CameraPlan(
        "LSSTCam-imSim",
        (DetectorPlan(174, "R42", "S10", -2.6, 0.0, 0.0), DetectorPlan(175, "R42", "S11", 2.6, 0.0, 90.0)),
    )
    names = Names(
        raw="raw",
        visit_image="calexp",
        difference_image=None,
        coadd="deepCoadd_calexp",
        visit_summary="visitSummary",
        raw_run="LSSTCam-imSim/raw/all",
        run="2.2i/runs/DP0.2/sample",
        chain="2.2i/runs/DP0.2",
        skymap="DC2",
        physical_filters={band: f"{band}_sim_1.4" for band in "ugrizy"},
    )
    fields = (
        Field(_SEED, *_CENTER, 4431, 17, (17,), 150.0),
        # This point is in that patch of that tract of the real sky map, too.
        Field(_SEED + 1, *_OTHER_CENTER, 3831, 10, (10,), 150.0),
    )
    numbers = (
        {"u": 159471, "g": 174534, "r": 181900, "i": 192350, "z": 209044, "y": 214467},
        {"g": 230740, "r": 238901, "i": 242617},
    )
    rng = np.random.default_rng([_SEED, 3])
    visits = []
    for index, field in enumerate(fields):
        for band, number in numbers[index].items():
            # About as many visits a night as that simulation had.
            begin = 59580 + number // 660 + 0.2 + float(rng.uniform(0, 0.1))
            visit = Visit(
                number,
                f"{number:08d}",
                index,
                band,
                round(begin, 7),
                _EXPOSURE_S,
                0.0,
                0.0,
                float(rng.uniform(-85, 85)),
                0.0,
            )
            visits.append(_point(visit, field, camera.detectors[1], rng))
    return Survey("dp02", camera, names, fields, tuple(visits), 59580.0 + 270)


def _point(visit: Visit, field: Field, detector: DetectorPlan, rng: np.random.Generator) -> Visit:
    """Let the center of the field fall on a detector, not far from its own."""
    scale = PIXEL_SCALE_ARCSEC * 100
    x, y = (np.array([detector.x_mm, detector.y_mm]) + rng.uniform(-0.9, 0.9, 2)) * scale
    turn = math.radians(visit.rotator_deg)
    east = -x * math.cos(turn) + y * math.sin(turn)
    north = x * math.sin(turn) + y * math.cos(turn)
    dec = field.dec_deg - north / 3600
    return replace(
        visit,
        ra_deg=round(field.ra_deg - east / 3600 / math.cos(math.radians(dec)), 7),
        dec_deg=round(dec, 7),
        rotator_deg=round(visit.rotator_deg, 4),
        seeing_arcsec=round(_SEEING_ARCSEC[visit.band] * float(rng.uniform(0.88, 1.22)), 4),
    )


def shorten(survey: Survey, bands: Sequence[str], *, visits: int, coadds: int = 1) -> Survey:
    """Return a part of a survey, for tests: the first visits of some bands.

    Parameters
    ----------
    survey
        The whole.
    bands
        Bands to keep.
    visits
        Visits to keep in each band and field.
    coadds
        Patches to keep in each field, the middle one first.

    Returns
    -------
    part : `Survey`
    """
    chosen: list[Visit] = []
    for visit in survey.visits:
        like = [other for other in chosen if (other.field, other.band) == (visit.field, visit.band)]
        if visit.band in bands and len(like) < visits:
            chosen.append(visit)
    fields = tuple(
        replace(field, coadds=tuple(sorted(field.coadds, key=lambda patch: patch != field.patch)[:coadds]))
        for field in survey.fields
    )
    return replace(survey, visits=tuple(chosen), fields=fields)
