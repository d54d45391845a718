"""The tasks in ``pipetask``: the table that they make is the command's export.

The repository is a copy of the sample's with what a survey has besides: an
exposure without a visit, one of two visits, a detector without a region.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from lsst.daf.butler import Butler, DatasetRef, FileDataset

from lsst.dax.vo.sample import Sample
from lsst.dax.vo.services import export_repository, update_store
from lsst.dax.vo.store import Changes, open_store, parse_store

pytest.importorskip("lsst.ctrl.mpexec", reason="pipetask is in the extra 'pipelines'")

COLLECTION = "LSSTCam/runs/DRP/DP2"
EXPORT = "resource://lsst.dax.vo/pipelines/exportObsCore.yaml"
CONSOLIDATE = "resource://lsst.dax.vo/pipelines/consolidateObsCore.yaml"
STORAGE_CLASSES = {
    "raw": "ImageV2",
    "visit_image": "VisitImage",
    "difference_image": "DifferenceImage",
    "deep_coadd": "CellCoadd",
    "visit_summary": "ArrowAstropy",
}
LONE, TWICE, EXTRA_DETECTOR = 2025112600900, 2025112600901, 204

pytestmark = pytest.mark.timeout(600)


def run(command: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name(command), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        env=os.environ,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def add_unusual_datasets(repo: Path) -> None:
    with Butler.from_config(str(repo), writeable=True) as butler, butler.query() as query:
        exposure = next(
            iter(query.where(instrument="LSSTCam").dimension_records("exposure").order_by("exposure"))
        )
        visit = next(iter(query.where(instrument="LSSTCam", visit=exposure.id).dimension_records("visit")))
        detector = next(iter(query.where(instrument="LSSTCam").dimension_records("detector")))
        region = next(
            iter(
                query.where(instrument="LSSTCam", visit=exposure.id, detector=detector.id).dimension_records(
                    "visit_detector_region"
                )
            )
        ).region
        registry = butler.registry
        registry.insertDimensionData(
            "detector",
            detector.toDict() | {"id": EXTRA_DETECTOR, "full_name": "R99_S00", "purpose": "GUIDER"},
        )
        for number in (LONE, TWICE):
            registry.insertDimensionData("group", {"instrument": "LSSTCam", "name": str(number)})
            registry.insertDimensionData(
                "exposure", exposure.toDict() | {"id": number, "obs_id": str(number), "group": str(number)}
            )
        # Of two visits, the one with the lower number places the exposure;
        # of two with one that has the exposure's own number, that one.
        for number, member in ((TWICE + 1, TWICE), (TWICE + 2, TWICE), (exposure.id - 1, exposure.id)):
            registry.insertDimensionData("visit", visit.toDict() | {"id": number, "name": str(number)})
            registry.insertDimensionData(
                "visit_definition", {"instrument": "LSSTCam", "visit": number, "exposure": member}
            )
            other = region if number != TWICE + 1 else visit.region
            registry.insertDimensionData(
                "visit_detector_region",
                {"instrument": "LSSTCam", "visit": number, "detector": detector.id, "region": other},
            )
        (raw,) = butler.query_datasets(
            "raw", COLLECTION, instrument="LSSTCam", exposure=exposure.id, detector=detector.id
        )
        file = butler.getURI(raw).ospath
        new = [
            DatasetRef(
                raw.datasetType,
                registry.expandDataId(instrument="LSSTCam", exposure=number, detector=chip),
                raw.run,
            )
            for number, chip in ((LONE, detector.id), (TWICE, detector.id), (exposure.id, EXTRA_DETECTOR))
        ]
        butler.ingest(*(FileDataset(file, ref) for ref in new), transfer="copy")


@pytest.fixture(scope="module")
def repo(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    repo = tmp_path_factory.mktemp("pipeline") / "repo"
    shutil.copytree(sample.repositories["sample"], repo)
    add_unusual_datasets(repo)
    return repo


@pytest.fixture(scope="module")
def config(sample: Sample, repo: Path) -> Path:
    """Return the sample's configuration, with expressions and types that are not registered."""
    config = yaml.safe_load(sample.configurations["sample"].read_text())
    config["dataset_type_constraints"] = {
        "difference_image": [
            {"where": "band = 'r'"},
            {"where": "visit.seq_num > 250 AND instrument = 'LSSTCam'"},
        ],
        "deep_coadd": [{"where": "band IN (chosen)", "bind": {"chosen": ["g", "r"]}}],
    }
    config["dataset_types"]["template_coadd"] = config["dataset_types"]["deep_coadd"]
    config["visit_summary"] = ["finalVisitSummary", *config["visit_summary"]]
    path = repo.with_name("obscore.yaml")
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def pipeline(config: Path) -> Path:
    path = config.with_name("pipeline.yaml")
    pipeline = {
        "description": "The sample's.",
        "imports": [{"location": EXPORT}],
        "parameters": {"obscore": str(config), "label": "sample", "storage_classes": STORAGE_CLASSES},
    }
    path.write_text(yaml.safe_dump(pipeline))
    return path


