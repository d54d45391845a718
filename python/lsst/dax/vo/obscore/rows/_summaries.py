"""What summaries of visits tell about each detector: its pixels and its PSF."""

from __future__ import annotations

__all__ = ["SUMMARY_COLUMNS", "SummaryRows", "merge_summaries", "parse_summary"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UsageError

type Integers = np.ndarray[tuple[int], np.dtype[np.int64]]
type Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

_BOX = ("bbox_min_x", "bbox_max_x", "bbox_min_y", "bbox_max_y")
_VISIT = ("visit", "visitId")
SUMMARY_COLUMNS = frozenset(
    {
        *_BOX,
        *_VISIT,
        "id",
        "detector",
        "xSize",
        "ySize",
        "psfSigma",
        "pixelScale",
        "raCorners",
        "decCorners",
        "seeing",
    }
)
"""Columns of a summary that are of use here, where they are there."""

# Full width at half maximum of a Gaussian whose standard deviation is 1.
_FWHM = 2 * np.sqrt(2 * np.log(2))
# No camera has more detectors than this, and no visit's number is so large
# that the product would not fit into 64 bits.
_MOST_DETECTORS = 2**16


@dataclass(frozen=True, slots=True)
class SummaryRows:
    """Some detectors of some visits, in the order of `keys`."""

    keys: Integers
    """Visit and detector as one number, ascending, each once."""

    columns: Integers
    """Pixels along the first axis; 0 where unknown."""

    rows: Integers
    """Pixels along the second axis; 0 where unknown."""

    fwhm_arcsec: Floats
    """Full width at half maximum of the PSF; NaN where unknown."""

    @staticmethod
    def keys_of(visits: Any, detectors: Any) -> Integers:
        """Combine visits and detectors.

        Parameters
        ----------
        visits, detectors
            Whole numbers, one of each for each row.

        Returns
        -------
        keys : `numpy.ndarray` [`int`]
        """
        keys: Integers = np.asarray(visits, np.int64) * _MOST_DETECTORS + np.asarray(detectors, np.int64)
        return keys

    def find(self, keys: Integers) -> tuple[Integers, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Find rows.

        Parameters
        ----------
        keys
            What `keys_of` made, in any order.

        Returns
        -------
        places : `numpy.ndarray` [`int`]
            Where each key is; without meaning where it is not there.
        there : `numpy.ndarray` [`bool`]
            Whether it is.
        """
        if not len(self.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return places, self.keys[places] == keys


def parse_summary(columns: Mapping[str, Any], visit: int | None = None) -> SummaryRows:
    """Take what is of use from the columns of a summary.

    Parameters
    ----------
    columns
        Columns by name, arrays of one length: of a ``visitSummary`` as
        ``lsst.afw.table`` writes it (``id`` is the number of the detector),
        or of a table of all visits and detectors (``detector``, ``xSize``).
    visit
        The visit, where the summary is of one alone.

    Returns
    -------
    rows : `SummaryRows`

    Raises
    ------
    UsageError
        Raised if it cannot be told which detector a row is about.
    """
    # Where there are boxes, it is a catalog of exposures, in which the column
    # "detector" is a number in its archive and no detector.
    name = "id" if "id" in columns and _BOX[0] in columns else "detector"
    if name not in columns:
        raise UsageError(
            "it has no column with the number of the detector ('id' beside 'bbox_min_x', or 'detector'); "
            f"there are {', '.join(sorted(columns)) or 'none of use'}"
        )
    visits = _visits(columns, visit, len(columns[name]))
    detectors = np.asarray(columns[name])
    # A table of Arrow may have gaps, which are NaN here.
    known = np.isfinite(visits) & np.isfinite(detectors)
    columns = {key: np.asarray(values)[known] for key, values in columns.items()}
    # Of rows about the same detector the first one counts.
    keys, order = np.unique(SummaryRows.keys_of(visits[known], detectors[known]), return_index=True)
    width, height = _sizes(columns, int(np.count_nonzero(known)))
    return SummaryRows(keys, width[order], height[order], _fwhm_arcsec(columns, width, height)[order])


def merge_summaries(summaries: Sequence[SummaryRows]) -> SummaryRows:
    """Make one table of several.

    Parameters
    ----------
    summaries
        The tables; of rows about the same detector the first one counts.

    Returns
    -------
    rows : `SummaryRows`
    """
    if not summaries:
        nothing = np.zeros(0, np.int64)
        return SummaryRows(nothing, nothing, nothing, np.zeros(0))
    if len(summaries) == 1:
        return summaries[0]
    keys, order = np.unique(np.concatenate([item.keys for item in summaries]), return_index=True)
    return SummaryRows(
        keys,
        np.concatenate([item.columns for item in summaries])[order],
        np.concatenate([item.rows for item in summaries])[order],
        np.concatenate([item.fwhm_arcsec for item in summaries])[order],
    )


def _visits(columns: Mapping[str, Any], visit: int | None, size: int) -> np.ndarray[Any, Any]:
    if visit is not None:
        # The data ID is right, whatever the file says.
        return np.full(size, visit, np.int64)
    name = next((name for name in _VISIT if name in columns), None)
    if name is None:
        raise UsageError(
            f"it has no column with the number of the visit ({' or '.join(map(repr, _VISIT))}); "
            f"there are {', '.join(sorted(columns))}"
        )
    return np.asarray(columns[name])


def _sizes(columns: Mapping[str, Any], size: int) -> tuple[Integers, Integers]:
    if all(name in columns for name in _BOX):
        pairs = [
            (np.asarray(columns[low], np.float64), np.asarray(columns[high], np.float64))
            for low, high in (_BOX[:2], _BOX[2:])
        ]
        extents = [high - low for low, high in pairs]
    elif "xSize" in columns and "ySize" in columns:
        # These, too, are the last pixel's number minus the first one's.
        extents = [np.asarray(columns[name], np.float64) for name in ("xSize", "ySize")]
    else:
        return np.zeros(size, np.int64), np.zeros(size, np.int64)
    known = np.logical_and.reduce([np.isfinite(extent) & (extent >= 0) for extent in extents])
    first, second = (np.where(known, extent + 1, 0).astype(np.int64) for extent in extents)
    return first, second


def _fwhm_arcsec(columns: Mapping[str, Any], width: Integers, height: Integers) -> Floats:
    found: Floats = np.full(len(width), np.nan)
    if "psfSigma" in columns:
        scale = _pixel_scales(columns, width, height)
        found = _FWHM * np.asarray(columns["psfSigma"], np.float64) * scale
    if "seeing" in columns:
        # A table of all visits has it ready made.
        found = np.where(np.isfinite(found), found, np.asarray(columns["seeing"], np.float64))
    return np.where(np.isfinite(found) & (found > 0), found, np.nan)


def _pixel_scales(columns: Mapping[str, Any], width: Integers, height: Integers) -> Floats:
    scale: Floats = np.full(len(width), np.nan)
    if "pixelScale" in columns:
        scale = np.asarray(columns["pixelScale"], np.float64)
    corners = [
        np.asarray(columns[name], np.float64) for name in ("raCorners", "decCorners") if name in columns
    ]
    if len(corners) == 2 and all(part.shape == (len(width), 4) for part in corners):
        # Catalogs of before 2022 have no scale, but the corners of the box.
        scale = np.where(np.isfinite(scale), scale, _scales_of_corners(corners[0], corners[1], width, height))
    return scale


def _scales_of_corners(
    ra_deg: np.ndarray[Any, Any], dec_deg: np.ndarray[Any, Any], width: Integers, height: Integers
) -> Floats:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
    chords = np.linalg.norm(vectors - np.roll(vectors, -1, axis=1), axis=2)
    sides = np.degrees(2 * np.arcsin(np.minimum(chords / 2, 1.0))) * 3600
    # The corners go around, so that every other side is as wide as the box.
    pixels = np.stack([width, height, width, height], axis=1).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scales: Floats = np.prod(sides / pixels, axis=1) ** 0.25
    return scales
