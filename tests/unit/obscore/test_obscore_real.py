"""Repositories made by others, against ``lsst-dax-obscore``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lsst.daf.butler import Butler, CollectionType

FORMATS = {
    "exposure": "{records[exposure].obs_id}",
    "visit": "{records[visit].name}",
    "tract": "{skymap}-{tract}",
}
EXTRA = {
    "lsst_visit": {"template": "{visit}", "type": "int"},
    "lsst_detector": {"template": "{detector}", "type": "int"},
    "lsst_patch": {"template": "{patch}", "type": "int"},
    "lsst_filter": {"template": "{physical_filter}"},
    "when": {"template": "{records[visit].timespan.begin.utc.isot}Z"},
    "where_from": {"template": "{run} {dataset_type} {id.hex}"},
}
# Of the live repositories, what lsst-dax-obscore can read; the third column
# is the number of rows.
EXPORTS = [
    ("daf_butler_spatial", 0),
    ("daf_butler_ci_hsc-subset", 60),
    ("dax_obscore_hsc_gen3", 40),
    ("hsc-rc2-subset", 100),
    ("rc2_subset_coaddDatasetDump", 100),
    ("testdata_decam", 10),
    ("testdata_image_cutouts_dc2", 1),
    ("testdata_jointcal_cfht", 10),
    ("testdata_jointcal_hsc", 10),
]
LIVE = ["jointcal_cfht_minimal/repo", "obs_lsst/imsim", "obs_lsst/lsstCamSim", "prompt_processing"]


def configure(butler: Butler) -> dict[str, Any]:
    """Configure every dataset type that has a place in space or time."""
    kinds = {}
    for kind in butler.registry.queryDatasetTypes():
        found = [text for name, text in FORMATS.items() if name in kind.dimensions]
        if found and not kind.isComponent():
            kinds[kind.name] = {"dataproduct_type": "image", "calib_level": 2, "obs_id_fmt": found[0]}
    runs = butler.collections.query("*", collection_types=CollectionType.RUN)
    return {
        "facility_name": "Somewhere",
        "collections": list(runs),
        "obs_publisher_did_fmt": "ivo://org.example/real?repo=real&id={id}",
        "dataset_types": kinds,
        "extra_columns": EXTRA,
        "spectral_ranges": {"g": [4.0e-7, 5.5e-7], "r": [5.5e-7, 7.0e-7], "HSC-R": [5.4e-7, 6.9e-7]},
    }
