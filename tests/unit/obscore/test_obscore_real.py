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
# The number of rows that lsst-dax-obscore makes, and of those that we make.
EXPORTS = {
    "daf_butler_ci_hsc-subset": (33, 33),
    "dax_obscore_hsc_gen3": (68, 68),
    "testdata_decam": (2, 2),
    "testdata_jointcal_cfht": (16, 16),
    "testdata_jointcal_hsc": (82, 112),
}
LIVE = {
    "jointcal_cfht_minimal/repo": (6, 6),
    "obs_lsst/imsim": (1, 1),
    "obs_lsst/lsstCamSim": (1, 1),
    "prompt_processing": (9, 9),
}


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


def _compare(root: Path, counts: tuple[int, int], export: Any, oracle: Any, differences: Any) -> None:
    with Butler.from_config(str(root)) as butler:
        config = configure(butler)
        rows, report = export(butler, config)
        theirs = oracle(butler, config)
    assert (len(theirs), len(rows)) == counts
    assert differences(rows, theirs) == []
    # What it leaves out are datasets without a region.
    assert len(rows) - len(theirs) == sum(report.without_region.values())


@pytest.mark.parametrize("name", EXPORTS)
def test_imported_export(
    import_export: Callable[[str], Path], name: str, export: Any, oracle: Any, differences: Any
) -> None:
    _compare(import_export(name), EXPORTS[name], export, oracle, differences)


@pytest.mark.parametrize("name", LIVE)
def test_live_repository(
    copy_live: Callable[[str], Path], name: str, export: Any, oracle: Any, differences: Any
) -> None:
    _compare(copy_live(name), LIVE[name], export, oracle, differences)


def test_coadds_without_dimension_records(copy_live: Callable[[str], Path], export: Any, oracle: Any) -> None:
    with Butler.from_config(str(copy_live("testdata_image_cutouts"))) as butler:
        config = configure(butler)
        with pytest.raises(LookupError, match="No 'band' record"):
            oracle(butler, config)
        rows, report = export(butler, config)
    assert report.rows["deepCoadd_calexp"] == 3
    assert all(row["s_region"].startswith("POLYGON ICRS ") for row in rows)
