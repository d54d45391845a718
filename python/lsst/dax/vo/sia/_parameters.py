"""The query parameters of SIAv2: one table for parsing and description.

Every parameter may be repeated: the values of one are alternatives, and
different parameters all hold (SIA 2.0, 2.1).  A row whose column is empty
fulfils no constraint on it, not even one from ``-Inf`` to ``+Inf``.
"""

from __future__ import annotations

__all__ = ["PARAMETERS", "SiaParameter"]

from dataclasses import dataclass
from typing import Literal

from ..dali import Interval, parse_interval, parse_pos
from ..errors import UsageError, quoted
from ..query import Between, Constraint, HasState, Identified, Intersects, OneOf, Overlaps, Within
from ._dates import parse_period

# SIA 2.0, 2.1.4; ObsCore 1.1, B.6.6.
_STATES = ("I", "Q", "U", "V", "RR", "LL", "RL", "LR", "XX", "YY", "XY", "YX", "POLI", "POLA")
_LEVELS = ("0", "1", "2", "3", "4")


@dataclass(frozen=True, slots=True)
class SiaParameter:
    """One query parameter."""

    name: str
    """Name, upper case."""

    kind: Literal["shape", "overlap", "within", "word", "id", "media_type", "state", "level", "period"]
    """What its values are, and how they meet the columns."""

    columns: tuple[str, ...]
    """ObsCore columns that it constrains; two for ``overlap``: both ends."""

    description: str
    """One sentence."""

    unit: str | None = None
    """Unit of its numbers."""

    options: tuple[str, ...] = ()
    """The values that there are, where that is a closed list."""

    def to_constraint(self, values: tuple[str, ...]) -> Constraint:
        """Parse the values of a request.

        Parameters
        ----------
        values
            One or more; none is blank.

        Returns
        -------
        constraint : `Constraint`
            Holds for rows that match any of the values.

        Raises
        ------
        UsageError
            Raised if a value is not accepted; the message says what is.
        """
        match self.kind:
            case "shape":
                stencils = tuple(parse_pos(value, parameter=self.name, sia_bounds=True) for value in values)
                return Intersects(self.columns[0], stencils)
            case "overlap":
                return Overlaps(self.columns[0], self.columns[1], self._intervals(values))
            case "within":
                return Within(self.columns[0], self._intervals(values))
            case "word":
                return OneOf(self.columns[0], values)
            case "id":
                return Identified(self.columns[0], values)
            case "media_type":
                return OneOf(self.columns[0], tuple(map(_clean_media_type, values)))
            case "state":
                return HasState(self.columns[0], tuple(map(self._option, values)))
            case "level":
                return OneOf(self.columns[0], tuple(int(self._option(value)) for value in values))
            case "period":
                return Between(
                    self.columns[0], tuple(parse_period(value, parameter=self.name) for value in values)
                )

    def _intervals(self, values: tuple[str, ...]) -> tuple[Interval, ...]:
        intervals = tuple(parse_interval(value, parameter=self.name) for value in values)
        for value, interval in zip(values, intervals, strict=True):
            # Sizes, durations and wavelengths: the sign is a mistake that an
            # empty answer would hide (SIA 2.0, 4.3 shows this very error).
            # An MJD below 0 is a date before 1858.
            if interval.high < 0 and self.unit != "d":
                raise self._refused(value, "numbers from 0 up")
        return intervals

    def _option(self, value: str) -> str:
        if value.strip() not in self.options:
            raise self._refused(value, f"one of {', '.join(self.options)}")
        return value.strip()

    def _refused(self, value: str, accepted: str) -> UsageError:
        return UsageError(
            f"{self.name}={quoted(value)} is not accepted; give {accepted}", parameter=self.name, value=value
        )


def _clean_media_type(text: str) -> str:
    # A "+" that was not encoded arrives as a blank; the table's own values
    # have no blank after ";".
    return ";".join(part.strip().replace(" ", "+") for part in text.split(";"))


PARAMETERS: tuple[SiaParameter, ...] = (
    SiaParameter(
        "POS",
        "shape",
        ("s_region",),
        "Where: CIRCLE ra dec radius, RANGE ra1 ra2 dec1 dec2 or POLYGON ra1 dec1 ra2 dec2 ra3 dec3 ..., "
        "ICRS degrees",
    ),
    SiaParameter("BAND", "overlap", ("em_min", "em_max"), "Vacuum wavelengths to overlap, m", unit="m"),
    SiaParameter("TIME", "overlap", ("t_min", "t_max"), "Times to overlap, MJD in UTC", unit="d"),
    SiaParameter("POL", "state", ("pol_states",), "Polarization state that is measured", options=_STATES),
    SiaParameter("FOV", "within", ("s_fov",), "Diameter of the field of view, deg", unit="deg"),
    SiaParameter("SPATRES", "within", ("s_resolution",), "Spatial resolution, arcsec", unit="arcsec"),
    SiaParameter("SPECRP", "within", ("em_res_power",), "Spectral resolving power"),
    SiaParameter("EXPTIME", "within", ("t_exptime",), "Exposure time, s", unit="s"),
    SiaParameter("TIMERES", "within", ("t_resolution",), "Time resolution, s", unit="s"),
    SiaParameter("ID", "id", ("obs_publisher_did",), "Identifier of a dataset, in any case"),
    SiaParameter("COLLECTION", "word", ("obs_collection",), "Name of the data collection"),
    SiaParameter("FACILITY", "word", ("facility_name",), "Name of the facility"),
    SiaParameter("INSTRUMENT", "word", ("instrument_name",), "Name of the instrument"),
    SiaParameter("DPTYPE", "word", ("dataproduct_type",), "Type of the data: image or cube"),
    SiaParameter("CALIB", "level", ("calib_level",), "Calibration level", options=_LEVELS),
    SiaParameter("TARGET", "word", ("target_name",), "Name of the target"),
    SiaParameter(
        "DPSUBTYPE", "word", ("dataproduct_subtype",), "Kind of product, for example lsst.visit_image"
    ),
    SiaParameter("FORMAT", "media_type", ("access_format",), "Media type of what access_url delivers"),
    SiaParameter(
        "RELEASEDATE",
        "period",
        ("obs_release_date",),
        "Dates of release: one, or the first and the last, UTC",
    ),
)
"""All query parameters, in the order of the standard; ``DPSUBTYPE`` is Rubin's,
and ``RELEASEDATE`` from the draft of SIA 2.1.
"""
