"""A configuration that fits what a repository holds."""

from __future__ import annotations

__all__ = ["configure"]

from collections.abc import Iterable
from urllib.parse import quote

from .._config import DatasetTypeConfig, ExtraColumn, ObscoreConfig
from ._inventory import HeldKind, Inventory

# Limits in meters of the bands of the LSST camera (DP2's configuration).
_BANDS = {
    "u": (300.0e-9, 393.2e-9),
    "g": (402.6e-9, 548.3e-9),
    "r": (551.0e-9, 689.1e-9),
    "i": (693.6e-9, 818.8e-9),
    "z": (819.2e-9, 920.1e-9),
    "y": (927.8e-9, 1100.0e-9),
}
_FACILITIES = {
    "DECam": "CTIO:4.0m",
    "HSC": "Subaru",
    "LATISS": "Rubin:1.2m",
    "LSSTCam": "Rubin:Simonyi",
    "LSSTComCam": "Rubin:Simonyi",
    "MegaPrime": "CFHT",
}
# The words by which pipelines call what was subtracted or resampled: a level
# above the visit that it was made from.
_ENHANCED = ("diff", "warp", "coadd", "template")
_COLUMNS = {
    "visit": ("lsst_visit", "int"),
    "detector": ("lsst_detector", "int"),
    "tract": ("lsst_tract", "int"),
    "patch": ("lsst_patch", "int"),
    "band": ("lsst_band", "string"),
    "physical_filter": ("lsst_filter", "string"),
}


def configure(inventory: Inventory) -> ObscoreConfig:
    """Make a configuration from what a repository holds.

    Parameters
    ----------
    inventory
        What it holds.

    Returns
    -------
    config : `ObscoreConfig`
        Every dataset type of images on the sky, from the smallest chained
        collection that has all of them, or else from all RUN collections
        that hold any, the last names first.
    """
    # A label may hold what an identifier, or a format, may not.
    name = quote(inventory.label, safe="")
    instruments = inventory.instruments
    facilities = {instrument: _FACILITIES.get(instrument, instrument) for instrument in instruments}
    alone = instruments[0] if len(instruments) == 1 else None
    return ObscoreConfig(
        collections=_choose_collections(inventory),
        obs_collection=inventory.label,
        facility_map=facilities,
        fallback_instrument=alone,
        facility_name=None if alone is None else facilities[alone],
        # Nobody has registered an authority for it.
        obs_publisher_did_fmt=f"ivo://x-unregistered/{name}?repo={name}&id={{id}}",
        dataset_types={kind.name: _describe(kind) for kind in inventory.images},
        extra_columns=_extra_columns(inventory.images),
        spectral_ranges={band: limits for band, limits in _BANDS.items() if band in inventory.bands},
        visit_summary=tuple(kind.name for kind in inventory.summaries),
    )


def _choose_collections(inventory: Inventory) -> tuple[str, ...]:
    # Whoever made a chain has thought about what comes first.
    complete = [chain for chain in inventory.chains if chain.runs == len(inventory.runs)]
    if complete:
        best = min(complete, key=lambda chain: (chain.members, len(chain.name), chain.name))
        return (best.name,)
    return inventory.runs


def _describe(kind: HeldKind) -> DatasetTypeConfig:
    return DatasetTypeConfig(
        dataproduct_type="image",
        dataproduct_subtype=f"lsst.{kind.name}",
        calib_level=_calib_level(kind),
        access_format="application/x-votable+xml;content=datalink",
        obs_id_fmt=_obs_id_format(kind),
        o_ucd="phot.count" if "exposure" in kind.dimensions else "phot.flux.density",
    )


def _calib_level(kind: HeldKind) -> int:
    if any(word in kind.name.lower() for word in _ENHANCED):
        return 3
    if "exposure" in kind.dimensions:
        return 1
    return 2 if "visit" in kind.dimensions else 3


def _obs_id_format(kind: HeldKind) -> str:
    if "exposure" in kind.dimensions:
        return "{records[exposure].obs_id}"
    if "visit" in kind.dimensions:
        return "{records[visit].name}"
    # The band is left out: all products of one observation share its name.
    return "-".join(f"{{{name}}}" for name in kind.required if name not in ("band", "physical_filter"))


def _extra_columns(kinds: Iterable[HeldKind]) -> dict[str, ExtraColumn]:
    names = set().union(*(kind.dimensions for kind in kinds))
    if "exposure" in names:
        names.add("visit")
    return {
        column: ExtraColumn.model_validate({"template": f"{{{name}}}", "type": kind})
        for name, (column, kind) in _COLUMNS.items()
        if name in names
    }
