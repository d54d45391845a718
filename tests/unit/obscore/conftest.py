"""Repositories to export: a small one with every oddity, and those of others."""

import copy
import io
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import astropy.time
import astropy.units as u
import pyarrow as pa
import pytest
import yaml
from lsst.daf.butler import Butler, CollectionType, Config, DatasetType, Timespan
from lsst.daf.butler.transfers import YamlRepoImportBackend
from lsst.dax.obscore import ExporterConfig
from lsst.dax.obscore.obscore_exporter import ObscoreExporter
from lsst.sphgeom import Angle, Box, Circle, ConvexPolygon, Ellipse, LonLat, Region, UnitVector3d

from lsst.dax.vo.obscore import ExportChoice, ExportReport, iter_rows, parse_obscore_config

START = astropy.time.Time("2025-01-01T01:00:00", scale="tai")
DETECTORS = 3
FORMATTER = "lsst.daf.butler.formatters.json.JsonFormatter"
CONFIG: dict[str, Any] = {
    "facility_name": "Nowhere",
    "facility_map": {"Cam": "Somewhere"},
    "fallback_instrument": "Cam",
    "obs_collection": "TEST",
    "collections": ["all"],
    "obs_publisher_did_fmt": "ivo://org.example/test?repo=test&id={id}",
    "dataset_types": {
        "raw": {
            "dataproduct_type": "image",
            "calib_level": 1,
            "obs_id_fmt": "{records[exposure].obs_id}",
            "o_ucd": "phot.count",
            "s_xel": [100, 200],
            "datalink_url_fmt": "https://example.org/links?ID={id}&obs={obs_id}",
            "extra_columns": {
                "obs_title": {
                    "template": "{dataset_type} {records[detector].full_name:>8} "
                    "{records[exposure].timespan.begin.utc.isot}Z"
                }
            },
        },
        "calexp": {
            "dataproduct_type": "image",
            "dataproduct_subtype": "lsst.calexp",
            "calib_level": 2,
            "obs_id_fmt": "{records[visit].name}",
            "obs_collection": "OTHER",
            "extra_columns": {"t_xel": 1, "weight": 0.5, "good": True},
        },
        "coadd": {
            "dataproduct_type": "image",
            "calib_level": 3,
            "obs_id_fmt": "{skymap}-{tract}-{patch:03d}-{run!r}",
            "access_format": "image/fits",
        },
    },
    "extra_columns": {
        "lsst_visit": {"template": "{visit}", "type": "int"},
        "lsst_tract": {"template": "{tract}", "type": "int"},
        "lsst_band": {"template": "{band}", "length": 8, "doc": "The band."},
        "lsst_filter": {"template": "{physical_filter}"},
        "run": {"template": "{run}"},
    },
    "spectral_ranges": {"g": [4.0e-7, 5.5e-7], "r": [5.5e-7, 7.0e-7], "r_special": [6.0e-7, None]},
}


def square(ra_deg: float, dec_deg: float, size_deg: float) -> ConvexPolygon:
    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
    return ConvexPolygon(
        [UnitVector3d(LonLat.fromDegrees(ra_deg + x * size_deg, dec_deg + y * size_deg)) for x, y in corners]
    )


VISIT_REGIONS: dict[int, Region | None] = {
    1: square(359.9, -0.05, 0.3),
    2: square(120.0, 89.7, 0.2),
    3: square(10.0, -30.0, 1.0),
    4: square(200.0, 10.0, 0.01),
}
PATCH_REGIONS: dict[int, Region] = {
    0: square(10.0, -30.0, 0.5),
    1: Circle(UnitVector3d(LonLat.fromDegrees(11.0, -30.0)), Angle.fromDegrees(0.3)),
    2: Ellipse(
        UnitVector3d(LonLat.fromDegrees(12.0, -30.0)),
        Angle.fromDegrees(0.4),
        Angle.fromDegrees(0.2),
        Angle.fromDegrees(30.0),
    ),
    3: Box.fromDegrees(13.0, -30.0, 13.5, -29.5),
}


