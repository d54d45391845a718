"""A repository of one visit, one exposure without a visit, and one tract."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import astropy.time
import pytest
from lsst.daf.butler import Butler, DatasetRef, DatasetType, Timespan
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

CONFIG = """
obs_collection: TEST
obs_publisher_did_fmt: "ivo://org.example/test?id={id}"
dataset_types:
  raw: {dataproduct_type: image, calib_level: 1, obs_id_fmt: "{records[exposure].obs_id}"}
  calexp: {dataproduct_type: image, calib_level: 2, obs_id_fmt: "{records[visit].name}"}
  deepCoadd: {dataproduct_type: image, calib_level: 3, obs_id_fmt: "{tract}-{patch}"}
extra_columns:
  lsst_detector: {template: "{detector}", type: int}
"""
BEGIN = astropy.time.Time("2025-01-01T01:00:00", scale="tai")
END = astropy.time.Time("2025-01-01T01:00:30", scale="tai")


def square(ra_deg: float, size_deg: float) -> ConvexPolygon:
    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
    return ConvexPolygon(
        [UnitVector3d(LonLat.fromDegrees(ra_deg + x * size_deg, y * size_deg)) for x, y in corners]
    )


def build(root: Path) -> None:
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), writeable=True) as butler:
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "detector_max": 9, "visit_max": 9, "exposure_max": 9})
        insert("physical_filter", {"instrument": "Cam", "name": "r", "band": "r"})
        for detector in (1, 2, 3):
            insert("detector", {"instrument": "Cam", "id": detector, "full_name": f"R{detector}"})
        insert("day_obs", {"instrument": "Cam", "id": 20250101})
        common = {"instrument": "Cam", "physical_filter": "r", "day_obs": 20250101, "exposure_time": 30.0}
        common |= {"timespan": Timespan(BEGIN, END)}
        for exposure in (5, 6):
            insert("group", {"instrument": "Cam", "name": f"{exposure}"})
            insert("exposure", {**common, "id": exposure, "obs_id": f"E{exposure}", "group": f"{exposure}"})
        insert("visit", {**common, "id": 5, "name": "V5", "region": square(0.0, 2.0)})
        insert("visit_definition", {"instrument": "Cam", "visit": 5, "exposure": 5})
        # The third detector has no region.
        for detector in (1, 2):
            insert(
                "visit_detector_region",
                {"instrument": "Cam", "visit": 5, "detector": detector, "region": square(detector / 2, 0.1)},
            )
        insert("skymap", {"name": "sky", "hash": b"h", "tract_max": 9, "patch_nx_max": 9, "patch_ny_max": 9})
        insert("tract", {"skymap": "sky", "id": 7, "region": square(0.0, 3.0)})
        insert(
            "patch",
            {"skymap": "sky", "tract": 7, "id": 0, "region": square(0.5, 0.5), "cell_x": 0, "cell_y": 0},
        )
        butler.collections.register("run")
        kinds = {
            "raw": ("instrument", "exposure", "detector"),
            "calexp": ("instrument", "visit", "detector"),
            "deepCoadd": ("skymap", "tract", "patch", "band"),
        }
        types = {
            name: DatasetType(name, butler.dimensions.conform(dimensions), "StructuredDataDict")
            for name, dimensions in kinds.items()
        }
        for kind in types.values():
            butler.registry.registerDatasetType(kind)
        for detector in (1, 2, 3):
            for exposure in (5, 6):
                data_id: Mapping[str, Any] = {
                    "instrument": "Cam",
                    "exposure": exposure,
                    "detector": detector,
                }
                butler.put({"x": "y" * 3000}, types["raw"], data_id, run="run")
            if detector != 3:
                butler.put({}, types["calexp"], instrument="Cam", visit=5, detector=detector, run="run")
        butler.put({}, types["deepCoadd"], skymap="sky", tract=7, patch=0, band="r", run="run")


@pytest.fixture(scope="session")
def task_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tasks") / "repo"
    build(root)
    return root


@pytest.fixture(scope="session")
def task_butler(task_repository: Path) -> Iterator[Butler]:
    with Butler.from_config(str(task_repository)) as butler:
        yield butler


@pytest.fixture(scope="session")
def obscore() -> str:
    """Return an exporter configuration."""
    return CONFIG


def find(butler: Butler, name: str, **data_id: Any) -> list[DatasetRef]:
    return butler.query_datasets(name, "run", data_id=data_id, with_dimension_records=True)


@pytest.fixture(scope="session")
def refs(task_butler: Butler) -> dict[str, list[DatasetRef]]:
    """Return all references, with dimension records, by dataset type."""
    names = ("raw", "calexp", "deepCoadd")
    return {name: sorted(find(task_butler, name)) for name in names}
