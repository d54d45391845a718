"""A configuration for a repository that comes without one."""

from __future__ import annotations

__all__ = ["infer_config"]

from collections.abc import Iterable
from urllib.parse import quote

from lsst.daf.butler import Butler, DatasetType
from lsst.daf.butler.registry import CollectionType  # type: ignore[attr-defined]

from ..errors import NotFoundError
from ._config import DatasetTypeConfig, ExtraColumn, ObscoreConfig
from ._elements_reader import is_image

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


def infer_config(butler: Butler, label: str) -> ObscoreConfig:
    """Make a configuration from what a repository holds.

    Parameters
    ----------
    butler
        The repository.
    label
        Its label.

    Returns
    -------
    config : `ObscoreConfig`
        Every dataset type of images on the sky, from all RUN collections
        that hold any, the last names first.

    Raises
    ------
    NotFoundError
        Raised if there are no such images.
    """
    images = {kind.name: kind for kind in butler.registry.queryDatasetTypes() if is_image(kind)}
    runs: dict[str, set[str]] = {}
    for info in butler.collections.query_info("*", collection_types=CollectionType.RUN, include_summary=True):
        if held := (info.dataset_types or frozenset()) & images.keys():
            runs[info.name] = set(held)
    held_images = sorted(set().union(*runs.values()))
    if not held_images:
        raise NotFoundError(
            f"The repository {label!r} holds no images of the sky; give an exporter configuration "
            "that says what to export"
        )
    instruments = sorted(
        record.name for record in butler.query_dimension_records("instrument", explain=False)
    )
    bands = {
        record.band for record in butler.query_dimension_records("physical_filter", explain=False, limit=None)
    }
    # A label may hold what an identifier, or a format, may not.
    name = quote(label, safe="")
    # Runs are named by date or by version, and later ones replace earlier.
    return ObscoreConfig(
        collections=tuple(sorted(runs, reverse=True)),
        obs_collection=label,
        facility_map={name: _FACILITIES.get(name, name) for name in instruments},
        fallback_instrument=instruments[0] if len(instruments) == 1 else None,
        facility_name=_FACILITIES.get(instruments[0], instruments[0]) if len(instruments) == 1 else None,
        # Nobody has registered an authority for it.
        obs_publisher_did_fmt=f"ivo://x-unregistered/{name}?repo={name}&id={{id}}",
        dataset_types={name: _describe(images[name]) for name in held_images},
        extra_columns=_extra_columns(images[name] for name in held_images),
        spectral_ranges={band: limits for band, limits in _BANDS.items() if band in bands},
    )


def _describe(kind: DatasetType) -> DatasetTypeConfig:
    return DatasetTypeConfig(
        dataproduct_type="image",
        dataproduct_subtype=f"lsst.{kind.name}",
        calib_level=_calib_level(kind),
        access_format="application/x-votable+xml;content=datalink",
        obs_id_fmt=_obs_id_format(kind),
        o_ucd="phot.count" if "exposure" in kind.dimensions else "phot.flux.density",
    )


def _calib_level(kind: DatasetType) -> int:
    if any(word in kind.name.lower() for word in _ENHANCED):
        return 3
    if "exposure" in kind.dimensions:
        return 1
    return 2 if "visit" in kind.dimensions else 3


def _obs_id_format(kind: DatasetType) -> str:
    dimensions = kind.dimensions
    if "exposure" in dimensions:
        return "{records[exposure].obs_id}"
    if "visit" in dimensions:
        return "{records[visit].name}"
    # The band is left out: all products of one observation share its name.
    return "-".join(f"{{{name}}}" for name in dimensions.required if name not in ("band", "physical_filter"))


def _extra_columns(kinds: Iterable[DatasetType]) -> dict[str, ExtraColumn]:
    names = set().union(*(kind.dimensions.names for kind in kinds))
    if "exposure" in names:
        names.add("visit")
    return {
        column: ExtraColumn.model_validate({"template": f"{{{name}}}", "type": kind})
        for name, (column, kind) in _COLUMNS.items()
        if name in names
    }