def build(root: Path, config: Config | None = None) -> None:
    """Make the repository, by default with its registry in SQLite.

    Exposure 5 has no visit; exposure 1 is in two; the timespan of 4 is open;
    raw images of a second run hide behind the first one's.
    """
    Butler.makeRepo(str(root), config=config)
    with Butler.from_config(str(root), writeable=True) as butler:
        registry = butler.registry
        insert = registry.insertDimensionData
        insert(
            "instrument",
            {"name": "Cam", "class_name": "x.Cam", "detector_max": 9, "visit_max": 999, "exposure_max": 999},
        )
        for name, band in (("g_main", "g"), ("r_special", "r"), ("white", "w")):
            insert("physical_filter", {"instrument": "Cam", "name": name, "band": band})
        for detector in range(DETECTORS):
            insert("detector", {"instrument": "Cam", "id": detector, "full_name": f"R{detector}"})
        insert("day_obs", {"instrument": "Cam", "id": 20250101})
        insert("skymap", {"name": "sky", "hash": b"h", "tract_max": 9, "patch_nx_max": 9, "patch_ny_max": 9})
        insert("tract", {"skymap": "sky", "id": 7, "region": square(9.0, -31.0, 6.0)})
        for patch, region in PATCH_REGIONS.items():
            insert(
                "patch",
                {"skymap": "sky", "tract": 7, "id": patch, "region": region, "cell_x": patch, "cell_y": 0},
            )
        for number in range(1, 6):
            begin = START + number * 100 * u.s
            common = {
                "instrument": "Cam",
                "id": number,
                "physical_filter": ("g_main", "r_special", "white")[number % 3],
                "day_obs": 20250101,
                "target_name": None if number == 3 else f'field, {number} "a"',
                "exposure_time": 30.0 + number,
                "timespan": Timespan(begin, None if number == 4 else begin + 30 * u.s),
            }
            insert("group", {"instrument": "Cam", "name": f"group{number}"})
            insert("exposure", {**common, "obs_id": f"E{number}", "group": f"group{number}"})
            if number == 5:
                continue
            insert("visit", {**common, "name": f"V{number}", "region": VISIT_REGIONS[number]})
            insert("visit_definition", {"instrument": "Cam", "visit": number, "exposure": number})
            for detector in range(DETECTORS):
                if (number, detector) == (4, 2):
                    continue
                circle = VISIT_REGIONS[number].getBoundingCircle()
                center = LonLat(circle.getCenter())
                region = square(
                    center.getLon().asDegrees() + 0.01 * detector, center.getLat().asDegrees(), 0.01
                )
                insert(
                    "visit_detector_region",
                    {"instrument": "Cam", "visit": number, "detector": detector, "region": region},
                )
        insert("visit", {**common, "id": 900, "name": "V900", "region": square(50.0, 50.0, 1.0)})
        insert("visit_definition", {"instrument": "Cam", "visit": 900, "exposure": 1})
        insert(
            "visit_detector_region",
            {"instrument": "Cam", "visit": 900, "detector": 0, "region": square(50.0, 50.0, 0.1)},
        )
        kinds = {
            "raw": ("exposure", "detector"),
            "calexp": ("visit", "detector"),
            "coadd": ("skymap", "tract", "patch", "band"),
        }
        types = {
            name: DatasetType(name, butler.dimensions.conform(dimensions), "StructuredDataDict")
            for name, dimensions in kinds.items()
        }
        for kind in types.values():
            registry.registerDatasetType(kind)
        for run in ("new", "old"):
            registry.registerRun(run)
        registry.registerCollection("all", CollectionType.CHAINED)
        registry.setCollectionChain("all", ["new", "old"])
        for detector in range(DETECTORS):
            for number in range(1, 6):
                runs = ("new", "old") if number < 3 else ("old",)
                for run in runs:
                    data = {"x": "y" * 400 * number}
                    butler.put(
                        data, types["raw"], instrument="Cam", exposure=number, detector=detector, run=run
                    )
                if number != 5:
                    data_id = {"instrument": "Cam", "visit": number, "detector": detector}
                    butler.put({}, types["calexp"], data_id, run="old")
        for patch in PATCH_REGIONS:
            for band in "gr":
                butler.put({}, types["coadd"], skymap="sky", tract=7, patch=patch, band=band, run="new")


