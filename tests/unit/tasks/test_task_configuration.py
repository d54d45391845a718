"""What tasks connect to, and what they say about a configuration that does not fit."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lsst.pipe.base", reason="the tasks need the extra 'pipelines'")

from lsst.pex.config import FieldValidationError
from lsst.pipe.base import Pipeline
from lsst.pipe.base.testUtils import lintConnections

from lsst.dax.vo.tasks import (
    ConsolidateObsCoreConfig,
    ConsolidateObsCoreConnections,
    ConsolidateObsCoreTask,
    ExportObsCoreConfig,
    ExportObsCoreConnections,
    ExportObsCoreTask,
)

STORAGE_CLASSES = dict.fromkeys(("raw", "calexp", "deepCoadd"), "StructuredDataDict")


def make(obscore: str, **fields: Any) -> ExportObsCoreConfig:
    config = ExportObsCoreConfig()
    config.update(obscore=obscore, storage_classes=STORAGE_CLASSES)
    config.update(**fields)
    config.validate()
    return config


def connect(config: ExportObsCoreConfig) -> ExportObsCoreConnections:
    return ExportObsCoreConnections(config=config)


@pytest.mark.parametrize(
    ("quantum", "dimensions", "inputs", "outputs"),
    [
        ("visit", {"instrument", "visit"}, {"calexp"}, {"obscore_visit"}),
        ("raw", {"instrument", "visit"}, {"raw"}, {"obscore_raw", "obscore_raw_place"}),
        ("exposure", {"instrument", "exposure"}, {"raw"}, {"obscore_exposure"}),
        ("tract", {"skymap", "tract"}, {"deepCoadd"}, {"obscore_tract"}),
    ],
)
def test_inputs_follow_from_the_configuration(
    obscore: str, quantum: str, dimensions: set[str], inputs: set[str], outputs: set[str]
) -> None:
    connections = connect(make(obscore, quantum=quantum))
    assert connections.dimensions == dimensions
    assert not connections.inputs
    found = [getattr(connections, name) for name in connections.prerequisiteInputs]
    assert {connection.name for connection in found} == inputs
    assert all(
        connection.multiple and connection.deferLoad and connection.minimum == 0 for connection in found
    )
    assert {getattr(connections, name).name for name in connections.outputs} == outputs
    assert set(connections.table.dimensions) == dimensions
    assert connections.table.storageClass == "ArrowTable"


def test_known_dataset_types_need_no_more_words(obscore: str) -> None:
    connections = connect(make(obscore, quantum="raw", storage_classes={}))
    assert connections.input_raw.storageClass == "Exposure"
    assert set(connections.input_raw.dimensions) == {"instrument", "exposure", "detector"}


def test_other_dataset_types_are_described(obscore: str) -> None:
    config = make(
        obscore.replace("calexp", "mine"),
        dimensions={"mine": "instrument, visit, detector"},
        storage_classes=STORAGE_CLASSES | {"mine": "ImageF"},
    )
    connection = connect(config).input_mine
    assert (set(connection.dimensions), connection.storageClass) == (
        {"instrument", "visit", "detector"},
        "ImageF",
    )


def test_images_of_whole_exposures_need_no_detectors(obscore: str) -> None:
    connections = connect(make(obscore, quantum="raw", dimensions={"raw": "instrument exposure"}))
    assert connections.outputs == {"table"}


def test_output_can_be_named(obscore: str) -> None:
    config = make(obscore, quantum="tract")
    config.connections.table = "mine"
    assert connect(config).table.name == "mine"


@pytest.mark.parametrize(("quantum", "there"), [("visit", True), ("raw", False), ("tract", False)])
def test_summaries_are_read_where_there_are_visits(obscore: str, quantum: str, there: bool) -> None:
    connections = connect(make(obscore + "visit_summary: [visit_summary]\n", quantum=quantum))
    assert ("input_visit_summary" in connections.prerequisiteInputs) == there
    if there:
        connection = connections.input_visit_summary
        assert (connection.name, set(connection.dimensions)) == ("visit_summary", {"instrument", "visit"})


def test_only_some_dataset_types(obscore: str) -> None:
    assert not connect(make(obscore, quantum="tract", dataset_types=["raw"])).prerequisiteInputs


def test_consolidation_reads_what_exports_write(obscore: str) -> None:
    connections = ConsolidateObsCoreConnections(config=ConsolidateObsCoreConfig())
    read = {
        (getattr(connections, name).name, frozenset(getattr(connections, name).dimensions))
        for name in connections.prerequisiteInputs
    }
    written = set()
    for quantum in ("visit", "raw", "exposure", "tract"):
        table = connect(make(obscore, quantum=quantum)).table
        written.add((table.name, frozenset(table.dimensions)))
    assert read == written
    assert connections.dimensions == frozenset()


@pytest.mark.parametrize("connections", [ExportObsCoreConnections, ConsolidateObsCoreConnections])
def test_declarations_follow_the_rules_of_pipe_base(connections: type[Any]) -> None:
    lintConnections(connections)


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        ("", {}, "No exporter configuration is given; give the path or URI of a YAML file, or YAML"),
        ("no.yaml", {}, "There is no exporter configuration no.yaml; give the path or URI of a YAML file"),
        ("no://host/x.yaml", {}, "The exporter configuration no://host/x.yaml cannot be read: "),
        ("dataset_type: {}\n", {}, "The exporter configuration: dataset_type: unknown key here, did you "),
        (
            "dataset_types: {mine: {dataproduct_type: image, calib_level: 2}}\n",
            {},
            "dimensions: nothing is said of the dataset type 'mine'; give dimensions['mine'], which "
            "'butler query-dataset-types -v REPO mine' tells",
        ),
        (
            "dataset_types: {mine: {dataproduct_type: image, calib_level: 2}}\n",
            {"dimensions": {"mine": "instrument visit"}},
            "storage_classes: nothing is said of the dataset type 'mine'; give storage_classes['mine']",
        ),
        (
            "dataset_types: {calexp: {dataproduct_type: image, calib_level: 2}}\nvisit_summary: [mine]\n",
            {},
            "dimensions: nothing is said of the dataset type 'mine'; give dimensions['mine']",
        ),
        (
            "dataset_types: {raw: {dataproduct_type: image, calib_level: 2}}\n",
            {"dimensions": {"raw": "healpix9 band"}},
            "The dataset type 'raw' has the dimensions healpix9, band; tasks export what has a tract, a "
            "visit or an exposure. Name the others in dataset_types, and export this one with 'butler vo "
            "export'",
        ),
        (
            "dataset_types: {raw: {dataproduct_type: image, calib_level: 2}}\n",
            {"dataset_types": ["calexp"]},
            "The dataset type 'calexp' is not configured; configured: raw",
        ),
        (
            "dataset_types: {raw: {dataproduct_type: image, calib_level: 2}}\ncollection_type: RUN\n",
            {},
            "'collection_type: RUN' exports datasets that others hide, and a pipeline does not see them; "
            "leave it out, or take 'butler vo export'",
        ),
    ],
)
def test_what_does_not_fit_is_told(
    text: str, fields: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FieldValidationError) as caught:
        make(text, **fields)
    assert f"Field 'obscore' failed validation: {message}" in str(caught.value)


def test_store_that_is_none_is_told() -> None:
    config = ConsolidateObsCoreConfig()
    config.store = "mysql://host/db"
    with pytest.raises(
        FieldValidationError, match="Field 'store' failed validation: The store has the scheme"
    ):
        config.validate()


def test_frozen_configuration_holds_the_text_of_the_file(obscore: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(obscore)
    config = make(str(path))
    assert config.obscore == str(path)
    config.freeze()
    path.unlink()
    config.freeze()
    assert config.obscore == obscore
    again = ExportObsCoreConfig()
    config.saveToString()
    again.loadFromString(config.saveToString())
    assert again.obscore == obscore


def test_resources_are_read() -> None:
    name = "resource://lsst.dax.vo/sample/obscore/dp02.yaml"
    assert "calexp" in make(name).read_obscore().dataset_types


def test_shipped_pipelines_are_complete() -> None:
    export = Pipeline.from_uri("resource://lsst.dax.vo/pipelines/exportObsCore.yaml")
    export.addConfigOverride("parameters", "obscore", "resource://lsst.dax.vo/sample/obscore/dp02.yaml")
    nodes = export.to_graph(registry=None).tasks
    assert {label: (node.task_class, node.config.quantum) for label, node in nodes.items()} == {
        "exportObsCoreVisit": (ExportObsCoreTask, "visit"),
        "exportObsCoreRaw": (ExportObsCoreTask, "raw"),
        "exportObsCoreExposure": (ExportObsCoreTask, "exposure"),
        "exportObsCoreTract": (ExportObsCoreTask, "tract"),
    }
    consolidate = Pipeline.from_uri("resource://lsst.dax.vo/pipelines/consolidateObsCore.yaml")
    (node,) = consolidate.to_graph(registry=None).tasks.values()
    assert node.task_class is ConsolidateObsCoreTask
