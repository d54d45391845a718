"""Repositories made by others, against ``lsst-dax-obscore``."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lsst.daf.butler import Butler, CollectionType
from lsst.daf.butler.registry.obscore import DatasetTypeConfig
from lsst.dax.obscore import ExporterConfig

from lsst.dax.vo.sample import build_sample

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
    "rc2_subset_coaddDatasetDump": (91, 331),
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


def _by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["_id"])


def _compare(root: Path, counts: tuple[int, int], export: Any, oracle: Any, differences: Any) -> None:
    with Butler.from_config(str(root)) as butler:
        config = configure(butler)
        rows, report = export(butler, config, reader="bulk")
        public, again = export(butler, config, reader="public")
        theirs = oracle(butler, config)
    assert _by_id(rows) == _by_id(public)
    assert (report.rows, report.without_region) == (again.rows, again.without_region)
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


def test_no_repository_is_forgotten(shared_data: Path) -> None:
    folder = shared_data / "butler"
    live = {str(path.parent.relative_to(folder)) for path in folder.rglob("gen3.sqlite3")}
    assert live == {*LIVE, "testdata_image_cutouts"}
    # The others hold no images.
    others = {"daf_butler_base", "daf_butler_spatial", "hsc-rc2-subset", "testdata_image_cutouts_dc2"}
    assert {path.stem for path in (folder / "exports").glob("*.yaml")} == {*EXPORTS, *others}


@pytest.mark.parametrize("label", ["sample", "dp02"])
def test_sample(label: str, export: Any, oracle: Any, differences: Any) -> None:
    """The repositories of our own sample, with their own configurations."""
    root = Path(os.environ.get("DAX_VO_SAMPLE", ""))
    if not (root / label / "butler.yaml").exists():
        pytest.skip("there is no sample; name its folder in DAX_VO_SAMPLE")
    sample = build_sample(root)
    config = yaml.safe_load(sample.configurations[label].read_text())
    with Butler.from_config(str(sample.repositories[label])) as butler:
        rows, report = export(butler, config, reader="bulk")
        assert _by_id(rows) == _by_id(export(butler, config, reader="public")[0])
        known = ExporterConfig.model_fields
        kinds = DatasetTypeConfig.model_fields
        theirs_config = {name: value for name, value in config.items() if name in known}
        theirs_config["dataset_types"] = {
            name: {key: value for key, value in kind.items() if key in kinds}
            for name, kind in config["dataset_types"].items()
            if name not in report.not_registered
        }
        theirs = oracle(butler, theirs_config)
    assert rows
    assert len(rows) - len(theirs) == sum(report.without_region.values())
    # The other exporter knows no summaries of visits.
    summarized = ("s_resolution", "s_xel1", "s_xel2")
    found = differences(rows, theirs)
    assert [item for item in found if item[1] not in summarized or item[3] is not None] == []


@pytest.mark.parametrize("imported", [False, True], ids=["live", "imported"])
def test_coadds_without_dimension_records(
    copy_live: Callable[[str], Path],
    import_export: Callable[[str], Path],
    imported: bool,
    export: Any,
    oracle: Any,
) -> None:
    make = import_export if imported else copy_live
    with Butler.from_config(str(make("testdata_image_cutouts" + imported * "_dc2"))) as butler:
        config = configure(butler)
        with pytest.raises(LookupError, match="No 'band' record"):
            oracle(butler, config)
        rows, report = export(butler, config, reader="bulk")
        assert _by_id(rows) == _by_id(export(butler, config, reader="public")[0])
    assert report.rows["deepCoadd_calexp"] == 3
    assert all(row["s_region"].startswith("POLYGON ICRS ") for row in rows)