@pytest.fixture(scope="session")
def odd_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("obscore") / "odd"
    build(root)
    return root


@pytest.fixture(scope="session")
def odd_rows(odd: Butler, export: Any, oracle: Any) -> tuple[Any, Any, Any]:
    """Return our rows of the odd repository, the report, and the oracle's."""
    rows, report = export(odd, CONFIG)
    return rows, report, oracle(odd, CONFIG)


@pytest.fixture
def config() -> dict[str, Any]:
    """Return the configuration of the odd repository."""
    return copy.deepcopy(CONFIG)


@pytest.fixture(scope="session")
def odd(odd_repository: Path) -> Iterator[Butler]:
    with Butler.from_config(str(odd_repository)) as butler:
        yield butler


@pytest.fixture(scope="session")
def shared_data() -> Path:
    default = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("DAX_VO_TEST_DATA", default))
    if not (folder / "obscore").is_dir():
        pytest.skip(f"files made by others are not at {folder}; set DAX_VO_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def import_export(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make a repository of an export file, without files and formatters."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            root = tmp_path_factory.mktemp("imported") / name
            Butler.makeRepo(str(root))
            with Butler.from_config(str(root), writeable=True) as butler, warnings.catch_warnings():
                # Older exports have no records of days.
                warnings.simplefilter("ignore", UserWarning)
                if name == "testdata_jointcal_cfht":
                    butler.registry.registerRun("refcats")
                text = (shared_data / "butler" / "exports" / f"{name}.yaml").read_text()
                text = re.sub(r"formatter: \S+", f"formatter: {FORMATTER}", text)
                backend = YamlRepoImportBackend(io.StringIO(text), butler)
                backend.register()
                backend.load(datastore=None)
            made[name] = root
        return made[name]

    return make


@pytest.fixture(scope="session")
def copy_live(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Copy a repository of others: its registry alone, without any file."""

    def copy(name: str) -> Path:
        root = tmp_path_factory.mktemp("live") / Path(name).name
        root.mkdir()
        for file in ("butler.yaml", "gen3.sqlite3"):
            shutil.copy(shared_data / "butler" / name / file, root)
        return root

    return copy


def key_of(row: dict[str, Any]) -> str:
    return str(row["obs_publisher_did"])[-36:]


@pytest.fixture(scope="session")
def export() -> Callable[..., tuple[list[dict[str, Any]], ExportReport]]:
    """Return our rows and the report."""

    def run(
        butler: Butler, config: dict[str, Any], **choice: Any
    ) -> tuple[list[dict[str, Any]], ExportReport]:
        report = ExportReport()
        parsed = parse_obscore_config(yaml.safe_dump(config), "the test")
        batches = list(iter_rows(butler, parsed, ExportChoice(**choice), label="test", report=report))
        rows = pa.Table.from_batches(batches).to_pylist() if batches else []
        assert len(rows) == report.total
        return rows, report

    return run


@pytest.fixture(scope="session")
def oracle() -> Callable[[Butler, dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of ``lsst-dax-obscore``."""

    def run(butler: Butler, config: dict[str, Any]) -> list[dict[str, Any]]:
        with warnings.catch_warnings():
            # Regions of other types, and years without leap seconds.
            warnings.simplefilter("ignore")
            return list(ObscoreExporter(butler, ExporterConfig.model_validate(config)).iter_records())

    return run


@pytest.fixture(scope="session")
def differences() -> Callable[..., list[tuple[str, str, Any, Any]]]:
    """Compare rows by dataset, on every column that both fill."""

    def compare(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[tuple[str, str, Any, Any]]:
        known = {key_of(row): row for row in ours}
        assert len(known) == len(ours), "a dataset occurs twice"
        found = []
        for row in theirs:
            mine = known[key_of(row)]
            for name, value in row.items():
                if name in mine and mine[name] != value:
                    found.append((key_of(row), name, mine[name], value))
        return found

    return compare


@pytest.fixture(scope="session")
def build_odd() -> Callable[[Path, Config | None], None]:
    """Return what makes the odd repository, in any database."""
    return build