@pytest.fixture(scope="module")
def exported(repo: Path, config: Path) -> Path:
    """Return the store that the command makes; beside it lies the same as Parquet."""
    store = repo.with_name("command.store")
    for destination in (store, store.with_suffix(".parquet")):
        export_repository(repo, destination, config_path=config, label="sample")
    return store


@pytest.fixture(scope="module")
def consolidated(repo: Path, pipeline: Path) -> tuple[pa.Table, Path]:
    """Run both pipelines; return the table and the store."""
    store = repo.with_name("tasks.store")
    common = ("run", "-b", repo, "-o", "u/obscore", "--register-dataset-types")
    run("pipetask", *common, "-i", COLLECTION, "-p", pipeline)
    # In a process of its own, which takes seconds for each quantum.
    more = ("-j", "2", "-c", f"consolidateObsCore:store={store}")
    run("pipetask", *common, "-i", "u/obscore", "-p", CONSOLIDATE, *more)
    return read_table(repo, "u/obscore"), store


def read_table(repo: Path, collection: str) -> pa.Table:
    with Butler.from_config(str(repo)) as butler:
        return butler.get("obscore", collections=collection)


def assert_same_rows(ours: pa.Table, theirs: pa.Table) -> None:
    assert (ours.schema.names, ours.schema.types) == (theirs.schema.names, theirs.schema.types)
    ours, theirs = ours.sort_by("obs_publisher_did"), theirs.sort_by("obs_publisher_did")
    assert ours.num_rows > 150
    for name in theirs.schema.names:
        assert ours[name].to_pylist() == theirs[name].to_pylist(), name


def rows_of(store: Path) -> list[dict[str, Any]]:
    with duckdb.connect(str(open_store(parse_store(str(store))).path), read_only=True) as connection:
        rows: list[dict[str, Any]] = connection.sql("SELECT * FROM obscore").to_arrow_table().to_pylist()
    return rows


def test_consolidated_table_is_the_exported_one(consolidated: tuple[pa.Table, Path], exported: Path) -> None:
    theirs = pq.read_table(exported.with_suffix(".parquet"))
    assert_same_rows(consolidated[0], theirs)
    # Units and UCDs, as astropy and TOPCAT read them.
    key = b"IVOA.VOTable-Parquet.content"
    assert consolidated[0].schema.metadata[key] == theirs.schema.metadata[key]


def test_summaries_of_visits_are_read(consolidated: tuple[pa.Table, Path]) -> None:
    rows = consolidated[0].select(["dataproduct_subtype", "s_resolution"]).to_pylist()
    images = [row["s_resolution"] for row in rows if row["dataproduct_subtype"] == "lsst.visit_image"]
    assert images
    assert all(0.5 < width < 2 for width in images)


def test_unusual_datasets_are_there(consolidated: tuple[pa.Table, Path]) -> None:
    raws = [row for row in consolidated[0].to_pylist() if row["dataproduct_subtype"] == "lsst.raw"]
    assert [row["s_ra"] for row in raws if row["obs_id"] == str(LONE)] == [None]
    assert [row["s_region"] is None for row in raws if row["obs_id"] == str(TWICE)] == [False]
    assert [row["s_ra"] for row in raws if row["lsst_detector"] == EXTRA_DETECTOR] == [None]
    dids = consolidated[0]["obs_publisher_did"].to_pylist()
    assert len(dids) == len(set(dids))


