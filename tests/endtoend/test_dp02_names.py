"""The smaller sample answers what was written for DP0.2, to the letter."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lsst.daf.butler import Butler

from lsst.dax.vo.sample import Sample, sample_environment
from lsst.dax.vo.services import export_repository, query_store

DATA = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
THEIRS = DATA / "obscore/dax_obscore/dp02.yaml"


@pytest.fixture(scope="module")
def store(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the store that the observatory's own configuration makes."""
    if not THEIRS.exists():
        pytest.skip(f"dp02.yaml is not in {DATA}; set DAX_VO_TEST_DATA")
    path = tmp_path_factory.mktemp("dp02") / "dp02.store"
    export_repository(sample.repositories["dp02"], path, config_path=THEIRS, label="dp02")
    return path


def rows(store: Path, adql: str) -> list[dict[str, object]]:
    with query_store(store, adql) as result:
        return [row for batch in result.batches for row in batch.to_pylist()]


def test_both_are_found_by_label(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sample_environment(sample.root).items():
        monkeypatch.setenv(name, value)
    for label in ("sample", "dp02"):
        with Butler.from_config(label) as butler:
            assert butler.collections.query("*")


@pytest.mark.usefixtures("store")
def test_our_configuration_makes_the_same_rows(sample: Sample, tmp_path: Path) -> None:
    tables = []
    for name, config in (("ours", sample.configurations["dp02"]), ("theirs", THEIRS)):
        path = tmp_path / f"{name}.parquet"
        export_repository(sample.repositories["dp02"], path, config_path=config, label="dp02")
        tables.append(pq.read_table(path).to_pylist())
    ours, theirs = tables
    assert len(ours) == 45
    assert ours == theirs


@pytest.mark.parametrize(
    ("adql", "count"),
    [
        # As the tutorials of DP0.2 have them.
        (
            "SELECT * FROM ivoa.ObsCore WHERE obs_collection = 'LSST.DP02' AND calib_level = 2 "
            "AND dataproduct_type = 'image' AND lsst_visit = 192350 AND lsst_detector = 175",
            1,
        ),
        (
            "SELECT dataproduct_type, dataproduct_subtype, calib_level, lsst_band, em_min, em_max, "
            "lsst_tract, lsst_patch, lsst_filter, lsst_visit, lsst_detector, t_exptime, t_min, t_max, s_ra, "
            "s_dec, s_fov, obs_id, obs_collection, o_ucd, facility_name, instrument_name, s_region, "
            "access_url, access_format FROM ivoa.ObsCore WHERE calib_level = 3 "
            "AND dataproduct_type = 'image' AND instrument_name = 'LSSTCam-imSim' "
            "AND CONTAINS(POINT('ICRS', 55.7467, -32.2862), s_region) = 1",
            6,
        ),
        (
            "SELECT access_url, access_format, dataproduct_subtype, lsst_patch, lsst_tract, lsst_band "
            "FROM ivoa.ObsCore WHERE dataproduct_type = 'image' AND obs_collection = 'LSST.DP02' "
            "AND dataproduct_subtype = 'lsst.deepCoadd_calexp' AND lsst_tract = 4431 AND lsst_patch = 17 "
            "AND lsst_band = 'i'",
            1,
        ),
    ],
)
def test_queries_of_its_tutorials_find_rows(store: Path, adql: str, count: int) -> None:
    assert len(rows(store, adql)) == count


def test_access_url_is_that_of_its_configuration(store: Path) -> None:
    (row,) = rows(
        store,
        "SELECT access_url, obs_publisher_did FROM ivoa.ObsCore "
        "WHERE lsst_tract = 4431 AND lsst_patch = 17 AND lsst_band = 'i'",
    )
    uuid = str(row["obs_publisher_did"])[-36:]
    assert row["access_url"] == f"https://data.lsst.cloud/api/datalink/links?ID=butler%3A//dp02/{uuid}"
