"""ObsCore rows of a generated registry: ours and ``lsst-dax-obscore``.

Every reader makes the same rows; ours also with the sizes of files, which the
other does not look up.  Small by default, so that it never rots; run with
``DAX_VO_BENCH_DATASETS=50000 pytest benchmarks/bench_export.py
--benchmark-only``.  ``extra_info`` holds rows per second.
"""

import os
from pathlib import Path
from typing import Any

import astropy.time
import astropy.units as u
import pytest
from lsst.daf.butler import Butler, DatasetType, Timespan
from lsst.daf.butler.datastore.record_data import DatastoreRecordData
from lsst.daf.butler.datastore.stored_file_info import StoredFileInfo
from lsst.dax.obscore import ExporterConfig
from lsst.dax.obscore.obscore_exporter import ObscoreExporter
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

from lsst.dax.vo.obscore import ObscoreConfig, iter_rows

DATASETS = int(os.environ.get("DAX_VO_BENCH_DATASETS", "200"))
DETECTORS = 100
CONFIG: dict[str, Any] = {
    "facility_name": "Somewhere",
    "obs_collection": "BENCH",
    "collections": ["run"],
    "obs_publisher_did_fmt": "ivo://org.example/bench?repo=bench&id={id}",
    "dataset_types": {
        name: {
            "dataproduct_type": "image",
            "calib_level": level,
            "obs_id_fmt": obs_id,
            "o_ucd": "phot.count",
            "access_format": "application/x-votable+xml;content=datalink",
            "datalink_url_fmt": "https://example.org/api/datalink/links?ID=butler%3A//bench/{id}",
        }
        for name, level, obs_id in (
            ("raw", 1, "{records[exposure].obs_id}"),
            ("calexp", 2, "{records[visit].name}"),
        )
    },
    "extra_columns": {
        "lsst_visit": {"template": "{visit}", "type": "int"},
        "lsst_detector": {"template": "{detector}", "type": "int"},
        "lsst_tract": {"template": "{tract}", "type": "int"},
        "lsst_band": {"template": "{band}"},
        "lsst_filter": {"template": "{physical_filter}"},
    },
    "spectral_ranges": {"g": [4.0e-7, 5.5e-7], "r": [5.5e-7, 7.0e-7]},
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a registry of raw and calibrated images, half of each; no files."""
    root = tmp_path_factory.mktemp("export") / "bench"
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), writeable=True) as butler:
        _fill(butler, max(1, DATASETS // (2 * DETECTORS)))
    return root


def _fill(butler: Butler, visits: int) -> None:
    registry = butler.registry
    insert = registry.insertDimensionData
    insert("instrument", {"name": "Cam", "class_name": "x", "detector_max": 200, "visit_max": 10**9})
    for band in "gr":
        insert("physical_filter", {"instrument": "Cam", "name": f"{band}_1", "band": band})
    insert("detector", *[{"instrument": "Cam", "id": i, "full_name": f"R{i:03d}"} for i in range(DETECTORS)])
    insert("day_obs", {"instrument": "Cam", "id": 20250101})
    insert("group", *[{"instrument": "Cam", "name": f"g{i}"} for i in range(visits)])
    start = astropy.time.Time("2025-01-01T01:00:00", scale="tai")
    common = [
        {
            "instrument": "Cam",
            "id": number,
            "physical_filter": f"{'gr'[number % 2]}_1",
            "day_obs": 20250101,
            "target_name": f"field {number % 50}",
            "exposure_time": 30.0,
            "timespan": Timespan(start + number * 40 * u.s, start + (number * 40 + 30) * u.s),
        }
        for number in range(visits)
    ]
    insert("exposure", *[{**row, "obs_id": f"E{row['id']}", "group": f"g{row['id']}"} for row in common])
    insert("visit", *[{**row, "name": f"V{row['id']}"} for row in common])
    insert("visit_definition", *[{"instrument": "Cam", "visit": i, "exposure": i} for i in range(visits)])
    insert(
        "visit_detector_region",
        *[
            {"instrument": "Cam", "visit": i, "detector": j, "region": _region(i, j)}
            for i in range(visits)
            for j in range(DETECTORS)
        ],
    )
    registry.registerRun("run")
    records = DatastoreRecordData()
    for name, dimension in (("raw", "exposure"), ("calexp", "visit")):
        kind = DatasetType(name, butler.dimensions.conform([dimension, "detector"]), "StructuredDataDict")
        registry.registerDatasetType(kind)
        data_ids = [
            {"instrument": "Cam", dimension: i, "detector": j}
            for i in range(visits)
            for j in range(DETECTORS)
        ]
        for ref in registry.insertDatasets(kind, data_ids, run="run"):
            info = StoredFileInfo(
                formatter="lsst.daf.butler.formatters.json.JsonFormatter",
                path=f"{ref.id}.json",
                storageClass=kind.storageClass,
                component=None,
                checksum=None,
                file_size=1_234_567,
            )
            records.records[ref.id] = {"file_datastore_records": [info]}
    datastore = butler._datastore
    datastore.import_records({datastore.name: records})


def _region(visit: int, detector: int) -> ConvexPolygon:
    ra, dec = visit * 7.3 % 360 + detector % 10 * 0.2, visit * 3.1 % 100 - 70 + detector // 10 * 0.2
    corners = ((0.0, 0.0), (0.2, 0.0), (0.2, 0.2), (0.0, 0.2))
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(ra + x, dec + y)) for x, y in corners])


@pytest.mark.parametrize("reader", ["public", "public with sizes", "lsst-dax-obscore"])
def test_export(benchmark: Any, repository: Path, reader: str) -> None:
    """Time all rows into memory."""
    benchmark.group = f"export of {DATASETS} datasets"
    with Butler.from_config(str(repository)) as butler:
        if reader == "lsst-dax-obscore":
            exporter = ObscoreExporter(butler, ExporterConfig.model_validate(CONFIG))

            def count() -> int:
                return sum(batch.num_rows for batch, _ in exporter._make_record_batches())
        else:
            config = ObscoreConfig.model_validate(CONFIG | {"access_estsize": reader != "public"})

            def count() -> int:
                return sum(batch.num_rows for batch in iter_rows(butler, config, label="bench"))

        rows = benchmark.pedantic(count, rounds=1 if reader == "lsst-dax-obscore" else 3, iterations=1)
    assert rows >= min(DATASETS, 2 * DETECTORS)
    if benchmark.stats:
        benchmark.extra_info["rows_per_s"] = round(rows / benchmark.stats.stats.min)