def test_store_of_the_tasks_is_the_exported_one(consolidated: tuple[pa.Table, Path], exported: Path) -> None:
    ours, theirs = (
        sorted(rows_of(store), key=lambda row: row["_id"]) for store in (consolidated[1], exported)
    )
    # Hidden columns, too: 'butler vo update' goes on from here.
    assert ours == theirs
    told, expected = (open_store(parse_store(str(store))).properties for store in (consolidated[1], exported))
    # A quantum does not know which collections were searched.
    assert dict(told) == {name: value for name, value in expected.items() if name != "export_choice"}


def test_update_goes_on_from_the_tasks(consolidated: tuple[pa.Table, Path], repo: Path) -> None:
    _, changes = update_store(repo, consolidated[1])
    assert changes == Changes(kept=consolidated[0].num_rows)


def test_rows_lie_along_the_sky(consolidated: tuple[pa.Table, Path]) -> None:
    pixels = {row["obs_publisher_did"]: row["_hpx"] for row in rows_of(consolidated[1])}
    order = [pixels[did] for did in consolidated[0]["obs_publisher_did"].to_pylist()]
    known = [pixel for pixel in order if pixel is not None]
    assert known == sorted(known)
    assert order[len(known) :] == [None] * (len(order) - len(known))


def test_configuration_is_kept_as_text(consolidated: tuple[pa.Table, Path], repo: Path, config: Path) -> None:
    del consolidated
    with Butler.from_config(str(repo)) as butler:
        kept = butler.get("exportObsCoreTract_config", collections="u/obscore")
    assert kept.obscore == config.read_text()


def test_quanta_run_without_the_registry(repo: Path, pipeline: Path, exported: Path, tmp_path: Path) -> None:
    # As batch jobs run them.
    graph = tmp_path / "graph.qg"
    run(
        "pipetask", "qgraph", "-b", repo, "-i", COLLECTION, "-o", "u/batch", "-p", pipeline,
        "--qgraph-datastore-records", "-q", graph,
    )  # fmt: skip
    run("pipetask", "pre-exec-init-qbb", repo, graph)
    run("pipetask", "run-qbb", repo, graph)
    run("butler", "transfer-from-graph", graph, repo, "--register-dataset-types", "--update-output-chain")
    run("pipetask", "run", "-b", repo, "-i", "u/batch", "-o", "u/batch", "-p", CONSOLIDATE)
    assert_same_rows(read_table(repo, "u/batch"), pq.read_table(exported.with_suffix(".parquet")))


def messages(*arguments: str | Path) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("pipetask"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode != 0
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "No exporter configuration is given; give the path or URI of a YAML file, or YAML"),
        (("-c", "parameters:obscore=no.yaml"), "There is no exporter configuration no.yaml; give the path"),
    ],
    ids=["none", "missing"],
)
def test_configuration_is_missing(repo: Path, arguments: Sequence[str], message: str) -> None:
    said = messages("qgraph", "-b", repo, "-i", COLLECTION, "-o", "u/none", "-p", EXPORT, *arguments)
    assert f"Field 'obscore' failed validation: {message}" in said


def test_other_storage_class_is_told(repo: Path, config: Path) -> None:
    said = messages(
        "qgraph",
        "-b",
        repo,
        "-i",
        COLLECTION,
        "-o",
        "u/none",
        "-p",
        EXPORT,
        "-c",
        f"parameters:obscore={config}",
    )
    # Whichever comes first; the message tells both storage classes.
    assert "Incompatible definition for input dataset type" in said
    assert "but the definition from data repository is DatasetType(" in said


def test_nothing_to_consolidate(repo: Path) -> None:
    said = messages("qgraph", "-b", repo, "-i", COLLECTION, "-o", "u/none", "-p", CONSOLIDATE)
    assert (
        "consolidateObsCore finds no tables (obscore_exposure, obscore_raw, obscore_tract, obscore_visit) in "
        "the input collections; run the exporting tasks first, and give their output collection as input"
    ) in said
